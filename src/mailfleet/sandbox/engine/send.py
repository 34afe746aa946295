"""Campaign mail: which lead is written to next, from which mailbox, and when.

Nothing runs in between: each campaign sleeps until the next moment at which it could send.
"""

from __future__ import annotations

import heapq
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from datetime import time as clock_time
from functools import lru_cache, partial
from typing import Any, cast
from zoneinfo import ZoneInfo

from mailfleet.sandbox.engine.exits import Noticed, check_breach
from mailfleet.sandbox.engine.react import react
from mailfleet.sandbox.reputation import note
from mailfleet.sandbox.seeds import fraction, hexes
from mailfleet.sandbox.smartlead.payloads import campaign_event, name_of, sent_event
from mailfleet.sandbox.smartlead.state import (
    Campaign,
    Lead,
    LeadMap,
    Mailbox,
    Sent,
    Step,
    Variant,
    smartlead,
    stats_uuid,
)
from mailfleet.sandbox.world import World

_PLACEHOLDER = re.compile(r"\{\{\s*([\w ]+?)\s*\}\}")
_LINK = re.compile(r"""href=["'](https?://[^"']+)["']""")
_IDLE = timedelta(hours=6)
_KEPT = timedelta(hours=50)
_OPEN = ("STARTED", "INPROGRESS", "PAUSED")
_GOES = ("STARTED", "INPROGRESS")


@dataclass
class Engine:
    """What a campaign still has to do."""

    fresh: deque[tuple[int, LeadMap]] = field(default_factory=deque[tuple[int, LeadMap]])
    follow: dict[int, list[tuple[datetime, int, int, LeadMap]]] = field(
        default_factory=dict[int, list[tuple[datetime, int, int, LeadMap]]]
    )
    free_from: dict[int, datetime] = field(default_factory=dict[int, datetime])
    day: date | None = None
    new_today: int = 0
    # Mailbox to [sent today, follow-ups among them].
    today: dict[int, list[int]] = field(default_factory=dict[int, list[int]])
    wake: datetime | None = None
    turn: int = 0


def engine(campaign: Campaign) -> Engine:
    """The campaign's engine."""
    if campaign.engine is None:
        campaign.engine = Engine()
    return cast(Engine, campaign.engine)


def enqueue(world: World, lead_map: LeadMap) -> None:
    """Puts a lead's next mail into its campaign's queues."""
    work, number = engine(lead_map.campaign), lead_map.version
    if lead_map.next_step == 1 or lead_map.mailbox is None:
        work.fresh.append((number, lead_map))
    else:
        entry = (lead_map.due or world.now, lead_map.id, number, lead_map)
        heapq.heappush(work.follow.setdefault(lead_map.mailbox.id, []), entry)
    wake(world, lead_map.campaign, world.now)


def wake(world: World, campaign: Campaign, moment: datetime) -> None:
    """Looks again at `moment`, unless the campaign looks earlier anyway."""
    work = engine(campaign)
    if campaign.status != "ACTIVE" or (work.wake is not None and work.wake <= moment):
        return
    work.wake = moment
    world.at(moment, partial(_tick, world, campaign, moment))


def _tick(world: World, campaign: Campaign, moment: datetime) -> None:
    work = engine(campaign)
    if work.wake != moment:
        return
    work.wake = None
    if campaign.status != "ACTIVE" or campaign.schedule is None:
        return
    opening = next_open(campaign, world.now)
    if opening > world.now:
        wake(world, campaign, opening)
        return
    _new_day(campaign, work, world.now)
    later = [at for box in _in_turn(campaign, work) if (at := _use(world, campaign, work, box)) is not None]
    if campaign.status != "ACTIVE":
        return
    if not later and _finished(campaign, work):
        set_status(world, campaign, "COMPLETED")
        return
    wake(world, campaign, max(world.now + timedelta(seconds=1), min(later, default=world.now + _IDLE)))


def _finished(campaign: Campaign, work: Engine) -> bool:
    if work.fresh or any(work.follow.values()):
        return False
    return not any(lead_map.status in _OPEN for lead_map in campaign.maps.values())


def set_status(world: World, campaign: Campaign, status: str) -> None:
    """Changes a campaign's state, tells the hooks, and starts the engine when it became active."""
    campaign.status, campaign.updated_at = status, world.now
    campaign_event(world, campaign)
    work = engine(campaign)
    work.wake = None
    if status == "ACTIVE":
        wake(world, campaign, world.now + timedelta(seconds=30))


def _new_day(campaign: Campaign, work: Engine, now: datetime) -> None:
    today = now.astimezone(zone(campaign)).date()
    if work.day != today:
        work.day, work.new_today, work.today = today, 0, {}


