"""Routes whole campaigns and keeps the ledger of it. A campaign that has sent anything stays where it is (M2)."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import msgspec

from mailfleet.rules.campaigns import CampaignConfig
from mailfleet.rules.migration import phases, routing
from mailfleet.rules.migration.parameters import Parameters
from mailfleet.rules.migration.routing import Candidate, Decision, Shares, Volumes
from mailfleet.services import campaigns as campaigns_do
from mailfleet.services.clients import fleet_of
from mailfleet.services.context import Fleet
from mailfleet.store import campaigns, migrations, verdicts
from mailfleet.store.database import Connection
from mailfleet.store.migrations import Migration, Routed

TAKES_NEW = ("running",)
"""States of a migration in which campaigns are routed to the new platform; in all others they stay on the old one."""


def weight_of(migration: Migration, parameters: Parameters) -> float:
    """Share of new volume for the new platform now; a HOLD sends it none."""
    if migration.state not in TAKES_NEW or migration.stopped:
        return 0.0
    return phases.step_of(parameters.steps, migration.phase).share


def of_phase(routes: list[Routed], phase: str) -> list[Decision]:
    return [each.decision() for each in routes if each.phase == phase]


async def pending(db: Connection, migration: Migration) -> list[Candidate]:
    """Not started and not yet decided on in this phase."""
    decided = {
        str(each.campaign_id) for each in await migrations.routes(db, migration.id) if each.phase == migration.phase
    }
    return [each for each in await migrations.backlog(db, migration.from_platform) if each.id not in decided]


async def route(fleet: Fleet, migration: Migration, parameters: Parameters, each: Candidate) -> Decision:
    """One campaign: decided, written to the ledger, and made at the new platform if that is where it goes."""
    async with fleet.db.transaction() as db:
        await migrations.lock_routes(db, migration.id)
        decision = await _decided(db, migration, parameters, each)
        await migrations.routed(db, migration.id, UUID(each.id), migration.phase, decision, fleet.clock.now())
    if decision.to_new:
        await carry_over(fleet, UUID(each.id), of=migration.from_platform, to=migration.to_platform)
    return decision


async def route_before_start(fleet: Fleet, campaign_id: UUID) -> Decision | None:
    """A campaign that is about to start gets its platform first; None: nothing is to be decided."""
    async with fleet.db.connection() as db:
        migration = await migrations.active(db)
        if migration is None:
            return None
        parameters = await migrations.parameters(db, migration.id, migration.parameters)
        found = next((c for c in await pending(db, migration) if c.id == str(campaign_id)), None)
    if found is None or found.contacted or weight_of(migration, parameters) <= 0:
        return None
    return await route(fleet, migration, parameters, found)


async def _decided(db: Connection, migration: Migration, parameters: Parameters, each: Candidate) -> Decision:
    """What was there when the phase began is offered in order of its draw; what comes later is drawn by itself."""
    weight = weight_of(migration, parameters)
    began = {seen.phase: seen.entered_at for seen in await migrations.entered(db, migration.id)}.get(migration.phase)
    if began and each.created_at and each.created_at <= began:
        book = await migrations.book(db, [migration.from_platform, migration.to_platform])
        made = routing.offer(
            [c for c in await pending(db, migration) if c.created_at and c.created_at <= began],
            seed=migration.seed,
            migration=str(migration.id),
            weight=weight,
            new=book.get(migration.to_platform, 0.0),
            all=sum(book.values()),
        )
        return next(found for found in made if found.campaign == each.id)
    overall, by = routing.volumes(of_phase(await migrations.routes(db, migration.id), migration.phase))
    return routing.route(
        each,
        seed=migration.seed,
        migration=str(migration.id),
        weight=weight,
        routed=overall,
        of_stratum=by.get(each.stratum, Volumes()),
    )


async def carry_over(fleet: Fleet, campaign_id: UUID, *, of: str, to: str) -> bool:
    """A campaign that has not started, made and set up at the other platform. False: it had started meanwhile."""
    async with fleet.db.transaction() as db:
        if not await migrations.repoint(db, campaign_id, of=of, to=to):
            return False
        campaign = await campaigns.need(db, campaign_id)
        senders = [each.id for each in await campaigns.senders(db, campaign_id)]
    own = await fleet_of(fleet, campaign.client_id)
    config = msgspec.convert(campaign.config, CampaignConfig)
    await campaigns_do.at_platform(own, campaign)
    await campaigns_do.configure_steps(own, campaign.id, msgspec.to_builtins(config.sequence))
    if senders:
        await campaigns_do.assign_mailboxes(own, campaign.id, senders)
    await campaigns_do.set_schedule(own, campaign.id)
    return True


async def shares(fleet: Fleet, db: Connection, migration: Migration, parameters: Parameters) -> Shares:
    """Target and the three shares that are easily taken for each other."""
    routes = await migrations.routes(db, migration.id)
    overall, _ = routing.volumes(of_phase(routes, migration.phase))
    now = fleet.clock.now()
    sent = await verdicts.sent_by_platform(db, now - timedelta(days=1), now)
    owned = await verdicts.owned(db)
    both = (migration.from_platform, migration.to_platform)
    return Shares(
        target=phases.step_of(parameters.steps, migration.phase).share,
        routed=routing.share(overall.new, overall.all),
        sending=routing.share(sent.get(migration.to_platform, 0), sum(sent.get(name, 0) for name in both)),
        owned=routing.share(owned.get(migration.to_platform, 0), sum(owned.get(name, 0) for name in both)),
    )


async def off_target(db: Connection, migration: Migration, parameters: Parameters) -> tuple[float | None, float]:
    """|routed − target| in volume, and the largest campaign routed in this phase."""
    made = of_phase(await migrations.routes(db, migration.id), migration.phase)
    overall, _ = routing.volumes(made)
    if not made:
        return None, 0.0
    weight = phases.step_of(parameters.steps, migration.phase).share
    return abs(overall.deficit(weight)), max(each.volume for each in made)
