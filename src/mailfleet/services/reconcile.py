"""Writes whose outcome is unknown are settled by reading at the vendor, never by making them again (I5, V9).

`done`: it took effect, or stands. `absent`: it did not, and whoever wants it may make it. What can never be read is
`unreadable`. What reading leaves open is told after some hours, and only a person abandons it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from uuid import UUID

import msgspec
import structlog

from mailfleet.errors import (
    CircuitOpen,
    MailfleetError,
    NotAllowed,
    RateLimited,
    Unauthorized,
    Unavailable,
    VendorError,
)
from mailfleet.platforms.settling import Finding, OpenWrite, Settler, unclear
from mailfleet.services import alerts, push
from mailfleet.services.context import Fleet
from mailfleet.store import alerts as alert_rows
from mailfleet.store import audit, campaigns, journal, links
from mailfleet.store.database import Connection
from mailfleet.store.journal import Open, Reconciled

ANSWERING = timedelta(minutes=2)
"""Real time in which whoever made the call reads by itself."""
TELL_AFTER = timedelta(hours=6)
ADDED = "add_leads_to_campaign"
_STATES: Mapping[str, Reconciled] = {
    "done": "reconciled_done", "absent": "reconciled_absent", "unreadable": "unreadable",
}  # fmt: skip
_SILENT = (CircuitOpen, RateLimited, Unauthorized, Unavailable)
log = structlog.get_logger(__name__)


class Grace(msgspec.Struct, frozen=True, kw_only=True):
    """Real time before an entry is read at all, and before not seeing its effect means that there is none."""

    ambiguous: timedelta = ANSWERING
    intended: timedelta = journal.LONGEST_ATTEMPT
    absent: timedelta = journal.LONGEST_ATTEMPT


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """What one round came to. `left` were read or could not be, and stay open."""

    done: int = 0
    absent: int = 0
    unreadable: int = 0
    left: int = 0

    @property
    def settled(self) -> int:
        return self.done + self.absent + self.unreadable


async def settle_open(fleet: Fleet, grace: Grace | None = None) -> Round:
    """Reads what became of every write left open. Each is held locked meanwhile, so no other process settles it too.

    A vendor that does not answer is asked once a round; its other entries wait for the next.
    """
    patience, counts = grace or Grace(), {"done": 0, "absent": 0, "unreadable": 0, "left": 0}
    silent: set[str] = set()
    last: Open | None = None
    while True:
        async with fleet.db.transaction() as db:
            last = await journal.take(db, after=last, ambiguous_for=patience.ambiguous, intended_for=patience.intended)
            if last is None:
                return Round(**counts)
            finding = await _read(fleet, last, silent)
            if finding.verdict == "unclear" or (finding.verdict == "absent" and last.age < patience.absent):
                counts["left"] += 1
                await _tell(fleet, db, last, finding, patience)
                continue
            await _write_down(fleet, db, last, finding)
        counts[finding.verdict] += 1
        await _follow_up(fleet, last)


async def abandon(fleet: Fleet, id: UUID, reason: str) -> None:
    """A person's word that it does not matter any more, or was looked up by hand. Raises NotAllowed when not open."""
    async with fleet.db.transaction() as db:
        now = fleet.clock.now()
        if not await journal.settle(db, id, "abandoned", outcome={"by": fleet.actor, "reason": reason}, at=now):
            raise NotAllowed(f"{id} is no write of unknown outcome.", hint="`mailfleet event unsettled` lists them.")
        await audit.record(
            db, actor=fleet.actor, action="abandon", entity="journal", entity_id=id, at=now, reason=reason
        )
        await alerts.resolve(fleet, db, _fact(id))


def settlers(fleet: Fleet) -> Iterator[Settler]:
    """Everyone that writes at a vendor and knows how to read it back."""
    platforms = (platform for _, _, platform in fleet.accounts())
    others = (part for parts in (fleet.dns_hosts, fleet.registrars, fleet.channels) for part in parts.values())
    for part in (*platforms, *others):
        if isinstance(part, Settler):
            yield part


async def _read(fleet: Fleet, entry: Open, silent: set[str]) -> Finding:
    """Only the account that wrote it can tell: another one's objects prove nothing."""
    account = next((each for each in settlers(fleet) if entry.key_id in each.keys), None)
    if account is None:
        return unclear("the key it was made with is not set up here any more")
    if entry.key_id in silent:
        return unclear("the vendor did not answer in this round")
    try:
        return await account.settle(OpenWrite(operation=entry.operation, match=entry.match, at=entry.intended_at))
    except VendorError as error:
        silent |= {entry.key_id} if isinstance(error, _SILENT) else set()
        return unclear(f"{error.code} {error}")
    except (KeyError, TypeError, ValueError) as error:
        return unclear(f"the entry does not hold what has to be compared: {error!r}")


async def _write_down(fleet: Fleet, db: Connection, entry: Open, finding: Finding) -> None:
    now = fleet.clock.now()
    outcome = {"found": finding.verdict, "read": dict(finding.evidence)}
    await journal.settle(db, entry.id, _STATES[finding.verdict], outcome=outcome, at=now, error=entry.error)
    await alerts.resolve(fleet, db, _fact(entry.id))
    if finding.verdict == "unreadable" and (notice := entry.match.get("notice")):
        await alert_rows.unknown(db, UUID(str(notice)), error=str(finding.evidence["reason"]))
    log.info("a write of unknown outcome is settled", operation=entry.operation, found=finding.verdict)


async def _tell(fleet: Fleet, db: Connection, entry: Open, finding: Finding, grace: Grace) -> None:
    if fleet.clock.now() - entry.intended_at < TELL_AFTER or entry.age < grace.absent:
        return
    reason = str(finding.evidence.get("reason", ""))
    await alerts.raise_alert(
        fleet, db, fact_key=_fact(entry.id), kind="unknown_outcome", severity="urgent",
        title=f"It is not known what became of {entry.operation} at {entry.vendor}",
        body=f"It was made at {entry.intended_at:%Y-%m-%d %H:%M} UTC, and reading does not tell: {reason}. "
        f"Look there; when it is clear, `mailfleet event abandon {entry.id} --reason …`.",
        context={"vendor": entry.vendor, "operation": entry.operation, "target": entry.target, "entry": str(entry.id)},
    )  # fmt: skip


async def _follow_up(fleet: Fleet, entry: Open) -> None:
    """The batch of leads that the write carried is settled by its own reading, unless a push has done so already."""
    if entry.operation != ADDED:
        return
    async with fleet.db.connection() as db:
        ours = await links.ours(db, platform=entry.vendor, kind="campaign", ref=str(entry.match.get("id", "")))
        campaign = await campaigns.need(db, UUID(ours)) if ours else None
    if campaign is None:
        return
    try:
        await push.settle_open(fleet, campaign)
    except MailfleetError as error:  # the next push settles it first of all
        log.warning("a batch stays open", campaign=campaign.name, error=f"{error.code} {error}")


def _fact(id: UUID) -> str:
    return f"unsettled:{id}"
