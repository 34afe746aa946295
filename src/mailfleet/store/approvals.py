"""What a person has to allow first. An approval is for one action on one scope, under a ceiling, once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

import msgspec
from psycopg.types.json import Json

from mailfleet.store.database import Connection, execute, row, rows

_COLUMNS: LiteralString = """id, action, scope, ceiling_cents, currency, requested_by, requested_at, needed,
    approved_by, approved_at, expires_at, withdrawn_at, used_at, reason"""


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """Money in cents of `currency`; open while neither used, withdrawn nor expired."""

    id: UUID
    action: str
    scope: dict[str, Any]
    ceiling_cents: int | None
    currency: str | None
    requested_by: str
    requested_at: datetime
    needed: int
    approved_by: list[str]
    approved_at: datetime | None
    expires_at: datetime
    withdrawn_at: datetime | None
    used_at: datetime | None
    reason: str


async def request(
    db: Connection,
    action: str,
    *,
    scope: Mapping[str, object],
    ceiling_cents: int | None,
    currency: str | None,
    by: str,
    reason: str,
    at: datetime,
    expires_at: datetime,
    needed: int = 1,
) -> Approval:
    """`needed` people have to approve; from two on, the one who asks is not among them (four eyes)."""
    found = await row(
        db,
        Approval,
        """insert into mailfleet.approvals
               (action, scope, ceiling_cents, currency, requested_by, requested_at, expires_at, reason, needed)
           values (%s, %s, %s, %s, %s, %s, %s, %s, %s) returning """
        + _COLUMNS,
        [action, Json(dict(scope)), ceiling_cents, currency, by, at, expires_at, reason, needed],
    )
    assert found is not None
    return found


async def find(db: Connection, id: str) -> Approval | None:
    return await row(db, Approval, "select " + _COLUMNS + " from mailfleet.approvals where id::text = %s", [id])


async def approve(db: Connection, id: UUID, *, by: str, at: datetime) -> Approval | None:
    """Adds one person's name once; approved when as many as needed have. None: not open, or not theirs to give."""
    return await row(
        db,
        Approval,
        """update mailfleet.approvals
           set approved_by = case when %(by)s = any(approved_by) then approved_by else approved_by || %(by)s end,
               approved_at = case when %(by)s = any(approved_by) or cardinality(approved_by) + 1 < needed
                                  then approved_at else %(at)s end
           where id = %(id)s and used_at is null and withdrawn_at is null and expires_at > %(at)s
             and (needed = 1 or requested_by <> %(by)s)
           returning """
        + _COLUMNS,
        {"id": id, "by": by, "at": at},
    )


async def withdraw(db: Connection, id: UUID, *, at: datetime) -> bool:
    """Takes it back, approved or not. False: it is used, withdrawn or expired already."""
    return (
        await execute(
            db,
            """update mailfleet.approvals set withdrawn_at = %(at)s
               where id = %(id)s and used_at is null and withdrawn_at is null and expires_at > %(at)s""",
            {"id": id, "at": at},
        )
        == 1
    )


async def waiting(db: Connection, *, at: datetime) -> list[Approval]:
    """What a person is asked to approve, oldest first."""
    return await rows(
        db,
        Approval,
        "select "
        + _COLUMNS
        + """ from mailfleet.approvals
              where approved_at is null and used_at is null and withdrawn_at is null and expires_at > %s
              order by requested_at, id""",
        [at],
    )


async def given(db: Connection, action: str, *, scope: Mapping[str, object], at: datetime) -> Approval | None:
    """The approval that could be used for exactly this now; it is left as it is."""
    return await row(
        db,
        Approval,
        "select "
        + _COLUMNS
        + """ from mailfleet.approvals
              where action = %(action)s and scope = %(scope)s::jsonb and approved_at is not null
                and used_at is null and withdrawn_at is null and expires_at > %(at)s
              order by requested_at limit 1""",
        {"action": action, "scope": Json(dict(scope)), "at": at},
    )


async def use(db: Connection, action: str, *, scope: Mapping[str, object], at: datetime) -> Approval | None:
    """Uses up the approval given for exactly this; None when there is none. Two runs cannot use the same one."""
    return await row(
        db,
        Approval,
        """update mailfleet.approvals set used_at = %(at)s
           where id = (select id from mailfleet.approvals
                       where action = %(action)s and scope = %(scope)s::jsonb and approved_at is not null
                         and used_at is null and withdrawn_at is null and expires_at > %(at)s
                       order by requested_at limit 1 for update skip locked)
           returning """
        + _COLUMNS,
        {"action": action, "scope": Json(dict(scope)), "at": at},
    )
