"""The vendors: how they have been answering, and whether they still answer as written."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from mailfleet.cli.output import ATTENTION, Json, exit_of, say, show, show_one

if TYPE_CHECKING:
    from mailfleet.vendors.compare import Description
    from mailfleet.vendors.probe import Probe

app = App(name="vendor", help="See how the vendors answer, record it, and compare it with what is written.")
Write = Annotated[bool, Parameter(name="--write", negative="", help="Also make the writes that are undone again.")]


@app.command
def status(*, json: Json = False) -> int:
    """Availability over 1 h, 24 h and 30 d, the circuit, the pace, and answers that no longer fit."""
    rows = asyncio.run(_status())
    columns = ("vendor", "circuit", "share_1h", "share_24h", "share_30d", "calls_24h", "ms_mean_24h", "batch",
               "deadline", "page", "drift")  # fmt: skip
    show(rows if json else [{**row, **_percent(row)} for row in rows], as_json=json, columns=columns)
    return ATTENTION if any(row["circuit"] != "closed" or row["drift"] for row in rows) else 0


@app.command
def notes(vendor: str = "", *, json: Json = False) -> None:
    """What was noticed about the vendors in 30 days: drift with the redacted answer, longer deadlines, smaller batches.

    Parameters
    ----------
    vendor
        Only this one.
    """
    columns = ("vendor", "what", "subject", "times", "first_at", "last_at", "detail")
    show(asyncio.run(_notes(vendor)), as_json=json, columns=columns)


@app.command
def record(vendor: str, *, write: Write = False, out: Path | None = None, json: Json = False) -> int:
    """Asks a vendor with the credentials that are set, and keeps every exchange without keys, addresses or texts.

    Parameters
    ----------
    vendor
        smartlead, cloudflare, namecheap, slack or twilio.
    out
        The file; by default one of this moment in MAILFLEET_HOME/exchanges.
    """
    made, path = asyncio.run(_record(vendor, write, out))
    errors = [f"{each.row}: {each.error}" for each in made.looked if each.error]
    kept = sum(len(each.exchanges) for each in made.looked)
    show_one({"vendor": vendor, "exchanges": kept, "file": str(path), "failed": errors}, as_json=json)
    return exit_of(errors) if errors else 0


@app.command
def verify(vendor: str, *, write: Write = False, sandbox: str = "", json: Json = False) -> int:
    """Asks a vendor and tells where it answers otherwise than our models, its documents and our sandbox say.

    Exit code 3 when something contradicts; fields that are only new are told and contradict nothing.

    Parameters
    ----------
    vendor
        smartlead, cloudflare, namecheap, slack or twilio.
    sandbox
        Address of a running sandbox whose description is compared with; by default one is started for it.
    """
    made = asyncio.run(_verify(vendor, write, sandbox))
    rows = [_row(each) for each in made.looked]
    shown = [{**row, "differences": _first(row["differences"])} for row in rows]
    show(rows if json else shown, as_json=json, columns=("row", "verdict", "status", "differences", "error"))
    if not rows:
        say(f"Nothing of {vendor} can be asked without --write.")
    errors = [f"{row['row']}: {row['error']}" for row in rows if row["error"]]
    if any(row["verdict"] == "deviates" for row in rows):
        return ATTENTION
    return exit_of(errors) if errors else 0


def _percent(row: Mapping[str, Any]) -> dict[str, str]:
    """No calls is no share, not a share of nothing."""
    spans = {name: row[name] for name in ("share_1h", "share_24h", "share_30d")}
    return {name: "" if share is None else f"{share:.2%}" for name, share in spans.items()}


def _row(looked: Any) -> dict[str, Any]:
    import msgspec

    last = looked.exchanges[-1] if looked.exchanges else None
    return {
        "row": looked.row,
        "verdict": looked.verdict,
        "status": (last.status or last.lost) if last else "",
        "differences": [msgspec.to_builtins(each) for each in looked.differences],
        "error": looked.error,
    }


def _first(differences: list[dict[str, Any]]) -> str:
    told = [f"{each['where']} {each['what']} ({each['against']})" for each in differences if not each["new"]]
    fresh = sum(each["new"] for each in differences)
    more = [f"{len(told) - 3} more"] if len(told) > 3 else []
    return "; ".join([*told[:3], *more, *([f"{fresh} new"] if fresh else [])])


async def _status() -> list[dict[str, Any]]:
    import msgspec

    from mailfleet.cli.session import opened
    from mailfleet.services import vendor_status

    async with opened() as fleet:
        return [msgspec.structs.asdict(each) for each in await vendor_status.read(fleet)]


async def _notes(vendor: str) -> list[dict[str, Any]]:
    import msgspec

    from mailfleet.cli.session import opened
    from mailfleet.services import vendor_status

    async with opened() as fleet:
        return [msgspec.structs.asdict(each) for each in await vendor_status.notes(fleet, vendor)]


async def _record(vendor: str, write: bool, out: Path | None) -> tuple[Probe, Path]:
    from datetime import UTC, datetime

    import msgspec

    from mailfleet.cli.session import person, started
    from mailfleet.probing import probe

    settings, now = started(), datetime.now(UTC)
    made = await probe(settings, vendor, actor=person(), write=write, waiting=say)
    path = out or settings.home / "exchanges" / f"{vendor}-{now:%Y%m%d-%H%M%S}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [{"row": each.row, "error": each.error, "exchanges": each.exchanges} for each in made.looked]
    document = {"vendor": vendor, "recorded_at": now, "written": write, "rows": rows}
    path.write_bytes(msgspec.json.format(msgspec.json.encode(document)))
    return made, path


async def _verify(vendor: str, write: bool, sandbox: str) -> Probe:
    from mailfleet.cli.session import person, started
    from mailfleet.probing import probe

    settings = started()
    described = await asyncio.to_thread(_descriptions, vendor, sandbox)
    return await probe(settings, vendor, actor=person(), write=write, descriptions=described, waiting=say)


def _descriptions(vendor: str, sandbox: str) -> dict[str, Description]:
    """What the sandbox says of itself, by face; a face that does not describe itself is left out."""
    import json
    import subprocess
    import sys

    if sandbox:
        return _read(vendor, sandbox.rstrip("/"))
    command = [sys.executable, "-m", "mailfleet.sandbox", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            root = str(json.loads(child.stdout.readline())["overview"]).rstrip("/")
            return _read(vendor, root)
        finally:
            child.terminate()


FACES: Mapping[str, Mapping[str, str]] = {
    "smartlead": {"smartlead": "/smartlead/api/v1", "smartdelivery": "/smartdelivery/api/v1/spam-test"},
    "cloudflare": {"cloudflare": "/cloudflare/client/v4"},
    "namecheap": {"namecheap": "/namecheap/xml.response"},
    "slack": {"slack": "/slack/api"},
    "twilio": {"twilio": "/twilio"},
}


def _read(vendor: str, root: str) -> dict[str, Description]:
    import httpx2

    from mailfleet.errors import ConfigError
    from mailfleet.vendors.compare import Description

    found: dict[str, Description] = {}
    for face, prefix in FACES.get(vendor, {}).items():
        try:
            answer = httpx2.get(f"{root}/{face}/openapi.json", timeout=30, trust_env=False)
        except httpx2.HTTPError as error:
            raise ConfigError(
                f"No sandbox answers at {root}: {type(error).__name__}.",
                hint="Leave --sandbox out to have one started.",
            ) from None
        if answer.status_code == 200:
            found[face] = Description(answer.json(), prefix)
    return found
