"""Salesforge core: contacts, tags, variables, the do-not-contact list, and what was sent to whom."""

from __future__ import annotations

import re
from typing import Any, cast

from starlette.routing import BaseRoute

from mailfleet.sandbox.forge import engine
from mailfleet.sandbox.forge.http import CORE_FACE, Ask, absent, found, invalid, route, said, text, texts
from mailfleet.sandbox.forge.notices import tell_dnc
from mailfleet.sandbox.forge.state import GOES_ON, Contact, Enrolment, Mail, Workspace, ident, new_id, stamp
from mailfleet.sandbox.world import World

_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_LINKEDIN = re.compile(r"https?://([\w-]+\.)?linkedin\.com/.+")
_QUERIES = {
    "limit", "offset", "tag_ids[]", "tagIds", "not_in_sequence_id", "notInSequenceId", "validation_statuses[]",
    "validationStatus",
}  # fmt: skip
_MOST_ROWS = 1000
_MOST_TAGS = 100


def routes(world: World) -> list[BaseRoute]:
    """Everything of people."""
    at = "/workspaces/{workspaceID}"
    return [
        route(world, CORE_FACE, "GET", at + "/contacts", listed),
        route(world, CORE_FACE, "POST", at + "/contacts", create, ok=201),
        route(world, CORE_FACE, "POST", at + "/contacts/bulk", create_many, ok=201),
        route(world, CORE_FACE, "POST", at + "/contacts/bulk-delete", delete_many, ok=204),
        route(world, CORE_FACE, "GET", at + "/contacts/{contactID}", one),
        route(world, CORE_FACE, "DELETE", at + "/contacts/{contactID}", delete, ok=204),
        route(world, CORE_FACE, "GET", at + "/tags", tags),
        route(world, CORE_FACE, "GET", at + "/custom-vars", variables),
        route(world, CORE_FACE, "GET", at + "/dnc", forbidden),
        route(world, CORE_FACE, "POST", at + "/dnc/bulk", forbid, ok=201),
        route(world, CORE_FACE, "POST", at + "/dnc/bulk/remove", allow, ok=204),
        route(world, CORE_FACE, "GET", at + "/sending-data", sending),
    ]


def shown(ask: Ask, contact: Contact, *, sequences: bool) -> dict[str, Any]:
    """A contact as it is read: eight fields early in 2026, `position` and `sequences` later."""
    row: dict[str, Any] = {
        "id": contact.id,
        "firstName": contact.first_name,
        "lastName": contact.last_name,
        "email": contact.email,
        "company": contact.company,
        "linkedinUrl": contact.linkedin,
        "tags": contact.tags,
        "customVars": contact.custom,
    }
    if ask.old:
        return row
    row["position"] = contact.position
    if sequences:
        row["sequences"] = [
            {"id": entry.sequence.id, "name": entry.sequence.name, "status": entry.status}
            for entry in contact.enrolments.values()
        ]
    return row


def listed(ask: Ask) -> Any:
    """The contacts, filtered where the interface already filters."""
    if not ask.old and (unknown := set(ask.query) - _QUERIES):
        raise said(f"unknown query parameter {sorted(unknown)[0]}")
    return ask.paged(_chosen(ask), lambda contact: shown(ask, contact, sequences=ask.held.list_sequences))


def _chosen(ask: Ask) -> list[Contact]:
    """The contacts that the filters leave; kept while nothing changes, since pages ask again and again."""
    ws = ask.ws
    outside = ask.query.get("not_in_sequence_id") or ask.query.get("notInSequenceId") or ""
    names = {ws.tags.get(tag, tag) for tag in (*ask.several("tag_ids"), *ask.query.getlist("tagIds"))}
    key = "" if ask.old else f"{outside}:{sorted(names)}"
    kept = ws.kept.get(key)
    if kept is None or kept[0] != ws.version:
        every = list(ws.contacts.values())
        if key and outside:
            every = [contact for contact in every if outside not in contact.enrolments]
        if key and names:
            every = [contact for contact in every if names & set(contact.tags)]
        ws.kept = {name: held for name, held in ws.kept.items() if held[0] == ws.version}
        kept = ws.kept[key] = (ws.version, every)
    return kept[1]


