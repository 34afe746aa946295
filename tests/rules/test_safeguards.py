from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfleet.policy.model import default_policy
from mailfleet.rules import autopause, beta, bounce_bands, complaints, ladder
from mailfleet.rules.autopause import Health, conditions

POLICY = default_policy()
NOW = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("rate", "band"),
    [(0, "normal"), (0.0199, "normal"), (0.02, "elevated"), (0.05, "warning"), (0.0799, "warning"),
     (0.08, "critical"), (0.0999, "critical"), (0.10, "emergency"), (1, "emergency")],
)  # fmt: skip
def test_bands_are_half_open(rate: float, band: str) -> None:
    assert bounce_bands.band_of(POLICY.bounce_thresholds, rate) == band


def test_the_breaker_fires_where_it_was_measured_to() -> None:
    first = {n: next(k for k in range(n) if bounce_bands.breaker(POLICY, n, k).open) for n in (20, 50, 100, 200, 500)}
    assert first == {20: 6, 50: 8, 100: 11, 200: 17, 500: 34}
    assert not bounce_bands.breaker(POLICY, 19, 19).open


def test_a_proven_band_carries_all_its_actions() -> None:
    emergency = bounce_bands.read(POLICY, 1000, 150)
    assert emergency.proven == "emergency"
    assert set(POLICY.bounce_actions.emergency) <= set(emergency.actions)
    assert emergency.factor == 0
    assert not emergency.withheld


def test_a_thin_emergency_does_not_stop_everything_yet() -> None:
    thin = bounce_bands.read(POLICY, 30, 3)
    assert (thin.band, thin.proven) == ("emergency", "elevated")
    assert "pause_all_campaigns" in thin.withheld
    assert thin.factor == 0.5
    assert "send_urgent_alert" in thin.actions


@pytest.mark.parametrize(
    ("sent", "bounced", "band", "factor"),
    [
        (20, 1, "elevated", 1.0),
        (49, 3, "elevated", 1.0),
        (50, 3, "warning", 0.75),
        (20, 3, "warning", 0.75),
        (20, 5, "critical", 0.5),
    ],
)
def test_few_mails_slow_a_mailbox_only_when_it_is_more_likely_than_not(
    sent: int, bounced: int, band: str, factor: float
) -> None:
    step = ladder.look(POLICY, None, ladder.Sample(sent=sent, bounced=bounced), ladder.Sample(), NOW)
    assert (step.level.band, step.factor) == (band, factor)


def test_a_warning_reduces_by_a_quarter() -> None:
    warned = bounce_bands.read(POLICY, 200, 12)
    assert (warned.band, warned.factor) == ("warning", 0.75)
    assert "send_slack_alert" in warned.actions


def test_few_sends_are_only_watched_and_none_tell_nothing() -> None:
    assert bounce_bands.read(POLICY, 5, 5).actions == ("increase_monitoring_frequency",)
    assert bounce_bands.read(POLICY, 0, 0).rate is None
    assert bounce_bands.read(POLICY, 500, 5).actions == ()


@given(n=st.integers(0, 5000), k=st.integers(0, 5000))
def test_what_is_done_never_exceeds_what_is_estimated(n: int, k: int) -> None:
    seen = bounce_bands.read(POLICY, n, min(k, n))
    order = bounce_bands.BANDS.index
    assert order(seen.proven) <= order(seen.band)
    assert 0 <= seen.factor <= 1


@pytest.mark.parametrize(("x", "a", "b"), [(0.05, 1, 49), (0.3, 2, 5), (0.9, 30, 2), (0.5, 100.5, 99.5)])
def test_the_beta_function_against_numerical_integration(x: float, a: float, b: float) -> None:
    def density(t: float) -> float:
        return math.exp(
            (a - 1) * math.log(t) + (b - 1) * math.log1p(-t) + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
        )

    steps = 20_000
    total = sum(density((i + 0.5) * x / steps) for i in range(steps)) * x / steps
    assert beta.cdf(x, a, b) == pytest.approx(total, abs=1e-6)


def test_closed_form_of_the_beta_function() -> None:
    assert beta.cdf(0.05, 1, 49) == pytest.approx(1 - 0.95**49, abs=1e-12)
    assert beta.cdf(0.2, 3, 1) == pytest.approx(0.008, abs=1e-12)


def test_auto_pause_answers_as_specified() -> None:
    seen = conditions(
        Health(sent_24h=100, bounced_24h=9, sent_7d=1000, complaints_7d=4, heat=59, api_disabled=True, reputation=49),
        POLICY.auto_pause,
    )
    assert seen["should_pause"] is True
    assert seen["reasons"] == [
        "bounce_rate_exceeded", "spam_rate_exceeded", "heat_score_low", "api_disabled", "reputation_critical",
    ]  # fmt: skip
    assert seen["recommended_action"] == "reconnect_mailbox"


@pytest.mark.parametrize(
    "health",
    [
        Health(),
        Health(sent_24h=100, bounced_24h=8),
        Health(sent_24h=10, bounced_24h=9),
        Health(sent_7d=50, complaints_7d=1),
        Health(sent_7d=1000, complaints_7d=3),
        Health(heat=60, reputation=50),
    ],
)
def test_no_pause_at_the_edge_nor_on_too_little(health: Health) -> None:
    seen = conditions(health, POLICY.auto_pause)
    assert (seen["should_pause"], seen["reasons"], seen["recommended_action"]) == (False, [], "none")


def test_every_reason_has_a_recommended_action() -> None:
    assert all(autopause.recovery([reason]) != "none" for reason in autopause.RECOVERY)


@pytest.mark.parametrize(
    ("sent", "complained", "action"),
    [(0, 0, "none"), (500, 0, "none"), (500, 1, "urgent_alert"), (999, 5, "urgent_alert"), (1000, 1, "urgent_alert"),
     (2000, 2, "urgent_alert"), (1000, 2, "pause_all_campaigns")],
)  # fmt: skip
def test_complaints_of_a_scope(sent: int, complained: int, action: str) -> None:
    assert complaints.read(POLICY.complaints, sent, complained).action == action
