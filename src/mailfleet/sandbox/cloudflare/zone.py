"""What Cloudflare keeps of a zone, and what of it the nameservers serve at a given moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

# Activation is first looked at after 60 s, then at growing gaps (Cloudflare docs, "Zone status").
FIRST_CHECK = timedelta(seconds=60)
LONGEST_GAP = timedelta(hours=2)
GAP_GROWTH = 1.5


@dataclass(frozen=True, kw_only=True)
class Record:
    """One DNS record as the API shows it. `ttl` is seconds, 1 meaning automatic."""

    id: str
    name: str
    type: str
    content: str
    ttl: int
    proxied: bool
    priority: int | None
    data: Mapping[str, object] | None = field(hash=False)
    comment: str | None
    created_on: datetime
    modified_on: datetime


@dataclass
class Served:
    """One version of a record and the span in which the nameservers give it."""

    record: Record
    since: datetime
    until: datetime | None = None

    def at(self, moment: datetime) -> bool:
        return self.since <= moment and (self.until is None or moment < self.until)


@dataclass
class Zone:
    """A zone of one account: records as written, and their history as served."""

    id: str
    name: str
    account_id: str
    nameservers: tuple[str, str]
    original_nameservers: tuple[str, ...]
    created_on: datetime
    status: str = "pending"
    activated_on: datetime | None = None
    modified_on: datetime | None = None
    records: dict[str, Record] = field(default_factory=dict[str, Record])
    history: list[Served] = field(default_factory=list[Served])
    next_check: datetime | None = None
    gap: timedelta = FIRST_CHECK
    asked_check: datetime | None = None
    changes: int = 0

    def published(self, moment: datetime) -> Sequence[Record]:
        """The records that the nameservers answer with at `moment`."""
        return [served.record for served in self.history if served.at(moment)]

    def version(self, moment: datetime) -> int:
        """A number that changes whenever what is served changes."""
        return sum(_steps(self.history, moment))

    def replace_records(self, new: dict[str, Record], visible_from: Callable[[str], datetime]) -> None:
        """Takes `new` as the zone's records; the nameservers follow, each record id at its own time.

        The edge does not follow a batch as one (docs "Batch record changes").
        """
        for served in self.history:
            if served.until is None and new.get(served.record.id) != served.record:
                served.until = visible_from(served.record.id)
        before = self.records
        changed = [record for key, record in new.items() if before.get(key) != record]
        self.history += [Served(record, visible_from(record.id)) for record in changed]
        self.records = new
        self.changes += 1

    def check_times(self, moment: datetime) -> Iterator[datetime]:
        """The times up to `moment` at which Cloudflare looks at the delegation by itself."""
        due = self.next_check or self.created_on + FIRST_CHECK
        while due <= moment:
            yield due
            self.gap = min(self.gap * GAP_GROWTH, LONGEST_GAP)
            due += self.gap
        self.next_check = due


def _steps(history: Sequence[Served], moment: datetime) -> Iterator[int]:
    for served in history:
        yield (served.since <= moment) + (served.until is not None and served.until <= moment)
