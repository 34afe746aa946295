"""Which rule decided over a mailbox, a domain or a campaign, with its inputs, and what would change if (I9).

Reads only. Every "if" is the rule itself, run again on the changed input (`rules.what_if`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

import msgspec

from mailfleet.rules import ladder as rule_of_bands
from mailfleet.rules import lifecycle, what_if
from mailfleet.rules.what_if import Ruling
from mailfleet.services import campaigns, domains, evaluation, ladder, mailboxes, safeguards
from mailfleet.services.clients import fleet_of
from mailfleet.services.context import Fleet
from mailfleet.services.ladder import Subject
from mailfleet.services.safeguards import Round
from mailfleet.store import domains as domain_rows
from mailfleet.store import holds
from mailfleet.store import mailboxes as rows
from mailfleet.store.database import Connection
from mailfleet.store.holds import Hold
from mailfleet.store.mailboxes import Mailbox

Scope = Literal["mailbox", "domain", "campaign"]


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """`decided`: the one sentence; `rulings`: every rule with its inputs, those that act first."""

    scope: Scope
    id: str
    name: str
    decided: str
    holds: list[str]
    watching: str
    rulings: list[Ruling]
    policy: str


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """A scope as the rules see it now. `todo`: what the next round does that is not done yet."""

    scope: Scope
    name: str
    band: str
    proven: str
    sent: int
    bounced: int
    factor: float
    minutes: int
    auto_pause: str
    held: bool
    todo: str


async def explain(fleet: Fleet, scope: Scope, key: str) -> Explained:
    """Of the mailbox, domain or campaign of this address, name or id. Raises Unknown."""
    async with fleet.db.connection() as db:
        subject = await _subject(fleet, db, scope, key)
        fleet = await fleet_of(fleet, subject.client_id, db)
        round_ = await safeguards.read(fleet, db, due=False, only=subject)
        over = await _over(fleet, db, subject)
    rulings = [_bands(fleet, round_, subject)]
    if scope == "campaign":
        rulings.append(_breaker(fleet, round_, subject))
    if scope == "mailbox":
        rulings += await _of_mailbox(fleet, round_, UUID(subject.id))
    else:
        rulings.append(await _complaints(fleet, round_, subject))
    rulings.sort(key=lambda each: not each.acts)
    return Explained(
        scope=scope,
        id=subject.id,
        name=subject.name,
        decided=_decided(over, rulings),
        holds=[_hold(each) for each in over],
        watching=_watching(round_, subject),
        rulings=rulings,
        policy=fleet.policy.version,
    )


async def check(fleet: Fleet) -> list[Checked]:
    """Everything that sends, judged now by every rule; nothing is changed."""
    async with fleet.db.connection() as db:
        round_ = await safeguards.read(fleet, db, due=False)
        stopped = {(each.scope, each.scope_id) for each in await holds.standing(db, kind="sending")}
    boxes = {str(box.id): box for box in round_.boxes}
    sending = [_checked(round_, each, boxes.get(each.id), stopped) for each in round_.subjects]
    return [*sending, *_moving(round_)]


def _moving(round_: Round) -> list[Checked]:
    """Mailboxes that send nothing and whose next reading would move them."""
    found: list[Checked] = []
    for box in round_.boxes:
        if box.state == "PRODUCTION":
            continue
        decided = evaluation.decide(
            round_.theirs[box.client_id], box, round_.histories[box.id], round_.later, round_.now
        )
        if decided:
            found.append(Checked(
                scope="mailbox", name=box.address, band="normal", proven="normal", sent=0, bounced=0,
                factor=box.limit_factor, minutes=box.monitor_minutes, auto_pause="", held=False,
                todo=f"{decided.from_state} → {decided.to_state}: {decided.reason}",
            ))  # fmt: skip
    return found


def _checked(round_: Round, subject: Subject, box: Mailbox | None, stopped: set[tuple[str, str]]) -> Checked:
    view, known = round_.theirs[subject.client_id], round_.levels.get(subject.key)
    released = round_.released.get((subject.scope, subject.id))
    step = ladder.look(view, subject, round_.found, round_.later, known, released, round_.now)
    verdict = safeguards.verdict_of(view, round_, box) if box else None
    moves = evaluation.decide(view, box, round_.histories[box.id], round_.later, round_.now) if box else None
    held = (subject.scope, subject.id) in stopped
    todo = list[str]()
    if not held and (step.stops or (verdict and verdict["should_pause"])):
        todo.append("pause")
    if not held and subject.scope == "campaign" and _breaker(view, round_, subject).acts:
        todo.append("break")
    if step.level.band != (known.band if known else "normal"):
        todo.append(f"{known.band if known else 'normal'} → {step.level.band}")
    if moves:
        todo.append(f"{moves.from_state} → {moves.to_state}: {moves.reason}")
    return Checked(
        scope=subject.scope, name=subject.name, band=step.level.band, proven=step.level.proven, sent=step.reading.sent,
        bounced=step.reading.bounced, factor=step.factor, minutes=step.minutes,
        auto_pause=", ".join(verdict["reasons"]) if verdict else "", held=held, todo=", ".join(todo),
    )  # fmt: skip


async def _subject(fleet: Fleet, db: Connection, scope: Scope, key: str) -> Subject:
    if scope == "mailbox":
        box = await mailboxes.find(db, key)
        return Subject(scope=scope, id=str(box.id), client_id=box.client_id, name=box.address)
    if scope == "campaign":
        campaign = await campaigns.find(fleet, key)
        return Subject(scope=scope, id=str(campaign.id), client_id=campaign.client_id, name=campaign.name)
    by_id = next((each for each in await domain_rows.every(db) if str(each.id) == key.strip().lower()), None)
    domain = by_id or await domains.find(db, key)
    return Subject(scope=scope, id=str(domain.id), client_id=domain.client_id, name=domain.name)


async def _over(fleet: Fleet, db: Connection, subject: Subject) -> Sequence[Hold]:
    least = fleet.policy.bounce_actions.least_free
    match subject.scope:
        case "mailbox":
            read = [await holds.over_mailbox(db, UUID(subject.id), kind) for kind in ("sending", "new_leads")]
        case "campaign":
            read = [
                await holds.over_campaign(db, UUID(subject.id), kind, least=least) for kind in ("sending", "new_leads")
            ]
        case "domain":
            read = [await holds.standing(db, scope="domain", scope_id=subject.id)]
    return [hold for part in read for hold in part]


def _bands(fleet: Fleet, round_: Round, subject: Subject) -> Ruling:
    known, released = round_.levels.get(subject.key), round_.released.get((subject.scope, subject.id))
    window, fresh = ladder.sample(fleet, subject, round_.found, round_.later, known, released, round_.now)
    standing = rule_of_bands.Level(band=known.band, proven=known.proven, since=known.since) if known else None
    return what_if.of_ladder(fleet.policy, standing, window, fresh, round_.now, released_at=released)


def _breaker(fleet: Fleet, round_: Round, subject: Subject) -> Ruling:
    known, released = round_.levels.get(subject.key), round_.released.get((subject.scope, subject.id))
    window, _ = ladder.sample(fleet, subject, round_.found, round_.later, known, released, round_.now)
    return what_if.of_breaker(fleet.policy, window.sent, window.bounced)


async def _complaints(fleet: Fleet, round_: Round, subject: Subject) -> Ruling:
    known = round_.found.of(subject.scope, subject.id)
    sent, complained = known.sent_told, known.complained_told
    if released := round_.released.get((subject.scope, subject.id)):
        sent, complained = await safeguards.complaints_since(fleet, subject.scope, subject.id, released)
    return what_if.of_complaints(fleet.policy.complaints, sent, complained)


async def _of_mailbox(fleet: Fleet, round_: Round, id: UUID) -> list[Ruling]:
    taken = await mailboxes.stored(fleet, id)
    async with fleet.db.connection() as db:
        facts, reading = await mailboxes.facts(fleet, db, taken)
        history = await mailboxes.history(fleet, db, taken) if taken.mailbox.state == "WARMING" else None
        budget = await rows.last_budget(db, id)
    health = safeguards.health_in(fleet, round_, taken.mailbox)
    return [
        what_if.of_auto_pause(health, fleet.policy.auto_pause),
        what_if.of_life(facts, reading, fleet.policy, history),
        what_if.of_limits(fleet.policy.send_limits, taken.mailbox.state, taken.warmup_day, taken.mailbox.limit_factor,
                          set_for=budget.day if budget else None),
    ]  # fmt: skip


def _decided(over: Sequence[Hold], rulings: Sequence[Ruling]) -> str:
    stopping = [hold for hold in over if hold.kind == "sending"] or list(over)
    if stopping:
        what = "sends nothing" if stopping[0].kind == "sending" else "takes no new leads"
        return f"it {what}: {_hold(stopping[0])}"
    acting = next((each for each in rulings if each.acts), None)
    if acting:
        return f"{acting.rule}: {acting.says}"
    return next((f"{each.rule}: {each.says}" for each in rulings if each.rule == lifecycle.RULE), "no rule acts")


def _hold(hold: Hold) -> str:
    who = f"{hold.actor_kind} {hold.actor}"
    return f"{hold.kind} of the {hold.scope} held by {who} since {hold.since:%Y-%m-%d %H:%M}: {hold.reason}"


def _watching(round_: Round, subject: Subject) -> str:
    known = round_.levels.get(subject.key)
    if known is None:
        return "not looked at yet"
    return f"every {known.monitor_minutes} min, last {known.looked_at:%Y-%m-%d %H:%M}"
