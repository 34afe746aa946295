"""What a campaign can send: by its mailboxes, their other campaigns, its hours, its gap and its limit of new leads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Literal

import msgspec

from mailfleet.rules import holiday, schedule
from mailfleet.rules.campaigns import CampaignConfig

Bottleneck = Literal["mailboxes", "shared mailboxes", "hours", "new leads a day", "leads", "floor"]
_Due = dict[int, list[tuple[date, int]]]
"""By step: (the day it falls due, how many leads)."""
_HORIZON = 3650
"""Days looked ahead: a campaign that takes longer does not finish."""


class Staff(msgspec.Struct, frozen=True, kw_only=True):
    """A mailbox of the campaign on one day. `cap` is all its campaign mail, `share` this campaign's part of it."""

    address: str
    able: bool
    cap: int
    share: int
    why: str = ""
    """Why it is not able to send."""


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """Mails still to send: leads that wait, and leads within the sequence by the step they reached."""

    waiting: int = 0
    reached: Mapping[int, int] = {}


class Capacity(msgspec.Struct, frozen=True, kw_only=True):
    """Of one sending day, and of the whole campaign."""

    mailboxes: int
    able: int
    a_day: int
    """Mails under all limits together."""
    new_a_day: int
    """Leads that can begin, when nothing else waits."""
    mails_left: int
    sending_days: int | None
    """None: it does not finish within ten years, or cannot send at all."""
    finish: date | None
    bottleneck: Bottleneck
    by_mailbox: Mapping[str, int]
    below_floor: bool


def capacity(config: CampaignConfig, staff: Sequence[Staff], work: Work, *, today: date) -> Capacity:
    day = next_day(config, today)
    by_mailbox = {each.address: mails(config, each, day) if day else 0 for each in staff}
    a_day = sum(by_mailbox.values())
    able = sum(1 for each in staff if each.able)
    below = able < config.minimum_mailboxes
    finished = None if below else _finish(config, a_day, work, today)
    left = work.waiting * len(config.sequence) + sum(
        n * (len(config.sequence) - min(step, len(config.sequence))) for step, n in work.reached.items()
    )
    return Capacity(
        mailboxes=len(staff),
        able=able,
        a_day=a_day,
        new_a_day=min(a_day, config.max_new_leads_per_day),
        mails_left=left,
        sending_days=finished[0] if finished else None,
        finish=finished[1] if finished else None,
        bottleneck="floor" if below else _bottleneck(config, staff, work, day, a_day, left),
        by_mailbox=by_mailbox,
        below_floor=below,
    )


def mails(config: CampaignConfig, one: Staff, day: date) -> int:
    """What this mailbox sends for this campaign on that day."""
    hours = schedule.slots(config.schedule, day, config.min_gap_minutes)
    return min(one.share, hours) if one.able else 0


def sends_on(config: CampaignConfig, day: date) -> bool:
    """Is it a sending day: a weekday of the schedule and no holiday?"""
    return day.isoweekday() in config.schedule.days and not holiday_of(config, day)


def holiday_of(config: CampaignConfig, day: date) -> str:
    return holiday.name(config.holidays, day) if config.holidays else ""


def next_day(config: CampaignConfig, day: date) -> date | None:
    """The first sending day on or after this one, within a year."""
    return next((d for d in (day + timedelta(days=n) for n in range(366)) if sends_on(config, d)), None)


def _finish(config: CampaignConfig, a_day: int, work: Work, today: date) -> tuple[int, date] | None:
    """Sending days and the last of them, day by day: follow-ups that are due go first up to their part of the day."""
    last = len(config.sequence)
    due: _Due = {step: [] for step in range(2, last + 1)}
    for step, n in work.reached.items():
        if 1 <= step < last:
            due[step + 1].append((today + timedelta(days=config.sequence[step].delay_days), n))
    waiting, days = work.waiting, 0
    for offset in range(_HORIZON):
        day = today + timedelta(days=offset)
        if not waiting and not any(due.values()):
            return days, day - timedelta(days=1)
        if not a_day or not sends_on(config, day):
            continue
        waiting, days = _one_day(config, a_day, waiting, due, day), days + 1
    return None


def _one_day(config: CampaignConfig, a_day: int, waiting: int, due: _Due, day: date) -> int:
    ready = sum(n for each in due.values() for at, n in each if at <= day)
    fresh = min(waiting, config.max_new_leads_per_day, a_day)
    follow = min(ready, a_day if not fresh else max(a_day * config.follow_up_percent // 100, a_day - fresh))
    fresh = min(fresh, a_day - follow)
    for step in sorted(due):
        follow -= _take(config, due, step, day, follow)
    if fresh and len(config.sequence) > 1:
        due[2].append((day + timedelta(days=config.sequence[1].delay_days), fresh))
    return waiting - fresh


def _take(config: CampaignConfig, due: _Due, step: int, day: date, most: int) -> int:
    taken, kept = 0, []
    for at, n in due[step]:
        part = min(n, most - taken) if at <= day else 0
        taken += part
        if n > part:
            kept.append((at, n - part))
    due[step] = kept
    if taken and step + 1 in due:
        due[step + 1].append((day + timedelta(days=config.sequence[step].delay_days), taken))
    return taken


def _bottleneck(
    config: CampaignConfig, staff: Sequence[Staff], work: Work, day: date | None, a_day: int, left: int
) -> Bottleneck:
    """The limit whose lifting would let it send more; the first that binds, outermost last."""
    if not left:
        return "leads"
    hours = schedule.slots(config.schedule, day, config.min_gap_minutes) if day else 0
    able = [each for each in staff if each.able]
    if day is None or (able and all(hours < each.share for each in able)):
        return "hours"
    if work.waiting and config.max_new_leads_per_day * len(config.sequence) < a_day:
        return "new leads a day"
    if any(each.share < min(each.cap, config.daily_per_mailbox) for each in able):
        return "shared mailboxes"
    return "mailboxes"


def room(config: CampaignConfig, staff: Sequence[Staff], *, begun_today: int, waiting_there: int, day: date) -> int:
    """Leads to add now so that the platform has one sending day's new leads and no more."""
    if sum(1 for each in staff if each.able) < config.minimum_mailboxes:
        return 0
    a_day = sum(mails(config, each, day) for each in staff)
    return max(0, min(a_day, config.max_new_leads_per_day) - begun_today - waiting_there)
