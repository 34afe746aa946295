"""Every "what would change if" is true: the rule, asked with the changed input, says so, and no sooner."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from mailfleet.policy.model import Band, default_policy
from mailfleet.rules import autopause, bounce_bands, ladder, lifecycle, what_if
from mailfleet.rules.autopause import Health
from mailfleet.rules.graduation import History
from mailfleet.rules.heat import Heat
from mailfleet.rules.ladder import Level, Sample

POLICY = default_policy()
NOW = datetime(2026, 3, 2, 3, tzinfo=UTC)
samples = st.integers(0, 400).flatmap(lambda n: st.builds(Sample, sent=st.just(n), bounced=st.integers(0, min(n, 60))))
bands = st.sampled_from(bounce_bands.BANDS)


@given(samples, bands)
def test_bounces_foretold_move_the_band_and_one_fewer_does_not(window: Sample, band: Band) -> None:
    level = Level(band=band, proven=min(band, "elevated", key=bounce_bands.BANDS.index), since=NOW - timedelta(days=2))
    found = what_if.of_ladder(POLICY, level, window, Sample(), NOW)

    def band_with(bounced: int) -> tuple[Band, Band]:
        changed = msgspec.structs.replace(window, bounced=bounced)
        step = ladder.look(POLICY, level, changed, Sample(sent=0, bounced=0), NOW)
        return step.level.band, step.level.proven

    for flip in found.what_if:
        if flip.input == "bounced" and isinstance(flip.instead, int) and flip.instead > window.bounced:
            assert band_with(flip.instead) != band_with(window.bounced)
            assert band_with(flip.instead - 1) == band_with(window.bounced)


def test_a_mailbox_in_warning_is_told_how_many_good_mails_bring_it_down() -> None:
    level = Level(band="warning", proven="elevated", since=NOW - timedelta(hours=30))
    found = what_if.of_ladder(POLICY, level, Sample(sent=100, bounced=6), Sample(sent=10, bounced=1), NOW)
    (good,) = [each for each in found.what_if if each.input == "sent without a bounce"]
    assert isinstance(good.instead, int)
    later = NOW + timedelta(hours=POLICY.bounce_evidence.step_hours)

    def band_after(mails: int) -> str:
        fresh = Sample(sent=10 + mails, bounced=1)
        return ladder.look(POLICY, level, Sample(sent=100 + mails, bounced=6), fresh, later).level.band

    assert (band_after(good.instead), band_after(good.instead - 1)) == ("elevated", "warning")
    assert good.then.startswith("elevated")


@given(
    st.builds(
        Health,
        sent_24h=st.integers(0, 120), bounced_24h=st.integers(0, 20), sent_7d=st.integers(0, 600),
        complaints_7d=st.integers(0, 6), heat=st.none() | st.floats(0, 100), api_disabled=st.booleans(),
        reputation=st.none() | st.floats(0, 100),
    )
)  # fmt: skip
def test_each_trigger_foretold_is_the_rules_own_answer(health: Health) -> None:
    found = what_if.of_auto_pause(health, POLICY.auto_pause)
    now = autopause.conditions(health, POLICY.auto_pause)
    assert found.acts is now["should_pause"]
    for flip in found.what_if:
        changed = msgspec.structs.replace(health, **{flip.input: flip.instead})
        then = autopause.conditions(changed, POLICY.auto_pause)
        assert then["reasons"] != now["reasons"]
        assert all(reason in flip.then for reason in then["reasons"])


def test_the_breaker_is_told_to_the_bounce() -> None:
    assert [each.instead for each in what_if.of_breaker(POLICY, 100, 4).what_if] == [11]
    assert [each.instead for each in what_if.of_breaker(POLICY, 100, 12).what_if] == [10]
    assert what_if.of_breaker(POLICY, 10, 3).what_if == ()


def test_complaints_are_told_both_ways() -> None:
    told = what_if.of_complaints(POLICY.complaints, 2000, 2)
    assert [(each.instead, each.then.split(":")[0]) for each in told.what_if] == [
        (3, "pause_all_campaigns"), (0, "none"),
    ]  # fmt: skip


def test_a_warming_mailbox_is_told_what_each_missing_criterion_would_bring() -> None:
    facts = lifecycle.Facts(state="WARMING", state_since=NOW - timedelta(days=20))
    reading = lifecycle.Reading(at=NOW, day=NOW.date(), heat=Heat(value=80, state="OK"))
    history = History(warmup_days=20, heat=Heat(value=80, state="OK"), sent=150)
    found = what_if.of_life(facts, reading, POLICY, history)
    told = {each.input: each.then for each in found.what_if}
    assert found.says == "stays WARMING"
    assert told["heat_score"] == "stays WARMING; still missing: emails_sent"
    assert told["heat_score and emails_sent"].startswith("PRODUCTION")
    assert told["disabled for"].startswith("RETIRED")


def test_a_sending_mailbox_is_told_below_which_heat_it_falls_back() -> None:
    facts = lifecycle.Facts(state="PRODUCTION", state_since=NOW)
    reading = lifecycle.Reading(at=NOW, day=NOW.date(), heat=Heat(value=92, state="OK"))
    told = {each.instead: each.then for each in what_if.of_life(facts, reading, POLICY).what_if}
    assert told[59.9].startswith("WARMING")
    assert 60 not in told


def test_a_throttled_limit_is_told_what_it_would_be_whole() -> None:
    found = what_if.of_limits(POLICY.send_limits, "PRODUCTION", 1, 0.75)
    assert found.says.startswith("30 campaign")
    assert [(each.instead, each.then.split(" ")[0]) for each in found.what_if] == [(1.0, "40"), (0.5, "20")]
