"""What became of a write whose outcome is unknown: asked of whoever made it, found by reading, never by repeating (V9).

An adapter that writes is a `Settler`: it knows, for each of its operations, what to read and what to compare.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Literal, Protocol, runtime_checkable

import msgspec

Verdict = Literal["done", "absent", "unreadable", "unclear"]
"""`unreadable`: there is nothing to read it from, ever. `unclear`: what was read is neither; a person has to look."""


class OpenWrite(msgspec.Struct, frozen=True, kw_only=True):
    """A journal entry as its adapter needs it: `match` as the call left it, redacted."""

    operation: str
    match: Mapping[str, Any]
    at: datetime


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What reading showed, with what was seen. Of a setting, `done` says that it stands now."""

    verdict: Verdict
    evidence: Mapping[str, Any] = {}


@runtime_checkable
class Settler(Protocol):
    """`keys` names the accounts it writes with, as the journal does."""

    @property
    def keys(self) -> frozenset[str]: ...

    async def settle(self, write: OpenWrite) -> Finding:
        """Reads, and only reads. Raises what reading raises: nothing is known then."""
        ...


Reader = Callable[[Any, OpenWrite], Awaitable[Finding]]


def found(happened: bool, **evidence: Any) -> Finding:
    return Finding(verdict="done" if happened else "absent", evidence=evidence)


def unreadable(reason: str) -> Finding:
    return Finding(verdict="unreadable", evidence={"reason": reason})


def unclear(reason: str, **evidence: Any) -> Finding:
    return Finding(verdict="unclear", evidence={"reason": reason, **evidence})


def standing(written: Mapping[str, Any], read: Mapping[str, Any]) -> Finding:
    """Whether each field that was written is read as written. Fields that cannot be read are left out of `read`."""
    compared = {name: value for name, value in written.items() if name in read}
    if not compared:
        return unreadable("none of the fields written can be read")
    differ = {name: read[name] for name, value in compared.items() if not _alike(value, read[name])}
    return found(not differ, read={name: read[name] for name in compared}, differing=sorted(differ))


def _alike(one: Any, other: Any) -> bool:
    """Vendors read back digits as text and lists in any order."""
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return sorted(map(str, one)) == sorted(map(str, other))
    return one == other or str(one) == str(other) or (one in ("", None) and other in ("", None))
