"""Random campaigns that share mailboxes, changed under way: the sandbox's own log against what was asked for.

python -m proofs.campaign_windows [WORLDS [SEED [DAYS]]]: 40 worlds of 14 days without more. Every send is looked for
outside its window, on a holiday, above a limit of its mailbox's day, nearer than the gap, above the campaign's new
leads, while a person had paused the campaign, and with a text that was no longer the campaign's. What is allowed is
worked out here from the configuration that was in force, by none of the product's rules.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import holidays
import psycopg
from psycopg import sql
from tests.campaigns.inside import IDENTITY, Ground, ground
from tests.leads.files import row

from mailfleet.errors import NotAllowed
from mailfleet.sandbox.smartlead.state import smartlead
from mailfleet.services import campaign_batches, campaign_rest, campaigns, limits_of_day
from mailfleet.services.clients import views
from mailfleet.store import migrate
from mailfleet.store.database import Database
from mailfleet.store.embedded import LocalPostgres

ZONES = ("Australia/Sydney", "Europe/Berlin", "America/New_York", "UTC", "Asia/Kolkata", "Pacific/Auckland")
# The clocks change in each of these fortnights somewhere, or there is a holiday.
STARTS = (
    date(2026, 3, 3),
    date(2026, 3, 26),
    date(2026, 4, 1),
    date(2026, 10, 1),
    date(2026, 10, 22),
    date(2026, 4, 20),
)
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
CALENDARS = ("AU-NSW", "DE", "US", "NZ")
QUARTER = timedelta(minutes=15)
MOST_A_DAY, USUAL, NEVER = 60, 40, 80
"""Of a mailbox: the hard limit less the reserve for warm-up, what it sends unless asked for more, the hard limit."""

Config = dict[str, Any]


class Past:
    """What was in force when, for one campaign: a configuration, or None while a person had paused it."""

    def __init__(self) -> None:
        self.since: list[tuple[datetime, Config | None]] = []

    def at(self, moment: datetime) -> Config | None:
        return next((config for since, config in reversed(self.since) if since < moment), None)

    def between(self, start: datetime, end: datetime) -> Iterator[Config]:
        """Every one in force at some time of it."""
        for n, (since, config) in enumerate(self.since):
            until = self.since[n + 1][0] if n + 1 < len(self.since) else datetime.max.replace(tzinfo=UTC)
            if config and since < end and until > start:
                yield config


class Story:
    """One world: its campaigns, their past, and what was found wrong."""

    def __init__(self, rng: random.Random, on: Ground) -> None:
        self.rng, self.on = rng, on
        self.zones: dict[str, str] = {}
        self.past: dict[str, Past] = defaultdict(Past)
        self.now_in_force: dict[str, Config] = {}
        self.names: dict[str, str] = {}
        self.paused: set[str] = set()
        self.counts: Counter[str] = Counter()

    def config(self, name: str, version: int) -> Config:
        rng = self.rng
        opens = rng.choice((0, 6, 8, 9, 9, 13))
        return {
            "name": name,
            "identity": IDENTITY,
            "from_mailboxes": sorted(rng.sample(sorted(self.zones), rng.randint(1, len(self.zones)))),
            "schedule": {
                "timezone": rng.choice(ZONES),
                "days": sorted(rng.sample(DAYS, rng.randint(4, 7)), key=DAYS.index),
                "start_hour": opens,
                "end_hour": rng.choice((24, min(24, opens + rng.randint(1, 10)))),
                "min_gap_minutes": rng.choice((3, 3, 7, 10, 20)),
                "max_new_leads_per_day": rng.choice((3, 25, 200, 200)),
                "holidays": rng.sample(CALENDARS, rng.choice((0, 0, 1, 2))),
            },
            "limits": {
                "daily_per_mailbox": rng.choice((5, 12, 25, 40, 60, 60)), "warmup_reserve": 20,
                "follow_up_percent": rng.choice((0, 30, 50, 100)),
            },
            "sequence": [
                {"step": n, "delay_days": 0 if n == 1 else rng.randint(1, 3), **self._text(name, version, n)}
                for n in range(1, rng.randint(2, 4))
            ],
        }  # fmt: skip

    def _text(self, name: str, version: int, step: int) -> dict[str, str]:
        return {
            "subject": f"{name} about it" if step == 1 else "",
            "body": f"Hello {{{{first_name}}}}. {name}/{version}/{step}.",
        }

    def changed(self, old: Config, version: int) -> Config:
        """Another text, and one or more other things."""
        fresh = self.config(old["name"], version)
        parts = self.rng.sample(("from_mailboxes", "schedule", "limits"), self.rng.randint(0, 3))
        steps = [
            {**step, **self._text(old["name"], version, step["step"])} for step in old["sequence"]
        ]  # the same number of them: leads that are through stay through
        return {**old, **{part: fresh[part] for part in parts}, "sequence": steps}

    def force(self, name: str, config: Config | None) -> None:
        self.past[name].since.append((self.on.clock.now(), config))

    async def prepare(self, folder: Path, campaigns_: int, leads: int) -> None:
        for n in range(self.rng.randint(1, 3)):
            address = f"box{n}@mfdemo-out.com"
            self.zones[address] = self.rng.choice(ZONES)
            await self.on.mailbox(address, timezone=self.zones[address])
        for n in range(campaigns_):
            config = self.config(f"c{n}", 1)
            made = await self.on.apply(config)
            rows = [
                row(f"{self._who(k)}{n}x{k}@firm{n}x{k}-mfdemo.com", company=f"Firm {n} {k}")
                for k in range(self.rng.randint(leads // 4, leads))
            ]
            await self.on.leads(folder, rows, campaign=str(made.id))
            self.now_in_force[config["name"]] = config
            self.names[await self.on.ref(made)] = config["name"]

    def _who(self, k: int) -> str:
        """Mostly people who do nothing: with too many bounces the vendor pauses the campaign by itself."""
        return "p" if k % 25 == 0 else "silent"

    async def start(self, name: str) -> None:
        found = await campaigns.find(self.on.fleet, name)
        if found.state not in ("draft", "ready"):
            return
        try:
            await campaigns.start(self.on.fleet, found.id)
        except NotAllowed:
            self.counts["refused starts"] += 1
            return
        self.force(name, self.now_in_force[name])

    async def something(self) -> None:
        """What a person may do to a campaign at any time of the day."""
        name = self.rng.choice(sorted(self.now_in_force))
        deed = self.rng.choice(("start", "change", "change", "pause"))
        if self.paused and self.rng.random() < 0.7:
            name, deed = min(self.paused), "resume"
        found = await campaigns.find(self.on.fleet, name)
        if deed == "start":
            await self.start(name)
        elif deed == "change":
            await self.change(name)
        elif deed == "pause" and found.state == "running":
            await campaigns.pause(self.on.fleet, found.id, "for a while", by_person=True)
            self.paused.add(name)
            self.force(name, None)
        elif deed == "resume":
            await self.resume(name)

    async def change(self, name: str) -> None:
        config = self.changed(self.now_in_force[name], self.counts["changes"] + 2)
        try:
            await self.on.apply(config)
        except NotAllowed:
            self.counts["refused changes"] += 1
            return
        self.counts["changes"] += 1
        self.now_in_force[name] = config
        started = self.past[name].since
        if started and name not in self.paused:
            self.force(name, config)

    async def resume(self, name: str) -> None:
        found = await campaigns.find(self.on.fleet, name)
        try:
            await campaigns.resume(self.on.fleet, found.id, "again")
        except NotAllowed:
            self.counts["refused resumes"] += 1
            return
        self.counts["pauses"] += 1
        self.paused.discard(name)
        self.force(name, self.now_in_force[name])

    async def round(self) -> None:
        """What the quarter-hourly flow does that campaigns depend on."""
        async with self.on.fleet.db.connection() as db:
            theirs = await views(self.on.fleet, db)
        await campaign_rest.keep(self.on.fleet)
        await limits_of_day.begin(self.on.fleet, theirs)

    async def batches(self) -> None:
        for each in await campaign_batches.top_up(self.on.fleet):
            config = self.now_in_force[each.campaign]
            begins = min(
                config["schedule"]["max_new_leads_per_day"],
                config["limits"]["daily_per_mailbox"] * len(config["from_mailboxes"]),
            )
            ref = next(ref for ref, name in self.names.items() if name == each.campaign)
            told = await self.on.vendor("GET", f"/campaigns/{ref}/analytics")
            waiting = told["campaign_lead_stats"]["notStarted"]
            if each.added and waiting > begins:
                self.counts["wrong: topped up above capacity"] += 1
            self.counts["batches"] += bool(each.added)

    def moments(self, day: date) -> list[tuple[datetime, str]]:
        """What happens on one UTC day: the daily batches, a round before and after each midnight, what people do."""
        made = [(datetime.combine(day, time(0, 40), UTC), "batches")]
        places = {*self.zones.values(), *(each["schedule"]["timezone"] for each in self.now_in_force.values())}
        for place in sorted(places):
            for near in (day, day + timedelta(days=1)):
                midnight = datetime.combine(near, time(), ZoneInfo(place)).astimezone(UTC)
                early = midnight - QUARTER * self.rng.random()
                made += [(early, "round"), (early + QUARTER, "round")]
        made += [
            (datetime.combine(day, time(), UTC) + timedelta(hours=24) * self.rng.random(), "something")
            for _ in range(3)
        ]
        return sorted(each for each in made if each[0].date() == day)

    async def run(self, start: date, days: int) -> None:
        for n in range(days):
            if n in (0, 2):
                for name in sorted(self.now_in_force):
                    if n or self.rng.random() < 0.7:
                        await self.start(name)
                await self.round()
            for at, what in self.moments(start + timedelta(days=n)):
                if at <= self.on.clock.now():
                    continue
                await self.on.to(at)
                if what == "something":
                    await self.something()
                    await self.on.to(at + QUARTER * self.rng.random())
                    await self.round()
                else:
                    await (self.batches() if what == "batches" else self.round())
        await self.on.to(datetime.combine(start + timedelta(days=days), time(), UTC))

    def judge(self) -> None:
        every = [{**each, "when": datetime.fromisoformat(each["at"])} for each in self.on.sends()]
        sends = [each for each in every if each["kind"] == "campaign"]
        self.counts["sends"] += len(sends)
        self._hard(every)
        for ref, name in self.names.items():
            mine = [each for each in sends if str(each["campaign_id"]) == ref]
            for each in mine:
                self._one(name, each)
            self._gaps(name, mine)
            self._new_leads(name, mine)
            self._steps(mine)
            self._texts(name, ref)
        self._caps(sends)

    def wrong(self, what: str, detail: object) -> None:
        self.counts[f"wrong: {what}"] += 1
        sys.stderr.write(f"{what}: {detail}\n")

    def _one(self, name: str, sent: Mapping[str, Any]) -> None:
        config = self.past[name].at(sent["when"])
        if config is None:
            self.wrong("while it was paused", (name, sent))
            return
        timing = config["schedule"]
        there = sent["when"].astimezone(ZoneInfo(timing["timezone"]))
        if DAYS[there.weekday()] not in timing["days"] or not timing["start_hour"] <= there.hour < timing["end_hour"]:
            self.wrong("outside its window", (name, timing, sent))
        for code in timing["holidays"]:
            country, _, region = code.partition("-")
            if there.date() in holidays.country_holidays(country, subdiv=region or None):
                self.wrong("on a holiday", (name, code, sent))
        if sent["mailbox"] not in config["from_mailboxes"]:
            self.wrong("from a mailbox that is not its own", (name, sent))

    def _gaps(self, name: str, mine: Sequence[Mapping[str, Any]]) -> None:
        last: dict[str, tuple[datetime, int]] = {}
        for each in mine:
            config, before = self.past[name].at(each["when"]), last.get(each["mailbox"])
            gap = config["schedule"]["min_gap_minutes"] if config else 0
            # The next mail was timed when the last one left, by the gap that stood then.
            if before and each["when"] - before[0] < timedelta(minutes=min(gap, before[1])):
                self.wrong("nearer than the gap", (name, before, each))
            last[each["mailbox"]] = each["when"], gap

    def _new_leads(self, name: str, mine: Sequence[Mapping[str, Any]]) -> None:
        zones = {config["schedule"]["timezone"] for _, config in self.past[name].since if config}
        if len(zones) > 1:
            return  # the vendor's own day changed with it
        place = ZoneInfo(next(iter(zones), "UTC"))
        for day, n in Counter(e["when"].astimezone(place).date() for e in mine if e["step"] == 1).items():
            start, end = _day(place, day)
            most = max(
                (each["schedule"]["max_new_leads_per_day"] for each in self.past[name].between(start, end)), default=0
            )
            if n > most:
                self.wrong("above the new leads of a day", (name, day, n, most))

    def _steps(self, mine: Sequence[Mapping[str, Any]]) -> None:
        got: dict[str, list[int]] = defaultdict(list)
        for each in mine:
            got[each["lead_email"]].append(each["step"])
        for lead, steps in got.items():
            if steps != list(range(1, len(steps) + 1)):
                self.wrong("a step twice, or out of turn", (lead, steps))

    def _texts(self, name: str, ref: str) -> None:
        """Each mail as it left carries the mark of the text that was in force."""
        for each in smartlead(self.on.inside.world).campaigns[int(ref)].sent:
            config = self.past[name].at(each.at)
            steps = config["sequence"] if config else []
            marks = [step["body"].split(" ")[-1] for step in steps if step["step"] == each.step.number]
            self.counts["texts"] += 1
            if not marks or marks[0] not in each.body:
                self.wrong("a superseded text", (name, marks, each.body, each.at))

    def _hard(self, every: Sequence[Mapping[str, Any]]) -> None:
        """Campaign and warm-up mail together, by the mailbox's own day."""
        days = Counter((e["mailbox"], e["when"].astimezone(ZoneInfo(self.zones[e["mailbox"]])).date()) for e in every)
        for day, n in days.items():
            if n > NEVER:
                self.wrong("above the hard limit", (day, n))

    def _caps(self, sends: Sequence[Mapping[str, Any]]) -> None:
        for address, zone in self.zones.items():
            place = ZoneInfo(zone)
            for day, n in Counter(e["when"].astimezone(place).date() for e in sends if e["mailbox"] == address).items():
                start, end = _day(place, day)
                asked = [
                    max(
                        (
                            c["limits"]["daily_per_mailbox"]
                            for c in past.between(start, end)
                            if address in c["from_mailboxes"]
                        ),
                        default=0,
                    )
                    for past in self.past.values()
                ]
                most = min(sum(asked), max(USUAL, *asked), MOST_A_DAY)
                self.counts["mailbox days"] += 1
                self.counts["mailbox days at their limit"] += n == most
                if n > most:
                    self.wrong("above the cap of its mailbox", (address, zone, day, n, most, asked))


