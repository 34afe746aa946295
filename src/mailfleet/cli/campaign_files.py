"""A campaign's file: templates, what it would look like, what it would change, and doing that."""

from __future__ import annotations

import asyncio
import sys
import tomllib
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from mailfleet.cli.campaign import ATTENTION, flow, told
from mailfleet.cli.output import Json, Limit, Yes, emit, say, show, show_one

template = App(name="template", help="Honest texts to begin with.")
_SHOWN = 70


def create(file: Path, *, yes: Yes = False, json: Json = False) -> int:
    """Creates a campaign from a TOML or JSON file; without --yes the file is only checked.

    Parameters
    ----------
    file
        The configuration; `-` reads standard input. `mailfleet campaign template show` prints one.
    """
    config = read(file)
    if not yes:
        show_one(_checked(config), as_json=json)
        say("Nothing was created. Add --yes to create it as a draft.")
        return ATTENTION
    return told(asyncio.run(flow("create", None, config)), json)


def plan(file: Path, *, json: Json = False) -> int:
    """What would change at the platform, with the checksum that `apply` takes; exit code 3 when something would.

    Parameters
    ----------
    file
        The configuration; `-` reads standard input.
    """
    found = asyncio.run(_plan(read(file)))
    _show_plan(found, json)
    return ATTENTION if found["changes"] or found["refused"] else 0


def apply(
    file: Path,
    *,
    checksum: str | None = None,
    yes: Yes = False,
    overwrite: Annotated[bool, Parameter(negative="")] = False,
    json: Json = False,
) -> int:
    """Does what the plan shows; a running campaign is paused, changed, read back and runs again.

    Parameters
    ----------
    file
        The configuration; `-` reads standard input.
    checksum
        Of the plan that was looked at: another plan by now is refused.
    overwrite
        Also what was changed at the platform's own screen.
    """
    config = read(file)
    if not (yes or checksum):
        found = asyncio.run(_plan(config))
        _show_plan(found, json)
        say(f"Nothing was changed. Add --checksum {found['checksum']} to do it.")
        return ATTENTION
    show_one(asyncio.run(_apply(config, checksum, overwrite)), as_json=json)
    return 0


def preview(
    file: Path,
    *leads: str,
    render: Annotated[bool, Parameter(negative="", help="The whole bodies.")] = False,
    limit: Limit = 3,
    json: Json = False,
) -> int:
    """Each mail as these leads would get it; exit code 3 when one of them leaves a needed field empty.

    Parameters
    ----------
    file
        The configuration; `-` reads standard input.
    leads
        Their addresses; without any, the first that wait for this campaign.
    """
    found = asyncio.run(_preview(read(file), leads, limit))
    if render and not json:
        for mail in found:
            sys.stdout.write(_mail(mail))
    else:
        shown = found if json else [{**mail, "body": mail["body"][:_SHOWN]} for mail in found]
        show(shown, as_json=json, columns=("lead", "day", "step", "variant", "subject", "missing", "body"))
    return ATTENTION if not found or any(mail["missing"] for mail in found) else 0


@template.command(name="list")
def template_list(*, json: Json = False) -> None:
    """The templates there are, each with what it is for."""
    from mailfleet.cli import campaign_templates as templates

    show([{"name": name, "for": templates.purpose(name)} for name in templates.names()], as_json=json)


@template.command(name="show")
def template_show(name: str, *, json: Json = False) -> None:
    """Prints a template.

    Parameters
    ----------
    name
        As `template list` has it.
    """
    from mailfleet.cli import campaign_templates as templates

    text = templates.text(name)
    if json:
        emit(tomllib.loads(text))
    else:
        sys.stdout.write(text)


@template.command(name="new")
def template_new(name: str, file: Path, *, called: str = "", timezone: str = "", json: Json = False) -> None:
    """Writes a template as a file of one's own. What stands in [[double brackets]] is to be replaced.

    Parameters
    ----------
    name
        As `template list` has it.
    file
        Where to; an existing file is not touched.
    called
        The campaign's name.
    timezone
        Of its recipients, e.g. Australia/Sydney.
    """
    from mailfleet.cli import campaign_templates as templates
    from mailfleet.errors import BadFile

    text = templates.made(name, called=called, timezone=timezone)
    try:
        with file.open("x", encoding="utf-8") as to:
            to.write(text)
    except OSError as error:
        raise BadFile(f"{file} cannot be written: {error.strerror}.", hint="Name another file.") from error
    show_one({"file": file, "to_replace": list(templates.gaps(text))}, as_json=json)


def read(file: Path) -> dict[str, Any]:
    import msgspec

    from mailfleet.errors import BadFile

    try:
        raw = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        found: Any = msgspec.json.decode(raw) if raw.lstrip()[:1] == b"{" else tomllib.loads(raw.decode())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.DecodeError, RecursionError) as error:
        raise BadFile(
            f"{file} cannot be read: {error}.",
            hint="It is TOML or JSON; `mailfleet campaign template show` prints one.",
        ) from error
    if not isinstance(found, dict):
        raise BadFile(f"{file} is no table of keys.", hint="`mailfleet campaign template show` prints one.")
    return found


def _checked(config: dict[str, Any]) -> dict[str, Any]:
    from mailfleet.rules.campaign_file import parse

    made = parse(config)
    return {"name": made.name, "steps": len(made.sequence), "hash": made.hash, "timezone": made.schedule.timezone}


def _show_plan(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        emit(found)
        return
    rows = [{**change, "there": _short(change["there"]), "to": _short(change["to"])} for change in found["changes"]]
    show(rows, columns=("kind", "field", "there", "to"))
    for note in found["notes"]:
        say(f"Note: {note}.")
    for reason in found["refused"]:
        say(f"Refused: {reason}.")
    say(f"{found['name']} is {found['state']}; {len(rows)} fields would change. Checksum {found['checksum']}.")


def _short(value: object) -> str:
    text = "" if value is None else " ".join(str(value).split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _mail(mail: dict[str, Any]) -> str:
    form = f", variant {mail['variant']}" if mail["variant"] else ""
    missing = f"Missing: {', '.join(mail['missing'])}\n" if mail["missing"] else ""
    head = f"To: {mail['lead']}\nStep: {mail['step']}{form}, day {mail['day']}\nSubject: {mail['subject']}\n{missing}"
    return f"{head}\n{mail['body']}\n\n{'-' * 8}\n"


async def _plan(config: dict[str, Any]) -> dict[str, Any]:
    import msgspec

    from mailfleet.cli.session import opened
    from mailfleet.services import campaign_plan

    async with opened() as fleet:
        found: dict[str, Any] = msgspec.to_builtins(await campaign_plan.plan(fleet, config))
        return found


async def _apply(config: dict[str, Any], checksum: str | None, overwrite: bool) -> dict[str, Any]:
    from mailfleet.cli.session import opened
    from mailfleet.services import campaign_apply

    async with opened() as fleet:
        done = await campaign_apply.apply(fleet, config, checksum=checksum, overwrite=overwrite)
    return {
        "campaign_id": done.campaign_id,
        "checksum": done.checksum,
        "changed": [change.field for change in done.done],
        "resumed": done.resumed,
        "new": done.new,
    }


async def _preview(config: dict[str, Any], leads: tuple[str, ...], limit: int) -> list[dict[str, Any]]:
    import msgspec

    from mailfleet.cli.session import address, opened
    from mailfleet.services import campaign_preview

    wanted = [address(each) for each in leads]
    async with opened() as fleet:
        found = await campaign_preview.preview(fleet, config, wanted, most=limit)
    return [msgspec.structs.asdict(mail) for mail in found]
