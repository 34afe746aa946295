"""A restored archive as a source: it can be exported again, mapped and imported like the platform it came from."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

import msgspec

from mailfleet.errors import ExportError
from mailfleet.platforms.archive import Dataset, Page, Record
from mailfleet.services import archives
from mailfleet.services.archives import Manifest
from mailfleet.services.context import Fleet
from mailfleet.store import exports

_PAGE = 1_000


async def find(fleet: Fleet, archive: str) -> Restored:
    """A restored archive by its id or name. Raises ExportError when this database has none of that name."""
    async with fleet.db.connection() as db:
        found = await exports.restoration(db, archive.strip("/"))
    if found is None:
        raise ExportError(
            f"{archive} is not restored in this database.",
            hint="First: `mailfleet export restore NAME --key FILE --yes`.",
        )
    return Restored(fleet, msgspec.convert(found.manifest, Manifest))


class Restored:
    """The datasets of an archive in this database. `name` says from where and which: no export of the platform itself
    goes on with one of these."""

    def __init__(self, fleet: Fleet, manifest: Manifest) -> None:
        self.platform = manifest.source.partition(".")[0]
        self.id = manifest.archive
        self.name = f"{self.platform}.{self.id.hex[:8]}"
        self._fleet, self._manifest = fleet, manifest

    async def close(self) -> None:
        """Nothing of its own is open."""

    def datasets(self) -> Sequence[Dataset]:
        return [
            Dataset(
                name=name,
                columns=tuple(said.columns),
                requirement=said.requirement,
                secret=tuple(said.secret),
                key=tuple(said.key),
            )
            for name, said in self._manifest.datasets.items()
        ]

    def not_given(self) -> Mapping[str, str]:
        return self._manifest.not_given

    def remarks(self) -> Mapping[str, str]:
        return self._manifest.remarks

    async def count(self, dataset: str) -> int | None:
        return self._manifest.datasets[dataset].rows

    async def pages(self, dataset: str, start: str | None) -> AsyncIterator[Page]:
        held, last, total = list[Record](), int(start or 0), self._manifest.datasets[dataset].rows
        if not total:
            yield Page(rows=(), next=None)
            return
        rows = archives.restored_rows(self._fleet, self._manifest.archive, dataset, after=last, limit=_PAGE)
        async for last, row in rows:
            held.append(row)
            if len(held) == _PAGE or last == total:
                yield Page(rows=held, next=str(last) if last < total else None)
                held = []
