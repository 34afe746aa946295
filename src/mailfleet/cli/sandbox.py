"""The sandbox alone: every vendor's face on loopback, for trying mailfleet out and for other programs' tests."""

from __future__ import annotations

from typing import Literal

from cyclopts import App

from mailfleet.cli.output import Json

app = App(name="sandbox", help="Serve the sandbox vendors alone.")


@app.command
def serve(
    *,
    port: int = 0,
    seed: int = 1,
    start: str | None = None,
    rate_limit: int = 60,
    profile: Literal["calm", "typical", "hostile"] = "typical",
    speed: float = 0.0,
    json: Json = False,
) -> None:
    """Plays the vendors on loopback until Ctrl-C. The first line of output is one JSON object with every address.

    Parameters
    ----------
    port
        Port of the vendors' APIs; 0 = any free one.
    seed
        Which world.
    start
        What the world's clock shows at first, ISO 8601.
    rate_limit
        Calls a minute at Smartlead.
    profile
        How much goes wrong by itself.
    speed
        Sandbox seconds per real second; 0 = the clock moves only when told to.
    """
    from mailfleet.sandbox.serve import parsed, run

    given = [f"--port={port}", f"--seed={seed}", f"--rate-limit={rate_limit}", f"--profile={profile}"]
    run(parsed([*given, f"--speed={speed}", *([f"--start={start}"] if start is not None else [])]))
