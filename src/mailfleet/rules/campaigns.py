"""A campaign's configuration: the specification's schema, with every problem named at once (spec, flow 3)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec

from mailfleet.errors import BadFile
from mailfleet.policy.model import SendLimits
from mailfleet.rules import address, schedule

MERGE = re.compile(r"\{\{\s*([^{}|]*?)\s*(?:\|([^{}]*))?\}\}")
FIELDS = frozenset({"first_name", "last_name", "company", "company_name", "email", "domain", "country"})
"""Merge fields every lead has; others are declared in `fields`."""
PLACES = frozenset({"unsubscribe", "signature", "sender_name", "sender_first_name", "identity"})
"""Merge fields that we or the platform fill, not the lead."""
STEPS_MAX = 50
DEFAULT_UNSUBSCRIBE = "If you would rather not hear from me again, reply with 'stop'."
REPLY_PREFIX = re.compile(r"^\s*(re|fwd?|aw|wg|tr|sv|antw)\s*:", re.I)

KEYS = {
    "": {"name", "client_id", "from_mailboxes", "sequence", "schedule", "limits", "tracking", "unsubscribe_text",
         "fields", "identity", "plain_text", "stop_on_reply"},
    "sequence": {"step", "subject", "body", "delay_days", "variants"},
    "variant": {"label", "subject", "body"},
    "schedule": {"timezone", "days", "start_hour", "end_hour", "min_gap_minutes", "max_new_leads_per_day"},
    "limits": {"daily_per_mailbox", "warmup_reserve"},
    "tracking": {"opens", "clicks"},
    "identity": {"legal_name", "trading_name", "company_number", "postal_address", "reply_contact"},
}  # fmt: skip


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    label: str
    subject: str
    body: str


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
    daily_per_mailbox: int
    warmup_reserve: int
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


class _Reader:
    """Takes values out of the file's dicts and gathers what is wrong with them."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def bad(self, where: str, what: str) -> None:
        self.problems.append(f"{where}: {what}")

    def table(self, value: object, where: str, kind: str) -> Mapping[str, Any]:
        if not isinstance(value, Mapping):
            self.bad(where, "has to be a table")
            return {}
        known = cast("Mapping[str, Any]", value)
        for key in known:
            if key not in KEYS[kind]:
                self.bad(f"{where}.{key}".lstrip("."), f"unknown key; known are {', '.join(sorted(KEYS[kind]))}")
        return known

    def text(self, table: Mapping[str, Any], key: str, where: str, *, default: str | None = None) -> str:
        value = table.get(key, default)
        if not isinstance(value, str):
            self.bad(f"{where}{key}", "is missing" if value is None else "has to be text")
            return ""
        return value

    def flag(self, table: Mapping[str, Any], key: str, where: str, default: bool) -> bool:
        value = table.get(key, default)
        if not isinstance(value, bool):
            self.bad(f"{where}{key}", "has to be true or false")
            return default
        return value

    def number(self, table: Mapping[str, Any], key: str, where: str, default: int | None, low: int, high: int) -> int:
        value = table.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int):
            self.bad(f"{where}{key}", "is missing" if value is None else "has to be a whole number")
            return default or low
        if not low <= value <= high:
            self.bad(f"{where}{key}", f"is {value}, has to be from {low} to {high}")
        return value

    def listing(self, table: Mapping[str, Any], key: str, where: str) -> Sequence[Any]:
        value = table.get(key, [])
        if not isinstance(value, (list, tuple)):
            self.bad(f"{where}{key}", "has to be a list")
            return ()
        return cast("Sequence[Any]", value)


def parse(config: Mapping[str, Any], limits: SendLimits | None = None) -> CampaignConfig:
    """The configuration, checked against the policy's `send_limits` (defaults when not given).

    Raises BadFile with every problem in its message and in `context["problems"]`.
    """
    read = _Reader()
    rule = limits or SendLimits()
    table = read.table(config, "", "")
    name = read.text(table, "name", "")
    if not name.strip() and "name" in table:
        read.bad("name", "is empty")
    fields = tuple(str(f) for f in read.listing(table, "fields", ""))
    steps = _steps(read, table, FIELDS | PLACES | set(fields))
    timing = read.table(table.get("schedule", {}), "schedule", "schedule")
    window = _window(read, timing)
    shares = _limits(read, read.table(table.get("limits", {}), "limits", "limits"), rule)
    tracking = read.table(table.get("tracking", {}), "tracking", "tracking")
    unsubscribe = read.text(table, "unsubscribe_text", "", default=DEFAULT_UNSUBSCRIBE)
    _header(read, "name", name)
    _way_out(read, unsubscribe, steps)
    made = CampaignConfig(
        name=name.strip(),
        client_id=read.text(table, "client_id", "", default=""),
        from_mailboxes=_mailboxes(read, table),
        sequence=steps,
        schedule=window,
        min_gap_minutes=read.number(timing, "min_gap_minutes", "schedule.", 10, 1, 1440),
        max_new_leads_per_day=read.number(timing, "max_new_leads_per_day", "schedule.", 100, 1, 100_000),
        daily_per_mailbox=shares[0],
        warmup_reserve=shares[1],
        track_opens=read.flag(tracking, "opens", "tracking.", False),
        track_clicks=read.flag(tracking, "clicks", "tracking.", False),
        stop_on_reply=read.flag(table, "stop_on_reply", "", True),
        plain_text=read.flag(table, "plain_text", "", False),
        unsubscribe_text=unsubscribe,
        fields=fields,
        identity={k: str(v) for k, v in read.table(table.get("identity", {}), "identity", "identity").items()},
    )
    if not made.stop_on_reply:
        read.bad("stop_on_reply", "every human reply stops the sequence; it cannot be switched off (S11)")
    if read.problems:
        raise _bad_file(read.problems)
    return made


