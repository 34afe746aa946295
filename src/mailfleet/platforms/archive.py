"""Ports of an export: where its rows come from, and where its files are put.

A source has datasets, a dataset has pages; a page says where the next begins: an interrupted export goes on there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Protocol

import msgspec

Record = Mapping[str, Any]


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of thing a source holds."""

    name: str
    """Path of its files in the archive, such as `salesforge/campaigns`."""
    columns: tuple[str, ...]
    """Columns of the CSV in order; the JSON lines carry every field. A field that is no text is JSON in its cell."""
    requirement: str = ""
    """The entry of EXPORT_REQUIREMENTS it answers, such as `salesforge.campaigns`."""
    secret: tuple[str, ...] = ()
    """Columns that hold secrets: only ever encrypted, outside the archive as well as in it."""
    key: tuple[str, ...] = ("id",)
    """Columns that identify a row: a row seen twice (the vendor's pages moved) is kept once."""


class Page(msgspec.Struct, frozen=True, kw_only=True):
    rows: Sequence[Record]
    next: str | None
    """Where the next page begins; None: this was the last."""


class ExportSource(Protocol):
    """What is exported. `name` is what the index calls it."""

    name: str

    async def close(self) -> None: ...
    def datasets(self) -> Sequence[Dataset]: ...
    def not_given(self) -> Mapping[str, str]:
        """What the vendor does not give → why, and the way round: written into the manifest."""
        ...

    def remarks(self) -> Mapping[str, str]:
        """Dataset → how it was found, where there was a choice."""
        ...

    async def count(self, dataset: str) -> int | None:
        """How many rows the vendor says there are; None where it does not say."""
        ...

    def pages(self, dataset: str, start: str | None) -> AsyncIterator[Page]: ...


class Shelf(Protocol):
    """Where files are put: created once, never overwritten (M8)."""

    name: str
    address: str

    async def create(self, key: str, data: bytes) -> None:
        """Raises AlreadyThere when the key is taken, ShelfError when it cannot be written."""
        ...

    async def read(self, key: str) -> bytes:
        """Raises Unknown when there is none, ShelfError when it cannot be read."""
        ...

    async def keys(self, prefix: str) -> Sequence[str]: ...
    async def delete(self, key: str) -> None: ...
