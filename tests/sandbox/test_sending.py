"""The engine seen from outside: schedule, limits, exits, figures, webhooks."""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from tests.sandbox import scene
from tests.sandbox.receiver import receiving
from tests.sandbox_fixture import Sandbox

SYDNEY = ZoneInfo("Australia/Sydney")
CATEGORIES = ["Interested", "Not Interested"]


def ready(sandbox: Sandbox, boxes: int = 2, *, domain: str = "send-mailfleet.com", **settings: Any) -> int:
    scene.authenticate(sandbox, domain)
    sandbox.advance(days=1)
    made = [scene.mailbox(sandbox, f"box{number}@{domain}") for number in range(boxes)]
    return scene.campaign(sandbox, made, **settings)


def people(*kinds: str, count: int = 1) -> list[str]:
    return [f"{kind}{number}@target{number}-mailfleet.com" for kind in kinds for number in range(count)]


def campaign_sends(sandbox: Sandbox) -> list[dict[str, Any]]:
    return [entry for entry in sandbox.log("sends") if entry["kind"] == "campaign"]


def hook(sandbox: Sandbox, campaign: int, url: str, events: list[str] | None = None) -> dict[str, Any]:
    body = {
        "id": None,
        "name": "ours",
        "webhook_url": url,
        "event_types": events or scene.ALL_EVENTS,
        "categories": CATEGORIES,
    }
    response = sandbox.smartlead("POST", f"/campaigns/{campaign}/webhooks", body)
    assert response.status_code == 200, response.text
    return response.json()


def test_mail_leaves_only_inside_the_schedule_and_the_limits(sandbox: Sandbox) -> None:
    campaign = ready(sandbox, new_leads=30)
    for box in (row["id"] for row in sandbox.smartlead("GET", "/email-accounts/").json()):
        sandbox.smartlead("POST", f"/email-accounts/{box}", {"max_email_per_day": 20})
    for first in range(0, 200, 100):
        scene.add(sandbox, campaign, [f"p{n}@firm{n}-mailfleet.com" for n in range(first, first + 100)])
    scene.start(sandbox, campaign)
    sandbox.advance(days=14)
    sends = campaign_sends(sandbox)
    local = [(datetime.fromisoformat(entry["at"]).astimezone(SYDNEY), entry) for entry in sends]
    assert all(at.isoweekday() <= 5 and 9 <= at.hour < 17 for at, _ in local)
    assert max(Counter((at.date(), entry["mailbox"]) for at, entry in local).values()) <= 20
    assert max(Counter(at.date() for at, entry in local if entry["step"] == 1).values()) <= 30
    assert max(Counter((entry["lead_email"], entry["step"]) for entry in sends).values()) == 1
    assert {entry["step"] for entry in sends} == {1, 2, 3}


def test_follow_ups_wait_their_days_and_keep_their_mailbox(sandbox: Sandbox) -> None:
    campaign = ready(sandbox)
    scene.add(sandbox, campaign, people("silent", count=10))
    scene.start(sandbox, campaign)
    sandbox.advance(days=21)
    by_lead: dict[str, list[dict[str, Any]]] = {}
    for entry in campaign_sends(sandbox):
        by_lead.setdefault(entry["lead_email"], []).append(entry)
    for entries in by_lead.values():
        days = [datetime.fromisoformat(entry["at"]).astimezone(SYDNEY).date() for entry in entries]
        assert [entry["step"] for entry in entries] == [1, 2, 3]
        assert (days[1] - days[0]).days >= 3
        assert (days[2] - days[1]).days >= 4
        assert len({entry["mailbox"] for entry in entries}) == 1
    assert sandbox.smartlead("GET", f"/campaigns/{campaign}").json()["status"] == "COMPLETED"


def test_whoever_answers_bounces_or_opts_out_gets_no_further_mail(sandbox: Sandbox) -> None:
    campaign = ready(sandbox)
    kinds = ("replies-positive", "replies-negative", "hard-bounce", "unsubscribes", "complains")
    scene.add(sandbox, campaign, people(*kinds, count=3))
    scene.start(sandbox, campaign)
    sandbox.advance(days=21)
    ended = {
        entry["email"]: entry["at"]
        for entry in sandbox.log("people")
        if entry["kind"] in ("replied", "bounced", "unsubscribed", "complained")
    }
    assert len(ended) == 15
    assert all(entry["at"] <= ended[entry["lead_email"]] for entry in campaign_sends(sandbox))
    blocked = sandbox.smartlead("GET", "/leads/get-domain-block-list").json()
    assert Counter(row["source"] for row in blocked) == {"complaint": 3, "Smartlead.ai Bounce Detection": 3}
    path = f"/campaigns/{campaign}/leads"
    totals = {
        state: int(sandbox.smartlead("GET", path, emailStatus=state).json()["total_leads"])
        for state in ("is_replied", "is_bounced", "is_unsubscribed", "is_spam")
    }
    assert totals == {"is_replied": 6, "is_bounced": 3, "is_unsubscribed": 3, "is_spam": 3}


