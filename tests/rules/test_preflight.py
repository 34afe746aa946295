"""Each rule before a start: one case that is refused, and its nearest neighbour that is not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from mailfleet.errors import BadFile
from mailfleet.rules.campaign_file import parse
from mailfleet.rules.preflight import Facts, Leads, Mailbox, preflight

CONFIG: dict[str, Any] = {
    "name": "Trades",
    "sequence": [{"step": 1, "subject": "Hello {{first_name}}", "body": "Hi {{first_name}}.", "delay_days": 0}],
    "schedule": {"timezone": "Australia/Sydney", "days": ["mon"], "start_hour": 9, "end_hour": 17},
    "identity": {"legal_name": "A", "postal_address": "B", "reply_contact": "c@d-mfdemo.com"},
}
BOX = Mailbox(address="a@b-mfdemo.com", state="PRODUCTION", ours=True, connected=True, verified=True, name="Ann Lee")
GOOD = Facts(mailboxes=[BOX], leads=Leads(waiting=1))


def failed(facts: Facts, **config: Any) -> list[str]:
    return [check.name for check in preflight(parse({**CONFIG, **config}), facts) if not check.ok]


def box(**changed: Any) -> Facts:
    return msgspec.structs.replace(GOOD, mailboxes=[msgspec.structs.replace(BOX, **changed)])


def facts(**changed: Any) -> Facts:
    return msgspec.structs.replace(GOOD, **changed)


SECOND = msgspec.structs.replace(BOX, address="e@b-mfdemo.com", name="Eve")
SENDER = [{"step": 1, "subject": "Hello", "body": "I am {{sender_name}}.", "delay_days": 0}]
CASES: list[tuple[str, Facts, Facts, dict[str, Any]]] = [
    ("mailboxes", box(state="WARMING"), box(state="PRODUCTION"), {}),
    ("mailboxes", box(held="bounces"), box(held=""), {}),
    ("mailboxes", GOOD, facts(mailboxes=[BOX, SECOND]), {"limits": {"minimum_mailboxes": 2}}),
    ("client", box(ours=False), box(ours=True), {}),
    ("connected", box(connected=False), box(connected=True), {}),
    ("share", box(share=0, others=60), box(share=1, others=59), {}),
    ("domains", box(verified=False), box(verified=True), {}),
    ("leads", facts(leads=Leads()), facts(leads=Leads(live=1)), {}),
    ("merge fields", facts(leads=Leads(waiting=2, empty={"first_name": 1})), facts(leads=Leads(waiting=2)), {}),
    ("sender", facts(mailboxes=[BOX, SECOND]), facts(mailboxes=[BOX]), {"sequence": SENDER}),
    ("tracking", facts(opens_allowed=False), facts(clicks_allowed=False), {"tracking": {"opens": True}}),
    ("tracking", facts(clicks_allowed=False), facts(opens_allowed=False), {"tracking": {"clicks": True}}),
    ("holds", facts(holds=["bounces"]), GOOD, {}),
    ("webhooks", facts(webhooks="no address"), GOOD, {}),
]


@pytest.mark.parametrize(("rule", "refused", "passes", "config"), CASES)
def test_a_rule_refuses_its_case_and_takes_the_neighbour(
    rule: str, refused: Facts, passes: Facts, config: dict[str, Any]
) -> None:
    assert failed(refused, **config) == [rule]
    assert failed(passes, **config) == []


def test_an_identity_may_be_the_clients() -> None:
    assert failed(GOOD, identity={}) == ["identity"]
    assert failed(facts(identity=CONFIG["identity"]), identity={}) == []


def test_a_stored_configuration_is_judged_by_the_policy_of_today() -> None:
    made = msgspec.structs.replace(parse(CONFIG), daily_per_mailbox=61)
    (check,) = [each for each in preflight(made, GOOD) if not each.ok]
    assert check.name == "configuration" and "at most 60" in check.detail
    assert all(each.ok for each in preflight(msgspec.structs.replace(made, daily_per_mailbox=60), GOOD))


def test_every_reason_is_told_at_once() -> None:
    bad = Facts(mailboxes=[msgspec.structs.replace(BOX, state="NEW", ours=False, connected=False)], leads=Leads())
    assert set(failed(bad, identity={})) == {"mailboxes", "client", "connected", "leads", "identity"}


STEP = {"step": 1, "subject": "Hello", "body": "Hi.", "delay_days": 0}
MORE = {"step": 2, "subject": "", "body": "Hi.", "delay_days": 3}
TIMES = CONFIG["schedule"]
WRITTEN: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("unknown merge field", {"sequence": [{**STEP, "body": "{{rank}}"}]},
     {"sequence": [{**STEP, "body": "{{rank}}"}], "fields": ["rank"]}),
    ("begins like an answer", {"sequence": [{**STEP, "subject": "Re: Hello"}]},
     {"sequence": [{**STEP, "subject": "Re-thinking"}, {**MORE, "subject": "Re: Hello"}]}),
    ("begins like an answer", {"sequence": [{**STEP, "subject": "FWD: Hello"}]},
     {"sequence": [{**STEP, "subject": "Forward: Hello"}]}),
    ("nobody could say stop", {"unsubscribe_text": " "}, {"unsubscribe_text": "Say stop."}),
    ("at most 60", {"limits": {"daily_per_mailbox": 61}}, {"limits": {"daily_per_mailbox": 60}}),
    ("at most 50", {"limits": {"daily_per_mailbox": 51, "warmup_reserve": 30}},
     {"limits": {"daily_per_mailbox": 50, "warmup_reserve": 30}}),
    ("always stay free", {"limits": {"warmup_reserve": 19}}, {"limits": {"warmup_reserve": 20}}),
    ("impossible", {"schedule": {**TIMES, "end_hour": 9}}, {"schedule": {**TIMES, "end_hour": 10}}),
    ("names no day", {"schedule": {**TIMES, "days": []}}, {"schedule": {**TIMES, "days": ["sun"]}}),
    ("not a time zone", {"schedule": {**TIMES, "timezone": "Australia/Sidney"}},
     {"schedule": {**TIMES, "timezone": "Australia/Sydney"}}),
    ("without gaps", {"sequence": [STEP, {**MORE, "step": 3}]}, {"sequence": [STEP, MORE]}),
    ("count from 1", {"sequence": [MORE]}, {"sequence": [STEP]}),
    ("at most 26", {"sequence": [{**STEP, "variants": [{"label": f"v{n}", "body": "Hi."} for n in range(27)]}]},
     {"sequence": [{**STEP, "variants": [{"label": f"v{n}", "body": "Hi."} for n in range(26)]}]}),
]  # fmt: skip


@pytest.mark.parametrize(("told", "refused", "passes"), WRITTEN)
def test_what_the_file_says_wrongly_is_refused_and_its_neighbour_is_not(
    told: str, refused: dict[str, Any], passes: dict[str, Any]
) -> None:
    with pytest.raises(BadFile, match=told):
        parse({**CONFIG, **refused})
    assert failed(GOOD, **passes) == []
