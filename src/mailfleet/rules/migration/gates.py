"""What has to be true before the next phase, as a checklist (migration-control 6.4). Silence promotes nothing."""

from __future__ import annotations

from datetime import datetime

import msgspec

from mailfleet.rules.migration import bounce, evidence, placement
from mailfleet.rules.migration.evidence import Counts
from mailfleet.rules.migration.phases import Phase
from mailfleet.rules.migration.verdicts import percent


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    bounce_sample: float = 100
    bounce_rate: float = 0.05
    bounce_sure: float = 0.95
    placement_drop: float = 0.05
    placement_below: float = 0.10
    placement_covered: float = 0.70
    api_week: float = 0.995
    reconciled_hours: float = 24
    readiness: float = 0.80
    drill_days: float = 14
    webhooks: float = 0.99
    pilot_bounces: int = 8


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """`signable`: a signed review stands in for it where the evidence cannot be had at this volume."""

    name: str
    ok: bool
    detail: str
    signable: bool = False


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the gate of `phase` looks at, read in one transaction."""

    phase: Phase
    now: datetime
    not_before: datetime
    bounce: bounce.Inputs
    placement: placement.Inputs
    open_reviews: tuple[str, ...] = ()
    held: bool = False
    frozen: str = ""
    api_week: float | None = None
    share_off: float | None = None
    """|routed − target| in volume; None: nothing routed."""
    largest: float = 0
    reconciled_hours: float | None = None
    unexplained: int = 0
    readiness: float | None = None
    drill_days: float | None = None
    signed: tuple[str, ...] = ()
    """Checks for which a person signed a review."""
    approved: int = 0
    people: int = 1
    pilot: Pilot | None = None


class Pilot(msgspec.Struct, frozen=True, kw_only=True):
    """A hundred leads test plumbing, not rates; nothing is ever rolled back on them (2.2)."""

    leads: int
    sent: int
    bounced: int
    flows_green: tuple[str, ...]
    flows_wanted: tuple[str, ...]
    received: int
    """Webhooks that came, of the events that reading the platform found."""
    reconciled: int
    placement: float | None = None
    """Ratio to the old platform."""


DECOMMISSION = ("export_verified", "subscriptions_cancelled", "credentials_archived", "lessons_documented")


def checklist(facts: Facts, b: bounce.Rule, p: placement.Rule, rule: Rule) -> list[Check]:
    """The gate of the phase that `facts` name, in the order of 6.4."""
    found = [_date(facts)]
    if facts.phase == "ramp_10":
        found += pilot_checks(facts.pilot, rule)
    if facts.phase in ("ramp_25", "ramp_75", "full", "decommission"):
        found += [_bounce(facts, b, rule), _placement(facts, p, rule), _share(facts)]
    if facts.phase != "pilot":
        found += [_api(facts, rule), _ledger(facts, rule), _readiness(facts, rule), _drill(facts, rule)]
    found += [_quiet(facts), _freeze(facts)]
    signed = [
        msgspec.structs.replace(each, ok=True, detail=f"{each.detail}; signed by review")
        if each.signable and not each.ok and each.name in facts.signed
        else each
        for each in found
    ]
    return [*signed, _approval(facts)]


def pilot_checks(pilot: Pilot | None, rule: Rule) -> list[Check]:
    if pilot is None:
        return [Check(name="pilot", ok=False, detail="no pilot campaign has run")]
    missing = [flow for flow in pilot.flows_wanted if flow not in pilot.flows_green]
    reliability = pilot.received / pilot.reconciled if pilot.reconciled else None
    return [
        Check(name="pilot sent", ok=pilot.sent >= pilot.leads > 0, detail=f"{pilot.sent} of {pilot.leads} leads"),
        Check(
            name="pilot flows",
            ok=not missing,
            detail="all four green" if not missing else f"not green yet: {', '.join(missing)}",
        ),
        Check(
            name="pilot webhooks",
            ok=reliability is not None and reliability >= rule.webhooks,
            detail=f"{pilot.received} received of {pilot.reconciled} found by reading ({percent(reliability)})",
        ),
        Check(
            name="pilot bounces",
            ok=pilot.bounced < rule.pilot_bounces,
            detail=f"{pilot.bounced} of {pilot.sent}; from {rule.pilot_bounces} on a person looks at the list first",
            signable=True,
        ),
        Check(
            name="pilot placement",
            ok=pilot.placement is not None,
            detail="no seed tests on both sides"
            if pilot.placement is None
            else f"{pilot.placement:.2f} of the old platform's",
            signable=True,
        ),
    ]


def _date(facts: Facts) -> Check:
    return Check(
        name="date", ok=facts.now >= facts.not_before, detail=f"not before {facts.not_before:%Y-%m-%d %H:%M %Z}"
    )


def _bounce(facts: Facts, rule: bounce.Rule, gate: Rule) -> Check:
    counts = Counts.of(facts.bounce.windows.get(str(bounce.WINDOWS[-1]), ()))
    n_eff = counts.n / evidence.effect(counts.n, counts.squares, rule.rho)
    below = (
        1 - evidence.above(gate.bounce_rate, counts.n, counts.k, counts.squares, rule.rho, rule.prior)
        if counts.n
        else 0.0
    )
    return Check(
        name="bounces",
        ok=n_eff >= gate.bounce_sample and below >= gate.bounce_sure,
        detail=f"{n_eff:.0f} of {gate.bounce_sample:.0f} effective mails, "
        f"P(rate < {percent(gate.bounce_rate, 0)}) = {below:.3f}",
        signable=n_eff < gate.bounce_sample,
    )


def _placement(facts: Facts, rule: placement.Rule, gate: Rule) -> Check:
    p = placement.drop_beyond(facts.placement, gate.placement_drop, rule)
    found = placement.compare(
        placement.window(facts.placement.new, 7), placement.window(facts.placement.old, rule.old_days), rule.rho
    )
    covered = found.covered if found else 0.0
    ok = p is not None and p < gate.placement_below and covered >= gate.placement_covered
    told = "nothing to compare" if p is None else f"P(drop > {percent(gate.placement_drop, 0)}) = {p:.3f}"
    return Check(name="placement", ok=ok, detail=f"{told}, {percent(covered, 0)} of the volume covered", signable=True)


def _share(facts: Facts) -> Check:
    off = facts.share_off
    return Check(
        name="routed share",
        ok=off is not None and off <= facts.largest + 1e-9,
        detail="nothing routed"
        if off is None
        else f"{off:.0f} off its target, the largest campaign is {facts.largest:.0f}",
        signable=off is None,
    )


def _api(facts: Facts, rule: Rule) -> Check:
    known = facts.api_week
    return Check(
        name="api", ok=known is not None and known >= rule.api_week, detail=f"{percent(known, 2)} over seven days"
    )


def _ledger(facts: Facts, rule: Rule) -> Check:
    hours = facts.reconciled_hours
    return Check(
        name="ledger",
        ok=hours is not None and hours <= rule.reconciled_hours and facts.unexplained == 0,
        detail="never reconciled"
        if hours is None
        else f"reconciled {hours:.0f} h ago, {facts.unexplained} leads unexplained",
    )


def _readiness(facts: Facts, rule: Rule) -> Check:
    ready = facts.readiness
    return Check(
        name="readiness",
        ok=ready is not None and ready >= rule.readiness,
        detail=f"{percent(ready, 0)} of today's volume could go back now",
    )


def _drill(facts: Facts, rule: Rule) -> Check:
    days = facts.drill_days
    return Check(
        name="drill",
        ok=days is not None and days <= rule.drill_days,
        detail="never drilled" if days is None else f"last rollback drill {days:.0f} days ago",
    )


def _quiet(facts: Facts) -> Check:
    standing = (*facts.open_reviews, *(("HOLD",) if facts.held else ()))
    return Check(name="no open review or hold", ok=not standing, detail=", ".join(standing) or "none")


def _freeze(facts: Facts) -> Check:
    return Check(name="no freeze", ok=not facts.frozen, detail=facts.frozen or "none")


def _approval(facts: Facts) -> Check:
    return Check(
        name="approval", ok=facts.approved >= facts.people, detail=f"{facts.approved} of {facts.people} people"
    )
