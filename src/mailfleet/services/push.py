"""Leads out, each exactly once: claim, platform, what became of each. An unknown outcome is read, never repeated."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from mailfleet.errors import Ambiguous, Busy, Invalid, NotAllowed, VendorError
from mailfleet.platforms.port import AddedLeads, NewLead, SendingPlatform
from mailfleet.rules.campaigns import CampaignConfig
from mailfleet.rules.errors_matrix import action_for
from mailfleet.rules.rendering import clean, lacking, lead_fields, needed_fields
from mailfleet.services import alerts, campaign_capacity, commands, dedup, lead_source, mirror, pace, suppression
from mailfleet.services.campaign_parts import config_of
from mailfleet.services.clients import fleet_of
from mailfleet.services.context import Fleet
from mailfleet.services.days import next_vendor_day
from mailfleet.store import campaigns, contacts, events, holds, leads, links, ownership, watermarks
from mailfleet.store.campaigns import Campaign
from mailfleet.store.database import Connection
from mailfleet.store.leads import Lead
from mailfleet.store.ownership import Batch, Owned
from mailfleet.store.suppressions import Reason


class Pushed(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the leads of one call. `by_rule` says why those refused were."""

    added: int = 0
    refused: int = 0
    later: int = 0
    unsettled: int = 0
    by_rule: Mapping[str, int] = {}

    def __add__(self, other: Pushed) -> Pushed:
        rules = {**self.by_rule}
        for rule, n in other.by_rule.items():
            rules[rule] = rules.get(rule, 0) + n
        return Pushed(
            added=self.added + other.added,
            refused=self.refused + other.refused,
            later=self.later + other.later,
            unsettled=self.unsettled + other.unsettled,
            by_rule=rules,
        )


class Fate(msgspec.Struct, frozen=True, kw_only=True):
    """What the platform's answer means for the leads of a batch, by their id."""

    active: Mapping[int, str]
    elsewhere: Sequence[int] = ()
    blocked: Sequence[int] = ()
    invalid: Sequence[int] = ()
    tomorrow: Sequence[int] = ()
    untouched: Sequence[int] = ()
    """The platform was read and does not have them: ready again."""


async def push(fleet: Fleet, campaign_id: UUID, ids: Sequence[int]) -> Pushed:
    """Pushes these leads to the campaign, in batches of what the platform takes. Unsettled batches come first.

    Raises NotAllowed with every reason when the campaign takes no leads now, Busy when another run is pushing to it;
    Ambiguous never: it is kept for reading.
    """
    fleet, campaign, ref = await _open_campaign(fleet, campaign_id)
    async with _alone(fleet, campaign):
        return await settle_unsettled(fleet, campaign, ref) + await _push_all(fleet, campaign, ref, ids)


@asynccontextmanager
async def _alone(fleet: Fleet, campaign: Campaign) -> AsyncGenerator[None]:
    """One run pushes to a campaign at a time: a batch that is under way looks like one that a crash left open."""
    async with fleet.db.single_flight(f"push:{campaign.id}") as mine:
        if not mine:
            raise Busy(f"Another run is pushing leads to {campaign.name}.", hint="Wait for it to end.")
        yield


async def _push_all(fleet: Fleet, campaign: Campaign, ref: str, ids: Sequence[int]) -> Pushed:
    done = Pushed()
    most, start = fleet.platform(campaign.platform).capabilities.max_leads_per_call, 0
    while start < len(ids):
        async with fleet.db.connection() as db:
            if await _held(fleet, db, campaign.id):  # since the batch before
                return done + Pushed(later=len(ids) - start)
        size = await pace.batch(fleet, campaign.platform, most)
        done += await _push_batch(fleet, campaign, ref, ids[start : start + size])
        start += size
    if done.added and campaign.state == "running":
        await _on_again(fleet, campaign, ref)
    return done