def _day(place: ZoneInfo, day: date) -> tuple[datetime, datetime]:
    start, end = (datetime.combine(each, time(), place).astimezone(UTC) for each in (day, day + timedelta(days=1)))
    return start, end


async def story(
    database: Database, seed: int, folder: Path, *, days: int, most: int = 4, leads: int = 400
) -> Counter[str]:
    """One world; what it came to."""
    rng = random.Random(seed)  # noqa: S311
    start = rng.choice(STARTS)
    async with ground(database, seed, datetime.combine(start, time(), UTC)) as on:
        told = Story(rng, on)
        await told.prepare(folder, rng.randint(1, most), leads)
        await told.run(start, days)
        told.judge()
    return told.counts


def main(worlds: int, seed: int, days: int) -> int:
    total: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as kept:
        folder = Path(kept)
        with LocalPostgres(folder / "postgres").running() as server:
            migrate.migrate(server.ensure_database("migrated"))
            for n in range(seed, seed + worlds):
                total += asyncio.run(_one(server, n, folder, days))
    wrong = sum(n for what, n in total.items() if what.startswith("wrong"))
    told = ", ".join(f"{n} {what}" for what, n in sorted(total.items()))
    sys.stdout.write(f"{worlds} worlds of {days} days from seed {seed}: {told}; {wrong} wrong\n")
    return 1 if wrong else 0


async def _one(server: LocalPostgres, n: int, folder: Path, days: int) -> Counter[str]:
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as db:
        db.execute(sql.SQL("create database {} template migrated").format(sql.Identifier(f"w{n}")))
    async with Database(server.dsn(f"w{n}")) as database:
        found = await story(database, n, folder, days=days)
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as db:
        db.execute(sql.SQL("drop database {}").format(sql.Identifier(f"w{n}")))
    return found


if __name__ == "__main__":
    given = [int(each) for each in sys.argv[1:]]
    sys.exit(main(*(given + [40, 1, 14][len(given) :])))
