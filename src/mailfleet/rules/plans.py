"""What would change at the platform: what we want, what is there, and what we last put there, field by field.

A field that is neither what we want nor what we put there was changed by somebody else: drift, which is told and never
overwritten by itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import msgspec

Value = str | int | bool | list[str] | list[int] | None
Fields = Mapping[str, Value]
Kind = Literal["create", "change", "remove", "drift", "unread"]
ABSENT: Value = None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """`there` is what the platform has now; `to` what we want. `unread`: the platform does not show this field."""

    field: str
    kind: Kind
    there: Value
    to: Value
    before: Value = None
    """What we put there last, where it drifted."""

    @property
    def part(self) -> str:
        """`steps`, `schedule`, `settings` or `mailboxes`."""
        return self.field.split(".")[0].split("[")[0]


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """One mail of a sequence as the platform has it."""

    position: int
    subject: str
    body: str


def changes(wanted: Fields, there: Fields | None, put: Sequence[Fields] = (), *, hidden: bool = True) -> list[Change]:
    """All that differs, in the order of the fields wanted.

    `there` is None for a campaign that the platform does not have. `put` is what was put there before, the last
    finished first: an interrupted apply counts, since any part of it may be there. `hidden`: fields that cannot be read
    back are compared with what was put there.
    """
    found: list[Change] = []
    for field, to in wanted.items():
        if there is None:
            found.append(Change(field=field, kind="create", there=None, to=to))
        elif field in there:
            found += _readable(field, to, there[field], put)
        elif _is_listed(field):
            kind: Kind = "drift" if put and all(field in each for each in put) else "create"
            found.append(Change(field=field, kind=kind, there=None, to=to, before=put[-1].get(field) if put else None))
        elif hidden and (not put or any(each.get(field) != to for each in put)):
            found.append(Change(field=field, kind="unread", there=None, to=to))
    return found + [_extra(field, value, put) for field, value in (there or {}).items() if field not in wanted]


def _readable(field: str, to: Value, now: Value, put: Sequence[Fields]) -> list[Change]:
    if now == to:
        return []
    ours = any(each.get(field) == now for each in put) or (field == "mailboxes" and _between(now, put))
    if put and not ours:
        return [Change(field=field, kind="drift", there=now, to=to, before=put[-1].get(field))]
    return [Change(field=field, kind="change", there=now, to=to)]


def _between(now: Value, put: Sequence[Fields]) -> bool:
    """Mailboxes are added and taken out one after the other: an apply that dies in between leaves some of both."""
    known = [set[str | int](given) for each in put if isinstance(given := each.get("mailboxes"), list)]
    return isinstance(now, list) and bool(known) and set.intersection(*known) <= set(now) <= set.union(*known)


def _is_listed(field: str) -> bool:
    # Steps and their variants are there or not; a setting that is not shown may well be set.
    return field.startswith("steps[")


def _extra(field: str, value: Value, put: Sequence[Fields]) -> Change:
    ours = not put or any(field in each for each in put)
    return Change(field=field, kind="remove" if ours else "drift", there=value, to=None)


def repeated(old: Sequence[Text], new: Sequence[Text]) -> Iterator[tuple[int, int]]:
    """(position before, position now) of each mail that comes later than it did: leads past it would see it again."""
    for text in new:
        was = [each.position for each in old if _same(each, text)]
        if was and max(was) < text.position:
            yield max(was), text.position


def _same(one: Text, other: Text) -> bool:
    return " ".join(one.body.split()) == " ".join(other.body.split())


def checksum(*parts: object) -> str:
    """Twelve hexadecimal digits over what was shown."""
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()[:12]