async def _on_again(fleet: Fleet, campaign: Campaign, ref: str) -> None:
    """A platform completes a campaign whose leads are all through (V12), and one that a rollback made for leads which
    had not been handed over is a draft until they come: the new ones need it to run. A pause stays."""
    platform = fleet.platform(campaign.platform)
    if (await platform.campaign(ref)).state not in ("completed", "draft"):
        return
    try:
        await platform.start_campaign(ref)
    except Invalid as error:  # the leads are there all the same
        await alerts.tell(
            fleet, fact_key=f"not-started:{campaign.id}:{fleet.clock.now():%Y-%m-%d}", kind="campaign_not_started",
            severity="urgent", title=f"{campaign.name} has leads at {campaign.platform} and cannot be started there",
            body=str(error),
        )  # fmt: skip


async def ready(fleet: Fleet, campaign: Campaign, *, limit: int = 100_000) -> list[int]:
    """Leads that may be pushed to this campaign now, as many as it has room for; those of the client without a
    campaign if it is the only one."""
    async with fleet.db.connection() as db:
        limit = min(limit, await campaign_capacity.room(fleet, db, campaign))
        alone = await campaigns.only_running(db, campaign.id)
        return await leads.ready(db, campaign_id=campaign.id, client_id=campaign.client_id, shared=alone, limit=limit)


async def settle_unsettled(fleet: Fleet, campaign: Campaign, ref: str) -> Pushed:
    """Reads at the platform what became of batches that a crash or an unknown outcome left open (I5)."""
    async with fleet.db.connection() as db:
        open_batches = await ownership.unsettled(db, campaign.id)
    done = Pushed()
    for batch in open_batches:
        done += await _reconcile(fleet, campaign, ref, batch)
    return done


async def _held(fleet: Fleet, db: Connection, campaign_id: UUID) -> list[str]:
    """Why the campaign takes no new leads, if something holds it."""
    least = fleet.policy.bounce_actions.least_free
    return [
        hold.reason
        for kind in ("sending", "new_leads")
        for hold in await holds.over_campaign(db, campaign_id, kind, least=least)
    ]


async def _open_campaign(fleet: Fleet, campaign_id: UUID) -> tuple[Fleet, Campaign, str]:
    async with fleet.db.connection() as db:
        campaign = await campaigns.need(db, campaign_id)
        fleet = await fleet_of(fleet, campaign.client_id, db)
        reasons = await _held(fleet, db, campaign_id)
        ref = await links.need(db, platform=campaign.platform, kind="campaign", ours=campaign_id)
    if campaign.state in ("completed", "archived"):
        reasons.append(f"the campaign is {campaign.state}")
    if reasons:
        raise NotAllowed(f"{campaign.name} takes no new leads now.", reasons=tuple(reasons))
    await mirror.ensure(fleet)
    return fleet, campaign, ref


async def _push_batch(fleet: Fleet, campaign: Campaign, ref: str, ids: Sequence[int]) -> Pushed:
    async with fleet.db.transaction() as db:
        batch_id, claimed, refused = await _claim(fleet, db, campaign, ids)
    done = Pushed(refused=sum(refused.values()), by_rule=refused)
    if not claimed:
        return done
    platform = fleet.platform(campaign.platform)
    try:
        answer = await _add(platform, ref, claimed, config_of(campaign))
    except Ambiguous:
        await _mark(fleet, batch_id, "ambiguous", {"reason": "outcome unknown"})
        return done + Pushed(unsettled=len(claimed))
    except VendorError as error:
        # Refused as a whole: nothing was taken, and the leads wait for the next run.
        async with fleet.db.connection() as db:
            mine = await ownership.in_batch(db, batch_id)
        await _keep(
            fleet, campaign, batch_id, mine, Fate(active={}, untouched=[each.lead_id for each in mine]), "refused"
        )
        raise error
    async with fleet.db.connection() as db:
        mine = await ownership.in_batch(db, batch_id)
    fate = await _fate(platform, ref, mine, answer)
    return done + await _keep(fleet, campaign, batch_id, mine, fate, "done")


