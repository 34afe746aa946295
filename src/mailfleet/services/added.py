"""Leads given as data instead of a file: the same gates, then the push when the campaign takes leads now."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec

from mailfleet.errors import Busy
from mailfleet.services import imports, lead_rows, push
from mailfleet.services.clients import fleet_of
from mailfleet.services.context import Fleet
from mailfleet.services.lead_batches import Batcher
from mailfleet.services.lead_rows import Options
from mailfleet.store import campaigns as store
from mailfleet.store import imports as records


async def add(fleet: Fleet, campaign_id: UUID, leads: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """`{added_count, refused_count, refused: {rule: n}}`. The same rows given again are taken once.

    A row without `source` counts as given by the caller; the law's gate holds as for a file.
    """
    names = list(dict.fromkeys(str(name) for lead in leads for name in lead))
    columns = lead_rows.map_columns(names)
    rows = [(n, [_text(lead.get(name)) for name in names]) for n, lead in enumerate(leads, start=2)]
    digest = hashlib.sha256(msgspec.json.encode([str(campaign_id), names, rows])).hexdigest()
    async with fleet.db.transaction() as db:
        campaign = await store.need(db, campaign_id)
        fleet = await fleet_of(fleet, campaign.client_id, db)
        begun = await records.begin(
            db, client_id=campaign.client_id, file_name="given as data", sha256=digest, columns=columns.named(),
            at=fleet.clock.now(),
        )  # fmt: skip
    left = [row for row in rows if row[0] > begun.rows_read]
    batcher = Batcher(columns, Options(source=fleet.actor), fleet.policy.legal)
    for start in range(0, len(left), imports.BATCH):
        if chunk := batcher.chunk(left[start : start + imports.BATCH]):
            await imports.store(fleet, begun, chunk, campaign_id)
    async with fleet.db.transaction() as db:
        done = await records.finish(db, begun.id, fleet.clock.now())
        refused = {each.rule: each.n for each in await records.refused_by_rule(db, begun.id)}
    if campaign.state == "running":
        with contextlib.suppress(Busy):  # they are stored, and the next run pushes them
            refused |= dict((await push.push_ready(fleet, campaign)).by_rule)
    return {"added_count": done.taken, "refused_count": done.refused, "refused": refused}


def _text(value: object) -> str:
    return "" if value is None else str(value)
