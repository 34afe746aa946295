"""The world behind the faces: the same for a seed, different between seeds, and never without any kind of person."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from tests.sandbox import scene
from tests.sandbox.receiver import receiving
from tests.sandbox_fixture import Sandbox

DOMAINS = ("get-mailfleet-demo.com", "try-mailfleet-demo.com.au")
EVERYTHING = {
    ("replied", "positive"), ("replied", "negative"), ("replied", "out_of_office"), ("replied", "unsubscribe"),
    ("replied", "wrong_person"), ("replied", "info_request"), ("replied", "unknown"), ("bounced", "hard"),
    ("bounced", "soft"), ("unsubscribed", None), ("complained", None),
}  # fmt: skip


def live(sandbox: Sandbox, leads: int, *, url: str | None = None, warm: int = 14, days: int = 14) -> int:
    """Two warmed domains with two mailboxes each, and ten sending days of a campaign."""
    for domain in DOMAINS:
        scene.authenticate(sandbox, domain)
    sandbox.advance(days=1)
    boxes = [scene.mailbox(sandbox, f"{name}@{domain}") for domain in DOMAINS for name in ("ada", "bo")]
    sandbox.advance(days=warm)
    campaign = scene.campaign(sandbox, boxes)
    if url:
        body = {"name": "ours", "webhook_url": url, "event_types": scene.ALL_EVENTS, "categories": ["Interested"]}
        assert sandbox.smartlead("POST", f"/campaigns/{campaign}/webhooks", body).status_code == 200
    for first in range(0, leads, 350):
        addresses = [f"p{n}@firm{n}-mailfleet.com" for n in range(first, min(first + 350, leads))]
        assert scene.add(sandbox, campaign, addresses)["total_leads"] == len(addresses)
    scene.start(sandbox, campaign)
    for _ in range(days):
        sandbox.advance(days=1)
    return campaign


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_ten_days_hold_every_kind_of_answer_and_few_bounces(seed: int) -> None:
    sandbox = Sandbox("--seed", str(seed), "--rate-limit", "100000")
    try:
        campaign = live(sandbox, 700)
        deeds = Counter((entry["kind"], entry.get("category")) for entry in sandbox.log("people"))
        assert set(deeds) >= EVERYTHING
        totals = sandbox.smartlead("GET", f"/campaigns/{campaign}/analytics").json()
        assert 0.005 < int(totals["bounce_count"]) / int(totals["unique_sent_count"]) < 0.04
        assert int(totals["unique_sent_count"]) == 700
    finally:
        sandbox.close()


def test_the_same_seed_and_calls_give_the_same_logs_and_another_seed_another_world() -> None:
    told: list[dict[str, Any]] = []
    for seed in (7, 7, 8):
        sandbox = Sandbox("--seed", str(seed), "--rate-limit", "100000")
        try:
            with receiving() as receiver:
                live(sandbox, 100, url=receiver.url, warm=2, days=5)
                logs = {name: sandbox.log(name) for name in ("sends", "people", "webhooks")}
                texts = sorted(str({**body, "webhook_url": ""}) for body in receiver.arrived)
            told.append({**logs, "arrived": texts})
        finally:
            sandbox.close()
    assert told[0] == told[1]
    assert told[0]["people"] != told[2]["people"]


def test_a_calm_world_delivers_each_webhook_once_and_a_typical_one_some_twice() -> None:
    repeated: list[int] = []
    for profile in ("calm", "typical"):
        sandbox = Sandbox("--seed", "1", "--profile", profile, "--rate-limit", "100000")
        try:
            with receiving() as receiver:
                live(sandbox, 150, url=receiver.url, warm=1, days=5)
                bodies = Counter(str(body) for body in receiver.arrived)
            repeated.append(sum(count > 1 for count in bodies.values()))
        finally:
            sandbox.close()
    assert repeated[0] == 0
    assert repeated[1] > 0


@pytest.mark.parametrize("trouble", ["volume", "bounces", "complaints"])
def test_trouble_lowers_placement_within_days_and_calm_recovers_slower(sandbox: Sandbox, trouble: str) -> None:
    scene.authenticate(sandbox, DOMAINS[0])
    sandbox.advance(days=1)
    box = scene.mailbox(sandbox, f"ada@{DOMAINS[0]}", max_email_per_day=150 if trouble == "volume" else 40)
    sandbox.advance(days=14)
    before = placement(sandbox)
    campaign = scene.campaign(sandbox, [box], new_leads=150)
    sandbox.smartlead("POST", f"/email-accounts/{box}", {"time_to_wait_in_mins": 0})
    schedule = {"timezone": "UTC", "days_of_the_week": list(range(7)), "start_hour": "00:00", "end_hour": "23:59"}
    schedule |= {"min_time_btw_emails": 3, "max_new_leads_per_day": 150}
    sandbox.smartlead("POST", f"/campaigns/{campaign}/schedule", schedule)
    bad = {"volume": [], "bounces": list(range(0, 400, 10)), "complaints": list(range(0, 400, 50))}[trouble]
    name = {"bounces": "hard-bounce", "complaints": "complains"}.get(trouble, "")
    for first in (0, 200):
        rows = [f"{name if n in bad else 'silent'}{n}@firm{n}-mailfleet.com" for n in range(first, first + 200)]
        scene.add(sandbox, campaign, rows)
    scene.start(sandbox, campaign)
    sandbox.advance(days=4)
    fallen = placement(sandbox)
    sandbox.smartlead("POST", f"/campaigns/{campaign}/status", {"status": "STOPPED"})
    sandbox.advance(days=7)
    recovering = placement(sandbox)
    sandbox.advance(days=45)
    assert fallen < before - 0.03
    assert recovering < before
    assert placement(sandbox) > before - 0.02


def placement(sandbox: Sandbox) -> float:
    return sandbox.control("GET", "/state")["mailboxes"][0]["placement"]
