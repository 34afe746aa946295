"""A restored archive brought into a platform: campaigns as drafts, whom nobody wrote to yet as leads, refusals kept.

Nobody is begun in the middle of a sequence: an archive is a picture of its day, and what left since then is not in it.
Leads become leads of ours and take the usual way to the platform when the campaign is started, past every check.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from mailfleet.errors import ExportError
from mailfleet.platforms.archive import Record
from mailfleet.platforms.kept import Kept, KeptLead
from mailfleet.platforms.port import NewLead
from mailfleet.rules.mapping import Source
from mailfleet.services import campaign_import, imports, lead_rows, merged
from mailfleet.services.campaign_import import Planned
from mailfleet.services.clients import the_client
from mailfleet.services.context import Fleet
from mailfleet.services.lead_batches import Batcher
from mailfleet.services.lead_rows import Columns, Options
from mailfleet.services.restored import Restored
from mailfleet.store import campaigns, leads
from mailfleet.store import imports as records
from mailfleet.store.suppressions import Reason

CHUNK = 500
_PENDING = ("started", "in_progress", "paused", "unknown")
_OURS = ("email", "first_name", "last_name", "company")


class Campaign(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a campaign and its leads: `taken` are those nobody wrote to, the others stay in the archive."""

    planned: Planned
    taken: int = 0
    in_the_middle: int = 0
    over: int = 0
    refused: Mapping[str, int] = {}


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """`refusals` are the archive's, by reason; `new` and `contacted` what it added to ours (nothing in a dry run)."""

    campaigns: Sequence[Campaign]
    refusals: Mapping[str, int]
    sources: Sequence[Source] = ()
    new: int = 0
    contacted: int = 0


class _Tally:
    """One campaign while the archive's leads pass by."""

    def __init__(self, planned: Planned) -> None:
        self.planned, self.number = planned, 0
        self.waiting: list[NewLead] = []
        self.counts: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()

    def told(self) -> Campaign:
        middle, over = self.counts["in_the_middle"], self.counts["over"]
        return Campaign(
            planned=self.planned, taken=self.counts["taken"], in_the_middle=middle, over=over,
            refused=dict(self.refused),
        )  # fmt: skip


async def run(
    fleet: Fleet, archive: Restored, answers: Mapping[str, Mapping[str, Any]], options: Options, *, apply: bool = False
) -> Report:
    """What an import would do, or does with `apply`. Safe to stop and to repeat: nothing is made twice.

    Raises ExportError for an archive of a platform that is not read here.
    """
    kept = reader(fleet, archive)
    refusals = await _refusals(kept)
    sources = await sources_of(kept)
    planned = [each for _, each in await campaign_import.planned(fleet, known_as(archive.platform), sources, answers)]
    new = contacted = 0
    if apply:
        new = await merged.take(fleet, refusals, f"archive {archive.id}")
        contacted = await merged.mark(fleet, _written(kept))
        made = await campaign_import.make(fleet, known_as(archive.platform), planned)
        planned = [next((each for each in made if each.ref == one.ref), one) for one in planned]
    tallies = {each.ref: _Tally(each) for each in planned if each.action in ("create", "same")}
    await _leads(fleet, archive, kept, tallies, refusals, options, apply=apply)
    found = [tallies[each.ref].told() if each.ref in tallies else Campaign(planned=each) for each in planned]
    return Report(
        campaigns=found, sources=sources, refusals=dict(Counter(refusals.values())), new=new, contacted=contacted
    )


def known_as(platform: str) -> str:
    """What the archive's campaigns are known by: the platform itself may have others of the same ours."""
    return f"archive of {platform}"


async def sources_of(kept: Kept) -> list[Source]:
    return [
        Source(
            ref=each.ref, name=each.name, state=each.state, steps=campaign_import.forms(each.steps),
            mailboxes=each.mailboxes,
        )
        for each in await kept.campaigns()
    ]  # fmt: skip


def reader(fleet: Fleet, archive: Restored) -> Kept:
    read = fleet.archives.get(archive.platform)
    if read is None:
        raise ExportError(
            f"An archive of {archive.platform} is not read here.", hint=f"Those of {', '.join(fleet.archives)} are."
        )

    async def rows(dataset: str) -> AsyncIterator[Record]:
        if dataset in {each.name for each in archive.datasets()}:
            async for page in archive.pages(dataset, None):
                for row in page.rows:
                    yield row

    return read(rows)