def _bad_file(problems: list[str]) -> BadFile:
    return BadFile(
        f"The campaign's configuration has {len(problems)} problem{'s' if len(problems) != 1 else ''}: "
        + "; ".join(problems) + ".",
        hint="Correct them and run the command again; nothing was created.",
        problems=tuple(problems),
    )  # fmt: skip


def _steps(read: _Reader, table: Mapping[str, Any], known: frozenset[str] | set[str]) -> tuple[Step, ...]:
    rows = read.listing(table, "sequence", "")
    if not rows:
        read.bad("sequence", "has no step")
    if len(rows) > STEPS_MAX:
        read.bad("sequence", f"has {len(rows)} steps, at most {STEPS_MAX} are possible")
    made: list[Step] = []
    for position, row in enumerate(rows[:STEPS_MAX], start=1):
        where = f"sequence[{position}]"
        step = _step(read, read.table(row, where, "sequence"), where, position)
        if step.step != position:
            read.bad(f"{where}.step", f"is {step.step}, has to be {position}: steps count from 1 without gaps")
        _wording(read, step, where, known)
        made.append(step)
    return tuple(made)


def _step(read: _Reader, row: Mapping[str, Any], where: str, position: int) -> Step:
    variants = tuple(
        Variant(
            label=read.text(cells, "label", f"{where}.variants."),
            subject=read.text(cells, "subject", f"{where}.variants.", default=""),
            body=read.text(cells, "body", f"{where}.variants."),
        )
        for cells in (read.table(v, f"{where}.variants", "variant") for v in read.listing(row, "variants", f"{where}."))
    )
    return Step(
        step=read.number(row, "step", f"{where}.", position, 1, STEPS_MAX),
        subject=read.text(row, "subject", f"{where}.", default="" if position > 1 else None),
        body=read.text(row, "body", f"{where}."),
        delay_days=read.number(row, "delay_days", f"{where}.", 0 if position == 1 else None, 0, 365),
        variants=variants,
    )


def _wording(read: _Reader, step: Step, where: str, known: frozenset[str] | set[str]) -> None:
    forms = [(where, step.subject, step.body), *((f"{where}.{v.label}", v.subject, v.body) for v in step.variants)]
    for place, subject, body in forms:
        _header(read, f"{place}.subject", subject)
        if step.step == 1 and REPLY_PREFIX.match(subject):
            read.bad(f"{place}.subject", "begins like an answer (Re:, Fwd:), which a first mail is not (L16)")
        if step.step == 1 and not subject.strip():
            read.bad(f"{place}.subject", "is empty")
        if not body.strip():
            read.bad(f"{place}.body", "is empty")
        for field in sorted(merge_fields(subject) | merge_fields(body)):
            if field not in known:
                read.bad(place, f"unknown merge field {{{{{field}}}}}; declare it in `fields` or correct it")
        if re.search(r"\{\{[^{}]*$|\{\{[^}]*\}(?!\})", f"{subject}\n{body}"):
            read.bad(place, "a merge field is not closed by }}")


def _header(read: _Reader, where: str, text: str) -> None:
    # A line break would end the header and let the rest become headers of its own (RFC 5322 2.2).
    if re.search(r"[\r\n\x00\x0b\x0c\x85\u2028\u2029]", text):
        read.bad(where, "holds a line break or control character")


def _way_out(read: _Reader, unsubscribe: str, steps: tuple[Step, ...]) -> None:
    if unsubscribe.strip():
        return
    lacking = [str(s.step) for s in steps if "unsubscribe" not in merge_fields(s.body)]
    if lacking:
        read.bad("unsubscribe_text", f"is empty and step {', '.join(lacking)} has no {{{{unsubscribe}}}} (L6)")


def _mailboxes(read: _Reader, table: Mapping[str, Any]) -> tuple[str, ...]:
    found: list[str] = []
    for given in read.listing(table, "from_mailboxes", ""):
        try:
            found.append(address.normalise(str(given)).norm)
        except address.BadAddress as error:
            read.bad("from_mailboxes", f"{given!r} is not an address: {error}")
    if len(set(found)) != len(found):
        read.bad("from_mailboxes", "names a mailbox twice")
    return tuple(dict.fromkeys(found))