def _in_turn(campaign: Campaign, work: Engine) -> list[Mailbox]:
    boxes = list(campaign.mailboxes.values())
    work.turn += 1
    cut = work.turn % len(boxes) if boxes else 0
    return boxes[cut:] + boxes[:cut]


def _use(world: World, campaign: Campaign, work: Engine, box: Mailbox) -> datetime | None:
    """Sends from a mailbox if it may now; returns when it could send next, None when it has nothing to do."""
    free = work.free_from.get(box.id, world.now)
    if free > world.now:
        return free if work.fresh or work.follow.get(box.id) else None
    if box.suspended or not box.smtp_ok:
        return None
    if box.sent_at:
        free = box.sent_at[-1] + timedelta(minutes=int(box.fields.get("minTimeToWaitInMins") or 0))
    if free > world.now:
        work.free_from[box.id] = free
        return free if work.fresh or work.follow.get(box.id) else None
    if box.sent_since(midnight(campaign, world.now)) >= _cap(campaign, box):
        return next_open(campaign, midnight(campaign, world.now) + timedelta(days=1))
    lead_map, waits_until = _pick(world, campaign, work, box)
    if lead_map is None:
        return waits_until
    _send(world, campaign, lead_map, box)
    gap = timedelta(minutes=campaign.min_gap)
    stem = f"{campaign.id}:{box.id}:{len(campaign.sent)}"
    work.free_from[box.id] = world.now + gap * (1 + 0.25 * fraction(world, "gap", stem))
    return work.free_from[box.id]


def _cap(campaign: Campaign, box: Mailbox) -> int:
    return 10_000 if campaign.settings.get("ignore_ss_mailbox_sending_limit") else box.per_day


def _pick(world: World, campaign: Campaign, work: Engine, box: Mailbox) -> tuple[LeadMap | None, datetime | None]:
    """The next lead for a mailbox, or none and the moment at which one falls due."""
    counts = work.today.setdefault(box.id, [0, 0])
    follow_first = counts[1] * 100 <= campaign.settings.get("follow_up_percentage", 40) * counts[0]
    order = (_next_follow, _next_fresh) if follow_first else (_next_fresh, _next_follow)
    for choose in order:
        found = choose(world, campaign, work, box)
        if found is not None:
            counts[0] += 1
            counts[1] += choose is _next_follow
            return found, None
    queued = work.follow.get(box.id)
    moments = [queued[0][0]] if queued else []
    if work.fresh:
        moments.append(midnight(campaign, world.now) + timedelta(days=1))
    return None, next_open(campaign, max(world.now, min(moments))) if moments else None


def _next_follow(world: World, campaign: Campaign, work: Engine, box: Mailbox) -> LeadMap | None:
    queued = work.follow.get(box.id, [])
    while queued and queued[0][0] <= world.now:
        _, _, number, lead_map = heapq.heappop(queued)
        if number != lead_map.version:
            continue
        if lead_map.due and lead_map.due > world.now:
            heapq.heappush(queued, (lead_map.due, lead_map.id, number, lead_map))
        elif _sendable(world, lead_map):
            return lead_map
    return None


def _next_fresh(world: World, campaign: Campaign, work: Engine, box: Mailbox) -> LeadMap | None:
    while work.fresh and work.new_today < campaign.max_new:
        number, lead_map = work.fresh.popleft()
        if number == lead_map.version and _sendable(world, lead_map):
            work.new_today += 1
            return lead_map
    return None


def _sendable(world: World, lead_map: LeadMap) -> bool:
    """Whether the lead may still be written to, as the vendor checks it at the moment of sending."""
    lead = lead_map.lead
    if lead_map.status not in _GOES or lead_map.campaign.maps.get(lead_map.id) is not lead_map:
        return False
    if lead.unsubscribed or lead_map.unsubscribed:
        lead_map.status = "STOPPED"
        return False
    if smartlead(world).blocks_address(lead.email):
        lead_map.status = "BLOCKED"
        return False
    return lead_map.campaign.step(lead_map.next_step) is not None


def _send(world: World, campaign: Campaign, lead_map: LeadMap, box: Mailbox) -> None:
    step = cast(Step, campaign.step(lead_map.next_step))
    variant = _variant(world, lead_map, step)
    subject, body = (variant.subject, variant.body) if variant else (step.subject, step.body)
    identity = stats_uuid(world, "stats", lead_map.id, step.number, len(lead_map.sent))
    sent = Sent(
        identity,
        f"<{hexes(world, 24, 'message', identity)}@{box.domain}>",
        lead_map,
        step,
        variant,
        box,
        fill(subject, lead_map, box) or _thread_subject(lead_map),
        fill(body, lead_map, box),
        world.now,
        links=_LINK.findall(body),
    )
    _record(world, sent)
    _plan_next(world, sent)
    sent_event(world, sent)
    react(world, Noticed(sent))
    check_breach(world, campaign)


