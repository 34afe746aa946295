"""The page that a client can be shown: one file, no address in it, every chart drawn from what was recorded."""

from __future__ import annotations

from datetime import datetime, timedelta
from html import escape
from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo

from mailfleet.rehearsal import agency, charts
from mailfleet.rehearsal.charts import Area, Limit, Line
from mailfleet.rehearsal.run import Rehearsed
from mailfleet.rehearsal.scenarios import Scenario

PHASES = {
    "setup": "set-up", "pilot": "pilot", "ramp_10": "10 %", "ramp_25": "25 %", "ramp_75": "75 %", "full": "100 %",
    "decommission": "decommission",
}  # fmt: skip
OUTCOMES = {
    "cut_over": ("Moved", "Everything runs on the new platform; the old one is put away."),
    "rolled_back": ("Rolled back", "Everything runs on the old platform again, each lead at the step it waited for."),
    "held": ("Held", "The ramp stands; the new platform keeps what it has."),
    "waiting": ("Waiting", "A gate is not passed yet."),
}
STATES = {
    "OK": "nothing against going on", "THIN": "too little mail to tell", "INCONCLUSIVE": "data are missing",
    "REVIEW": "a person looks", "HOLD": "no new campaigns", "PAUSE": "the new platform is paused",
    "ROLLBACK": "the way back",
}  # fmt: skip
DID = {
    "ask": "asks for approval", "promote": "next phase", "hold": "HOLD", "clear": "HOLD ends",
    "breaker": "one campaign paused",
    "pause": "new platform paused", "rollback": "way back", "review": "asks for a review", "burst": "extra seed tests",
    "route": "campaign routed", "finish": "done",
}  # fmt: skip


class Story:
    """The recorded days, one entry a day of the migration."""

    def __init__(self, done: Rehearsed) -> None:
        self.done, self.result = done, done.result
        known = dict(done.drawn["days"])
        last = max(known, default=agency.START_ON)
        self.count = (last - agency.START_ON).days + 1
        dates = [agency.START_ON + timedelta(days=n) for n in range(self.count)]
        self.days: list[dict[str, Any]] = [known.get(each, {}) for each in dates]
        self.mails = [done.drawn["mails"].get(each.isoformat(), {}) for each in dates]
        self.ledger = [done.drawn["ledger"].get(each.isoformat(), {}) for each in dates]

    def day_of(self, at: str) -> float:
        """Days since the beginning, in the agency's time."""
        local = datetime.fromisoformat(at).astimezone(ZoneInfo(agency.ZONE))
        return (local.date() - agency.START_ON).days + (local.hour + local.minute / 60) / 24

    def verdict(self, trigger: str, what: str) -> list[Any]:
        return [day.get("verdicts", {}).get(trigger, {}).get(what) for day in self.days]

    def share(self, what: str) -> list[float | None]:
        return [day.get("shares", {}).get(what) for day in self.days]


def page(done: Rehearsed, scenario: Scenario) -> str:
    story = Story(done)
    style = files("mailfleet.rehearsal").joinpath("report.css").read_text("utf-8")
    parts = [
        _head(story, scenario),
        _phases(story),
        _traffic(story),
        _rates(story),
        _leads(story),
        _cost(story),
        _log(story),
        _made(story),
    ]
    title = f"Rehearsal: {scenario.title}"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{style}</style></head>'
        f"<body><main>{''.join(parts)}</main></body></html>"
    )


