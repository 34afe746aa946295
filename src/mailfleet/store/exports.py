"""The index of archives: which there are, how far an unfinished one got, and what each of its files should be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, LiteralString
from uuid import UUID

import msgspec
from psycopg.types.json import Json

from mailfleet.store.database import Connection, dicts, execute, row, rows

State = Literal["running", "done", "pruned"]


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A file as it is stored, encrypted. `bytes` and `sha256` are those of the encrypted file."""

    key: str
    bytes: int
    sha256: str


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of a dataset. `files` by kind (`jsonl`, `csv`); `next_start` None: the last."""

    dataset: str
    n: int
    rows: int
    digest: str
    tail: Sequence[str]
    next_start: str | None
    files: Mapping[str, File]


class Export(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    source: str
    prefix: str
    state: State
    places: dict[str, str]
    recipients: list[str]
    started_at: datetime
    finished_at: datetime | None
    manifest_sha256: dict[str, str]
    counts: dict[str, Any]
    verified_at: datetime | None
    pruned_at: datetime | None
    error: str


_COLUMNS: LiteralString = """id, source, prefix, state, places, recipients, started_at, finished_at, manifest_sha256,
    counts, verified_at, pruned_at, error"""


async def begin(
    db: Connection, *, id: UUID, source: str, prefix: str, places: Mapping[str, str], recipients: Sequence[str],
    at: datetime,
) -> None:  # fmt: skip
    await execute(
        db,
        """insert into mailfleet.exports (id, source, prefix, places, recipients, started_at)
           values (%s, %s, %s, %s, %s, %s)""",
        [id, source, prefix, Json(dict(places)), list(recipients), at],
    )


async def unfinished(db: Connection, source: str) -> Export | None:
    """The newest one of this source that was not finished."""
    return await row(
        db, Export,
        f"""select {_COLUMNS} from mailfleet.exports where source = %s and state = 'running'
            order by started_at desc limit 1""",
        [source],
    )  # fmt: skip


async def find(db: Connection, id: UUID) -> Export | None:
    return await row(db, Export, f"select {_COLUMNS} from mailfleet.exports where id = %s", [id])


async def known(db: Connection, *, limit: int = 100) -> Sequence[Export]:
    """Newest first."""
    return await rows(
        db, Export, f"select {_COLUMNS} from mailfleet.exports order by started_at desc limit %s", [limit]
    )  # fmt: skip


async def parts(db: Connection, export_id: UUID) -> Sequence[Part]:
    found = await dicts(
        db,
        """select dataset, n, rows, digest, tail, next_start, files from mailfleet.export_parts
           where export_id = %s order by dataset, n""",
        [export_id],
    )
    return msgspec.convert(found, list[Part])


async def last_part(db: Connection, export_id: UUID, dataset: str) -> Part | None:
    found = await dicts(
        db,
        """select dataset, n, rows, digest, tail, next_start, files from mailfleet.export_parts
           where export_id = %s and dataset = %s order by n desc limit 1""",
        [export_id, dataset],
    )
    return msgspec.convert(found[0], Part) if found else None


async def rows_by_dataset(db: Connection, export_id: UUID) -> dict[str, int]:
    found = await dicts(
        db,
        """select dataset, sum(rows)::bigint as n from mailfleet.export_parts where export_id = %s
           group by 1 order by 1""",
        [export_id],
    )
    return {str(each["dataset"]): int(each["n"]) for each in found}


async def add_part(db: Connection, export_id: UUID, part: Part) -> None:
    await execute(
        db,
        """insert into mailfleet.export_parts (export_id, dataset, n, rows, digest, tail, next_start, files)
           values (%s, %s, %s, %s, %s, %s, %s, %s)""",
        [
            export_id, part.dataset, part.n, part.rows, part.digest, Json(list(part.tail)), part.next_start,
            Json(msgspec.to_builtins(part.files)),
        ],
    )  # fmt: skip


async def note_count(db: Connection, export_id: UUID, dataset: str, which: str, count: int | None) -> None:
    """Keeps what the vendor said it had; `which` is `before` or `after`. The first word stands."""
    await execute(
        db,
        """update mailfleet.exports set counts = jsonb_set(counts, array[%(set)s::text],
               jsonb_build_object(%(which)s::text, %(count)s::bigint) || coalesce(counts -> %(set)s, '{}'))
           where id = %(id)s""",
        {"id": export_id, "set": dataset, "which": which, "count": count},
    )


async def failed(db: Connection, export_id: UUID, error: str) -> None:
    """It stays unfinished and goes on at the next call."""
    await execute(db, "update mailfleet.exports set error = %s where id = %s", [error, export_id])


async def finish(db: Connection, export_id: UUID, manifest_sha256: Mapping[str, str], at: datetime) -> None:
    await execute(
        db,
        """update mailfleet.exports set state = 'done', finished_at = %s, manifest_sha256 = %s, error = ''
           where id = %s and state = 'running'""",
        [at, Json(dict(manifest_sha256)), export_id],
    )


async def verified(db: Connection, export_id: UUID, at: datetime) -> None:
    await execute(db, "update mailfleet.exports set verified_at = %s where id = %s", [at, export_id])


async def pruned(db: Connection, export_id: UUID, at: datetime) -> None:
    await execute(db, "update mailfleet.exports set state = 'pruned', pruned_at = %s where id = %s", [at, export_id])


async def put_restoration(
    db: Connection, archive: UUID, *, source: str, manifest: Mapping[str, Any], at: datetime
) -> None:
    await execute(
        db,
        """insert into mailfleet.restorations (archive, source, manifest, restored_at) values (%s, %s, %s, %s)
           on conflict (archive) do nothing""",
        [archive, source, Json(dict(manifest)), at],
    )


async def put_restored(
    db: Connection, archive: UUID, dataset: str, start: int, lines: Sequence[str], secret_ids: Sequence[UUID | None]
) -> None:
    """Rows `start`, `start + 1`, …; rows that are there already stay."""
    await execute(
        db,
        """insert into mailfleet.restored (archive, dataset, n, line, secret_id)
           select %s, %s, %s + t.k - 1, t.line, t.secret
           from unnest(%s::text[], %s::uuid[]) with ordinality as t(line, secret, k)
           on conflict do nothing""",
        [archive, dataset, start, list(lines), list(secret_ids)],
    )


async def restored_between(db: Connection, archive: UUID, dataset: str, start: int, end: int) -> int:
    """How many of the rows `start` up to but not including `end` are there."""
    found = await dicts(
        db,
        "select count(*) as n from mailfleet.restored where archive = %s and dataset = %s and n >= %s and n < %s",
        [archive, dataset, start, end],
    )
    return int(found[0]["n"])


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    n: int
    line: str
    secret_id: UUID | None


class Restoration(msgspec.Struct, frozen=True, kw_only=True):
    archive: UUID
    source: str
    manifest: dict[str, Any]
    restored_at: datetime


async def restoration(db: Connection, archive: str) -> Restoration | None:
    """By id or by name; of a name, the one restored last."""
    return await row(
        db, Restoration,
        """select archive, source, manifest, restored_at from mailfleet.restorations
           where archive::text = %s or manifest ->> 'prefix' = %s order by restored_at desc limit 1""",
        [archive, archive],
    )  # fmt: skip


async def restored(db: Connection, archive: UUID, dataset: str, after: int, *, limit: int) -> Sequence[Restored]:
    return await rows(
        db, Restored,
        """select n, line, secret_id from mailfleet.restored where archive = %s and dataset = %s and n > %s
           order by n limit %s""",
        [archive, dataset, after, limit],
    )  # fmt: skip


async def put_sample(
    db: Connection, *, platform: str, kind: str, ref: str, at: datetime, sample: Mapping[str, Any]
) -> None:
    """One sample of a thing and day; a later one of the same day replaces it."""
    await execute(
        db,
        """insert into mailfleet.platform_samples (platform, kind, ref, day, sample, sampled_at)
           values (%s, %s, %s, (%s at time zone 'utc')::date, %s, %s)
           on conflict (platform, kind, ref, day)
               do update set sample = excluded.sample, sampled_at = excluded.sampled_at""",
        [platform, kind, ref, at, Json(dict(sample)), at],
    )


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    ref: str
    day: str
    sample: dict[str, Any]


async def samples(db: Connection, platform: str, kind: str, after: tuple[str, str], *, limit: int) -> Sequence[Sample]:
    """In order of (ref, day), beginning after `after`."""
    return await rows(
        db, Sample,
        """select ref, day::text, sample from mailfleet.platform_samples
           where platform = %s and kind = %s and (ref, day::text) > (%s, %s) order by ref, day limit %s""",
        [platform, kind, *after, limit],
    )  # fmt: skip