def one(ask: Ask) -> Any:
    """A contact, with the sequences it is in."""
    return shown(ask, found(ask.ws.contacts, ask.path["contactID"], "contact"), sequences=True)


def create(ask: Ask) -> Any:
    """Makes a contact or changes the one with this address."""
    return shown(ask, upsert(ask, ask.body()), sequences=False)


def create_many(ask: Ask) -> Any:
    """Up to 100, all or nothing."""
    rows: Any = ask.body().get("contacts")
    if not isinstance(rows, list) or not 1 <= len(cast("list[Any]", rows)) <= 100:
        raise invalid(
            "contacts must contain at least 1 item" if not rows else "contacts must contain at most 100 items"
        )
    for row in cast("list[Any]", rows):
        _checked(row)
        if not row.get("tags") and not row.get("tagIds"):
            raise invalid("tags is a required field")
    return {"contacts": [shown(ask, upsert(ask, row), sequences=False) for row in cast("list[Any]", rows)]}


def _checked(given: Any) -> None:
    if not isinstance(given, dict):
        raise said("invalid request body")
    row = cast("dict[str, Any]", given)
    text(row, "firstName")
    email, linkedin = row.get("email"), row.get("linkedinUrl")
    if linkedin == "" or (linkedin is not None and not _LINKEDIN.fullmatch(str(linkedin))):
        raise invalid("must be a valid linkedin url")
    if not email and not linkedin:
        raise invalid("email is a required field")
    if email and not _ADDRESS.fullmatch(str(email)):
        raise invalid("email must be a valid email address")


def upsert(ask: Ask, given: dict[str, Any]) -> Contact:
    """The contact with this address, made or changed; a field nobody knows is dropped without a word."""
    _checked(given)
    ws, world = ask.ws, ask.world
    key = str(given.get("email") or given.get("linkedinUrl")).strip().lower()
    contact = ws.by_email.get(key)
    if contact is None:
        contact = Contact(new_id(world, "lead_"), key if given.get("email") else "", "", "", "", "", "", world.now)
        ws.contacts[contact.id] = ws.by_email[key] = contact
    contact.first_name = str(given["firstName"])
    contact.last_name = str(given.get("lastName") or contact.last_name)
    contact.company = str(given.get("company") or contact.company)
    if not ask.old:
        contact.position = str(given.get("position") or contact.position)
        contact.linkedin = str(given.get("linkedinUrl") or contact.linkedin)
    if not ask.old or not contact.custom:
        contact.custom |= {str(name): str(value) for name, value in (given.get("customVars") or {}).items()}
    named = [*(given.get("tags") or []), *(ws.tags.get(tag, "") for tag in given.get("tagIds") or [])]
    for name in filter(None, named or [f"pa-{world.now:%Y%m%d}"]):
        ws.tags.setdefault(ident(world, "ltg_", ws.id, name), name)
        if name not in contact.tags:
            contact.tags.append(name)
    ws.version += 1
    return contact


def delete(ask: Ask) -> None:
    """Removes a contact: it is written to no more."""
    if ask.old:
        raise absent()
    remove(ask.ws, found(ask.ws.contacts, ask.path["contactID"], "contact"))


def delete_many(ask: Ask) -> None:
    """Removes up to 1000; unknown ids are ignored."""
    if ask.old:
        raise absent()
    for identity in texts(ask.body(), "contactIds", most=_MOST_ROWS):
        if (contact := ask.ws.contacts.get(identity)) is not None:
            remove(ask.ws, contact)


def remove(ws: Workspace, contact: Contact) -> None:
    """Takes a contact out of the workspace and of every sequence."""
    ws.contacts.pop(contact.id, None)
    ws.by_email.pop(contact.email or contact.linkedin.lower(), None)
    for entry in contact.enrolments.values():
        entry.status, entry.version = "deleted", entry.version + 1
        entry.sequence.enrolments.pop(contact.id, None)
    ws.version += 1


def tags(ask: Ask) -> Any:
    """The tags."""
    if ask.old:
        raise absent()
    searched = ask.query.get("search", "").lower()
    rows = [item for item in ask.ws.tags.items() if searched in item[1].lower()]
    return ask.paged(rows, lambda item: {"id": item[0], "name": item[1]}, most=_MOST_TAGS)


