"""Settings and policy: what they are, where they come from."""

from __future__ import annotations

import asyncio

import msgspec
from cyclopts import App

from mailfleet import settings as own
from mailfleet.cli.output import Json, emit, say, show
from mailfleet.policy.load import load
from mailfleet.policy.model import Policy

app = App(name="config", help="Show settings, where each comes from, and the policy.")


@app.command(name="show")
def show_(*, json: Json = False) -> None:
    """Every setting with its value and the place it comes from. Secrets show their last four characters."""
    settings = own.get_settings()
    places = own.places()
    rows = [
        {
            "name": name.upper(),
            "value": own.shown(name, getattr(settings, name)),
            "from": next((place.name for place in places if place.values.get(name)), "default"),
            "description": field.description or "",
        }
        for name, field in own.Settings.model_fields.items()
        if name != "smartlead_api_keys"
    ]
    rows += [
        {
            "name": f"{own.PER_CLIENT}{slug}".upper(),
            "value": own.shown(own.PER_CLIENT, key),
            "from": "",
            "description": "",
        }
        for slug, key in settings.smartlead_api_keys.items()
    ]
    show(rows, as_json=json, columns=("name", "value", "from"))


@app.command
def explain(name: str, *, json: Json = False) -> None:
    """Every place looked in for one setting, the winning one first.

    Parameters
    ----------
    name
        The setting, e.g. SMARTLEAD_API_KEY.
    """
    looked = own.explain(name)
    used = next((index for index, (_, value) in enumerate(looked) if value != "not set"), len(looked) - 1)
    rows = [{"place": place, "value": value, "used": index == used} for index, (place, value) in enumerate(looked)]
    show(rows, as_json=json, title=name.upper())
    field = own.Settings.model_fields.get(name.lower())
    if field and field.description:
        say(field.description)


@app.command
def policy(*, client: str | None = None, json: Json = False) -> None:
    """The policy in force, validated: every figure with its value.

    Parameters
    ----------
    client
        Slug of a client: the policy as it is for it, with its overrides.
    """
    found = asyncio.run(_policy_of(client)) if client else load(own.get_settings().mailfleet_policy)
    document = msgspec.to_builtins(found)
    if json:
        emit(document)
    else:
        show([{"key": key, "value": value} for key, value in _leaves(document)])


async def _policy_of(slug: str) -> Policy:
    from mailfleet.cli.session import opened
    from mailfleet.services.clients import the_client

    async with opened() as fleet, fleet.db.connection() as db:
        return fleet.policy_of(await the_client(db, slug))


def _leaves(value: object, path: str = "") -> list[tuple[str, object]]:
    if not isinstance(value, dict):
        return [(path, value)]
    return [leaf for key, item in value.items() for leaf in _leaves(item, f"{path}.{key}" if path else str(key))]
