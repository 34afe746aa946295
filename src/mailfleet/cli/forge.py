"""The platform that is left behind: what it was like, and its campaigns taken over."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from mailfleet.cli.output import Json, Yes, say, show, show_one

app = App(name="forge", help="Take over from the platform you leave: its rates, its campaigns, its block list.")

Platform = Annotated[str, Parameter(name="--platform", help="The platform that is read.")]
Review = Annotated[Path | None, Parameter(name="--review", help="TOML file of what cannot be read back.")]
By = Annotated[Literal["campaign", "domain", "provider", "week"], Parameter(name="--by", help="Rates of what.")]
ATTENTION = 3
COLUMNS = ("name", "action", "differences", "asked", "lost", "problems")


@app.command
def baseline(*, by: By = "campaign", take: bool = False, platform: Platform = "forge", json: Json = False) -> None:
    """Rates with their counts, from the newest reading of the platform's history; `--take` reads it anew."""
    rows, head = asyncio.run(_baseline(by, take, platform))
    if json:
        show_one({"baseline": head, "rates": rows}, as_json=True)
        return
    show(rows, columns=(by, "sent", "people", "replied", "replied_rate", "bounced", "bounced_rate", "opened_rate"))
    if head:
        say(f"ICC: replies {head['reply_rho']}, bounces {head['bounce_rho']}, over {head['sent']} mails.")


@app.command(name="map")
def map_(*, review: Review = None, platform: Platform = "forge", json: Json = False) -> int:
    """Each campaign with what an import would do, and the review file of what has to be said by hand.

    Exit code 3 when something is asked. Nothing is changed.
    """
    planned, told = asyncio.run(_plan(review, platform))
    if review:
        review.write_text(told)
    show([row_of(each) for each in planned], as_json=json, columns=COLUMNS)
    return ATTENTION if any(each.action in ("asks", "bad") for each in planned) else 0


@app.command(name="import")
def import_(*, review: Review = None, platform: Platform = "forge", yes: Yes = False, json: Json = False) -> int:
    """Makes the platform's campaigns drafts of ours, and of the default platform. Without --yes the plan is shown.

    Exit code 3 when something is asked or differs from ours.
    """
    planned = asyncio.run(_import(review, platform, yes))
    show([row_of(each) for each in planned], as_json=json, columns=COLUMNS)
    return ATTENTION if any(each.action in ("asks", "bad", "differs") for each in planned) else 0


@app.command
def suppressions(*, platform: Platform = "forge", yes: Yes = False, json: Json = False) -> None:
    """Takes the platform's block list and opt-outs into ours. Without --yes they are counted."""
    show_one(asyncio.run(_suppressions(platform, yes)), as_json=json)


async def _baseline(by: str, take: bool, platform: str) -> tuple[list[dict[str, object]], dict[str, Any] | None]:
    import msgspec

    from mailfleet.cli.session import opened
    from mailfleet.services import baseline as service
    from mailfleet.store import baselines

    async with opened() as fleet:
        if take:
            await service.take(fleet, platform)
        async with fleet.db.connection() as db:
            found = await baselines.newest(db, platform)
        return list(await service.rates(fleet, platform, by)), msgspec.to_builtins(found) if found else None


async def _plan(review: Path | None, platform: str) -> tuple[list[Any], str]:
    from mailfleet.cli.session import opened
    from mailfleet.rules import mapping
    from mailfleet.services import campaign_import

    answers = answers_of(review)
    async with opened() as fleet:
        both = await campaign_import.plan(fleet, platform, answers)
    told = [(source, mapping.mapped(source, answers.get(source.ref, {}))) for source, _ in both]
    return [planned for _, planned in both], mapping.review(told, answers)


async def _import(review: Path | None, platform: str, yes: bool) -> list[Any]:
    from mailfleet.cli.session import opened
    from mailfleet.services import campaign_import

    async with opened() as fleet:
        planned = [each for _, each in await campaign_import.plan(fleet, platform, answers_of(review))]
        if not yes:
            return planned
        made = {each.ref: each for each in await campaign_import.apply(fleet, platform, planned)}
        return [made.get(each.ref, each) for each in planned]


async def _suppressions(platform: str, yes: bool) -> dict[str, Any]:
    from mailfleet.cli.session import opened
    from mailfleet.services import merged

    async with opened() as fleet:
        return await merged.suppressions(fleet, platform, apply=yes)


def answers_of(review: Path | None) -> Mapping[str, Mapping[str, Any]]:
    from mailfleet.errors import BadFile

    if review is None or not review.exists():
        return {}
    try:
        read = tomllib.loads(review.read_text())
    except (OSError, ValueError) as error:
        raise BadFile(f"The review file {review} cannot be read: {error}.", hint="It is TOML.") from error
    return {name: value for name, value in read.items() if isinstance(value, dict)}


def row_of(planned: Any) -> dict[str, Any]:
    lists = ("differences", "asked", "lost", "problems")
    told = {name: "; ".join(getattr(planned, name)) for name in lists}
    return {"ref": planned.ref, "name": planned.name, "action": planned.action, "ours": planned.ours, **told}
