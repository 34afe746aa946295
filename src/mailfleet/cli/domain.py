"""Domains: add, set up, check, buy. Exit code 3: something is still to do (DNS, or a person)."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from cyclopts import App, Parameter

from mailfleet.cli.output import Json, Yes, emit, exit_of, say, show, show_one

app = App(name="domain", help="Set up sending domains and see whether they are safe to use.")

Client = Annotated[str | None, Parameter(name="--client", help="Slug of the client; not needed when there is one.")]
ATTENTION = 3


@app.command
def add(
    name: str,
    *,
    client: Client = None,
    new_client: str | None = None,
    timezone: str = "UTC",
    country: str = "AU",
    other_mail: bool = False,
    json: Json = False,
) -> None:
    """Takes a domain in for a client, without touching anything outside.

    Parameters
    ----------
    name
        The domain, e.g. example.com.
    new_client
        Name of the client, when --client is a slug that is to be made (or renamed).
    timezone
        The new client's time zone, e.g. Australia/Sydney.
    country
        The new client's country, two letters.
    other_mail
        It carries other mail too: DMARC then starts at p=none.
    """
    from mailfleet.errors import ConfigError

    if new_client and not client:
        raise ConfigError("--new-client names a client that has no slug.", hint="Add --client SLUG.")
    made = (new_client, timezone, country) if new_client else None
    show_one(asyncio.run(_add(name, client, made, other_mail)), as_json=json)


@app.command
def setup(
    name: str,
    *,
    mailboxes: int = 2,
    client: Client = None,
    zone: str | None = None,
    yes: Yes = False,
    json: Json = False,
) -> int:
    """Zone, mailboxes, records, verification, warm-up. Without --yes it shows what would be made.

    Parameters
    ----------
    name
        The domain, e.g. example.com.
    mailboxes
        How many, for the client's first people.
    zone
        Id of a zone that exists already at the DNS host.
    """
    if not yes:
        show_one(asyncio.run(_plan(name, mailboxes, client)), as_json=json)
        say("Nothing was changed. Add --yes to do it.")
        return ATTENTION
    result = asyncio.run(_setup(name, mailboxes, client, zone))
    show_one(result, as_json=json)
    if result["errors"]:
        return exit_of(result["errors"])
    return 0 if result["success"] and result["warmup_enabled"] else ATTENTION


@app.command
def readings(name: str, *, days: int = 30, json: Json = False) -> None:
    """What was read of its mailboxes day by day: heat, warm-up, campaign mail, bounces, complaints, seed tests.

    Parameters
    ----------
    name
        The domain.
    days
        How far back.
    """
    show(asyncio.run(_readings(name, days)), as_json=json)


@app.command
def check(name: str | None = None, *, json: Json = False) -> int:
    """Looks at the outside again and begins warm-up where everything is seen; all waiting domains when none is named.

    Parameters
    ----------
    name
        One domain; without it, all that wait.
    """
    result = asyncio.run(_check(name))
    show_one(result, as_json=json)
    if result["errors"]:
        return exit_of(result["errors"])
    return ATTENTION if result["pending"] else 0


@app.command(name="list")
def list_(*, client: Client = None, json: Json = False) -> None:
    """Every domain with its state."""
    columns = ("name", "state", "state_since", "mailboxes", "waiting_for")
    show(asyncio.run(_list(client)), as_json=json, columns=columns)


@app.command(name="show")
def show_(name: str, *, json: Json = False) -> None:
    """One domain: its records as wanted and as seen, its key, what it waits for.

    Parameters
    ----------
    name
        The domain.
    """
    found = asyncio.run(_show(name))
    if json:
        emit(found)
        return
    show_one({key: value for key, value in found.items() if key != "records"})
    show(found["records"], columns=("purpose", "type", "name", "desired", "outcome", "checked_at"))


@app.command
def buy(
    name: str,
    *,
    ceiling: float | None = None,
    approve: str | None = None,
    client: Client = None,
    registrar: str | None = None,
    yes: Yes = False,
    json: Json = False,
) -> int:
    """Shows the price; asks for an approval with --ceiling; gives one with --approve; buys with --yes.

    Parameters
    ----------
    name
        The domain.
    ceiling
        The most it may cost for one year, in the registrar's currency.
    approve
        Id of the approval to give.
    registrar
        Which registrar, when there are several.
    """
    result = asyncio.run(_buy(name, ceiling, approve, client, registrar, yes))
    show_one(result, as_json=json)
    return 0 if yes else ATTENTION


async def _readings(name: str, days: int) -> list[dict[str, Any]]:
    from datetime import timedelta

    import msgspec

    from mailfleet.cli.session import opened
    from mailfleet.services import domains
    from mailfleet.store import readiness

    async with opened() as fleet, fleet.db.connection() as db:
        domain = await domains.find(db, name)
        since = (fleet.clock.now() - timedelta(days=days)).date()
        return [msgspec.to_builtins(each) for each in await readiness.domain_days(db, domain.id, since=since)]


async def _add(name: str, client: str | None, made: tuple[str, str, str] | None, other_mail: bool) -> dict[str, Any]:
    from mailfleet.cli.session import opened
    from mailfleet.services import clients, domains
    from mailfleet.store import domains as rows

    domains.clean_name(name)  # before a client is made for it
    async with opened() as fleet:
        if made and client:
            await clients.put_client(fleet, client, name=made[0], timezone=made[1], country=made[2])
        async with fleet.db.transaction() as db:
            owner = await clients.the_client(db, client)
            domain = await domains.take_in(fleet, db, name, owner)
            if other_mail:
                await rows.set_only_outreach(db, domain.id, False)
    return {"domain": domain.name, "client": owner.slug, "state": domain.state, "only_outreach": not other_mail}


async def _plan(name: str, count: int, client: str | None) -> dict[str, Any]:
    from mailfleet.cli.session import opened
    from mailfleet.services import clients, domains, personas

    async with opened() as fleet, fleet.db.connection() as db:
        owner = await clients.the_client(db, client)
        people, shortage = await personas.first(db, owner, count)
        clean = domains.clean_name(name)
        return {
            "domain": clean,
            "client": owner.slug,
            "mailboxes": [f"{person.local_part}@{clean}" for person in people],
            "missing": shortage,
        }


async def _setup(name: str, count: int, client: str | None, zone: str | None) -> dict[str, Any]:
    from mailfleet.cli.session import opened
    from mailfleet.flows.domain_setup import smartlead_domain_setup_flow
    from mailfleet.flows.shell import run_or_plain, using

    async with opened() as fleet:
        with using(fleet):
            return await run_or_plain(
                smartlead_domain_setup_flow,
                domain=name,
                mailbox_count=count,
                client_id=client,
                cloudflare_zone_id=zone,
            )


async def _check(name: str | None) -> dict[str, Any]:
    from mailfleet.cli.session import opened
    from mailfleet.services import domains, setups

    async with opened() as fleet:
        if name is None:
            return await setups.finish_pending_domains(fleet)
        async with fleet.db.connection() as db:
            domain = await domains.find(db, name)
        return await setups.finish(fleet, [domain])


async def _list(client: str | None) -> list[dict[str, Any]]:
    from mailfleet.cli.session import opened
    from mailfleet.services import clients
    from mailfleet.store import domains as rows
    from mailfleet.store import mailboxes

    async with opened() as fleet, fleet.db.connection() as db:
        owner = (await clients.the_client(db, client)).id if client else None
        return [
            {
                "name": domain.name,
                "state": domain.state,
                "state_since": domain.state_since,
                "mailboxes": len(await mailboxes.every(db, domain_id=domain.id)),
                "waiting_for": domain.errors,
            }
            for domain in await rows.every(db, client_id=owner)
        ]


async def _show(name: str) -> dict[str, Any]:
    import msgspec

    from mailfleet.cli.session import opened
    from mailfleet.services import domains
    from mailfleet.store import domains as rows

    async with opened() as fleet, fleet.db.connection() as db:
        domain = await domains.find(db, name)
        keys = [msgspec.to_builtins(key) for key in await rows.keys(db, domain.id)]
        records = [msgspec.to_builtins(record) for record in await rows.records(db, domain.id)]
    return {**msgspec.to_builtins(domain), "dkim": keys, "records": records}


async def _buy(
    name: str, ceiling: float | None, approve: str | None, client: str | None, registrar: str | None, yes: bool
) -> dict[str, Any]:
    import msgspec

    from mailfleet.cli.session import opened
    from mailfleet.services import purchases

    async with opened() as fleet:
        if approve:
            return msgspec.to_builtins(await purchases.approve(fleet, approve, by=fleet.actor))
        if yes:
            order = await purchases.buy(fleet, name, client=client, registrar=registrar)
            return {"domain": name, "order": order}
        if ceiling is None:
            return msgspec.to_builtins(await purchases.plan(fleet, name, registrar=registrar))
        cents = round(ceiling * 100)
        asked = await purchases.request(fleet, name, ceiling_cents=cents, client=client, registrar=registrar)
        return msgspec.to_builtins(asked)
