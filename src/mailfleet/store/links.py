"""Which of a platform's objects is which of ours. Leads are not here: their references live in the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from psycopg.types.json import Json

from mailfleet.errors import Unknown
from mailfleet.store.database import Connection, execute, tuples, value

Kind = Literal["client", "mailbox", "campaign", "sequence", "step", "webhook", "category"]


async def put(
    db: Connection,
    *,
    platform: str,
    kind: Kind,
    ours: UUID | str,
    ref: str,
    at: datetime,
    extra: Mapping[str, object] | None = None,
) -> None:
    """Links, or links anew: a mailbox that was made again at the platform is a new object there (V14)."""
    await execute(
        db,
        """insert into mailfleet.platform_links (kind, platform, ours, ref, extra, created_at)
           values (%s, %s, %s, %s, %s, %s)
           on conflict (platform, kind, ours) do update set ref = excluded.ref, extra = excluded.extra""",
        [kind, platform, str(ours), ref, Json(dict(extra or {})), at],
    )


async def ref(db: Connection, *, platform: str, kind: Kind, ours: UUID | str) -> str | None:
    return await value(
        db,
        "select ref from mailfleet.platform_links where platform = %s and kind = %s and ours = %s",
        [platform, kind, str(ours)],
    )


async def need(db: Connection, *, platform: str, kind: Kind, ours: UUID | str) -> str:
    """The platform's reference; raises Unknown when the object is not there."""
    found = await ref(db, platform=platform, kind=kind, ours=ours)
    if found is None:
        raise Unknown(f"This {kind} ({ours}) is not connected to {platform}.", hint="Run its set-up again.")
    return found


async def ours(db: Connection, *, platform: str, kind: Kind, ref: str) -> str | None:
    return await value(
        db,
        "select ours from mailfleet.platform_links where platform = %s and kind = %s and ref = %s",
        [platform, kind, ref],
    )


async def refs(db: Connection, *, platform: str, kind: Kind, ours: Sequence[UUID | str] = ()) -> Mapping[str, str]:
    """Ours → theirs, of those named or of all."""
    found = await tuples(
        db,
        """select ours, ref from mailfleet.platform_links
           where platform = %s and kind = %s and (%s::text[] = '{}' or ours = any(%s))""",
        [platform, kind, (names := [str(each) for each in ours]), names],
    )
    return dict(found)