def _head(story: Story, scenario: Scenario) -> str:
    result = story.result
    word, meaning = OUTCOMES[result.outcome]
    good = result.outcome == scenario.outcome
    tiles = [
        ("week", str(result.ended_week), "of 13 planned"),
        ("mails sent", f"{result.mails:,}", f"about {result.volume:,} a day, both platforms"),
        ("steps sent twice", str(result.double_sends), "counted from both vendors' logs"),
        ("leads lost", str(result.lost_leads), "counted from both vendors' logs"),
        ("leads on both sides", str(result.on_both_sides), "at any moment looked at"),
        (
            "holds · rollbacks",
            f"{len(result.holds)} · {len(result.rollbacks)}",
            f"{result.breakers} single campaigns paused",
        ),
    ]
    shown = "".join(
        f'<div class="tile{" bad" if name in _ZERO and value != "0" else ""}"><b>{escape(value)}</b>'
        f"<span>{escape(name)}</span><small>{escape(note)}</small></div>"
        for name, value, note in tiles
    )
    return (
        f'<header><p class="over">Migration rehearsal · Forge to Smartlead · seed {result.seed}</p>'
        f"<h1>{escape(scenario.title)}</h1>"
        f'<p class="outcome o-{result.outcome}"><b>{word}</b> {escape(meaning)}</p>'
        f'<p class="expected"><b>Expected:</b> {escape(scenario.expected)} '
        f"<b>{'It came so.' if good else 'It came otherwise.'}</b></p></header>"
        f'<section class="tiles">{shown}</section>'
    )


_ZERO = ("steps sent twice", "leads lost", "leads on both sides")


def _section(title: str, words: str, inside: str) -> str:
    return f"<section><h2>{escape(title)}</h2><p>{escape(words)}</p>{inside}</section>"


def _phases(story: Story) -> str:
    starts = [(PHASES[each.phase], story.day_of(each.at)) for each in story.result.phases]
    ends = [start for _, start in starts[1:]] + [float(story.count)]
    bands = [(name, start, end) for (name, start), end in zip(starts, ends, strict=True)]
    marks = [
        (
            f"hold: {each.trigger}",
            "m-hold",
            story.day_of(each.start),
            story.day_of(each.end) if each.end else story.count,
        )
        for each in story.result.holds
    ] + [
        (
            f"rollback: {each.trigger}",
            "m-rollback",
            story.day_of(each.start),
            story.day_of(each.end) if each.end else story.count,
        )
        for each in story.result.rollbacks
    ]
    words = (
        "Each phase begins on its date at the earliest, when every gate holds and people have approved it. Weeks below."
    )
    return _section("Phases", words, charts.timeline(story.count, bands, marks))


def _traffic(story: Story) -> str:
    areas = [
        Area(name="sent by Forge", css="c-old", values=[day.get("forge", 0) for day in story.mails]),
        Area(name="sent by Smartlead", css="c-new", values=[day.get("smartlead", 0) for day in story.mails]),
    ]
    shares = [
        Line(name="target", css="c-target", values=story.share("target"), step=True),
        Line(name="routed campaigns", css="c-new", values=story.share("routed")),
        Line(name="mails of the day", css="c-old", values=story.share("sending")),
        Line(name="owned leads", css="c-third", values=story.share("owned")),
    ]
    return _section(
        "Traffic",
        "Whole campaigns are routed; mails follow over a campaign's two weeks. Nothing that has begun moves.",
        charts.stacked("mails a day", areas, lambda value: f"{value:,.0f}")
        + "<h3>Share of the new platform</h3>"
        + charts.lines("share of the new platform", shares, _percent, high=1.0),
    )


def _rates(story: Story) -> str:
    def strip(trigger: str) -> list[str]:
        return [state or "" for state in story.verdict(trigger, "state")]

    def rate(trigger: str, name: str) -> Line:
        bands = [tuple(each) if each else None for each in story.verdict(trigger, "interval")]
        return Line(name=name, css="c-new", values=story.verdict(trigger, "observed"), band=bands)

    bounce = charts.lines(
        "bounce rate", [rate("bounce", "bounce rate")], _percent1, height=200, strip=strip("bounce"),
        limits=[Limit(name="hold 5 %", at=0.05), Limit(name="rollback 8 %", at=0.08)],
    )  # fmt: skip
    place = charts.lines(
        "inbox placement", [rate("placement", "placement")], _percent, height=200, low=0.4, high=1.2,
        strip=strip("placement"), 
        limits=[Limit(name="hold 95 % of the old side", at=0.95), Limit(name="rollback 85 %", at=0.85)],
    )  # fmt: skip
    reply = charts.lines(
        "reply rate", [rate("reply", "reply rate")], _percent1, height=180, strip=strip("reply"),
        limits=[Limit(name="literal trigger 2 %", at=0.02)],
    )  # fmt: skip
    api = charts.lines(
        "availability", [Line(name="availability", css="c-new", values=story.verdict("api", "observed"))], _percent1,
        low=0.9, high=1.0, height=150, strip=strip("api"), limits=[Limit(name="breach 99 %", at=0.99)],
    )  # fmt: skip
    return _section(
        "What the new platform is judged by",
        "The line is what was seen, the band where the true figure lies with 95 % certainty given how mail "
        "clusters, the strip what the rules said at the end of each day.",
        charts.verdict_legend(STATES)
        + f"<h3>Bounces</h3>{bounce}<h3>Inbox placement, against the old platform at the same time</h3>{place}"
        f"<h3>Replies</h3>{reply}<h3>API availability</h3>{api}",
    )


