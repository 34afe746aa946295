from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mailfleet.errors import PolicyError
from mailfleet.policy.load import assemble, describe, for_client, load
from mailfleet.policy.model import default_policy


def test_without_a_file_the_policy_is_the_specifications() -> None:
    assert load() == default_policy()


def test_the_file_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text("[send_limits.production]\nsoft_limit = 45\n[reply.actions.positive]\nnotify_channel = '#hot'\n")
    policy = load(file)
    assert policy.send_limits.production.soft_limit == 45
    assert policy.reply.actions.positive.notify_channel == "#hot"
    assert policy.reply.actions.positive.create_task == "follow_up_call"
    assert policy.version != default_policy().version


def test_a_client_overrides_the_workspace() -> None:
    workspace = assemble([("policy.toml", {"dedup": {"time_window_days": 120}})])
    client = for_client(workspace, "agency-os", {"graduation": {"minimum_heat_score": 90}})
    assert (client.dedup.time_window_days, client.graduation.minimum_heat_score) == (120, 90)


@pytest.mark.parametrize(
    ("override", "key", "problem"),
    [
        ({"nope": 1}, "nope", "is not a key"),
        ({"send_limits": {"production": {"soft": 1}}}, "send_limits.production.soft", "is not a key"),
        ({"send_limits": {"production": {"soft_limit": "x"}}}, "send_limits.production.soft_limit", "expected `int`"),
        ({"send_limits": {"production": {"soft_limit": 90}}}, "send_limits.production.soft_limit", "above hard_limit"),
        (
            {"send_limits": {"production": {"hard_limit": 50}}},
            "send_limits.production.campaign_per_mailbox",
            "together",
        ),
        ({"send_limits": {"emergency": {"pause_threshold": 70}}}, "send_limits.emergency.pause_threshold", "below"),
        (
            {"send_limits": {"warmup": {"day_8_14": {"from_day": 7}}}},
            "send_limits.warmup.day_8_14.from_day",
            "overlaps",
        ),
        ({"send_limits": {"warmup": {"day_8_14": {"from_day": 9}}}}, "send_limits.warmup.day_8_14.from_day", "gap"),
        ({"send_limits": {"warmup": {"day_1_7": {"min": 30}}}}, "send_limits.warmup.day_1_7.min", "above max"),
        ({"graduation": {"minimum_emails_sent": 900}}, "graduation.minimum_emails_sent", "cannot be reached"),
        ({"bounce_thresholds": {"warning": 0.09}}, "bounce_thresholds.critical", "overlap"),
        ({"bounce_thresholds": {"warning": 1.5}}, "bounce_thresholds.warning", "<= 1"),
        ({"bounce_thresholds": {"warning": float("nan")}}, "bounce_thresholds.warning", "finite"),
        ({"bounce_actions": {"warning": ["dance"]}}, "bounce_actions.warning", "invalid enum value"),
        ({"errors": {"400": {"action": "dance"}}}, "errors.400.action", "invalid enum value"),
        ({"errors": {"hello": {"action": "log_and_skip", "retry": False}}}, "errors.hello", "neither"),
        ({"errors": {"400": {"retry": True}}}, "errors.400.retry", "contradicts"),
        ({"errors": 3}, "errors", "has to be a table"),
        (
            {"rollback_triggers": {"automatic": [{"text": "", "metric": "mood", "threshold": 1}]}},
            "rollback_triggers.automatic",
            "invalid enum value",
        ),
        ({"lifecycle": {"low_heat": 90}}, "lifecycle.low_heat", "has to be below"),
        (
            {"parallel": {"traffic_split": {"week_5_6": {"smartlead": 0.3}}}},
            "parallel.traffic_split.week_5_6",
            "add up",
        ),
    ],
)
def test_a_contradiction_names_key_value_and_source(override: dict[str, Any], key: str, problem: str) -> None:
    with pytest.raises(PolicyError) as caught:
        assemble([("policy.toml", override)])
    assert caught.value.context["key"] == key
    assert problem in str(caught.value)
    assert "policy.toml" in str(caught.value)


def test_an_unreadable_file_is_a_policy_error(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="cannot be read"):
        load(tmp_path / "absent.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("a = = 1")
    with pytest.raises(PolicyError, match="not TOML"):
        load(broken)


def test_another_status_can_be_added() -> None:
    policy = load(None, {"errors": {"504": {"action": "retry_with_backoff", "retry": True}}})
    assert policy.errors["504"].retry


def test_description_holds_value_unit_source_and_decision() -> None:
    loaded = assemble([("policy.toml", {"auto_pause": {"heat_score": 55}})])
    leaves = {leaf.key: leaf for leaf in describe(loaded.policy, loaded.sources)}
    assert (leaves["auto_pause.heat_score"].value, leaves["auto_pause.heat_score"].source) == (55, "policy.toml")
    assert leaves["send_limits.emergency.pause_threshold"].decision == "S4"
    assert leaves["send_limits.production.hard_limit"].unit == "mails a day"
    assert leaves["costs.smartlead"].unit == "cents a month"


def test_the_version_follows_the_figures() -> None:
    assert load(None, {"auto_pause": {"heat_score": 55}}).version != load().version
    assert load().version == default_policy().version