async def _claim(
    fleet: Fleet, db: Connection, campaign: Campaign, ids: Sequence[int]
) -> tuple[UUID, Sequence[Lead], dict[str, int]]:
    """Lock, then judge, then own: a suppression committed before the judging is seen, a later one waits (I3)."""
    await ownership.one_claim_at_a_time(db)
    locked = await ownership.lock_ready(db, ids)
    found = await leads.by_ids(db, locked)
    valid, refused = await _validate(fleet, db, campaign, found)
    if gone := await lead_source.withdrawn(fleet, db, valid):
        why = [{"lead_id": id, "rule": "source", "culprit": culprit} for id, culprit in gone.items()]
        await leads.exclude(db, why, campaign_id=campaign.id, at=fleet.clock.now())
        refused["source"] = len(gone)
        valid = [id for id in valid if id not in gone]
    unique = await dedup.separate(fleet, db, valid, campaign_id=campaign.id)
    if len(valid) > len(unique):
        refused["duplicate"] = len(valid) - len(unique)
    batch_id = uuid.UUID(int=fleet.rng.getrandbits(128), version=4)
    mine = await ownership.claim(
        db, unique, platform=campaign.platform, campaign_id=campaign.id, batch_id=batch_id, at=fleet.clock.now()
    )
    await contacts.touch(db, mine, campaign_id=campaign.id, at=fleet.clock.now())
    wanted = set(mine)
    return batch_id, [lead for lead in found if lead.id in wanted], refused


async def _validate(
    fleet: Fleet, db: Connection, campaign: Campaign, found: Sequence[Lead]
) -> tuple[list[int], dict[str, int]]:
    """Leads whose merge fields are all there; the others are set aside with the reason (spec 6)."""
    needed = needed_fields(config_of(campaign))
    bad = {
        lead.id: "empty merge fields: " + ", ".join(missing)
        for lead in found
        if (missing := lacking(needed, lead.merge_values()))
    }
    now = fleet.clock.now()
    if bad:
        await leads.invalidate(db, bad, now)
    if len(bad) > fleet.policy.escalation.invalid_leads_in_batch:
        await alerts.raise_alert(
            fleet, db, fact_key=f"invalid-leads:{campaign.id}:{now:%Y-%m-%d}", kind="invalid_leads", severity="warning",
            title=f"{len(bad)} leads of {campaign.name} cannot be sent", body=next(iter(bad.values())),
            client_id=campaign.client_id, context={"campaign": campaign.name, "leads": len(bad)},
        )  # fmt: skip
    return [lead.id for lead in found if lead.id not in bad], {"invalid": len(bad)} if bad else {}


async def _add(platform: SendingPlatform, ref: str, claimed: Sequence[Lead], config: CampaignConfig) -> AddedLeads:
    """Adds them; where the platform's counters leave some unexplained and it does not have them, these are asked for
    again in halves, until a counter speaks of one alone. What stays silent even then waits for tomorrow."""
    answer = await platform.add_leads(ref, [new_lead(lead, config) for lead in claimed])
    if not answer.unexplained:
        return answer
    try:
        return await _explained(platform, ref, claimed, answer, config)
    except VendorError as error:
        raise Ambiguous(
            f"Leads were added and not all of them are explained: {error}", vendor=error.vendor,
            operation=error.operation, hint="The batch is settled by reading.",
        ) from error  # fmt: skip


async def _explained(
    platform: SendingPlatform, ref: str, claimed: Sequence[Lead], answer: AddedLeads, config: CampaignConfig
) -> AddedLeads:
    there = await _read(platform, ref, set(answer.unexplained))
    unclear = [lead for lead in claimed if lead.email_norm in answer.unexplained and lead.email_norm not in there]
    told = msgspec.structs.replace(answer, added={**answer.added, **there}, unexplained=())
    if len(unclear) == 1 == len(claimed):
        return msgspec.structs.replace(told, not_taken=(*told.not_taken, unclear[0].email_norm))
    middle = (len(unclear) + 1) // 2
    for half in (unclear[:middle], unclear[middle:]):
        told = _joined(told, await _add(platform, ref, half, config)) if half else told
    return told