def _leads(story: Story) -> str:
    areas = [
        Area(name="owned by Forge", css="c-old", values=[day.get("forge", 0) for day in story.ledger]),
        Area(name="owned by Smartlead", css="c-new", values=[day.get("smartlead", 0) for day in story.ledger]),
    ]
    balanced = "balanced" if story.result.ledger_balanced else "NOT balanced"
    return _section(
        "The ledger",
        f"Leads that may still be written to, each owned by exactly one platform. At the end it is {balanced} "
        "against both vendors' accounts.",
        charts.stacked("leads under way", areas, lambda value: f"{value:,.0f}", height=200),
    )


def _cost(story: Story) -> str:
    run = [day.get("cost_cents") for day in story.days]
    lines = [
        Line(name="both sides, a month", css="c-cost", values=[None if v is None else v / 100 for v in run], step=True)
    ]
    return _section(
        "Cost",
        "The monthly run rate while both sides are paid; it falls when the old side is really cancelled.",
        charts.lines("monthly run rate", lines, lambda value: f"{value:,.0f} AUD", height=150),
    )


def _log(story: Story) -> str:
    told: list[tuple[str, str, str, str]] = [
        (at["at"], "controller", DID.get(at["did"], str(at["did"])), at["reason"])
        for at in story.done.drawn["steps"]
        if at["did"] not in ("route", "burst")
    ]
    told += [(at["at"], "people", "", at["what"]) for at in story.done.drawn["said"]]
    rows = "".join(
        f'<tr class="{who}"><td>{_when(story, at)}</td><td>{escape(what)}</td><td>{escape(_short(reason))}</td></tr>'
        for at, who, what, reason in sorted(told)
    )
    routed = sum(at["did"] == "route" for at in story.done.drawn["steps"])
    return _section(
        "What happened",
        "The controller's steps and what people did, in order; "
        f"{routed} campaigns that waited when a phase began were routed one by one.",
        f"<table><thead><tr><th>when</th><th>step</th><th>why</th></tr></thead><tbody>{rows}</tbody></table>",
    )


def _made(story: Story) -> str:
    result = story.result
    return (
        "<footer><p>Played on sandbox vendors by a clock of its own. Controller, rules, adapters, webhook receiver, "
        "applier and Postgres are the ones that ship; vendors answer as their published interfaces say. What was sent "
        "twice or lost is counted from the vendors' own logs by code that knows nothing of the migration.</p>"
        f"<p>Scenario {escape(result.scenario)}, seed {result.seed}, volume {result.volume}. "
        f"{story.done.drawn['calls']:,} calls to vendors. Ledger {result.ledger[:16]}.</p></footer>"
    )


def _when(story: Story, at: str) -> str:
    local = datetime.fromisoformat(at).astimezone(ZoneInfo(agency.ZONE))
    return f"<b>week {int(story.day_of(at)) // 7 + 1}</b> {local:%a %d %b, %H:%M}"


def _short(text: str, most: int = 330) -> str:
    return text if len(text) <= most else f"{text[:most]} …"


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"


def _percent1(value: float) -> str:
    return f"{100 * value:.1f} %"