def test_a_soft_bounce_does_not_end_the_lead(sandbox: Sandbox) -> None:
    campaign = ready(sandbox)
    scene.add(sandbox, campaign, people("soft-bounce", count=3))
    scene.start(sandbox, campaign)
    sandbox.advance(days=21)
    assert Counter(entry["step"] for entry in campaign_sends(sandbox)) == {1: 3, 2: 3, 3: 3}
    assert sandbox.smartlead("GET", "/leads/get-domain-block-list").json() == []


def test_a_paused_lead_waits_and_a_resumed_one_goes_on_after_its_days(sandbox: Sandbox) -> None:
    campaign = ready(sandbox)
    answer = scene.add(sandbox, campaign, ["silent@target-mailfleet.com"])
    lead = answer["emailToLeadIdMap"]["newlyAddedLeads"]["silent@target-mailfleet.com"]
    scene.start(sandbox, campaign)
    sandbox.advance(days=1)
    path = f"/campaigns/{campaign}/leads/{lead}"
    sandbox.smartlead("POST", f"{path}/pause")
    sandbox.advance(days=10)
    assert len(campaign_sends(sandbox)) == 1
    resumed = datetime.fromisoformat(sandbox.info["now"])
    now = sandbox.control("GET", "/clock")["now"]
    sandbox.smartlead("POST", f"{path}/resume", {"resume_lead_with_delay_days": 5})
    sandbox.advance(days=12)
    sends = campaign_sends(sandbox)
    assert len(sends) >= 2
    assert (datetime.fromisoformat(sends[1]["at"]) - datetime.fromisoformat(now)).days >= 5
    assert resumed < datetime.fromisoformat(now)


def test_an_address_blocked_later_is_not_written_to(sandbox: Sandbox) -> None:
    campaign = ready(sandbox)
    scene.add(sandbox, campaign, ["silent@target-mailfleet.com", "silent@other-mailfleet.com"])
    sandbox.smartlead("POST", "/leads/add-domain-block-list", {"domain_block_list": ["target-mailfleet.com"]})
    scene.start(sandbox, campaign)
    sandbox.advance(days=3)
    assert {entry["lead_email"] for entry in campaign_sends(sandbox)} == {"silent@other-mailfleet.com"}
    blocked = sandbox.smartlead("GET", f"/campaigns/{campaign}/leads", status="BLOCKED").json()
    assert blocked["total_leads"] == "1"


def test_the_vendor_pauses_a_campaign_that_bounces_too_much(sandbox: Sandbox) -> None:
    campaign = ready(sandbox, bounce_autopause_threshold="8")
    with receiving() as receiver:
        body = {
            "webhook_url": receiver.url,
            "association_type": "user",
            "event_type_map": {"CAMPAIGN_BOUNCE_BREACH": True, "CAMPAIGN_STATUS_CHANGED": True},
        }
        assert sandbox.smartlead("POST", "/webhook/create", body).json()["ok"] is True
        scene.add(sandbox, campaign, people("hard-bounce", "silent", count=45))
        scene.start(sandbox, campaign)
        sandbox.advance(days=7)
        assert sandbox.smartlead("GET", f"/campaigns/{campaign}").json()["status"] == "PAUSED"
        breaches = [entry for entry in receiver.arrived if entry.get("eventType") == "CAMPAIGN_BOUNCE_BREACH"]
        assert [entry["campaignId"] for entry in breaches] == [campaign]


def test_statistics_are_rows_and_analytics_are_text(sandbox: Sandbox) -> None:
    campaign = ready(sandbox)
    scene.add(sandbox, campaign, people("opens", "hard-bounce", "replies-positive", count=4))
    scene.start(sandbox, campaign)
    sandbox.advance(days=3)
    page = sandbox.smartlead("GET", f"/campaigns/{campaign}/statistics", limit=1000).json()
    sends = campaign_sends(sandbox)
    assert (page["total_stats"], len(page["data"])) == (str(len(sends)), len(sends))
    assert all(row["sent_time"].endswith("Z") and len(row["stats_id"]) == 36 for row in page["data"])
    bounced = sandbox.smartlead("GET", f"/campaigns/{campaign}/statistics", email_status="bounced").json()
    assert bounced["total_stats"] == "4"
    totals = sandbox.smartlead("GET", f"/campaigns/{campaign}/analytics").json()
    assert (totals["sent_count"], totals["bounce_count"]) == (str(len(sends)), "4")
    assert all(isinstance(value, int) for value in totals["campaign_lead_stats"].values())
    per_box = sandbox.smartlead("GET", f"/campaigns/{campaign}/mailbox-statistics").json()["data"]
    assert sum(int(row["sent_count"]) for row in per_box) == len(sends)
    dates = {"start_date": "2026-03-02", "end_date": "2026-03-31"}
    by_date = sandbox.smartlead("GET", f"/campaigns/{campaign}/analytics-by-date", **dates).json()
    assert by_date["sent_count"] == str(len(sends))
    assert sandbox.smartlead("GET", f"/campaigns/{campaign}/analytics-by-date").status_code == 400


