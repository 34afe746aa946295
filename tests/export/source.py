"""A source whose vendor misbehaves on demand: pages that move, a page that fails, counts that lie."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from mailfleet.errors import TimedOut
from mailfleet.platforms.archive import Dataset, Page

PEOPLE = Dataset(name="people", columns=("id", "name", "note"), requirement="salesforge.leads")
LOGINS = Dataset(
    name="logins", columns=("address", "password"), requirement="infraforge.mailboxes", secret=("password",),
    key=("address",),
)  # fmt: skip


class Book:
    """Rows by dataset, `size` a page; `fail_at` is the offset whose page is not answered, once."""

    name = "book"

    def __init__(self, people: Sequence[Mapping[str, Any]], logins: Sequence[Mapping[str, Any]] = (), size: int = 10):
        self.rows: dict[str, list[Mapping[str, Any]]] = {"people": list(people), "logins": list(logins)}
        self.size, self.fail_at, self.insert_after, self.said = size, None, None, None
        self.asked: list[tuple[str, int]] = []

    fail_at: int | None
    insert_after: int | None
    said: int | None

    async def close(self) -> None:
        return None

    def datasets(self) -> Sequence[Dataset]:
        return [PEOPLE, LOGINS]

    def not_given(self) -> Mapping[str, str]:
        return {"schedules": "the vendor does not show them"}

    def remarks(self) -> Mapping[str, str]:
        return {}

    async def count(self, dataset: str) -> int | None:
        return len(self.rows[dataset]) if self.said is None else self.said

    async def pages(self, dataset: str, start: str | None) -> AsyncIterator[Page]:
        at = int(start or 0)
        while True:
            self.asked.append((dataset, at))
            if self.fail_at == at and dataset == "people":
                self.fail_at = None
                raise TimedOut("No answer in time.", vendor="book", operation="people")
            rows = self.rows[dataset][at : at + self.size]
            if self.insert_after == at and dataset == "people":
                self.rows[dataset].insert(0, {"id": "new", "name": "Newcomer", "note": ""})
                self.insert_after = None
            at += self.size
            more = at < len(self.rows[dataset])
            yield Page(rows=rows, next=str(at) if more else None)
            if not more:
                return


def people(n: int) -> list[dict[str, Any]]:
    return [{"id": f"p{i}", "name": f"Person {i}", "note": f"n{i}", "score": i / 4} for i in range(n)]


class Endless(Book):
    """As many people as wanted, made up page by page: whoever holds on to them shows it."""

    def __init__(self, number: int, size: int = 500) -> None:
        super().__init__([], size=size)
        self.number = number

    async def count(self, dataset: str) -> int | None:
        return self.number if dataset == "people" else 0

    async def pages(self, dataset: str, start: str | None) -> AsyncIterator[Page]:
        total = self.number if dataset == "people" else 0
        for at in range(int(start or 0), max(1, total), self.size):
            rows = [
                {"id": f"p{n}", "name": f"Person {n}", "note": f"{n:050d}"}
                for n in range(at, min(at + self.size, total))
            ]
            yield Page(rows=rows, next=str(at + self.size) if at + self.size < total else None)
