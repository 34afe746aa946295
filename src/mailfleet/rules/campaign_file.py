"""Reading a campaign's file (TOML or JSON, as data), with every problem named at once; and writing it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from mailfleet.errors import BadFile
from mailfleet.policy.model import SendLimits
from mailfleet.rules import address, schedule
from mailfleet.rules.campaigns import DEFAULT_UNSUBSCRIBE, STEPS_MAX, CampaignConfig, Step, Variant, problems

KEYS = {
    "": {"name", "client_id", "from_mailboxes", "sequence", "schedule", "limits", "tracking", "unsubscribe_text",
         "fields", "identity", "plain_text", "stop_on_reply"},
    "sequence": {"step", "subject", "body", "delay_days", "variants"},
    "variant": {"label", "subject", "body", "share"},
    "schedule": {"timezone", "days", "start_hour", "end_hour", "min_gap_minutes", "max_new_leads_per_day", "holidays"},
    "limits": {"daily_per_mailbox", "warmup_reserve", "minimum_mailboxes", "follow_up_percent"},
    "tracking": {"opens", "clicks"},
    "identity": {"legal_name", "trading_name", "company_number", "postal_address", "reply_contact"},
}  # fmt: skip
_READ_VARIANTS = 100


class _Reader:
    """Takes values out of the file's dicts and gathers what is wrong with them."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def bad(self, where: str, what: str) -> None:
        self.problems.append(f"{where}: {what}")

    def table(self, value: object, where: str, kind: str) -> Mapping[str, Any]:
        if not isinstance(value, Mapping):
            self.bad(where or "the file", "has to be a table")
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
            return default or "-"
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
            return default if default is not None else low
        if not low <= value <= high:
            self.bad(f"{where}{key}", f"is {value}, has to be from {low} to {high}")
            return default if default is not None else low
        return value

    def listing(self, table: Mapping[str, Any], key: str, where: str) -> Sequence[Any]:
        value = table.get(key, [])
        if not isinstance(value, (list, tuple)):
            self.bad(f"{where}{key}", "has to be a list")
            return ()
        return cast("Sequence[Any]", value)

    def words(self, table: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
        given = self.listing(table, key, where)
        if wrong := [each for each in given if not isinstance(each, str)]:
            self.bad(f"{where}{key}", f"{wrong[0]!r} is no text")
        return tuple(each for each in given if isinstance(each, str))


def parse(config: Mapping[str, Any], limits: SendLimits | None = None) -> CampaignConfig:
    """The configuration, checked against the policy's `send_limits` (defaults when not given).

    Raises BadFile with every problem in its message and in `context["problems"]`.
    """
    rule, read = limits or SendLimits(), _Reader()
    made = _config(read, read.table(config, "", ""), rule)
    # What could not be read stands in for itself with a harmless value: it is told once, by the reader.
    told = {line.split(":")[0] for line in read.problems}
    found = read.problems + [line for line in problems(made, rule) if line.split(":")[0] not in told]
    if found:
        raise BadFile(
            f"The campaign's configuration has {len(found)} problem{'s' if len(found) != 1 else ''}: "
            + "; ".join(found) + ".",
            hint="Correct them and run the command again; nothing was created.",
            problems=tuple(found),
        )  # fmt: skip
    return made


def _config(read: _Reader, table: Mapping[str, Any], rule: SendLimits) -> CampaignConfig:
    timing = read.table(table.get("schedule", {}), "schedule", "schedule")
    shares = read.table(table.get("limits", {}), "limits", "limits")
    tracking = read.table(table.get("tracking", {}), "tracking", "tracking")
    daily, reserve = rule.production.campaign_per_mailbox, rule.production.warmup_reserve
    return CampaignConfig(
        name=read.text(table, "name", "").strip(),
        client_id=read.text(table, "client_id", "", default=""),
        from_mailboxes=_mailboxes(read, table),
        sequence=_steps(read, table),
        schedule=_window(read, timing),
        min_gap_minutes=read.number(timing, "min_gap_minutes", "schedule.", 10, 3, 1440),
        max_new_leads_per_day=read.number(timing, "max_new_leads_per_day", "schedule.", 100, 1, 100_000),
        holidays=read.words(timing, "holidays", "schedule."),
        daily_per_mailbox=read.number(shares, "daily_per_mailbox", "limits.", daily, 1, 1_000_000),
        warmup_reserve=read.number(shares, "warmup_reserve", "limits.", reserve, 0, 1_000_000),
        minimum_mailboxes=read.number(shares, "minimum_mailboxes", "limits.", 1, 1, 10_000),
        follow_up_percent=read.number(shares, "follow_up_percent", "limits.", 50, 0, 100),
        track_opens=read.flag(tracking, "opens", "tracking.", False),
        track_clicks=read.flag(tracking, "clicks", "tracking.", False),
        stop_on_reply=read.flag(table, "stop_on_reply", "", True),
        plain_text=read.flag(table, "plain_text", "", False),
        unsubscribe_text=read.text(table, "unsubscribe_text", "", default=DEFAULT_UNSUBSCRIBE),
        fields=read.words(table, "fields", ""),
        identity=_identity(read, table),
    )


def _identity(read: _Reader, table: Mapping[str, Any]) -> dict[str, str]:
    given = read.table(table.get("identity", {}), "identity", "identity")
    return {key: read.text(given, key, "identity.") for key in given if key in KEYS["identity"]}


def _steps(read: _Reader, table: Mapping[str, Any]) -> tuple[Step, ...]:
    rows = read.listing(table, "sequence", "")
    made = [_step(read, row, f"sequence[{n}]", n) for n, row in enumerate(rows[: STEPS_MAX + 1], start=1)]
    return tuple(made)


def _step(read: _Reader, given: object, where: str, position: int) -> Step:
    row = read.table(given, where, "sequence")
    forms = read.listing(row, "variants", f"{where}.")[:_READ_VARIANTS]
    variants = tuple(_variant(read, each, f"{where}.variants[{n}]") for n, each in enumerate(forms, start=1))
    # A step of variants needs no form of its own: the first one stands for it.
    first = variants[0] if variants else None
    subject = first.subject if first else "" if position > 1 else None
    return Step(
        step=read.number(row, "step", f"{where}.", position, 1, STEPS_MAX + 1),
        subject=read.text(row, "subject", f"{where}.", default=subject),
        body=read.text(row, "body", f"{where}.", default=first and first.body),
        delay_days=read.number(row, "delay_days", f"{where}.", 0 if position == 1 else None, 0, 365),
        variants=variants,
    )


def _variant(read: _Reader, given: object, where: str) -> Variant:
    row = read.table(given, where, "variant")
    return Variant(
        label=read.text(row, "label", f"{where}."),
        subject=read.text(row, "subject", f"{where}.", default=""),
        body=read.text(row, "body", f"{where}."),
        share=read.number(row, "share", f"{where}.", 0, 0, 100),
    )


def _mailboxes(read: _Reader, table: Mapping[str, Any]) -> tuple[str, ...]:
    found: list[str] = []
    for given in read.listing(table, "from_mailboxes", ""):
        try:
            found.append(address.normalise(str(given)).norm)
        except address.BadAddress as error:
            read.bad("from_mailboxes", f"{given!r} is not an address: {error}")
    return tuple(found)


def _window(read: _Reader, table: Mapping[str, Any]) -> schedule.Window:
    days: list[int] = []
    for given in read.listing(table, "days", "schedule."):
        try:
            days.append(schedule.weekday(given))
        except ValueError:
            read.bad("schedule.days", f"{given!r} is not a weekday; use mon, tue, wed, thu, fri, sat, sun")
    return schedule.Window(
        timezone=read.text(table, "timezone", "schedule."),
        days=tuple(sorted(set(days))),
        start_hour=read.number(table, "start_hour", "schedule.", None, 0, 23),
        end_hour=read.number(table, "end_hour", "schedule.", None, 1, 24),
    )


def dump(config: CampaignConfig) -> dict[str, Any]:
    """The configuration in the file's own form; `parse` reads it as the same."""
    window = config.schedule
    return {
        "name": config.name,
        **({"client_id": config.client_id} if config.client_id else {}),
        **({"from_mailboxes": list(config.from_mailboxes)} if config.from_mailboxes else {}),
        "fields": list(config.fields),
        "unsubscribe_text": config.unsubscribe_text,
        "plain_text": config.plain_text,
        "schedule": {
            "timezone": window.timezone,
            "days": [schedule.DAYS[day - 1] for day in window.days],
            "start_hour": window.start_hour,
            "end_hour": window.end_hour,
            "min_gap_minutes": config.min_gap_minutes,
            "max_new_leads_per_day": config.max_new_leads_per_day,
            "holidays": list(config.holidays),
        },
        "limits": {
            "daily_per_mailbox": config.daily_per_mailbox,
            "warmup_reserve": config.warmup_reserve,
            "minimum_mailboxes": config.minimum_mailboxes,
            "follow_up_percent": config.follow_up_percent,
        },
        "tracking": {"opens": config.track_opens, "clicks": config.track_clicks},
        "identity": dict(config.identity),
        "sequence": [_dumped(step) for step in config.sequence],
    }


def _dumped(step: Step) -> dict[str, Any]:
    told: dict[str, Any] = {"step": step.step, "delay_days": step.delay_days}
    told |= {"subject": step.subject, "body": step.body}
    return told | ({"variants": [_dumped_form(form) for form in step.variants]} if step.variants else {})


def _dumped_form(form: Variant) -> dict[str, Any]:
    share = {"share": form.share} if form.share else {}
    return {"label": form.label, **share, "subject": form.subject, "body": form.body}