def test_untracked_opens_are_never_seen(sandbox: Sandbox) -> None:
    campaign = ready(sandbox, track_settings=["DONT_TRACK_EMAIL_OPEN"])
    scene.add(sandbox, campaign, people("opens", count=5))
    scene.start(sandbox, campaign)
    sandbox.advance(days=5)
    assert any(entry["kind"] == "opened" for entry in sandbox.log("people"))
    assert sandbox.smartlead("GET", f"/campaigns/{campaign}/analytics").json()["open_count"] == "0"


def test_replies_are_in_the_history_and_answered_in_html(sandbox: Sandbox) -> None:
    campaign = ready(sandbox)
    answer = scene.add(sandbox, campaign, people("replies-positive"))
    ((_, lead),) = answer["emailToLeadIdMap"]["newlyAddedLeads"].items()
    scene.start(sandbox, campaign)
    sandbox.advance(days=6)
    path = f"/campaigns/{campaign}/leads/{lead}/message-history"
    history = sandbox.smartlead("GET", path).json()["history"]
    assert [entry["type"] for entry in history][-1] == "REPLY"
    body = {"email_stats_id": history[-1]["stats_id"], "email_body": "<div>Thursday is fine</div>"}
    url = f"/campaigns/{campaign}/reply-email-thread"
    response = sandbox.smartlead("POST", url, body)
    assert response.headers["content-type"].startswith("text/html")
    assert response.text == "Email added to the queue, will be sent out soon!"
    refused = sandbox.smartlead("POST", url, {**body, "lead_id": lead})
    assert (refused.status_code, refused.json()) == (400, {"message": '"lead_id" is not allowed'})
    sandbox.advance(seconds=600)
    after = sandbox.smartlead("GET", path).json()["history"]
    assert [entry["type"] for entry in after][-2:] == ["REPLY", "SENT"]
    assert [entry["kind"] for entry in sandbox.log("sends")].count("reply") == 1


def test_webhooks_carry_real_names_and_both_generations_of_fields(sandbox: Sandbox) -> None:
    campaign = ready(sandbox)
    with receiving() as receiver:
        assert hook(sandbox, campaign, receiver.url)["ok"] is True
        scene.add(sandbox, campaign, people("replies-positive", "hard-bounce", "unsubscribes", "clicks", count=3))
        scene.start(sandbox, campaign)
        sandbox.advance(days=8)
        assert {entry["event_type"] for entry in receiver.arrived} == set(scene.ALL_EVENTS) - {"LEAD_CATEGORY_UPDATED"}
        assert all(entry["secret_key"] == sandbox.info["smartlead"]["webhook_secret"] for entry in receiver.arrived)
        sent, reply = receiver.events("EMAIL_SENT")[0], receiver.events("EMAIL_REPLY")[0]
        assert isinstance(sent["sl_email_lead_id"], str)
        assert sent["message_id"] == sent["sent_message"]["message_id"]
        assert sent["event_timestamp"].endswith("+00:00")
        assert reply["from_email"].endswith("@send-mailfleet.com")
        assert reply["to_email"] == reply["leadCorrespondence"]["replyReceivedFrom"]
        assert reply["reply_body"] == reply["reply_message"]["html"]
        bounce = receiver.events("EMAIL_BOUNCE")[0]
        assert bounce["is_bounced"] is True
        assert "sl_email_lead_id" not in bounce
        assert not {"bounce_type", "category"} & set(bounce)
        gone = receiver.events("LEAD_UNSUBSCRIBED")[0]
        assert gone["event_timestamp"].endswith("Z")
        assert "stats_id" not in gone
        assert len(receiver.events("EMAIL_SENT")) == len(campaign_sends(sandbox))