def variables(ask: Ask) -> Any:
    """The custom variables that any contact has."""
    names = sorted({name for contact in ask.ws.contacts.values() for name in contact.custom})
    return ask.paged(names, lambda name: {"id": ident(ask.world, "cv_", ask.ws.id, name), "name": name})


def forbidden(ask: Ask) -> Any:
    """The do-not-contact list, readable since 2026-09."""
    if ask.old:
        raise absent()
    rows = list(ask.ws.dnc.items())
    return ask.paged(
        rows,
        lambda row: {"value": row[0], "type": row[1][0], "createdAt": stamp(row[1][1])},
        usual=100,
        most=_MOST_ROWS,
    )


def forbid(ask: Ask) -> Any:
    """Puts addresses, domains and profiles on the list."""
    ws, made = ask.ws, 0
    for value in texts(ask.body(), "dncs", most=_MOST_ROWS):
        key = value.strip().lower()
        kind = "email" if "@" in key else "linkedin" if "linkedin.com/" in key else "domain"
        if key and key not in ws.dnc:
            ws.dnc[key] = (kind, ask.world.now)
            made += 1
            for entry in _entries(ws, key):
                if entry.status in GOES_ON:
                    entry.status, entry.version = "dnc", entry.version + 1
            tell_dnc(ask.world, ws, key)
    return {"created": made}


def allow(ask: Ask) -> None:
    """Takes them off again, since 2026-09. A contact in a sequence then goes on; what really happens is not known."""
    if ask.old:
        raise absent()
    ws = ask.ws
    for value in texts(ask.body(), "dncs", most=_MOST_ROWS):
        key = value.strip().lower()
        if ws.dnc.pop(key, None) is None:
            continue
        for entry in _entries(ws, key):
            if entry.status == "dnc" and not ws.forbids(entry.contact.email):
                entry.status = "active" if entry.mails else "none"
                engine.enqueue(ask.world, ws, entry)


def _entries(ws: Workspace, value: str) -> list[Enrolment]:
    if "@" in value:
        contact = ws.by_email.get(value)
        return list(contact.enrolments.values()) if contact else []
    people = [contact for contact in ws.contacts.values() if contact.email.endswith("@" + value)]
    return [entry for contact in people for entry in contact.enrolments.values()]


def sending(ask: Ask) -> Any:
    """When what was sent, opened and clicked; no answer, no bounce, no step. One row a mail, or one a contact."""
    ws = ask.ws
    wanted = [] if ask.old else ask.several("sequence_ids")
    chosen = [ws.sequences[key] for key in wanted if key in ws.sequences]
    if ask.held.sending_data == "contact":
        entries = [
            entry
            for sequence in (chosen if wanted else ws.sequences.values())
            for entry in sequence.enrolments.values()
            if entry.mails
        ]
        return ask.paged(entries, _row_of_contact, usual=100, most=_MOST_ROWS)
    mails = ws.mails if not wanted else chosen[0].mails if len(chosen) == 1 else [m for s in chosen for m in s.mails]
    return ask.paged(mails, _row_of_mail, usual=100, most=_MOST_ROWS)


def _row_of_mail(mail: Mail) -> dict[str, Any]:
    return _row(mail.enrolment, stamp(mail.at), stamp(mail.opened_at), stamp(mail.clicked_at))


def _row_of_contact(entry: Enrolment) -> dict[str, Any]:
    opened = max((mail.opened_at for mail in entry.mails if mail.opened_at), default=None)
    clicked = max((mail.clicked_at for mail in entry.mails if mail.clicked_at), default=None)
    return _row(entry, stamp(entry.mails[-1].at), stamp(opened), stamp(clicked))


def _row(entry: Enrolment, sent: str, opened: str, clicked: str) -> dict[str, Any]:
    return {
        "sequenceId": entry.sequence.id,
        "contactId": entry.contact.id,
        "email": entry.contact.email,
        "scheduled": sent,
        "sent": sent,
        "opened": opened,
        "clicked": clicked,
    }
