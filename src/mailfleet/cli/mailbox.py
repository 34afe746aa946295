"""Mailboxes: see them, explain them, pause and resume, give credentials and people."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from mailfleet.cli.output import Json, emit, exit_of, show, show_one

app = App(name="mailbox", help="See, warm, graduate and retire mailboxes.")

Reason = Annotated[str, Parameter(name="--reason", help="Why; kept with what is done.")]
Client = Annotated[str | None, Parameter(name="--client", help="Slug of the client; not needed when there is one.")]
ATTENTION = 3


@app.command(name="list")
def list_(*, state: str | None = None, json: Json = False) -> None:
    """Every mailbox with its state and heat.

    Parameters
    ----------
    state
        Only those in this state, e.g. WARMING.
    """
    columns = (
        "address", "state", "state_since", "heat", "heat_state", "warmup_days", "estimated_ready_date", "limit_factor",
        "monitor_minutes", "connected", "resting_since", "missing_since", "held",
    )  # fmt: skip
    show(asyncio.run(_list(state)), as_json=json, columns=columns)


@app.command(name="show")
def show_(address: str, *, json: Json = False) -> None:
    """One mailbox: its state, today's budget and what holds it.

    Parameters
    ----------
    address
        The address or id.
    """
    show_one(asyncio.run(_show(address)), as_json=json)


@app.command
def explain(address: str, *, json: Json = False) -> int:
    """Why it is where it is: which rule decided, what would change if, every graduation criterion and transition.

    Parameters
    ----------
    address
        The address or id.
    """
    found = asyncio.run(_explain(address))
    if json:
        emit(found)
    else:
        from mailfleet.cli.safeguards import tell

        show(found["checklist"], columns=("name", "value", "n", "needed", "ok", "since", "note"), title="Graduation")
        show(found["transitions"], columns=("at", "from_state", "to_state", "event", "reason", "actor"))
        tell(found["decision"])
    return 0 if not found["missing"] else ATTENTION


@app.command
def run(action: str = "sync", *, target: int = 20, domains: list[str] | None = None, json: Json = False) -> int:
    """The mailboxes' round now: sync, create, graduate or retire.

    Parameters
    ----------
    action
        sync, create, graduate or retire.
    target
        How many mailboxes there should be.
    domains
        Where `create` may make them; all verified ones when none is named.
    """
    result = asyncio.run(_run(action, target, domains))
    show_one(result, as_json=json)
    return exit_of(result["errors"]) if result.get("errors") else 0


@app.command
def pause(address: str, *, reason: Reason, json: Json = False) -> int:
    """Stops its campaign mail and reads back that it stopped; warm-up goes on.

    Parameters
    ----------
    address
        The address or id.
    """
    held = asyncio.run(_pause(address, reason))
    show_one(held, as_json=json)
    return 0 if held["confirmed"] else ATTENTION


@app.command
def resume(address: str, *, reason: Reason, json: Json = False) -> None:
    """Lets go of every hold on it that a person may release.

    Parameters
    ----------
    address
        The address or id.
    """
    show_one(asyncio.run(_resume(address, reason)), as_json=json)


@app.command
def retire(address: str, *, reason: Reason, json: Json = False) -> None:
    """Retires it: out of every campaign, warm-up off. Nothing is deleted at the platform.

    Parameters
    ----------
    address
        The address or id.
    """
    show_one(asyncio.run(_operate(address, "operator_retired", reason)), as_json=json)


@app.command
def reinstate(address: str, *, reason: Reason, json: Json = False) -> None:
    """Brings a retired one back to NEW.

    Parameters
    ----------
    address
        The address or id.
    """
    show_one(asyncio.run(_operate(address, "operator_reinstated", reason)), as_json=json)


@app.command
def credentials(address: str, *, username: str = "", json: Json = False) -> None:
    """Stores the login of a mailbox at its host, encrypted. The password is one line of standard input.

    Parameters
    ----------
    address
        The address.
    username
        The login name, when it is not the address.
    """
    password = sys.stdin.readline().rstrip("\r\n")
    asyncio.run(_credentials(address, password, username))
    show_one({"address": address, "stored": True}, as_json=json)


@app.command
def personas(file: Path, *, client: Client = None, json: Json = False) -> None:
    """Adds the people of a TOML file to a client: [[persona]] with local_part, first_name, last_name, signature.

    Parameters
    ----------
    file
        The TOML file.
    """
    show_one(asyncio.run(_personas(file, client)), as_json=json)


async def _list(state: str | None) -> list[dict[str, Any]]:
    import msgspec

    from mailfleet.cli.session import one_of, opened
    from mailfleet.rules.lifecycle import STATES
    from mailfleet.store import holds, mailboxes

    wanted = one_of((state or "").upper(), STATES, "state")
    async with opened() as fleet, fleet.db.connection() as db:
        held = await holds.held_mailboxes(db)
        return [
            {**msgspec.to_builtins(each), "held": held.get(each.id, "")}
            for each in await mailboxes.every(db)
            if wanted in ("", each.state)
        ]


async def _show(address: str) -> dict[str, Any]:
    import msgspec

    from mailfleet.cli.session import opened
    from mailfleet.services import mailboxes
    from mailfleet.services.days import local_day
    from mailfleet.store import holds, levels
    from mailfleet.store import mailboxes as rows

    async with opened() as fleet, fleet.db.connection() as db:
        mailbox = await mailboxes.find(db, address)
        budget = await rows.budget(db, mailbox.id, local_day(fleet.clock.now(), mailbox.timezone))
        held = await holds.over_mailbox(db, mailbox.id, "sending")
        level = (await levels.every(db)).get(("mailbox", str(mailbox.id)))
    return {
        **msgspec.to_builtins(mailbox),
        "bounces": msgspec.to_builtins(level),
        "budget": msgspec.to_builtins(budget),
        "holds": [f"{hold.actor_kind} {hold.actor}: {hold.reason}" for hold in held],
    }


async def _explain(address: str) -> dict[str, Any]:
    import msgspec

    from mailfleet.cli.session import opened
    from mailfleet.services import explained, mailboxes, safeguards

    async with opened() as fleet:
        async with fleet.db.connection() as db:
            mailbox = await mailboxes.find(db, address)
        told = await mailboxes.explain(fleet, mailbox.id)
        decision = await explained.explain(fleet, "mailbox", address)
        pause = await safeguards.check_auto_pause_conditions(fleet, mailbox.id)
        return {**told, "auto_pause": dict(pause), "decision": msgspec.to_builtins(decision)}


async def _run(action: str, target: int, domains: list[str] | None) -> dict[str, Any]:
    from mailfleet.cli.session import opened
    from mailfleet.flows.mailbox_provisioning import smartlead_mailbox_provisioning_flow
    from mailfleet.flows.shell import run_or_plain, using

    async with opened() as fleet:
        with using(fleet):
            return await run_or_plain(
                smartlead_mailbox_provisioning_flow, action=action, target_mailbox_count=target, domains=domains
            )


async def _pause(address: str, reason: str) -> dict[str, Any]:
    from mailfleet.cli.session import opened
    from mailfleet.services import holds, mailboxes

    async with opened() as fleet:
        async with fleet.db.connection() as db:
            mailbox = await mailboxes.find(db, address)
        held = await holds.pause(fleet, "mailbox", str(mailbox.id), reason, fleet.actor, "person")
    return {"address": mailbox.address, "confirmed": held.confirmed, "problems": list(held.problems)}


async def _resume(address: str, reason: str) -> dict[str, Any]:
    from mailfleet.cli.session import opened
    from mailfleet.services import holds, mailboxes

    async with opened() as fleet:
        async with fleet.db.connection() as db:
            mailbox = await mailboxes.find(db, address)
        released = await holds.release(
            fleet, "mailbox", str(mailbox.id), actor=fleet.actor, actor_kind="person", reason=reason
        )
    return {"address": mailbox.address, "released": released}


async def _operate(address: str, event: Any, reason: str) -> dict[str, Any]:
    from mailfleet.cli.session import opened
    from mailfleet.services import mailboxes

    async with opened() as fleet:
        async with fleet.db.connection() as db:
            mailbox = await mailboxes.find(db, address)
        now = await mailboxes.operate(fleet, mailbox.id, event, reason)
    return {"address": now.address, "state": now.state}


async def _credentials(address: str, password: str, username: str) -> None:
    from mailfleet.cli.session import opened
    from mailfleet.services import credentials

    async with opened() as fleet:
        await credentials.put(fleet, address, password, username=username)


async def _personas(file: Path, client: str | None) -> dict[str, Any]:
    from mailfleet.cli.session import opened
    from mailfleet.services import clients, personas

    people = personas.read_file(file)
    async with opened() as fleet:
        async with fleet.db.connection() as db:
            owner = await clients.the_client(db, client)
        return {"client": owner.slug, "added": await personas.put_personas(fleet, owner, people), "given": len(people)}