def _window(read: _Reader, table: Mapping[str, Any]) -> schedule.Window:
    timezone = read.text(table, "timezone", "schedule.")
    if timezone:
        try:
            schedule.zone(timezone)
        except ValueError:
            read.bad("schedule.timezone", f"{timezone!r} is not a time zone; name one like Australia/Sydney")
    days: list[int] = []
    for given in read.listing(table, "days", "schedule."):
        try:
            days.append(schedule.weekday(given))
        except ValueError:
            read.bad("schedule.days", f"{given!r} is not a weekday; use mon, tue, wed, thu, fri, sat, sun")
    start = read.number(table, "start_hour", "schedule.", None, 0, 23)
    end = read.number(table, "end_hour", "schedule.", None, 1, 24)
    if not days:
        read.bad("schedule.days", "names no day, so nothing could ever be sent")
    if end <= start and "start_hour" in table and "end_hour" in table:
        read.bad("schedule", f"is impossible: it opens at {start} and closes at {end}")
    return schedule.Window(timezone=timezone, days=tuple(sorted(set(days))), start_hour=start, end_hour=end)


def _limits(read: _Reader, table: Mapping[str, Any], rule: SendLimits) -> tuple[int, int]:
    default = rule.production
    daily = read.number(table, "daily_per_mailbox", "limits.", default.campaign_per_mailbox, 1, 1_000_000)
    reserve = read.number(table, "warmup_reserve", "limits.", default.warmup_reserve, 0, 1_000_000)
    if daily > rule.emergency.pause_threshold:
        read.bad("limits.daily_per_mailbox", f"is {daily}; above {rule.emergency.pause_threshold} is refused (S4)")
    elif daily + max(reserve, default.warmup_reserve) > default.hard_limit:
        most = default.hard_limit - max(reserve, default.warmup_reserve)
        read.bad("limits.daily_per_mailbox", f"is {daily}; with the warm-up reserve at most {most} are possible (S2)")
    if reserve < default.warmup_reserve:
        read.bad("limits.warmup_reserve", f"is {reserve}; {default.warmup_reserve} always stay free for warm-up (S2)")
    return daily, reserve


def merge_fields(text: str) -> frozenset[str]:
    """The names between `{{` and `}}`."""
    return frozenset(match.group(1) for match in MERGE.finditer(text))


def needed_fields(config: CampaignConfig) -> frozenset[str]:
    """Merge fields a lead has to fill: used somewhere without a fallback, and not ours to fill."""
    texts = [
        t for s in config.sequence for t in (s.subject, s.body, *(w for v in s.variants for w in (v.subject, v.body)))
    ]
    return frozenset(m.group(1) for t in texts for m in MERGE.finditer(t) if m.group(2) is None) - PLACES


def missing_fields(config: CampaignConfig, values: Mapping[str, str]) -> tuple[str, ...]:
    """Fields this lead leaves empty although the text needs them."""
    return tuple(sorted(f for f in needed_fields(config) if not str(values.get(f, "")).strip()))


def render(text: str, values: Mapping[str, str]) -> str:
    """`text` with its merge fields filled: `{{name}}`, or `{{name|fallback}}` where the value is empty.

    Values lose their line breaks, so that a lead cannot bring headers or lines of its own.
    """

    def fill(match: re.Match[str]) -> str:
        value = str(values.get(match.group(1), "")).strip()
        return re.sub(r"\s+", " ", value) or (match.group(2) or "").strip()

    return MERGE.sub(fill, text)


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """What the world offers a campaign at its start."""

    mailboxes_production: int
    mailboxes_connected: int
    leads_ready: int
    identity: Mapping[str, str] = {}
    domains_verified: bool = True
    limits_ok: bool = True


class Check(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    ok: bool
    detail: str = ""


def preflight(config: CampaignConfig, ready: Readiness) -> tuple[Check, ...]:
    """What has to be true before a campaign starts: all of it, each with what to do."""
    identity = {**ready.identity, **config.identity}
    lacking = [
        key for key in ("legal_name", "postal_address", "reply_contact") if not str(identity.get(key, "")).strip()
    ]
    return (
        Check(name="mailboxes", ok=ready.mailboxes_production > 0,
              detail=f"{ready.mailboxes_production} of its mailboxes are in PRODUCTION"),
        Check(name="connected", ok=ready.mailboxes_connected >= ready.mailboxes_production,
              detail=f"{ready.mailboxes_connected} are connected at the platform"),
        Check(name="leads", ok=ready.leads_ready > 0, detail=f"{ready.leads_ready} leads are ready to send"),
        Check(name="identity", ok=not lacking,
              detail=f"the sender's {', '.join(lacking)} missing (L5)" if lacking else "complete"),
        Check(name="unsubscribe", ok=True, detail=config.unsubscribe_text or "in every body"),
        Check(name="domains", ok=ready.domains_verified, 
              detail="DNS verified" if ready.domains_verified else "DNS is not verified"),
        Check(name="limits", ok=ready.limits_ok, detail=f"{config.daily_per_mailbox} a day for a mailbox"),
    )  # fmt: skip
