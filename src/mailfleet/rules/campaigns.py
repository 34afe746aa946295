"""A campaign's configuration, and what is wrong with it as a whole (spec, flow 3). Reading it: `campaign_file`."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator

import msgspec

from mailfleet.policy.model import SendLimits
from mailfleet.rules import holiday, schedule, wording
from mailfleet.rules.rendering import FIELDS, PLACES, merge_fields

STEPS_MAX = 50
VARIANTS_MAX = 26
"""Their labels are letters."""
DEFAULT_UNSUBSCRIBE = "If you would rather not hear from me again, reply with 'stop'."


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """`share` is its part of the leads in per cent; 0 in all of them: equal parts."""

    label: str
    subject: str
    body: str
    share: int = 0


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """`delay_days` counts from the step before; an empty subject after step 1 stays in the thread."""

    step: int
    subject: str
    body: str
    delay_days: int
    variants: tuple[Variant, ...] = ()


class CampaignConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration that has been checked. `hash` changes when anything in it does."""

    name: str
    client_id: str = ""
    from_mailboxes: tuple[str, ...] = ()
    sequence: tuple[Step, ...]
    schedule: schedule.Window
    min_gap_minutes: int = 10
    max_new_leads_per_day: int = 100
    holidays: tuple[str, ...] = ()
    """Calendars on whose days nothing is sent: `AU`, `AU-NSW`."""
    daily_per_mailbox: int
    warmup_reserve: int
    minimum_mailboxes: int = 1
    """The floor: with fewer mailboxes able to send, it pauses (S12a)."""
    follow_up_percent: int = 50
    """How much of a day's mail may be follow-ups while new leads wait."""
    track_opens: bool = False
    """Off unless switched on (S12c)."""
    track_clicks: bool = False
    stop_on_reply: bool = True
    plain_text: bool = False
    unsubscribe_text: str = DEFAULT_UNSUBSCRIBE
    fields: tuple[str, ...] = ()
    identity: dict[str, str] = {}

    @property
    def hash(self) -> str:
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()[:16]


def problems(config: CampaignConfig, limits: SendLimits | None = None) -> list[str]:
    """All that is wrong with it, each with its field, by the policy's `send_limits` (defaults when not given).

    A stored configuration is judged again before each start: the policy may have changed since it was read.
    """
    return [f"{where}: {what}" for where, what in _all(config, limits or SendLimits())]


def _all(config: CampaignConfig, limits: SendLimits) -> Iterator[tuple[str, str]]:
    if not config.name.strip():
        yield "name", "is empty"
    if any(what.startswith("holds a line") for what in wording.subject_problems(config.name, first=False)):
        yield "name", "holds a line break or control character"
    for what in wording.field_problems(config.name, ()):
        yield "name", what
    yield from _mailboxes(config)
    yield from _sequence(config)
    yield from _window(config.schedule)
    yield from _holidays(config)
    yield from _limits(config, limits)
    yield from _way_out(config)
    if not config.stop_on_reply:
        yield "stop_on_reply", "every human reply stops the sequence; it cannot be switched off (S11)"


def _mailboxes(config: CampaignConfig) -> Iterator[tuple[str, str]]:
    twice = [address for address, n in Counter(config.from_mailboxes).items() if n > 1]
    if twice:
        yield "from_mailboxes", f"names a mailbox twice: {', '.join(twice)}"
    if config.from_mailboxes and config.minimum_mailboxes > len(set(config.from_mailboxes)):
        named = len(set(config.from_mailboxes))
        yield "limits.minimum_mailboxes", f"is {config.minimum_mailboxes}, but only {named} mailboxes are named"


def _sequence(config: CampaignConfig) -> Iterator[tuple[str, str]]:
    if not config.sequence:
        yield "sequence", "has no step"
    if len(config.sequence) > STEPS_MAX:
        yield "sequence", f"has {len(config.sequence)} steps, at most {STEPS_MAX} are possible"
    known = FIELDS | PLACES | set(config.fields)
    for position, step in enumerate(config.sequence[:STEPS_MAX], start=1):
        where = f"sequence[{position}]"
        if step.step != position:
            yield f"{where}.step", f"is {step.step}, has to be {position}: steps count from 1 without gaps"
        yield from _form(where, step.subject, step.body, step.step == 1, known)
        yield from _variants(where, step, known)


def _form(where: str, subject: str, body: str, first: bool, known: frozenset[str]) -> Iterator[tuple[str, str]]:
    for what in wording.subject_problems(subject, first=first):
        yield f"{where}.subject", what
    for what in wording.body_problems(body):
        yield f"{where}.body", what
    for name, text in (("subject", subject), ("body", body)):
        for what in wording.field_problems(text, known):
            yield f"{where}.{name}", what


def _variants(where: str, step: Step, known: frozenset[str]) -> Iterator[tuple[str, str]]:
    if len(step.variants) > VARIANTS_MAX:
        yield f"{where}.variants", f"are {len(step.variants)}, at most {VARIANTS_MAX} are possible"
    if twice := [label for label, n in Counter(form.label for form in step.variants).items() if n > 1]:
        yield f"{where}.variants", f"name a label twice: {', '.join(twice)}"
    shares = [form.share for form in step.variants]
    if any(shares) and (not all(shares) or sum(shares) != 100):
        yield f"{where}.variants", f"have shares of {sum(shares)} together; give each one and 100 in all, or none"
    for number, form in enumerate(step.variants[:VARIANTS_MAX], start=1):
        subject = form.subject or step.subject
        place = f"{where}.variants[{number}]"
        if not form.label.strip():
            yield f"{place}.label", "is empty"
        yield from _form(place, subject, form.body, step.step == 1, known)


def _window(window: schedule.Window) -> Iterator[tuple[str, str]]:
    if window.timezone:
        try:
            schedule.zone(window.timezone)
        except ValueError:
            yield "schedule.timezone", f"{window.timezone!r} is not a time zone; name one like Australia/Sydney"
    if not window.days:
        yield "schedule.days", "names no day, so nothing could ever be sent"
    if window.end_hour <= window.start_hour:
        yield "schedule", f"is impossible: it opens at {window.start_hour} and closes at {window.end_hour}"


def _holidays(config: CampaignConfig) -> Iterator[tuple[str, str]]:
    for code in config.holidays:
        if what := holiday.problem(code):
            yield "schedule.holidays", what


def _limits(config: CampaignConfig, limits: SendLimits) -> Iterator[tuple[str, str]]:
    rule, daily, reserve = limits.production, config.daily_per_mailbox, config.warmup_reserve
    most = rule.hard_limit - max(reserve, rule.warmup_reserve)
    if daily > limits.emergency.pause_threshold:
        yield "limits.daily_per_mailbox", f"is {daily}; above {limits.emergency.pause_threshold} is refused (S4)"
    elif daily > most:
        yield "limits.daily_per_mailbox", f"is {daily}; with the warm-up reserve at most {most} are possible (S2)"
    if reserve < rule.warmup_reserve:
        yield "limits.warmup_reserve", f"is {reserve}; {rule.warmup_reserve} always stay free for warm-up (S2)"


def _way_out(config: CampaignConfig) -> Iterator[tuple[str, str]]:
    if not config.unsubscribe_text.strip():
        yield "unsubscribe_text", "is empty, so that nobody could say stop (L6)"


def uses(config: CampaignConfig, field: str) -> bool:
    """Does any text have this merge field?"""
    forms = [(s.subject, s.body) for s in config.sequence]
    forms += [(v.subject, v.body) for s in config.sequence for v in s.variants]
    return any(field in merge_fields(subject) | merge_fields(body) for subject, body in forms)
