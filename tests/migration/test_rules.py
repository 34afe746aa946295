"""The verdicts' arithmetic against scipy, and what each trigger says in plain cases."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mailfleet.errors import PolicyError
from mailfleet.policy.model import Split, TrafficSplit, default_policy
from mailfleet.rules import beta
from mailfleet.rules.migration import (
    availability,
    bounce,
    bug,
    costs,
    detect,
    evidence,
    gates,
    judging,
    parameters,
    phases,
    placement,
    plain,
    readiness,
    reply,
    routing,
)
from mailfleet.rules.migration.evidence import Counts

RULE = bounce.Rule()
ALL = parameters.of(default_policy())


def windows(cells: list[tuple[str, float, float]]) -> dict[str, list[tuple[str, float, float]]]:
    return {str(hours): cells for hours in bounce.WINDOWS}


def campaigns(n: int, sends: int, bounces: float) -> list[tuple[str, float, float]]:
    return [(f"c{i}", sends, bounces) for i in range(n)]


def test_the_incomplete_beta_is_scipys_to_a_billionth() -> None:
    rng = random.Random(5)
    for _ in range(3000):
        a, b, x = rng.uniform(0.5, 800), rng.uniform(0.5, 8000), rng.uniform(0, 0.6)
        assert abs(beta.cdf(x, a, b) - stats.beta.cdf(x, a, b)) < 1e-9


def test_an_interval_is_scipys() -> None:
    low, high = evidence.interval(505, 61, evidence.Prior())
    wanted = stats.beta(62, 49 + 444).interval(0.95)
    assert (low, high) == pytest.approx(wanted, abs=1e-9)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 400), st.floats(0, 0.4)), min_size=1, max_size=12),
    st.sampled_from([0.05, 0.08, 0.10]),
    st.sampled_from([(0.975, 0.70), (0.95, 0.75), (0.95, 0.0)]),
)
def test_the_quick_gate_says_what_the_integrals_say(
    found: list[tuple[int, float]], theta: float, gate: tuple[float, float]
) -> None:
    counts = Counts.of((f"c{i}", n, round(n * rate)) for i, (n, rate) in enumerate(found))
    sure = evidence.sure(counts, theta, rho=0.02, prior=RULE.prior)
    wanted = sure.p >= gate[0] and (gate[1] == 0 or (sure.without is not None and sure.without >= gate[1]))
    assert evidence.passes(counts, theta, all=gate[0], without=gate[1], rho=0.02, prior=RULE.prior) == wanted


def test_sums_that_move_are_those_counted_anew() -> None:
    moved = Counts()
    for n, k in ((30, 2), (50, 1), (-30, -2)):
        moved.add("a", n, k)
    moved.add("b", 7, 0)
    anew = Counts.of([("a", 50, 1), ("b", 7, 0)])
    assert (moved.n, moved.k, moved.squares) == (anew.n, anew.k, anew.squares)


def test_the_design_effect_is_kishs() -> None:
    assert evidence.effect(1400, sum([233.333**2] * 6), 0.02) == pytest.approx(1 + (233.333 - 1) * 0.02, rel=1e-5)


def test_the_icc_of_a_history_is_found() -> None:
    rng = random.Random(2)
    groups = {}
    for i in range(400):
        p = rng.betavariate(0.02 * 32.3, 0.98 * 32.3)  # ICC .03
        groups[str(i)] = (200.0, float(sum(rng.random() < p for _ in range(200))))
    assert evidence.icc(groups) == pytest.approx(0.03, abs=0.012)
    assert evidence.icc({"a": (100, 2)}) is None


def test_the_breaker_opens_on_the_published_curve() -> None:
    for sent, first in ((20, 6), (50, 8), (100, 11), (200, 17), (500, 34)):
        assert bounce.breaker(sent, first, RULE)
        assert not bounce.breaker(sent, first - 1, RULE)


def test_a_bad_platform_is_held_and_a_bad_list_is_not() -> None:
    bad = bounce.judge(bounce.Inputs(windows=windows(campaigns(10, 100, 12))), RULE)
    assert bad.state == "HOLD" and bad.since == 0
    one = [*campaigns(9, 100, 2), ("list", 100, 25)]
    seen = bounce.judge(bounce.Inputs(windows=windows(one)), RULE)
    assert seen.state in ("OK", "REVIEW") and seen.pause == ("list",) and "list" in seen.worst


def test_one_campaign_alone_is_never_the_platforms_fault() -> None:
    seen = bounce.judge(bounce.Inputs(windows=windows([("only", 500, 100)])), RULE)
    assert seen.state == "REVIEW" and seen.without_worst is None and "cannot be told apart" in seen.sentence


def test_a_rollback_needs_the_hold_to_have_stood_for_two_days() -> None:
    cells = campaigns(12, 150, 18)
    asked = bounce.Inputs(windows=windows(cells), held_hours=47, fresh=900)
    assert bounce.judge(asked, RULE).state == "HOLD"
    assert bounce.judge(msgspec.structs.replace(asked, held_hours=48.0), RULE).state == "ROLLBACK"


def test_a_hold_is_not_cleared_by_silence() -> None:
    quiet = bounce.judge(bounce.Inputs(windows={}, held_hours=30, fresh=0), RULE)
    assert quiet.state == "HOLD" and quiet.since == 30
    well = bounce.Inputs(windows=windows(campaigns(8, 100, 2)), held_hours=30, fresh=400)
    assert bounce.judge(well, RULE).state == "OK"
    assert bounce.judge(msgspec.structs.replace(well, fresh=0.0), RULE).state == "HOLD"


def test_twenty_per_cent_pauses_at_once() -> None:
    assert bounce.judge(bounce.Inputs(windows=windows(campaigns(8, 60, 12))), RULE).state == "PAUSE"


def seeds(
    domains: int, rate: float, *, days: int = 3, stratum: str = "old/gmail", name: str = "d"
) -> list[placement.Test]:
    return [
        (day, stratum, f"{name}{i}", provider, n, n * rate)
        for day in range(days)
        for i in range(domains)
        for provider, n in (("gmail", 10.0), ("outlook", 6.0), ("other", 4.0))
    ]


def test_a_real_drop_is_held_after_its_burst_and_rolled_back_on_the_second_day() -> None:
    rule = placement.Rule()
    inputs = placement.Inputs(new=seeds(12, 0.60), old=seeds(12, 0.92, days=14))
    asked = placement.judge(inputs, rule)
    assert asked.asks == ("burst",) and asked.state != "ROLLBACK"
    first = placement.judge(msgspec.structs.replace(inputs, burst=True), rule)
    assert first.state == "HOLD" and first.streak == 1
    assert placement.judge(msgspec.structs.replace(inputs, burst=True, streak=1), rule).state == "ROLLBACK"


def test_two_domains_hold_and_never_roll_back() -> None:
    inputs = placement.Inputs(new=seeds(2, 0.30), old=seeds(2, 0.92, days=14), burst=True, streak=5)
    assert placement.judge(inputs, placement.Rule()).state == "HOLD"


def test_a_different_mix_is_not_taken_for_the_platforms_fault() -> None:
    young = seeds(9, 0.82, stratum="young") + seeds(3, 0.93, stratum="old", name="e")
    old = seeds(2, 0.82, days=14, stratum="young", name="x") + seeds(10, 0.93, days=14, stratum="old", name="y")
    seen = placement.judge(placement.Inputs(new=young, old=old), placement.Rule())
    assert seen.state == "OK" and seen.control is not None
    assert seen.control.ratio == pytest.approx(1.0, abs=0.01)
    assert seen.control.pooled is not None and seen.control.pooled < 0.95


def test_too_much_volume_without_a_partner_is_inconclusive() -> None:
    inputs = placement.Inputs(new=seeds(10, 0.5, stratum="young"), old=seeds(10, 0.92, days=14), burst=True, streak=3)
    assert placement.judge(inputs, placement.Rule()).state == "INCONCLUSIVE"
    assert placement.judge(placement.Inputs(), placement.Rule()).state == "THIN"


def test_replies_hold_on_a_collapse_and_never_roll_back() -> None:
    old = [(f"o{i}", 400.0, 16.0, 16.0) for i in range(20)]
    down = {str(days): [(f"n{i}", 200.0, 2.0, 8.0) for i in range(20)] for days in (2, 4, 7, 14)}
    seen = reply.judge(reply.Inputs(new=down, old=old, history=28_000), reply.Rule())
    assert seen.state == "HOLD" and seen.asks == ("placement",)
    well = {days: [(c, n, 8.0, e) for c, n, _, e in cells] for days, cells in down.items()}
    assert reply.judge(reply.Inputs(new=well, old=old, history=28_000), reply.Rule()).state == "OK"
    assert reply.judge(reply.Inputs(), reply.Rule()).state == "THIN"


def minutes(until: int, failing: range, *, share: int = 2) -> list[availability.Minute]:
    return [(m, 2, share if m in failing else 0) for m in range(until)]


def test_an_outage_fires_after_four_hours_and_not_once_it_is_over() -> None:
    rule = availability.Rule()
    down = minutes(900, range(500, 900))
    assert availability.scan(down, 500 + 239, rule).since == 500
    assert not availability.scan(down, 500 + 239, rule).fired
    assert availability.scan(down, 500 + 240, rule).fired
    over = minutes(1200, range(500, 715))
    assert not any(availability.scan(over, now, rule).fired for now in range(700, 1200, 20))
    assert availability.scan(over, 1100, rule).since is None


def test_the_literal_reading_of_availability_fires_within_minutes() -> None:
    seen = availability.judge(
        availability.Inputs(minutes=minutes(502, range(499, 502)), now=501, week=(20000, 6)), availability.Rule()
    )
    assert seen.literal is not None and seen.literal.fires and seen.state != "ROLLBACK"


def test_a_bug_on_most_sends_needs_two_campaigns() -> None:
    rule = bug.Rule()
    for n, k in ((8, 8), (10, 9), (20, 16), (50, 34), (100, 62)):
        assert bug.certain(n, k, rule) >= 0.99 > bug.certain(n, k - 1, rule)
    one = bug.judge(bug.Inputs(attempts=[("a", 8, 8)]), rule)
    assert one.state == "REVIEW" and one.pause == ("a",)
    assert bug.judge(bug.Inputs(attempts=[("a", 4, 4), ("b", 4, 4)]), rule).state == "ROLLBACK"
    assert bug.judge(bug.Inputs(declared="merge fields are empty"), rule).state == "REVIEW"


def test_cost_and_warm_up_are_reviewed_only() -> None:
    rule = plain.CostRule()
    assert plain.cost(plain.CostInputs(now_cents=18_610, planned_cents=18_610, currency="AUD"), rule).state == "OK"
    assert plain.cost(plain.CostInputs(now_cents=30_000, planned_cents=18_610, currency="AUD"), rule).state == "REVIEW"
    late = plain.WarmupInputs(done=[14, 15, 16], under_way=[31])
    assert plain.warmup(late, plain.WarmupRule()).state == "REVIEW"


def test_every_verdict_is_made_again_from_what_is_stored() -> None:
    for inputs in (
        bounce.Inputs(windows=windows(campaigns(10, 100, 12)), held_hours=3.5, fresh=10),
        placement.Inputs(new=seeds(4, 0.7), old=seeds(4, 0.9)),
        reply.Inputs(new={"14": [("a", 100.0, 3.0, 4.0)]}, history=100),
        availability.Inputs(minutes=minutes(300, range(10, 20)), now=299, week=(600, 20)),
        bug.Inputs(attempts=[("a", 9, 1)]),
        plain.WarmupInputs(done=[14]),
        plain.CostInputs(now_cents=1, planned_cents=2, currency="AUD"),
    ):
        made = judging.judge(inputs, ALL)
        stored = msgspec.json.decode(msgspec.json.encode(inputs))
        assert judging.replay(made.trigger, stored, ALL) == made


STEPS = phases.plan(default_policy().parallel.traffic_split)
START = date(2026, 3, 2)
ZONE = "Australia/Sydney"


def test_weeks_are_half_open_from_local_midnight() -> None:
    # Daylight saving ends on 5 April 2026 in Sydney.
    assert phases.week_start(START, 3, ZONE).isoformat() == "2026-03-16T00:00:00+11:00"
    assert phases.week_start(START, 7, ZONE).isoformat() == "2026-04-13T00:00:00+10:00"
    edge = phases.week_start(START, 5, ZONE)
    assert phases.week_of(START, edge, ZONE) == 5
    assert phases.week_of(START, edge - timedelta(seconds=1), ZONE) == 4


def test_a_late_step_slides_the_rest_and_none_is_skipped() -> None:
    late = phases.week_start(START, 6, ZONE)
    entered = {"ramp_25": late}
    assert phases.not_before(
        STEPS, "ramp_75", start=START, entered=entered, held_days=0, zone=ZONE
    ) == phases.week_start(START, 8, ZONE)
    held = phases.not_before(STEPS, "ramp_75", start=START, entered=entered, held_days=2, zone=ZONE)
    assert held == phases.week_start(START, 8, ZONE) + timedelta(days=2)
    assert [phases.after(phase) for phase in phases.PHASES] == [*phases.PHASES[1:], None]
    assert [step.share for step in STEPS] == [0, 0, 0.10, 0.25, 0.75, 1, 1]


def test_rows_that_do_not_fit_are_refused() -> None:
    with pytest.raises(PolicyError):
        phases.plan(TrafficSplit(week_5_6=Split(smartlead=0.05, forge=0.95)))
    with pytest.raises(PolicyError):
        phases.plan(TrafficSplit(week_5_6=Split(smartlead=0.25, forge=0.5)))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(1, 5000), min_size=1, max_size=60),
    st.sampled_from([0.10, 0.25, 0.75]),
    st.integers(0, 10_000),
)
def test_routing_never_strays_farther_than_the_largest_campaign(sizes: list[float], weight: float, seed: int) -> None:
    routed, largest, made = routing.Volumes(), 0.0, []
    for i, size in enumerate(sizes):
        decision = routing.route(
            routing.Candidate(id=f"c{i}", volume=size), seed=seed, migration="m", weight=weight, routed=routed
        )
        routed = routed.plus(size, decision.to_new)
        largest = max(largest, size)
        made.append(decision)
        assert not routing.ratio_off(routed, weight, largest)
    assert routing.replayed(made, seed, "m") == []
    assert routing.replayed([msgspec.structs.replace(made[0], to_new=not made[0].to_new)], seed, "m")


def test_volume_is_routed_by_weight_over_many_campaigns() -> None:
    rng = random.Random(3)
    for weight in (0.10, 0.25, 0.75):
        new = total = 0.0
        for run in range(60):
            routed = routing.Volumes()
            for i in range(60):
                size = rng.lognormvariate(0, 0.9)
                decision = routing.route(
                    routing.Candidate(id=f"{run}-{i}", volume=size), seed=run, migration="m", weight=weight,
                    routed=routed,
                )  # fmt: skip
                routed = routed.plus(size, decision.to_new)
            new, total = new + routed.new, total + routed.all
        assert new / total == pytest.approx(weight, abs=0.02)


def test_the_backlog_only_moves_forward_and_no_phase_is_empty() -> None:
    book = [routing.Candidate(id=f"c{i}", volume=100 + 10 * i) for i in range(20)]
    total = sum(each.volume for each in book)
    chosen: set[str] = set()
    for weight in (0.10, 0.25, 0.75, 1.0):
        left = [each for each in book if each.id not in chosen]
        new = total - sum(each.volume for each in left)
        made = routing.offer(left, seed=7, migration="m", weight=weight, new=new, all=total)
        chosen |= {each.campaign for each in made if each.to_new}
        share = sum(each.volume for each in book if each.id in chosen) / total
        assert weight - 290 / total <= share <= weight + 1e-9
    assert len(chosen) == 20
    big = [routing.Candidate(id="a", volume=900), routing.Candidate(id="b", volume=400)]
    only = routing.offer(big, seed=1, migration="m", weight=0.1, new=0, all=1300)
    assert [each.campaign for each in only if each.to_new] == ["b"]
    stays = [routing.Candidate(id="x", volume=1, contacted=True)]
    kept = routing.offer(stays, seed=1, migration="m", weight=1, new=0, all=1)
    assert kept == []


NOW = datetime(2026, 4, 1, tzinfo=UTC)


def facts(**more: object) -> gates.Facts:
    given = {
        "phase": "ramp_25",
        "now": NOW,
        "not_before": NOW - timedelta(hours=1),
        "bounce": bounce.Inputs(windows=windows(campaigns(10, 200, 3))),
        "placement": placement.Inputs(new=seeds(20, 0.92, days=7), old=seeds(20, 0.92, days=14)),
        "api_week": 0.999,
        "share_off": 20.0,
        "largest": 100.0,
        "reconciled_hours": 3.0,
        "readiness": 0.9,
        "drill_days": 5.0,
        "approved": 1,
        **more,
    }
    return gates.Facts(**given)  # type: ignore[arg-type]


def failed(found: list[gates.Check]) -> list[str]:
    return [check.name for check in found if not check.ok]


def checked(**more: object) -> list[gates.Check]:
    return gates.checklist(facts(**more), bounce.Rule(), placement.Rule(), gates.Rule())


@pytest.mark.parametrize(
    ("more", "wrong"),
    [
        ({}, []),
        ({"not_before": NOW + timedelta(seconds=1)}, ["date"]),
        ({"bounce": bounce.Inputs(windows=windows([("a", 140, 2)]))}, ["bounces"]),
        ({"bounce": bounce.Inputs(windows=windows([("a", 140, 2)])), "signed": ("bounces",)}, []),
        ({"bounce": bounce.Inputs(windows=windows(campaigns(10, 200, 10))), "signed": ("bounces",)}, ["bounces"]),
        ({"placement": placement.Inputs()}, ["placement"]),
        ({"api_week": 0.994}, ["api"]),
        ({"api_week": None}, ["api"]),
        ({"share_off": 101.0}, ["routed share"]),
        ({"reconciled_hours": 25.0}, ["ledger"]),
        ({"unexplained": 1}, ["ledger"]),
        ({"readiness": 0.79}, ["readiness"]),
        ({"drill_days": None}, ["drill"]),
        ({"open_reviews": ("a feature is missing",)}, ["no open review or hold"]),
        ({"held": True}, ["no open review or hold"]),
        ({"frozen": "holidays"}, ["no freeze"]),
        ({"people": 2}, ["approval"]),
    ],
)  # fmt: skip
def test_each_gate_stands_by_itself(more: dict[str, object], wrong: list[str]) -> None:
    assert failed(checked(**more)) == wrong


def test_the_pilot_tests_plumbing() -> None:
    pilot = gates.Pilot(
        leads=100, sent=100, bounced=2, flows_green=("a", "b", "c", "d"), flows_wanted=("a", "b", "c", "d"),
        received=298, reconciled=300, placement=0.98,
    )  # fmt: skip
    assert failed(gates.pilot_checks(pilot, gates.Rule())) == []
    bad = msgspec.structs.replace(pilot, bounced=8, received=296, flows_green=("a", "b", "c"))
    assert failed(gates.pilot_checks(bad, gates.Rule())) == ["pilot flows", "pilot webhooks", "pilot bounces"]


def test_readiness_is_what_the_warm_mailboxes_carry() -> None:
    boxes = [
        readiness.OldMailbox(address=f"{i}@x.com", connected=True, heat=90 if i < 18 else 40, warmup_per_day=8, cap=40)
        for i in range(22)
    ]
    seen = readiness.measure(boxes, volume=880, leads=100, importable=100, today=START, rule=readiness.Rule())
    assert seen.share == pytest.approx(18 / 22) and seen.full_in_days == 14 and seen.warm == 18
    cold = [msgspec.structs.replace(box, warmup_per_day=0) for box in boxes]
    assert readiness.measure(cold, volume=880, leads=1, importable=1, today=START, rule=readiness.Rule()).share == 0
    assert readiness.pause_capacity(1.0) == 120
    assert readiness.pause_seconds(100, 1.0) == 200


def test_the_bill_shows_the_double_cost_until_the_old_side_is_cancelled() -> None:
    table = default_policy().costs
    both = costs.bill(table, today=date(2026, 3, 31), new_since=START, old_until=None, old_cancelled=False)
    assert both.run_rate_cents == 11_110 + 7_500 and both.saving_month_cents == 3_610
    assert both.saving_year_cents == 43_320 and both.saving_from is None and both.double_cents == 7151
    end = date(2026, 5, 31)
    gone = costs.bill(table, today=date(2026, 6, 10), new_since=START, old_until=end, old_cancelled=True)
    assert gone.run_rate_cents == 7_500 and gone.saving_from == end and gone.double_cents == 22_192


def test_what_a_hundred_mails_a_day_cannot_show_is_said_before() -> None:
    def rows(volume: float, at_once: int) -> list[detect.Seen]:
        return detect.table(STEPS, volume=volume, campaigns=at_once, b=RULE, r=reply.Rule(), g=gates.Rule())

    small, large = rows(100, 4)[0], rows(1000, 20)[0]
    assert small.phase == "ramp_10" and not small.gate_passes and small.bounce_week is None
    assert large.bounce_week is not None and rows(1000, 20)[-2].bounce_day is not None
    assert rows(1000, 20)[-2].reply_drop < large.reply_drop


def test_the_parameters_change_their_version_with_any_figure() -> None:
    other = msgspec.structs.replace(ALL, bounce=msgspec.structs.replace(ALL.bounce, rho=0.03))
    assert ALL.version != other.version and ALL.version == parameters.of(default_policy()).version
    assert ALL.bounce.rollback_rate == 0.08 and ALL.placement.rollback_ratio == 0.85 and ALL.api.fire_minutes == 240