async def _refusals(kept: Kept) -> dict[str, Reason]:
    found: dict[str, Reason] = {}
    async for entry, reason in kept.refusals():
        if key := merged.key_of(entry):
            found[key] = reason
    async for entry, text in kept.bounces():
        if merged.dead(text) and (key := merged.key_of(entry)):
            found.setdefault(key, "hard_bounce")
    return found


async def _written(kept: Kept) -> AsyncIterator[tuple[str, datetime]]:
    async for mail in kept.mails():
        yield mail.email, mail.at


def _mark(campaign: str, lead: str) -> bytes:
    """Who got a mail of which campaign, in eight bytes: there may be millions."""
    return hashlib.blake2b(f"{campaign}\x1f{lead}".encode(), digest_size=8).digest()


async def _leads(
    fleet: Fleet, archive: Restored, kept: Kept, tallies: Mapping[str, _Tally], refusals: Mapping[str, Reason],
    options: Options, *, apply: bool,
) -> None:  # fmt: skip
    written = {_mark(mail.campaign_ref, mail.lead_ref) async for mail in kept.mails()}
    async for lead in kept.leads():
        if (tally := tallies.get(lead.campaign_ref)) is None:
            continue
        if what := _left_out(lead, written, refusals, tally):
            tally.counts[what] += 1
            continue
        tally.waiting.append(lead.lead)
        if len(tally.waiting) >= CHUNK:
            await _take(fleet, archive, tally, options, apply=apply)
    for tally in tallies.values():
        if tally.waiting:
            await _take(fleet, archive, tally, options, apply=apply)


def _left_out(lead: KeptLead, written: set[bytes], refusals: Mapping[str, Reason], tally: _Tally) -> str:
    key = merged.key_of(lead.lead.email)
    if why := refusals.get(key) or refusals.get(key.rpartition("@")[2]):
        tally.refused[why] += 1
        return "refused"
    if lead.state not in _PENDING:
        return "over"
    return "in_the_middle" if _mark(lead.campaign_ref, lead.ref) in written else ""


async def _take(fleet: Fleet, archive: Restored, tally: _Tally, options: Options, *, apply: bool) -> None:
    """A few hundred leads of one campaign, in one transaction; those an interrupted call took stay as they are."""
    rows, tally.waiting = tally.waiting, []
    columns = _columns(tally.planned.config.get("fields") or ())
    async with fleet.db.transaction() as db:
        own = await campaigns.find(db, str(tally.planned.ours)) if tally.planned.ours else ()
        client = await the_client(db, str(own[0].client_id if own else tally.planned.config.get("client_id") or ""))
        batcher = Batcher(columns, options, fleet.of(client).policy.legal)
        chunk = batcher.chunk((tally.number + n, _cells(row, columns)) for n, row in enumerate(rows, 1))
        assert chunk is not None
        if not apply:
            out = await leads.would_take(db, chunk.lines, client_id=client.id, pepper=fleet.suppression_key)
            refused = [*(each.rule for each in chunk.refused), *(each.why for each in out)]
        else:
            named = f"archive:{archive.id}:{tally.planned.ref}"
            begun = await records.begin(
                db, client_id=client.id, file_name=tally.planned.name, sha256=named, columns=columns.named(),
                at=fleet.clock.now(),
            )  # fmt: skip
            there = begun.rows_read >= chunk.last
            stored = () if there else await imports.store_in(fleet, db, begun, chunk, own[0].id if own else None)
            refused = [each.rule for each in stored] if not there else ["taken before"] * len(rows)
    tally.number = chunk.last
    tally.refused.update(refused)
    tally.counts["taken"] += len(rows) - len(refused)


def _columns(fields: Sequence[str]) -> Columns:
    """The fields that a wording uses, and the name of everybody's job: the rest stays in the archive."""
    further = [name for name in dict.fromkeys(("job_title", *fields)) if name not in _OURS]
    header = (*_OURS, *further)
    return lead_rows.map_columns(header)


def _cells(lead: NewLead, columns: Columns) -> list[str]:
    own = {"email": lead.email, "first_name": lead.first_name, "last_name": lead.last_name, "company": lead.company}
    return [own.get(name) or lead.fields.get(name, "") for name in columns.header]
