"""Leads: import, suppress, push, and see what became of each."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from uuid import UUID

from cyclopts import App, Parameter

from mailfleet.cli.output import Json, Limit, Yes, bar, emit_to, say, show, show_one

app = App(name="lead", help="Import leads, push them, and see what became of each.")

Client = Annotated[str | None, Parameter(name="--client", help="Slug of the client; not needed when there is one.")]
Scope = Literal["address", "domain", "person"]
ATTENTION = 3


@app.command(name="import")
def import_(
    file: str,
    *,
    client: Client = None,
    campaign: str | None = None,
    map: list[str] | None = None,
    encoding: str = "",
    sheet: str = "",
    country: str = "",
    source: str = "",
    take_roles: bool = False,
    report: Annotated[Path | None, Parameter(name=["--report", "--refusals"])] = None,
    dry_run: bool = False,
    json: Json = False,
) -> int:
    """Takes a file of leads in and says of every row that was refused why.

    CSV, TSV, JSON lines or a workbook (XLSX), packed by gzip or not. Encoding, delimiter and columns are found.

    Parameters
    ----------
    file
        The file, or - for standard input.
    campaign
        Id or name of the campaign they are for; without one they wait for the client's next push.
    map
        FIELD=COLUMN, where the columns' names do not say it, e.g. email=Kontakt; kept for the next file like it.
    encoding
        Which encoding the file is in, where it is neither UTF-8 nor Western European, e.g. cp1250.
    sheet
        Which sheet of a workbook; the first without it.
    country
        Country of rows that name none, e.g. DE.
    source
        Where they come from, for rows that do not say it.
    take_roles
        Take addresses of functions (info@) too.
    report
        Where to write every refused row as CSV, with its number and reason.
    dry_run
        Judge every row and store none.
    """
    mapped = {field: column for field, _, column in (pair.partition("=") for pair in map or [])}
    request = {
        "client": client, "columns": mapped, "encoding": encoding, "sheet": sheet,
        "options": {"country": country, "source": source, "take_roles": take_roles},
    }  # fmt: skip
    found = asyncio.run(_import(file, request, campaign, report, dry_run))
    if json:
        show_one(found, as_json=True)
        return 0
    kind = f"{found['kind']}, {found['encoding']}" if found["kind"] else found["encoding"]
    columns = ", ".join(f"{column} → {field}" for column, field in found["columns"].items())
    say(f"Columns ({found['mapping']}): {columns}")
    taken = "would be taken" if dry_run else "taken"
    say(f"{found['taken']} {taken}, {found['refused']} refused of {found['rows']} rows in {found['file']} ({kind})")
    if found["again"]:
        say("This very file was imported before: nothing was done.")
    if found["unknown_country"]:
        say(f"{found['unknown_country']} rows name no known country and were held to the strictest rule.")
    show(found["by_rule"], columns=("rule", "n", "rows"), title="Refused")
    return 0


@app.command(name="list")
def list_(
    *, status: str = "", invalid: bool = False, campaign: str | None = None, limit: Limit = 50, json: Json = False
) -> None:
    """Leads, by status.

    Parameters
    ----------
    status
        Only those of this status, e.g. lead_hot.
    invalid
        Only those that cannot be sent as they are.
    campaign
        Id or name.
    """
    columns = ("id", "email", "company", "status", "email_status", "step_reached", "invalid_reason")
    show(asyncio.run(_list("invalid" if invalid else status, campaign, limit)), as_json=json, columns=columns)


@app.command(name="show")
def show_(email: str, *, json: Json = False) -> None:
    """One lead: who owns it, what excluded it, and everything that happened.

    Parameters
    ----------
    email
        The address.
    """
    found = asyncio.run(_show(email))
    if json:
        show_one(found, as_json=True)
        return
    show_one(found["lead"])
    show(found["events"], columns=("at", "kind", "step", "source"), title="Events")


@app.command
def suppress(
    value: str, *, scope: Scope = "address", client: Client = None, reason: str = "manual", json: Json = False
) -> None:
    """Never write there again; what is under way is stopped. The same as `mailfleet suppression add`.

    Parameters
    ----------
    value
        An address, a domain, or `First Last|domain`.
    scope
        What it is.
    reason
        manual, unsubscribe, complaint, hard_bounce, negative_reply, invalid, vendor or erasure.
    """
    from mailfleet.cli import suppression

    suppression.add(value, scope=scope, client=client, reason=reason, json=json)


@app.command
def mirror(*, refresh: bool = False, json: Json = False) -> None:
    """Who is at the platforms without our having put them there: how many, and how old that knowledge is.

    Parameters
    ----------
    refresh
        Read every account's campaigns now.
    """
    columns = ("platform", "account", "campaigns", "strangers", "read_at", "age_minutes")
    show(asyncio.run(_mirror(refresh)), as_json=json, columns=columns)


@app.command
def fix(
    email: str = "",
    *,
    set: list[str] | None = None,
    campaign: str | None = None,
    client: Client = None,
    json: Json = False,
) -> int:
    """Brings leads that could not be sent as they were back to those that are ready.

    Without an address every lead set aside for its merge fields is judged again, after the campaign's text or the
    leads were corrected. Exit code 3 when some still cannot be sent.

    Parameters
    ----------
    email
        One lead.
    set
        FIELD=VALUE, what the lead lacks, e.g. first_name=Bo.
    campaign
        Id or name: only that campaign's.
    """
    values = {field: value for field, _, value in (pair.partition("=") for pair in set or [])}
    result = asyncio.run(_fix(email, values, campaign, client))
    show_one(result, as_json=json)
    return ATTENTION if result["still_invalid"] else 0


@app.command
def export(email: str, *, to: Path | None = None, json: Json = False) -> None:
    """Everything that is held of a person, for a request of access.

    Parameters
    ----------
    email
        The person's address.
    to
        Where to write it as JSON; without it, it is shown.
    """
    found = asyncio.run(_export(email))
    if to:
        emit_to(to, found)
        say(f"Written to {to}. Who asked for it and when is in the audit.")
    else:
        show_one(found, as_json=json)


@app.command
def erase(email: str, *, reason: str = "request", yes: Yes = False, json: Json = False) -> int:
    """Erases a person here and at the platforms; what stays is a keyed hash that keeps them from being written to.

    Parameters
    ----------
    email
        The person's address.
    reason
        Why, for the audit.
    """
    result = asyncio.run(_erase(email, reason, yes))
    show_one(result, as_json=json)
    return 0 if yes or not result["leads"] else ATTENTION


@app.command
def retain(*, yes: Yes = False, json: Json = False) -> int:
    """Purges leads that were never sent to, or never answered, after the policy's days of retention.

    Without --yes it says how many that are. The schedule does the same every day.
    """
    result = asyncio.run(_retain(yes))
    show_one(result, as_json=json)
    return 0 if yes or not result["due"] else ATTENTION


@app.command
def push(campaign: str, *, yes: Yes = False, json: Json = False) -> int:
    """Pushes what is ready for a campaign; without --yes it says how many that are.

    Exit code 3 when something is left: not pushed, or sent with an outcome that the next push finds out.

    Parameters
    ----------
    campaign
        Id or name.
    """
    result = asyncio.run(_push(campaign, yes))
    show_one(result, as_json=json)
    waiting = result["unsettled"] if yes else result["ready"]
    return ATTENTION if waiting else 0


@app.command
def sync(
    *, direction: str = "bidirectional", campaign: str | None = None, since_minutes: int = 15, json: Json = False
) -> None:
    """Leads out and events in, now.

    Parameters
    ----------
    direction
        push, pull or bidirectional.
    campaign
        Id or name; all when none is named.
    since_minutes
        Read the second source at least this far back.
    """
    show_one(asyncio.run(_sync(direction, campaign, since_minutes)), as_json=json)


@app.command
def tasks(*, done: UUID | None = None, json: Json = False) -> None:
    """What people owe: calls to make and replies to read.

    Parameters
    ----------
    done
        Id of a task that is done.
    """
    columns = ("id", "kind", "lead_id", "due_at", "note")
    show(asyncio.run(_tasks(done)), as_json=json, columns=columns)


async def _import(
    file: str, request: dict[str, Any], campaign: str | None, report: Path | None, dry_run: bool
) -> dict[str, Any]:
    import msgspec

    from mailfleet.cli.session import opened
    from mailfleet.services import campaigns, imports

    async with opened() as fleet:
        target = (await campaigns.find(fleet, campaign)).id if campaign else None
        asked = msgspec.convert({**request, "campaign_id": target}, imports.Request)
        with bar("rows") as progress:
            found = await imports.import_leads(
                fleet, file, asked, refusals_to=report, progress=progress, dry_run=dry_run
            )
    return msgspec.to_builtins(found)


async def _fix(email: str, values: dict[str, str], campaign: str | None, client: str | None) -> dict[str, Any]:
    import msgspec

    from mailfleet.cli.session import address, opened
    from mailfleet.services import campaigns, lead_fix

    async with opened() as fleet:
        target = (await campaigns.find(fleet, campaign)).id if campaign else None
        if email:
            fixed = await lead_fix.fix(fleet, address(email), values, client=client, campaign_id=target)
        else:
            fixed = await lead_fix.fix_all(fleet, campaign_id=target, client=client)
    return msgspec.to_builtins(fixed)


async def _mirror(refresh: bool) -> list[dict[str, Any]]:
    import msgspec

    from mailfleet.cli.session import opened
    from mailfleet.services import mirror as mirrors

    async with opened() as fleet:
        if refresh:
            await mirrors.refresh_all(fleet)
        return [msgspec.structs.asdict(each) for each in await mirrors.state(fleet)]


async def _export(email: str) -> dict[str, Any]:
    from mailfleet.cli.session import address, opened
    from mailfleet.services import privacy

    async with opened() as fleet:
        return dict(await privacy.access(fleet, address(email)))


async def _erase(email: str, reason: str, yes: bool) -> dict[str, Any]:
    import msgspec

    from mailfleet.cli.session import address, opened
    from mailfleet.services import privacy

    async with opened() as fleet:
        return msgspec.to_builtins(await privacy.erase(fleet, address(email), reason=reason, apply=yes))


async def _retain(yes: bool) -> dict[str, Any]:
    import msgspec

    from mailfleet.cli.session import opened
    from mailfleet.services import privacy

    async with opened() as fleet:
        return msgspec.to_builtins(await privacy.purge(fleet, apply=yes))


async def _list(status: str, campaign: str | None, limit: int) -> list[dict[str, Any]]:
    import msgspec

    from mailfleet.cli.session import one_of, opened
    from mailfleet.services import campaigns
    from mailfleet.store import leads

    one_of(status, get_args(leads.Status), "status")
    async with opened() as fleet:
        target = (await campaigns.find(fleet, campaign)).id if campaign else None
        async with fleet.db.connection() as db:
            found = await leads.listed(db, status=status, campaign_id=target, limit=limit)
    return [msgspec.structs.asdict(each) for each in found]


async def _show(email: str) -> dict[str, Any]:
    import msgspec

    from mailfleet.cli.session import address, opened
    from mailfleet.errors import Unknown
    from mailfleet.store import events, leads, ownership

    norm = address(email)
    async with opened() as fleet, fleet.db.connection() as db:
        found = await leads.by_email(db, norm)
        if not found:
            raise Unknown(f"There is no lead {email}.", hint="`mailfleet lead list` shows them.")
        owned = await ownership.get(db, found[0].id)
        told = await events.of_lead(db, found[0].id)
    return {
        "lead": msgspec.structs.asdict(found[0]),
        "owner": msgspec.structs.asdict(owned) if owned else None,
        "events": [msgspec.structs.asdict(each) for each in told],
    }


async def _push(campaign: str, yes: bool) -> dict[str, Any]:
    import msgspec

    from mailfleet.cli.session import opened
    from mailfleet.services import campaigns, lead_source
    from mailfleet.services import push as pushing

    async with opened() as fleet:
        found = await campaigns.find(fleet, campaign)
        await lead_source.take(fleet)
        waiting = len(await pushing.ready(fleet, found))
        if not yes:
            return {"campaign": found.name, "ready": waiting}
        done = await pushing.push_ready(fleet, found)
        await lead_source.write_back(fleet)
    return {"campaign": found.name, "ready": waiting, **msgspec.to_builtins(done)}


async def _sync(direction: str, campaign: str | None, since_minutes: int) -> dict[str, Any]:
    from mailfleet.cli.session import opened
    from mailfleet.flows.lead_sync import smartlead_lead_sync_flow
    from mailfleet.flows.shell import run_or_plain, using
    from mailfleet.services import campaigns

    async with opened() as fleet:
        target = str((await campaigns.find(fleet, campaign)).id) if campaign else None
        with using(fleet):
            return await run_or_plain(
                smartlead_lead_sync_flow, direction=direction, campaign_id=target, since_minutes=since_minutes
            )


async def _tasks(done: UUID | None) -> list[dict[str, Any]]:
    import msgspec

    from mailfleet.cli.session import opened
    from mailfleet.services import tasks as owed

    async with opened() as fleet:
        if done:
            await owed.done(fleet, done)
        return [msgspec.structs.asdict(each) for each in await owed.listed(fleet)]
