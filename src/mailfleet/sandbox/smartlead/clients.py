"""Smartlead's clients, their keys, and tags."""

from __future__ import annotations

from typing import Any

from starlette.routing import BaseRoute

from mailfleet.sandbox.seeds import hexes
from mailfleet.sandbox.smartlead.check import Rule, failed, many, number, text
from mailfleet.sandbox.smartlead.http import Ask, Limit, route, whole
from mailfleet.sandbox.smartlead.state import rest_time, stats_uuid
from mailfleet.sandbox.world import World

_PERMISSIONS = ("full_access", "reply_master_inbox")
CLIENT: dict[str, Rule] = {
    "name": text(required=True),
    "email": text(required=True),
    "password": text(required=True),
    "permission": many(text(required=True, options=_PERMISSIONS), required=True),
    "logo": text(),
    "logo_url": text(),
}
KEY: dict[str, Rule] = {"clientId": number(required=True), "keyName": text(required=True)}
TAG: dict[str, Rule] = {"name": text(required=True), "color": text(required=True)}
TAG_CHANGE: dict[str, Rule] = {"id": number(required=True), **TAG}
TAG_LIST: dict[str, Rule] = {"email_ids": many(text(required=True), required=True)}
MAPPING: dict[str, Rule] = {
    "email_account_ids": many(number(required=True), required=True, most=25),
    "tag_ids": many(number(required=True), required=True),
}


def routes(world: World, limit: Limit) -> list[BaseRoute]:
    """Clients and tags."""
    table = (
        ("POST", "/client/save", save),
        ("GET", "/client", lambda ask: list(ask.vendor.clients.values())),
        ("POST", "/client/api-key", new_key),
        ("GET", "/client/api-key", keys),
        ("DELETE", "/client/api-key/{key_id}", drop_key),
        ("PUT", "/client/api-key/reset/{key_id}", reset_key),
        ("POST", "/tags", new_tag),
        ("POST", "/email-accounts/tag-manager", change_tag),
        ("POST", "/email-accounts/tag-mapping", lambda ask: map_tags(ask, on=True)),
        ("DELETE", "/email-accounts/tag-mapping", lambda ask: map_tags(ask, on=False)),
        ("POST", "/email-accounts/tag-list", tag_list),
    )
    return [entry for method, path, answer in table for entry in route(world, limit, method, path, answer)]


def save(ask: Ask) -> dict[str, Any]:
    """Makes a client."""
    given = ask.body(CLIENT)
    identity = ask.vendor.new_id("client")
    ask.vendor.clients[identity] = {
        "id": identity,
        "name": given["name"],
        "email": given["email"],
        "uuid": stats_uuid(ask.world, "client", identity),
        "created_at": rest_time(ask.world.now),
        "user_id": ask.vendor.user_id,
        "logo": given.get("logo"),
        "logo_url": given.get("logo_url"),
        # Both misspellings are the vendor's.
        "client_permision": {"permission": given["permission"], "retricted_category": []},
    }
    answer = {name: given[name] for name in ("name", "email", "password")}
    return {"ok": True, "clientId": identity, **answer}


def new_key(ask: Ask) -> dict[str, Any]:
    """A key for a client."""
    given = ask.body(KEY)
    if given["clientId"] not in ask.vendor.clients:
        raise failed(f"Client id - {given['clientId']} not found.")
    identity = ask.vendor.new_id("key")
    ask.vendor.client_keys[identity] = {
        "id": identity,
        "client_id": given["clientId"],
        "key_name": given["keyName"],
        "key": hexes(ask.world, 40, "client key", identity),
        "created_at": rest_time(ask.world.now),
    }
    return {"ok": True, "data": ask.vendor.client_keys[identity]}


def keys(ask: Ask) -> dict[str, Any]:
    """All keys of clients."""
    return {"ok": True, "data": list(ask.vendor.client_keys.values())}


def _key(ask: Ask) -> int:
    identity = whole(ask.path["key_id"])
    if identity not in ask.vendor.client_keys:
        raise failed(f"API key id - {identity} not found.", 404)
    return identity


def drop_key(ask: Ask) -> dict[str, Any]:
    """Ends a key."""
    del ask.vendor.client_keys[_key(ask)]
    return {"ok": True}


def reset_key(ask: Ask) -> dict[str, Any]:
    """Gives a key a new value."""
    entry = ask.vendor.client_keys[_key(ask)]
    entry["key"] = hexes(ask.world, 40, "client key", entry["key"])
    return {"ok": True, "data": entry}


def new_tag(ask: Ask) -> dict[str, Any]:
    """Makes a tag."""
    given = ask.body(TAG)
    identity = ask.vendor.new_id("tag")
    ask.vendor.tags[identity] = {"id": identity, "name": given["name"], "color": given["color"]}
    return {"ok": True, "id": identity}


def change_tag(ask: Ask) -> dict[str, Any]:
    """Changes a tag."""
    given = ask.body(TAG_CHANGE)
    if given["id"] not in ask.vendor.tags:
        raise failed(f"Tag id - {given['id']} not found.", 404)
    ask.vendor.tags[given["id"]] = {**given}
    return {"ok": True}


def map_tags(ask: Ask, *, on: bool) -> dict[str, Any]:
    """Puts tags on mailboxes, or takes them off."""
    given = ask.body(MAPPING)
    for identity in given["email_account_ids"]:
        if identity not in ask.vendor.mailboxes:
            raise failed(f"Email account id - {identity} not allowed. Permission Error.")
    for identity in given["tag_ids"]:
        if identity not in ask.vendor.tags:
            raise failed(f"Tag id - {identity} not found.")
    for identity in given["email_account_ids"]:
        held = ask.vendor.mailboxes[identity].tag_ids
        kept = [tag for tag in held if tag not in given["tag_ids"]]
        held[:] = kept + (list(given["tag_ids"]) if on else [])
    return {"success": True, "message": "Tags updated successfully"}


def tag_list(ask: Ask) -> dict[str, Any]:
    """Tags of mailboxes by address."""
    given = ask.body(TAG_LIST)
    wanted = {address.lower() for address in given["email_ids"]}
    data = [
        {"email_id": box.address, "email_account_id": box.id, "tags": [ask.vendor.tags[tag] for tag in box.tag_ids]}
        for box in ask.vendor.mailboxes.values()
        if box.address.lower() in wanted
    ]
    return {"success": True, "data": data}
