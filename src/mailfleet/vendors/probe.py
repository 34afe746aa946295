"""Asking a vendor what it really answers, row by row of its index, and where that differs from what is written."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib import resources
from typing import Any, TypeVar

import msgspec

from mailfleet.errors import Drift, VendorError
from mailfleet.vendors.compare import Description, Difference, with_example
from mailfleet.vendors.transport.taken import Taken

T = TypeVar("T")


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """One row that was asked: what went over the wire, and what is other than written."""

    row: str
    exchanges: Sequence[Taken]
    differences: Sequence[Difference] = ()
    error: str = ""

    @property
    def verdict(self) -> str:
        """`deviates` only for what contradicts; more fields than are written contradict nothing."""
        if self.error:
            return "failed"
        return "deviates" if any(not each.new for each in self.differences) else "as written"


class Probe:
    """Carries out steps one after another; one that fails keeps nobody from the next. `descriptions` by face."""

    def __init__(self, vendor: str, descriptions: Mapping[str, Description] | None = None) -> None:
        self._documented = documented(vendor)
        self._descriptions = descriptions or {}
        self._taken: list[Taken] = []
        self.looked: list[Looked] = []

    def witness(self, exchange: Taken) -> None:
        self._taken.append(exchange)

    async def look(self, row: str, call: Callable[[], Awaitable[T]]) -> T | None:
        """What the call gave; None when it failed, which is kept."""
        self._taken = []
        found, model, error = None, list[Difference](), ""
        try:
            found = await call()
        except Drift as drift:
            model = [Difference(against="model", where=str(drift.context.get("field", "$")), what=drift.what)]
        except VendorError as failed:
            error = f"{failed.code} {failed}"
        exchanges = tuple(self._taken)
        differences = (*model, *(each for taken in exchanges for each in self._compared(row, taken)))
        self.looked.append(Looked(row=row, exchanges=exchanges, differences=_once(differences), error=error))
        return found

    def _compared(self, row: str, taken: Taken) -> list[Difference]:
        if taken.status is None:
            return []
        found: list[Difference] = []
        example = self._documented.get(row, {}).get("answer")
        if example and 200 <= taken.status < 300:
            found += with_example(json.loads(example), taken.data)
        if described := self._descriptions.get(taken.face):
            found += described.differences(taken.method, taken.path, taken.status, taken.kind, taken.data)
        return found


def documented(vendor: str) -> Mapping[str, Mapping[str, Any]]:
    """The exchanges written from the vendor's documents."""
    place = resources.files("mailfleet.vendors") / vendor / "exchanges.toml"
    return tomllib.loads(place.read_text("utf-8"))


def _once(differences: Sequence[Difference]) -> tuple[Difference, ...]:
    return tuple(dict.fromkeys(differences))