def test_a_hook_without_categories_is_refused(sandbox: Sandbox) -> None:
    campaign = sandbox.smartlead("POST", "/campaigns/create", {}).json()["id"]
    path, body = f"/campaigns/{campaign}/webhooks", {"name": "ours", "webhook_url": "https://hooks.example/sl"}
    assert sandbox.smartlead("GET", path).json() == []
    for more, answer in (
        ({"event_types": ["EMAIL_SENT"]}, {"message": '"categories" is required'}),
        (
            {"event_types": ["EMAIL_SENT"], "categories": []},
            {"message": '"categories" does not contain 1 required value(s)'},
        ),
        ({"event_types": ["EMAIL_OPENED"], "categories": CATEGORIES}, {"error": "Invalid event_types - EMAIL_OPENED"}),
        ({"event_types": ["LEAD_REPLIED"], "categories": CATEGORIES}, {"error": "Invalid event_types - LEAD_REPLIED"}),
        ({"event_types": ["EMAIL_SENT"], "categories": ["Warm"]}, {"error": "Invalid category - Warm"}),
    ):
        response = sandbox.smartlead("POST", path, {**body, **more})
        assert (response.status_code, response.json()) == (400, answer)


def test_failed_deliveries_are_retried_and_refused_ones_are_not(sandbox: Sandbox) -> None:
    campaign = ready(sandbox)
    with receiving() as receiver:
        hook(sandbox, campaign, receiver.url, ["FIRST_EMAIL_SENT"])
        scene.add(sandbox, campaign, people("silent"))
        receiver.status = 500
        scene.start(sandbox, campaign)
        sandbox.advance(days=2)
        assert len(receiver.arrived) == 4
        attempts = [entry["attempt"] for entry in sandbox.log("webhooks")]
        assert attempts == [1, 2, 3, 4]
        receiver.status = 200
        window = {"fromTime": "2026-03-01T00:00:00.000Z", "toTime": "2026-03-31T00:00:00.000Z"}
        path = f"/campaigns/{campaign}/webhooks"
        assert sandbox.smartlead("POST", f"{path}/retrigger-failed-events", window).json()["retriggered_count"] == 1
        sandbox.advance(days=1)
        assert len(receiver.arrived) == 5
        assert sandbox.smartlead("GET", f"{path}/summary", **window).json()["failed_calls"] == 4


def test_a_client_error_ends_the_retries(sandbox: Sandbox) -> None:
    campaign = ready(sandbox)
    with receiving() as receiver:
        hook(sandbox, campaign, receiver.url, ["FIRST_EMAIL_SENT"])
        scene.add(sandbox, campaign, people("silent"))
        receiver.status = 410
        scene.start(sandbox, campaign)
        sandbox.advance(days=2)
        assert len(receiver.arrived) == 1


def test_deliveries_are_signed_when_that_is_asked_for(sandbox: Sandbox) -> None:
    campaign = ready(sandbox)
    sandbox.fault("sign_webhooks")
    with receiving() as receiver:
        hook(sandbox, campaign, receiver.url, ["EMAIL_SENT"])
        scene.add(sandbox, campaign, people("silent"))
        scene.start(sandbox, campaign)
        sandbox.advance(days=2)
        secret = sandbox.info["smartlead"]["webhook_secret"].encode()
        wanted = "sha256=" + hmac.new(secret, receiver.raw[0], hashlib.sha256).hexdigest()
        assert receiver.headers[0]["x-smartlead-signature"] == wanted
        assert receiver.headers[0]["x-request-id"]


@pytest.mark.parametrize("kind", ["webhook_loss", "webhook_repeat"])
def test_deliveries_can_be_lost_or_made_twice(sandbox: Sandbox, kind: str) -> None:
    campaign = ready(sandbox)
    with receiving() as receiver:
        hook(sandbox, campaign, receiver.url, ["EMAIL_SENT"])
        scene.add(sandbox, campaign, people("silent", count=3))
        sandbox.fault(kind, times=1)
        scene.start(sandbox, campaign)
        sandbox.advance(days=2)
        assert len(receiver.arrived) == {"webhook_loss": 2, "webhook_repeat": 4}[kind]


def test_category_changes_reach_only_hooks_registered_for_the_category(sandbox: Sandbox) -> None:
    campaign = ready(sandbox)
    answer = scene.add(sandbox, campaign, people("silent"))
    ((_, lead),) = answer["emailToLeadIdMap"]["newlyAddedLeads"].items()
    rows = sandbox.smartlead("GET", "/leads/fetch-categories").json()
    numbers = {row["name"]: row["id"] for row in rows}
    with receiving() as receiver:
        hook(sandbox, campaign, receiver.url, ["LEAD_CATEGORY_UPDATED"])
        for name in ("Interested", "Wrong Person"):
            path = f"/campaigns/{campaign}/leads/{lead}/category"
            sandbox.smartlead("POST", path, {"category_id": numbers[name]})
        sandbox.advance(seconds=60)
        (body,) = receiver.arrived
        assert body["lead_category"] == {
            "old_id": None,
            "old_name": None,
            "new_id": numbers["Interested"],
            "new_name": "Interested",
        }
        assert body["lead_id"] == int(lead)
        assert "stats_id" not in body
