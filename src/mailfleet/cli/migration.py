"""Moving from one sending platform to another: plan, start, watch, and come back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

from cyclopts import App, Parameter

from mailfleet.cli.output import Json, Yes, emit, say, show, show_one

if TYPE_CHECKING:
    from mailfleet.services.context import Fleet

app = App(name="migration", help="Move from one sending platform to another, and come back.")

Reason = Annotated[str, Parameter(name="--reason", help="Why; kept with what is done.")]
Name = Annotated[str, Parameter(name="--name", help="The migration; the one under way when not given.")]
ATTENTION = 3


@app.command
def plan(
    name: str, *, start_on: date, volume: float, timezone: str = "UTC", seed: int = 1, campaigns: int = 0,
    from_platform: Annotated[str, Parameter(name="--from")] = "forge",
    to_platform: Annotated[str, Parameter(name="--to")] = "smartlead", json: Json = False,
) -> int:  # fmt: skip
    """Writes a plan and prints everything known beforehand; `start` needs its approval.

    Parameters
    ----------
    name
        What the migration is called.
    start_on
        First day of week 1, in the migration's time zone.
    volume
        Mails a day over both sides.
    seed
        Decides the routing, repeatably.
    campaigns
        Campaigns at once; counted when not given.
    """
    from mailfleet.migration import verbs

    made = _run(
        lambda fleet: verbs.plan(
            fleet, name=name, start_on=start_on, timezone=timezone, volume=volume, seed=seed, campaigns=campaigns,
            from_platform=from_platform, to_platform=to_platform,
        )
    )  # fmt: skip
    if json:
        emit(made)
    else:
        _print_plan(made)
    return ATTENTION


@app.command
def start(*, name: Name = "", json: Json = False) -> None:
    """Begins week 1, with an approval of exactly this plan."""
    from mailfleet.migration import verbs

    made = _run(lambda fleet: verbs.start(fleet, name))
    show_one({"name": made.name, "state": made.state, "phase": made.phase}, as_json=json)


@app.command
def status(*, name: Name = "", json: Json = False) -> None:
    """Phase, shares, verdicts, gate, readiness and rollback, as they are now."""
    from mailfleet.cli.migration_view import draw, drawn
    from mailfleet.migration import view

    seen = _run(lambda fleet: view.status(fleet, name))
    if json:
        emit(seen)
    else:
        draw(drawn(seen))


@app.command
def watch(*, name: Name = "", every: float = 5.0, once: bool = False) -> None:
    """The same, drawn anew until interrupted.

    Parameters
    ----------
    every
        Seconds between two looks.
    once
        One look.
    """
    from rich.console import Console
    from rich.live import Live

    from mailfleet.cli.migration_view import drawn
    from mailfleet.migration import view

    async def loop(fleet: Fleet) -> None:
        with Live(console=Console(), auto_refresh=False) as live:
            while True:
                live.update(drawn(await view.status(fleet, name)), refresh=True)
                if once:
                    return
                await asyncio.sleep(every)

    _run(loop)


@app.command
def tick(*, json: Json = False) -> None:
    """One look and at most one step, as the scheduled flow does it."""
    import msgspec

    from mailfleet.migration import controller

    show_one(msgspec.structs.asdict(_run(controller.tick)), as_json=json)


@app.command
def hold(*, reason: Reason, json: Json = False) -> None:
    """No new campaigns and no promotion until resumed; what runs goes on."""
    from mailfleet.migration import verbs

    show_one({"migration": _run(lambda fleet: verbs.hold(fleet, reason))}, as_json=json)


@app.command
def stop(*, reason: Reason, json: Json = False) -> None:
    """The one global stop: nothing advances; triggers and a rollback under way go on."""
    from mailfleet.migration import verbs

    show_one({"migration": _run(lambda fleet: verbs.stop_the_line(fleet, reason))}, as_json=json)


@app.command
def pause(*, reason: Reason, json: Json = False) -> None:
    """Pauses everything on the new platform at the next tick, read back; a person decides what follows."""
    from mailfleet.migration import verbs

    show_one({"rollback": str(_run(lambda fleet: verbs.pause(fleet, reason))), "state": "pausing"}, as_json=json)


@app.command
def resume(*, reason: Reason, json: Json = False) -> None:
    """Lifts a hold and the stop; during ASSESS lets the new platform send again."""
    from mailfleet.migration import verbs

    show_one({"migration": _run(lambda fleet: verbs.resume(fleet, reason))}, as_json=json)


@app.command
def promote(*, json: Json = False) -> int:
    """The gate of the next phase as a checklist; the approval it asks for is given with `mailfleet approve`."""
    from mailfleet.migration import view

    seen = _run(lambda fleet: view.status(fleet))
    show(seen["gate"], as_json=json, columns=("name", "ok", "detail", "signable"))
    return 0 if all(check["ok"] for check in seen["gate"]) else ATTENTION


@app.command
def rollback(*, reason: Reason, campaign: tuple[str, ...] = (), yes: Yes = False, json: Json = False) -> int:
    """Back to the old platform: paused and assessed, then on without a further question.

    Parameters
    ----------
    campaign
        Only these campaigns (id or name), instead of all.
    """
    from mailfleet.migration import verbs

    if not yes:
        say("This pauses the new platform, then moves its leads back. Add --yes to begin.")
        return ATTENTION
    opened = _run(lambda fleet: _named(fleet, campaign, lambda ids: verbs.rollback(fleet, reason, campaigns=ids)))
    show_one({"rollback": str(opened)}, as_json=json)
    return 0


@app.command
def abort(*, reason: Reason, json: Json = False) -> None:
    """Calls a rollback off before its commit, or ends the migration; two other people approve."""
    from mailfleet.migration import verbs

    show_one({"migration": _run(lambda fleet: verbs.abort(fleet, reason))}, as_json=json)


@app.command
def retry(*, start_on: date, json: Json = False) -> int:
    """A new plan after a rollback, once the post-mortem is signed and the cool-down is over.

    Parameters
    ----------
    start_on
        First day of its week 1.
    """
    from mailfleet.migration import verbs

    made = _run(lambda fleet: verbs.retry(fleet, start_on=start_on))
    if json:
        emit(made)
    else:
        _print_plan(made)
    return ATTENTION


@app.command
def declare(what: str, *, reason: Reason, json: Json = False) -> None:
    """A trigger without a metric: feature, support or bug. It blocks promotion until closed.

    Parameters
    ----------
    what
        feature, support or bug.
    """
    from mailfleet.migration import verbs

    show_one({"note": str(_run(lambda fleet: verbs.declare(fleet, what, reason)))}, as_json=json)


@app.command
def note(subject: str, *, reason: Reason = "", lesson: bool = False, json: Json = False) -> None:
    """Adds to the issue log, or to the lessons.

    Parameters
    ----------
    subject
        What happened.
    lesson
        What was learnt, rather than an issue.
    """
    from mailfleet.migration import verbs

    show_one({"note": str(_run(lambda fleet: verbs.note(fleet, subject, reason, lesson=lesson)))}, as_json=json)


@app.command
def close(note: UUID, *, reason: Reason, json: Json = False) -> None:
    """Ends a review or a declaration with what was found.

    Parameters
    ----------
    note
        Its id; `migration status --json` shows the open ones.
    """
    from mailfleet.migration import verbs

    show_one({"closed": _run(lambda fleet: verbs.close(fleet, note, reason))}, as_json=json)


@app.command
def confirm(subject: str, *, reason: Reason, json: Json = False) -> None:
    """A person's word: a line of the decommission list, or PHASE:GATE for a gate signed by review.

    Parameters
    ----------
    subject
        export_verified, subscriptions_cancelled, credentials_archived, lessons_documented, or PHASE:GATE.
    """
    from mailfleet.migration import verbs

    show_one({"note": str(_run(lambda fleet: verbs.confirm(fleet, subject, reason)))}, as_json=json)


@app.command
def sign(name: str = "", *, text: Path, json: Json = False) -> None:
    """Signs the post-mortem of a rollback.

    Parameters
    ----------
    name
        The migration; the last one when not given.
    text
        The post-mortem, completed.
    """
    from mailfleet.migration import verbs

    show_one({"signed": _run(lambda fleet: verbs.sign(fleet, name, text.read_text()))}, as_json=json)


@app.command
def configure(file: Path, *, reason: Reason, json: Json = False) -> None:
    """Changes figures while it runs; they get a version, and old verdicts keep theirs.

    Parameters
    ----------
    file
        TOML with the figures that change, in the shape of `status --json`.
    """
    import tomllib

    from mailfleet.migration import verbs

    changed = tomllib.loads(file.read_text())
    show_one({"parameters": _run(lambda fleet: verbs.configure(fleet, changed, reason))}, as_json=json)


@app.command
def explain(trigger: str = "", *, id: int | None = None, name: Name = "", json: Json = False) -> int:
    """A verdict made again from its stored inputs: its sentence, and whether it is the same.

    Parameters
    ----------
    trigger
        bounce, placement, reply, api, bug, warmup or cost.
    id
        The verdict's number; the last one when not given.
    """
    from mailfleet.migration import verbs

    told = _run(lambda fleet: verbs.explain(fleet, id=id, trigger=trigger, name=name))
    if json:
        emit(told)
    else:
        show_one({key: value for key, value in told.items() if key != "verdict"})
    return 0 if told["same"] else ATTENTION


@app.command
def placement(file: Path, *, burst: bool = False, json: Json = False) -> None:
    """Records seed tests: JSON lines with at, platform, domain, domain_age, provider, seeds, inbox.

    Parameters
    ----------
    file
        The tests, a JSON object a line.
    burst
        They are the extra tests that were asked for.
    """
    from mailfleet.migration import seeds

    show_one({"recorded": _run(lambda fleet: seeds.record(fleet, file.read_bytes(), burst=burst))}, as_json=json)


@app.command
def place(campaign: str, *, reason: Reason, json: Json = False) -> None:
    """Puts a pilot's or a sentinel's new campaign on the new platform by hand; at most a hundred leads.

    Parameters
    ----------
    campaign
        Id or name.
    """
    from mailfleet.migration import verbs

    where = _run(lambda fleet: _named(fleet, (campaign,), lambda ids: verbs.place(fleet, ids[0], reason)))
    show_one({"campaign": campaign, "platform": where}, as_json=json)


@app.command
def drill(*, sentinel: tuple[str, ...] = (), json: Json = False) -> int:
    """The way back practised over sentinel campaigns, timed from its journal.

    Parameters
    ----------
    sentinel
        Campaigns of addresses of your own (id or name); needed with a live vendor.
    """
    from mailfleet.cli.session import started
    from mailfleet.migration import drill as drills

    live = "127.0.0.1" not in started().smartlead_base_url and "localhost" not in started().smartlead_base_url
    told = _run(
        lambda fleet: _named(
            fleet, sentinel, lambda ids: drills.drill(fleet, ids, live=live, sleep=asyncio.sleep)
        )
    )  # fmt: skip
    show_one(told, as_json=json)
    return 0 if told["outcome"] == "done" else 1


async def _named(fleet: Fleet, keys: tuple[str, ...], act: Callable[[list[UUID]], Awaitable[Any]]) -> Any:
    from mailfleet.services import campaigns

    return await act([(await campaigns.find(fleet, key)).id for key in keys])


def _run(work: Callable[[Fleet], Awaitable[Any]]) -> Any:
    from mailfleet.cli.session import opened

    async def inside() -> Any:
        async with opened() as fleet:
            return await work(fleet)

    return asyncio.run(inside())


def _print_plan(made: dict[str, Any]) -> None:
    from mailfleet.cli.migration_view import draw, planned

    draw(*planned(made))
    say(f"Nothing has begun. `mailfleet approve {made['approval']}`, then `mailfleet migration start`.")