def _joined(one: AddedLeads, other: AddedLeads) -> AddedLeads:
    return AddedLeads(
        added={**one.added, **other.added},
        already_there={**one.already_there, **other.already_there},
        blocked=(*one.blocked, *other.blocked),
        invalid=(*one.invalid, *other.invalid),
        not_taken=(*one.not_taken, *other.not_taken),
    )


def new_lead(lead: Lead, config: CampaignConfig) -> NewLead:
    """Its values as a preview shows them: one line, no markup, no merge fields of their own."""
    own = {name: clean(value) for name, value in lead.fields.items()}
    return NewLead(
        email=lead.email_norm,
        first_name=clean(lead.first_name),
        last_name=clean(lead.last_name),
        company=clean(lead.company),
        fields={**own, **lead_fields(config, lead.merge_values())},
    )


async def _fate(platform: SendingPlatform, ref: str, mine: Sequence[Owned], answer: AddedLeads) -> Fate:
    by_email = {each.email_norm: each.lead_id for each in mine}
    active = {by_email[email]: lead_ref for email, lead_ref in answer.added.items() if email in by_email}
    elsewhere: list[int] = []
    for email, lead_ref in answer.already_there.items():
        if email in by_email:
            here = await _is_here(platform, ref, email)
            active.update({by_email[email]: lead_ref} if here else {})
            elsewhere.extend([] if here else [by_email[email]])
    known = {*answer.added, *answer.already_there, *answer.blocked, *answer.invalid, *answer.not_taken}
    return Fate(
        active=active,
        elsewhere=elsewhere,
        blocked=_ids(by_email, answer.blocked),
        invalid=_ids(by_email, answer.invalid),
        tomorrow=_ids(by_email, answer.not_taken),
        untouched=[id for email, id in by_email.items() if email not in known],
    )


def _ids(by_email: Mapping[str, int], emails: Sequence[str]) -> list[int]:
    return [by_email[email] for email in emails if email in by_email]


async def _is_here(platform: SendingPlatform, ref: str, email: str) -> bool:
    found = await platform.find_lead(email)
    return found is not None and ref in found[1]


async def _read(platform: SendingPlatform, ref: str, emails: set[str]) -> dict[str, str]:
    """Which of these addresses the campaign has at the platform."""
    if not emails:
        return {}
    return {seen.email: seen.ref async for seen in platform.leads(ref) if seen.email in emails}


async def _reconcile(fleet: Fleet, campaign: Campaign, ref: str, batch: Batch) -> Pushed:
    async with fleet.db.connection() as db:
        mine = await ownership.in_batch(db, batch.id)
    seen = await _read(fleet.platform(campaign.platform), ref, {each.email_norm for each in mine})
    fate = Fate(
        active={each.lead_id: seen[each.email_norm] for each in mine if each.email_norm in seen},
        untouched=[each.lead_id for each in mine if each.email_norm not in seen],
    )
    kept = await _keep(fleet, campaign, batch.id, mine, fate, "done")
    # Those that the platform turned out not to have are ready again, and counted as what becomes of them next.
    return msgspec.structs.replace(kept, later=0)


async def _keep(
    fleet: Fleet,
    campaign: Campaign,
    batch_id: UUID,
    mine: Sequence[Owned],
    fate: Fate,
    state: Literal["done", "refused"],
) -> Pushed:
    """Writes what became of each lead, in one transaction; nothing of a batch is left without a state (I2)."""
    by_id = {each.lead_id: each for each in mine}
    async with fleet.db.transaction() as db:
        # Leads before their rows in the ledger, as a suppression takes them: neither waits for the other crosswise.
        await events.lock_leads(db, sorted(by_id))
        now = fleet.clock.now()
        late = await ownership.pushed(db, fate.active, batch_id=batch_id, at=now)
        await commands.order_stop(fleet, db, late, late="pushed")
        await _return(fleet, db, batch_id, fate.untouched, "not taken by the platform", "ready_to_send")
        queued = action_for(fleet.policy.errors, "CAMPAIGN_LIMIT_REACHED") == "queue_for_tomorrow"
        await _return(
            fleet, db, batch_id, fate.tomorrow, "lead credit used up", "held" if queued else "ready_to_send",
            resume_at=next_vendor_day(now),
        )  # fmt: skip
        await _return(fleet, db, batch_id, fate.elsewhere, "in another campaign there", "excluded", rule="at_vendor")
        await _refuse(fleet, db, batch_id, [by_id[id] for id in fate.blocked], "vendor", "excluded")
        await _refuse(fleet, db, batch_id, [by_id[id] for id in fate.invalid], "invalid", "invalid")
        rules = {"at_vendor": len(fate.elsewhere), "blocked": len(fate.blocked), "invalid_email": len(fate.invalid)}
        result = {"active": len(fate.active), "later": len(fate.tomorrow), "untouched": len(fate.untouched), **rules}
        await ownership.settle(db, batch_id, state, result, now)
        await watermarks.tally(db, {(campaign.id, "pushed"): len(fate.active)}, now)
    return Pushed(
        added=len(fate.active),
        refused=sum(rules.values()),
        later=len(fate.tomorrow) + len(fate.untouched),
        by_rule={rule: n for rule, n in rules.items() if n},
    )


