"""Clients: who they are, what the law wants shown of them, and where their policy differs from the workspace's."""

from __future__ import annotations

import asyncio
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, cast

import msgspec
from cyclopts import App, Parameter

from mailfleet.cli.output import Json, Yes, say, show, show_one

app = App(name="client", help="Clients of the agency: who they are and where their policy differs.")

Slug = Annotated[str, Parameter(help="Short name in lower case, e.g. agency-os.")]
ATTENTION = 3


@app.command(name="list")
def list_(*, json: Json = False) -> None:
    """Every client."""
    columns = ("slug", "name", "timezone", "country", "account", "changed")
    show(asyncio.run(_list()), as_json=json, columns=columns)


@app.command(name="show")
def show_(slug: Slug, *, json: Json = False) -> None:
    """One client with its overrides on the policy. `mailfleet config policy --client` shows every figure."""
    show_one(asyncio.run(_show(slug)), as_json=json)


@app.command
def add(
    slug: Slug,
    *,
    name: str,
    timezone: str = "UTC",
    country: str = "AU",
    legal_name: str = "",
    postal_address: str = "",
    reply_contact: str = "",
    json: Json = False,
) -> None:
    """Adds a client, or brings one up to date; what is not given of its identity and its policy stay as they are.

    Parameters
    ----------
    name
        As people call it.
    timezone
        Where its mailboxes' days begin, e.g. Australia/Sydney.
    country
        Two letters.
    legal_name
        What its mails have to show: the legal name,
    postal_address
        a postal address,
    reply_contact
        and where one can answer.
    """
    given = {"legal_name": legal_name, "postal_address": postal_address, "reply_contact": reply_contact}
    identity = {key: value for key, value in given.items() if value}
    show_one(asyncio.run(_add(slug, name, timezone, country, identity)), as_json=json)


@app.command
def set_policy(slug: Slug, file: Path, *, yes: Yes = False, json: Json = False) -> int:
    """Replaces a client's overrides by those of a TOML file; an empty file leaves the workspace's policy.

    Parameters
    ----------
    file
        Tables and keys as in the policy file, only those that differ. `-` reads standard input.
    """
    changed = asyncio.run(_set_policy(slug, _tables(file), apply=yes))
    show(changed, as_json=json, columns=("key", "was", "now"))
    if not yes:
        say("Nothing was changed. Add --yes to do it.")
    return 0 if yes else ATTENTION


def _tables(file: Path) -> dict[str, Any]:
    from mailfleet.errors import PolicyError

    try:
        return tomllib.loads(sys.stdin.read() if str(file) == "-" else file.read_text("utf-8"))
    except OSError as error:
        raise PolicyError(f"{file} cannot be read: {error.strerror or error}.", hint="Give a TOML file.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PolicyError(f"{file} is not TOML: {error}.", hint="Correct that line.") from error


async def _list() -> list[dict[str, Any]]:
    from mailfleet.cli.session import opened
    from mailfleet.store import clients

    async with opened() as fleet:
        async with fleet.db.connection() as db:
            found = await clients.every(db)
        return [
            {
                "slug": each.slug,
                "name": each.name,
                "timezone": each.timezone,
                "country": each.country,
                "account": "own" if fleet.of(each).platforms is not fleet.platforms else "common",
                "changed": len(leaves(each.policy)),
            }
            for each in found
        ]


async def _show(slug: str) -> dict[str, Any]:
    from mailfleet.cli.session import opened
    from mailfleet.services.clients import the_client

    async with opened() as fleet, fleet.db.connection() as db:
        found = await the_client(db, slug)
        own = fleet.of(found).platforms is not fleet.platforms
        return {
            **msgspec.to_builtins(found),
            "policy": leaves(found.policy),
            "policy_version": fleet.policy_of(found).version,
            "account": "own" if own else "common",
        }


async def _add(slug: str, name: str, timezone: str, country: str, identity: Mapping[str, str]) -> dict[str, Any]:
    from mailfleet.cli.session import opened
    from mailfleet.services.clients import put_client
    from mailfleet.store import clients

    async with opened() as fleet:
        async with fleet.db.connection() as db:
            known = await clients.find(db, slug)
        merged = {**(known.identity if known else {}), **identity}
        made = await put_client(fleet, slug, name=name, timezone=timezone, country=country, identity=merged)
    return msgspec.to_builtins(made)


async def _set_policy(slug: str, tables: Mapping[str, Any], *, apply: bool) -> list[dict[str, Any]]:
    """The figures that differ, before and after."""
    from mailfleet.cli.session import opened
    from mailfleet.services.clients import checked_policy, set_policy, the_client

    async with opened() as fleet:
        async with fleet.db.connection() as db:
            client = await the_client(db, slug)
        before = leaves(msgspec.to_builtins(fleet.of(client).policy))
        after = leaves(msgspec.to_builtins(checked_policy(fleet, client.slug, tables)))
        if apply:
            await set_policy(fleet, client, tables)
    return [
        {"key": key, "was": before.get(key), "now": after.get(key)}
        for key in {**before, **after}
        if before.get(key) != after.get(key)
    ]


def leaves(tree: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Dotted key → value."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        name = f"{path}{key}"
        found |= leaves(cast("dict[str, Any]", value), f"{name}.") if isinstance(value, dict) else {name: value}
    return found