def _thread_subject(lead_map: LeadMap) -> str:
    first = lead_map.sent[0].subject if lead_map.sent else ""
    return first if first.startswith("Re: ") or not first else f"Re: {first}"


def _variant(world: World, lead_map: LeadMap, step: Step) -> Variant | None:
    if not step.variants:
        return None
    shares = [variant.share or 0 for variant in step.variants]
    if not any(shares):
        shares = [1] * len(step.variants)
    point = fraction(world, "variant", lead_map.id, step.number) * sum(shares)
    for variant, share in zip(step.variants, shares, strict=True):
        point -= share
        if point < 0:
            return variant
    return step.variants[-1]


def fill(text: str, lead_map: LeadMap, box: Mailbox) -> str:
    """The text with `{{first_name}}`, custom fields and `%signature%` put in; an unknown field becomes nothing."""
    if "{{" in text:
        text = _PLACEHOLDER.sub(_values(lead_map.lead), text)
    return text.replace("%signature%", str(box.fields.get("signature") or ""))


def _values(lead: Lead) -> Callable[[re.Match[str]], str]:
    values: dict[str, Any] = {
        **{key: value for key, value in lead.fields.items() if key != "custom_fields"},
        **(lead.fields.get("custom_fields") or {}),
        "email": lead.email,
        "name": name_of(lead),
    }
    return lambda found: str(values.get(found.group(1)) or "")


def _record(world: World, sent: Sent) -> None:
    lead_map, box = sent.lead_map, sent.mailbox
    lead_map.sent.append(sent)
    lead_map.campaign.sent.append(sent)
    smartlead(world).by_stats_id[sent.stats_id] = sent
    box.sent_at.append(world.now)
    while box.sent_at[0] < world.now - _KEPT:
        box.sent_at.popleft()
    note(world, box, sent=1)
    log_send(world, sent, "campaign")


def log_send(world: World, sent: Sent, kind: str, message_id: str | None = None) -> None:
    """Writes a mail that left into the world's log."""
    world.log.add(
        "sends",
        {
            "platform": "smartlead",
            "campaign_id": sent.lead_map.campaign.id,
            "lead_id": sent.lead_map.lead.id,
            "lead_email": sent.lead_map.lead.email,
            "mailbox": sent.mailbox.address,
            "step": sent.step.number,
            "variant": sent.variant.label if sent.variant else None,
            "message_id": message_id or sent.message_id,
            "kind": kind,
        },
    )


def _plan_next(world: World, sent: Sent) -> None:
    lead_map, campaign = sent.lead_map, sent.lead_map.campaign
    lead_map.mailbox, lead_map.status = sent.mailbox, "INPROGRESS"
    lead_map.next_step += 1
    following = campaign.step(lead_map.next_step)
    if following is None:
        lead_map.status, lead_map.due = "COMPLETED", None
        return
    local = world.now.astimezone(zone(campaign)).date() + timedelta(days=following.delay_days)
    lead_map.due = max(world.now, datetime.combine(local, clock_time(), zone(campaign)).astimezone(world.now.tzinfo))
    entry = (lead_map.due, lead_map.id, lead_map.version, lead_map)
    heapq.heappush(engine(campaign).follow.setdefault(sent.mailbox.id, []), entry)


@lru_cache(maxsize=512)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def zone(campaign: Campaign) -> ZoneInfo:
    """The time zone of the campaign's schedule."""
    return _zone((campaign.schedule or {"tz": "UTC"})["tz"])


def midnight(campaign: Campaign, now: datetime) -> datetime:
    """The beginning of the campaign's local day."""
    local = now.astimezone(zone(campaign)).date()
    return datetime.combine(local, clock_time(), zone(campaign)).astimezone(now.tzinfo)


def next_open(campaign: Campaign, moment: datetime) -> datetime:
    """The first moment from `moment` on at which the schedule allows sending."""
    schedule = campaign.schedule or {"days": [], "startHour": "00:00", "endHour": "00:00"}
    place, utc = zone(campaign), moment.tzinfo
    day = moment.astimezone(place).date()
    if campaign.schedule_start:
        moment = max(moment, datetime.fromisoformat(campaign.schedule_start))
        day = max(day, moment.astimezone(place).date())
    for ahead in range(15):
        that = day + timedelta(days=ahead)
        # The vendor counts from Sunday = 0.
        if that.isoweekday() % 7 not in schedule["days"]:
            continue
        opens, closes = (
            datetime.combine(that, clock_time.fromisoformat(schedule[edge]), place).astimezone(utc)
            for edge in ("startHour", "endHour")
        )
        if moment < closes:
            return max(moment, opens)
    return moment + timedelta(days=15)