async def _return(
    fleet: Fleet,
    db: Connection,
    batch_id: UUID,
    ids: Sequence[int],
    reason: str,
    status: Literal["ready_to_send", "held", "excluded"],
    *,
    resume_at: datetime | None = None,
    rule: str = "",
) -> None:
    now = fleet.clock.now()
    free = await ownership.release(db, ids, batch_id=batch_id, reason=reason, at=now) if ids else []
    if not free:
        return
    await contacts.untouch(db, free)
    await leads.set_status(db, free, "ready_to_send", at=now)
    if rule:
        await leads.exclude(
            db, [{"lead_id": id, "rule": rule, "culprit": reason} for id in free], campaign_id=None, at=now
        )
    elif status == "held":
        await leads.set_status(db, free, "held", at=now, resume_at=resume_at)


async def _refuse(
    fleet: Fleet, db: Connection, batch_id: UUID, refused: Sequence[Owned], reason: Reason, status: str
) -> None:
    """`log_and_suppress`: on the platform's own lists, or no address to it (spec 6)."""
    await _return(
        fleet,
        db,
        batch_id,
        [each.lead_id for each in refused],
        f"refused: {reason}",
        "excluded",
        rule=f"vendor_{reason}",
    )
    suppressed = reason != "invalid" or action_for(fleet.policy.errors, "INVALID_EMAIL") == "log_and_suppress"
    for each in refused if suppressed else ():
        await suppression.suppress(
            fleet, db, scope="address", key=each.email_norm, reason=reason, source=each.platform,
            client_id=None, evidence={"campaign": str(each.campaign_id)},
        )  # fmt: skip
    if status == "invalid":
        await leads.invalidate(
            db, {each.lead_id: "refused as invalid by the platform" for each in refused}, fleet.clock.now()
        )


async def _mark(fleet: Fleet, batch_id: UUID, state: str, result: Mapping[str, object]) -> None:
    async with fleet.db.transaction() as db:
        await ownership.settle(db, batch_id, state, result, fleet.clock.now())


async def push_ready(fleet: Fleet, campaign: Campaign) -> Pushed:
    """Everything that is ready for this campaign. Raises Busy when another run is pushing it."""
    await lead_source.take(fleet)
    async with _alone(fleet, campaign):
        fleet, opened, ref = await _open_campaign(fleet, campaign.id)
        settled = await settle_unsettled(fleet, opened, ref)
        return settled + await _push_all(fleet, opened, ref, await ready(fleet, opened))


async def settle_open(fleet: Fleet, campaign: Campaign) -> Pushed:
    """`settle_unsettled` for a campaign that may not be at its platform yet; while it is pushed to, nothing."""
    async with fleet.db.connection() as db:
        fleet = await fleet_of(fleet, campaign.client_id, db)
        ref = await links.ref(db, platform=campaign.platform, kind="campaign", ours=campaign.id)
    async with fleet.db.single_flight(f"push:{campaign.id}") as mine:
        return await settle_unsettled(fleet, campaign, ref) if mine and ref else Pushed()
