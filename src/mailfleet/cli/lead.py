"""Leads: import, suppress, push, and see what became of each."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from uuid import UUID

from cyclopts import App, Parameter

from mailfleet.cli.output import Json, Limit, Yes, say, show, show_one

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
    country: str = "",
    source: str = "",
    take_roles: bool = False,
    refusals: Path | None = None,
    dry_run: bool = False,
    json: Json = False,
) -> int:
    """Takes a CSV or TSV file in and says of every row that was refused why.

    Parameters
    ----------
    file
        The file, or - for standard input.
    campaign
        Id or name of the campaign they are for; without one they wait for the client's next push.
    map
        FIELD=COLUMN, where the columns' names do not say it, e.g. email=Kontakt.
    encoding
        Which encoding the file is in, where it is neither UTF-8 nor Western European, e.g. cp1250.
    country
        Country of rows that name none, e.g. DE.
    source
        Where they come from, for rows that do not say it.
    take_roles
        Take addresses of functions (info@) too.
    refusals
        Where to write every refused row as CSV.
    dry_run
        Only show how the file would be read.
    """
    mapped = {field: column for field, _, column in (pair.partition("=") for pair in map or [])}
    if dry_run:
        show_one(asyncio.run(_preview(file, mapped, encoding)), as_json=json)
        return 0
    options = {"country": country, "source": source, "take_roles": take_roles}
    report = asyncio.run(_import(file, client, campaign, mapped, encoding, options, refusals))
    if json:
        show_one(report, as_json=True)
    else:
        file = f"{report['file']} ({report['encoding']})"
        say(f"{report['taken']} taken, {report['refused']} refused of {report['rows']} rows in {file}")
        if report["unknown_country"]:
            say(f"{report['unknown_country']} rows name no known country and were held to the strictest rule.")
        show(report["by_rule"], columns=("rule", "n", "rows"), title="Refused")
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
    """Never write there again; what is under way is stopped.

    Parameters
    ----------
    value
        An address, a domain, or `First Last|domain`.
    scope
        What it is.
    reason
        manual, unsubscribe, complaint, hard_bounce, negative_reply, invalid, vendor or erasure.
    """
    show_one(asyncio.run(_suppress(value, scope, client, reason)), as_json=json)


@app.command
def suppressions(
    *, load: Path | None = None, save: Path | None = None, client: Client = None, json: Json = False
) -> None:
    """The list of those never written to: counted, loaded from a file, or saved to one.

    Parameters
    ----------
    load
        A CSV file with a column email, domain or value.
    save
        Where to write the list.
    """
    show_one(asyncio.run(_suppressions(load, save, client)), as_json=json)


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


async def _preview(file: str, mapped: dict[str, str], encoding: str) -> dict[str, Any]:
    from mailfleet.services import imports

    table, columns = await imports.preview(file, columns=mapped, encoding=encoding)
    return {
        "file": table.name, "encoding": table.encoding, "delimiter": table.delimiter, "rows": table.rows,
        "columns": columns.named(),
    }  # fmt: skip


async def _import(
    file: str,
    client: str | None,
    campaign: str | None,
    mapped: dict[str, str],
    encoding: str,
    options: dict[str, Any],
    refusals: Path | None,
) -> dict[str, Any]:
    import msgspec

    from mailfleet.cli.session import opened
    from mailfleet.services import campaigns, imports
    from mailfleet.services.lead_rows import Options

    async with opened() as fleet:
        target = (await campaigns.find(fleet, campaign)).id if campaign else None
        report = await imports.import_leads(
            fleet, file, client=client, campaign_id=target, columns=mapped, encoding=encoding,
            options=Options(**options), refusals_to=refusals,
        )  # fmt: skip
    return msgspec.to_builtins(report)


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


async def _suppress(value: str, scope: Scope, client: str | None, reason: str) -> dict[str, Any]:
    import msgspec

    from mailfleet.cli.session import opened
    from mailfleet.errors import BadFile
    from mailfleet.services import suppression
    from mailfleet.services.clients import the_client
    from mailfleet.store.suppressions import Reason

    try:
        why = msgspec.convert(reason, Reason)
    except msgspec.ValidationError as error:
        raise BadFile(f"There is no reason {reason!r}.", hint=str(error)) from error
    async with opened() as fleet:
        owner = None
        if client:
            async with fleet.db.connection() as db:
                owner = (await the_client(db, client)).id
        made = await suppression.add(fleet, value, scope=scope, client_id=owner, reason=why)
    return {"key": made.key, "new": made.new, "stopped": len(made.stopped)}


async def _suppressions(load: Path | None, save: Path | None, client: str | None) -> dict[str, Any]:
    import msgspec

    from mailfleet.cli.session import opened
    from mailfleet.services import suppression
    from mailfleet.services.clients import the_client
    from mailfleet.store import suppressions as store

    async with opened() as fleet:
        async with fleet.db.connection() as db:
            owner = (await the_client(db, client)).id if client else None
        taken = await suppression.import_file(fleet, load, client_id=owner) if load else None
        saved = await suppression.export_file(fleet, save, client_id=owner) if save else None
        async with fleet.db.connection() as db:
            counted = await store.counts(db)
    more = {"loaded": msgspec.to_builtins(taken)} if taken else {}
    return {**counted, **more, **({"saved": saved} if saved is not None else {})}


async def _push(campaign: str, yes: bool) -> dict[str, Any]:
    import msgspec

    from mailfleet.cli.session import opened
    from mailfleet.services import campaigns
    from mailfleet.services import push as pushing

    async with opened() as fleet:
        found = await campaigns.find(fleet, campaign)
        waiting = len(await pushing.ready(fleet, found))
        if not yes:
            return {"campaign": found.name, "ready": waiting}
        done = await pushing.push_ready(fleet, found)
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
        return [msgspec.structs.asdict(each) for each in await owed.open_tasks(fleet)]
