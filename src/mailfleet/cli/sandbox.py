"""The sandbox alone: every vendor's face on loopback, for trying mailfleet out and for other programs' tests."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from mailfleet.cli.output import Json, show_one

app = App(name="sandbox", help="Serve the sandbox vendors alone, and move their clock.")
CONTROL = "SANDBOX_CONTROL"


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


@app.command
def advance(
    *, control: Annotated[str, Parameter(env_var=CONTROL)], days: float = 0, hours: float = 0, json: Json = False
) -> None:
    """Moves the clock of a sandbox that stands still, and ours with it where MAILFLEET_CLOCK names a file.

    What is due on the way happens: mails, answers, webhooks. The worker takes them in a moment later.

    Parameters
    ----------
    control
        Address of its control API, as `sandbox serve` prints it.
    days
        Days of its time.
    hours
        Hours of its time.
    """
    show_one(asyncio.run(_advance(control, timedelta(days=days, hours=hours))), as_json=json)


async def _advance(control: str, by: timedelta) -> dict[str, Any]:
    from mailfleet.clock import FileClock, clock_from
    from mailfleet.demo.control import Control
    from mailfleet.errors import BadFile
    from mailfleet.settings import get_settings

    if by <= timedelta(0):
        raise BadFile("A clock moves forward only.", hint="Name `--days` or `--hours`.")
    async with Control(control) as sandbox:
        to = await sandbox.now() + by
        told = await sandbox.advance(to)
    ours = clock_from(get_settings().mailfleet_clock)
    if isinstance(ours, FileClock):
        ours.set(to)
    return {"now": to, **told}
