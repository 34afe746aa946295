"""Campaigns by raw HTTP: what is written, what is read, what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from tests.sandbox import scene
from tests.sandbox_fixture import Sandbox

FIELDS = {
    "id", "user_id", "created_at", "updated_at", "status", "name", "track_settings", "scheduler_cron_value",
    "min_time_btwn_emails", "max_leads_per_day", "stop_lead_settings", "schedule_start_time", "enable_ai_esp_matching",
    "send_as_plain_text", "follow_up_percentage", "unsubscribe_text", "parent_campaign_id", "client_id",
}  # fmt: skip
SCHEDULE = {
    "timezone": "Europe/Berlin",
    "days_of_the_week": [1, 2, 3, 4, 5],
    "start_hour": "09:00",
    "end_hour": "17:00",
    "min_time_btw_emails": 10,
    "max_new_leads_per_day": 20,
}


@pytest.fixture
def draft(shared_sandbox: Sandbox) -> int:
    return shared_sandbox.smartlead("POST", "/campaigns/create", {"name": "Pilot A"}).json()["id"]


def read(sandbox: Sandbox, identity: int) -> dict[str, Any]:
    return sandbox.smartlead("GET", f"/campaigns/{identity}").json()


def test_creating_answers_id_name_and_time(shared_sandbox: Sandbox) -> None:
    answer = shared_sandbox.smartlead("POST", "/campaigns/create", {"name": "Pilot A"}).json()
    assert set(answer) == {"ok", "id", "name", "created_at"}
    assert answer["created_at"].endswith("Z")


def test_the_list_is_a_bare_array_newest_first(shared_sandbox: Sandbox, draft: int) -> None:
    rows = shared_sandbox.smartlead("GET", "/campaigns/").json()
    assert rows[0]["id"] == draft
    assert set(rows[0]) == FIELDS
    assert set(read(shared_sandbox, draft)) == FIELDS


def test_an_unknown_campaign_is_404_in_the_vendors_words(shared_sandbox: Sandbox) -> None:
    response = shared_sandbox.smartlead("GET", "/campaigns/1")
    assert (response.status_code, response.json()) == (404, {"error": "Campaign not found - Invalid campaign_id."})


@pytest.mark.parametrize("path", ["/schedule", ""])
def test_the_flat_schedule_is_read_as_a_cron_value(shared_sandbox: Sandbox, draft: int, path: str) -> None:
    assert shared_sandbox.smartlead("POST", f"/campaigns/{draft}{path}", SCHEDULE).json() == {"ok": True}
    shown = read(shared_sandbox, draft)
    assert shown["scheduler_cron_value"] == {
        "tz": "Europe/Berlin",
        "days": [1, 2, 3, 4, 5],
        "startHour": "09:00",
        "endHour": "17:00",
    }
    assert (shown["min_time_btwn_emails"], shown["max_leads_per_day"]) == (10, 20)


@pytest.mark.parametrize(
    ("change", "body"),
    [
        ({"timezone": "Mars/Olympus"}, {"error": "Invalid timezone - Mars/Olympus"}),
        ({"start_hour": "25:00"}, {"error": "Invalid start_hour - 25:00"}),
        ({"start_hour": "18:00"}, {"error": "startHour cannot be greater that endHour"}),
        ({"min_time_btw_emails": 2}, {"message": '"min_time_btw_emails" must be greater than or equal to 3'}),
        ({"startHour": "09:00"}, {"message": '"startHour" is not allowed'}),
        ({"days_of_the_week": [7]}, {"message": '"days_of_the_week[0]" must be less than or equal to 6'}),
    ],
)
def test_an_impossible_schedule_is_refused(
    shared_sandbox: Sandbox, draft: int, change: dict[str, Any], body: dict[str, str]
) -> None:
    response = shared_sandbox.smartlead("POST", f"/campaigns/{draft}/schedule", {**SCHEDULE, **change})
    assert (response.status_code, response.json()) == (400, body)


def test_tracking_is_written_long_and_read_short(shared_sandbox: Sandbox, draft: int) -> None:
    body = {
        "track_settings": ["DONT_TRACK_EMAIL_OPEN", "DONT_TRACK_LINK_CLICK"],
        "stop_lead_settings": "CLICK_ON_A_LINK",
    }
    assert shared_sandbox.smartlead("POST", f"/campaigns/{draft}/settings", body).json() == {"ok": True}
    shown = read(shared_sandbox, draft)
    assert shown["track_settings"] == ["DONT_EMAIL_OPEN", "DONT_LINK_CLICK"]
    assert shown["stop_lead_settings"] == "CLICK_ON_A_LINK"


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({"track_settings": ["TRACK_OPENS"]}, {"error": "Invalid track_settings value - TRACK_OPENS"}),
        ({"stop_lead_settings": "NEVER"}, {"error": "Invalid stop_lead_settings value - NEVER"}),
        ({"settings": {"update": 1}}, {"message": '"settings" is not allowed'}),
        ({"follow_up_percentage": 101}, {"message": '"follow_up_percentage" must be less than or equal to 100'}),
        ({"bounce_autopause_threshold": 8}, {"message": '"bounce_autopause_threshold" must be a string'}),
    ],
)
def test_unknown_settings_are_refused(
    shared_sandbox: Sandbox, draft: int, body: dict[str, Any], answer: dict[str, str]
) -> None:
    response = shared_sandbox.smartlead("POST", f"/campaigns/{draft}/settings", body)
    assert (response.status_code, response.json()) == (400, answer)


def test_sequences_are_replaced_whole_and_read_under_other_names(shared_sandbox: Sandbox, draft: int) -> None:
    variants = [
        {"subject": "A", "email_body": "a", "variant_label": "A", "variant_distribution_percentage": 50},
        {"subject": "B", "email_body": "b", "variant_label": "B", "variant_distribution_percentage": 50},
    ]
    for count in (3, 1):
        steps = [
            {
                "id": None,
                "seq_number": place,
                "seq_delay_details": {"delay_in_days": place},
                "subject": "S",
                "email_body": "<div>x</div>",
                "seq_variants": variants if place == 1 else [],
                "variant_distribution_type": "MANUAL_EQUAL",
            }
            for place in range(1, count + 1)
        ]
        path = f"/campaigns/{draft}/sequences"
        assert shared_sandbox.smartlead("POST", path, {"sequences": steps}).json()["ok"] is True
        shown = shared_sandbox.smartlead("GET", path).json()
        assert [row["seq_number"] for row in shown] == list(range(1, count + 1))
    assert shown[0]["seq_delay_details"] == {"delayInDays": 1}
    assert [row["variant_label"] for row in shown[0]["sequence_variants"]] == ["A", "B"]
    assert "seq_variants" not in shown[0]
    assert shared_sandbox.smartlead("POST", path, {"sequences": []}).json()["ok"] is True
    assert shared_sandbox.smartlead("GET", path).json() == []


def test_mailboxes_are_named_in_the_body(shared_sandbox: Sandbox, draft: int) -> None:
    box = scene.mailbox(shared_sandbox, f"box{draft}@campaign-mailfleet.com")
    path = f"/campaigns/{draft}/email-accounts"
    assert shared_sandbox.smartlead("POST", path, {"email_account_ids": [box]}).json()["ok"] is True
    rows = shared_sandbox.smartlead("GET", path).json()
    assert [row["id"] for row in rows] == [box]
    assert rows[0]["is_connected_to_campaign"] is True
    foreign = shared_sandbox.smartlead("POST", path, {"email_account_ids": [297]})
    assert foreign.json() == {"error": "Email account id - 297 not allowed. Permission Error."}
    assert shared_sandbox.smartlead("DELETE", path, {"email_account_ids": [box]}).json()["ok"] is True
    assert shared_sandbox.smartlead("GET", path).json() == []


@pytest.mark.parametrize("word", ["ACTIVE", "PAUSE", "STOP", "start", ""])
def test_only_three_words_change_the_state(shared_sandbox: Sandbox, draft: int, word: str) -> None:
    assert shared_sandbox.smartlead("POST", f"/campaigns/{draft}/status", {"status": word}).status_code == 400


def test_start_needs_steps_mailboxes_leads_and_a_schedule(shared_sandbox: Sandbox, draft: int) -> None:
    def attempt() -> int:
        return shared_sandbox.smartlead("POST", f"/campaigns/{draft}/status", {"status": "START"}).status_code

    box = scene.mailbox(shared_sandbox, f"start{draft}@campaign-mailfleet.com")
    for path, body in (
        ("/sequences", {"sequences": scene.STEPS}),
        ("/email-accounts", {"email_account_ids": [box]}),
        ("/leads", {"lead_list": [{"email": f"lead{draft}@target-mailfleet.com"}]}),
        ("/schedule", SCHEDULE),
    ):
        assert attempt() == 400
        assert shared_sandbox.smartlead("POST", f"/campaigns/{draft}{path}", body).status_code == 200
    assert attempt() == 200
    assert read(shared_sandbox, draft)["status"] == "ACTIVE"


def test_running_campaigns_refuse_new_steps_and_losing_the_last_mailbox(shared_sandbox: Sandbox) -> None:
    box = scene.mailbox(shared_sandbox, "last@campaign-mailfleet.com")
    identity = scene.campaign(shared_sandbox, [box])
    scene.add(shared_sandbox, identity, ["running@target-mailfleet.com"])
    scene.start(shared_sandbox, identity)
    at = f"/campaigns/{identity}"
    assert shared_sandbox.smartlead("POST", f"{at}/sequences", {"sequences": scene.STEPS}).status_code == 400
    assert shared_sandbox.smartlead("DELETE", f"{at}/email-accounts", {"email_account_ids": [box]}).status_code == 400
    assert shared_sandbox.smartlead("PATCH", f"{at}/status", {"status": "PAUSED"}).json() == {"ok": True}
    assert shared_sandbox.smartlead("POST", f"{at}/sequences", {"sequences": scene.STEPS}).status_code == 200
    shared_sandbox.smartlead("POST", f"{at}/status", {"status": "STOPPED"})
    assert shared_sandbox.smartlead("POST", f"{at}/status", {"status": "START"}).status_code == 400


def test_duplicating_copies_all_but_the_leads(shared_sandbox: Sandbox) -> None:
    box = scene.mailbox(shared_sandbox, "copy@campaign-mailfleet.com")
    identity = scene.campaign(shared_sandbox, [box])
    scene.add(shared_sandbox, identity, ["copied@target-mailfleet.com"])
    answer = shared_sandbox.smartlead("POST", f"/campaigns/{identity}/duplicate").json()
    made = read(shared_sandbox, answer["newCampaignId"])
    assert made["status"] == "DRAFTED"
    assert made["scheduler_cron_value"] == read(shared_sandbox, identity)["scheduler_cron_value"]
    assert shared_sandbox.smartlead("GET", f"/campaigns/{made['id']}/leads").json()["total_leads"] == "0"
    unknown = shared_sandbox.smartlead("POST", "/campaigns/1/duplicate")
    assert (unknown.status_code, unknown.json()) == (500, {"message": "Invalid campaign Id!"})


def test_a_deleted_campaign_is_gone(shared_sandbox: Sandbox, draft: int) -> None:
    assert shared_sandbox.smartlead("DELETE", f"/campaigns/{draft}").json() == {"ok": True}
    assert shared_sandbox.smartlead("GET", f"/campaigns/{draft}").status_code == 404
