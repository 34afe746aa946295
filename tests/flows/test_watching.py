"""The rounds of the monitor come as often as the policy looks at what is watched."""

from __future__ import annotations

from mailfleet.flows import monitor
from mailfleet.flows.deployments import PLAN
from mailfleet.policy.checks import SHORTEST_WATCH
from mailfleet.policy.model import default_policy


def test_a_round_comes_whenever_a_watched_scope_is_due() -> None:
    (planned,) = [each for each in PLAN if each.flow == "mailfleet_monitor_flow"]
    minutes = monitor.INTERVAL.total_seconds() / 60
    assert planned.schedule is not None
    assert planned.schedule.interval == monitor.INTERVAL
    assert minutes == SHORTEST_WATCH == default_policy().bounce_actions.watch_minutes
