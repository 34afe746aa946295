"""Leads by raw HTTP: counters of adding, reading, stopping."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from tests.sandbox import scene
from tests.sandbox_fixture import Sandbox

COUNTERS = {
    "ok", "upload_count", "total_leads", "block_count", "duplicate_count", "invalid_email_count", "invalid_emails",
    "already_added_to_campaign", "unsubscribed_leads", "is_lead_limit_exhausted", "lead_import_stopped_count",
    "bounce_count", "emailToLeadIdMap",
}  # fmt: skip


@pytest.fixture
def two(sandbox: Sandbox) -> tuple[int, int]:
    first, second = (sandbox.smartlead("POST", "/campaigns/create", {}).json()["id"] for _ in range(2))
    return first, second


def lead_id(sandbox: Sandbox, email: str) -> int:
    return int(sandbox.smartlead("GET", "/leads/", email=email).json()["id"])


def test_counters_tell_what_was_added_and_what_not(sandbox: Sandbox, two: tuple[int, int]) -> None:
    sandbox.smartlead("POST", "/leads/add-domain-block-list", {"domain_block_list": ["blocked-mailfleet.com"]})
    answer = scene.add(
        sandbox, two[0], ["bo@target-mailfleet.com", "BO@target-mailfleet.com", "broken@@x", "a@blocked-mailfleet.com"]
    )
    assert set(answer) == COUNTERS
    assert (answer["upload_count"], answer["total_leads"]) == (4, 1)
    assert (answer["block_count"], answer["duplicate_count"], answer["invalid_email_count"]) == (1, 1, 1)
    assert answer["invalid_emails"] == ["broken@@x"]
    (email, identity), *_ = answer["emailToLeadIdMap"]["newlyAddedLeads"].items()
    assert email == "bo@target-mailfleet.com"
    assert isinstance(identity, str)
    assert int(identity) > 2**31


def test_a_repeated_address_is_a_200_and_updates_the_global_fields(sandbox: Sandbox, two: tuple[int, int]) -> None:
    scene.add(sandbox, two[0], ["bo@target-mailfleet.com"])
    row = {"email": "bo@target-mailfleet.com", "company_name": "Target", "custom_fields": {"role": "CTO"}}
    answer = sandbox.smartlead("POST", f"/campaigns/{two[0]}/leads", {"lead_list": [row]}).json()
    assert (answer["ok"], answer["total_leads"], answer["already_added_to_campaign"]) == (True, 0, 1)
    assert "emailToLeadIdMap" not in answer
    shown = sandbox.smartlead("GET", "/leads/", email="bo@target-mailfleet.com").json()
    assert (shown["company_name"], shown["custom_fields"]) == ("Target", {"role": "CTO"})


def test_leads_of_other_campaigns_are_left_out_only_when_the_flag_is_true(
    sandbox: Sandbox, two: tuple[int, int]
) -> None:
    scene.add(sandbox, two[0], ["bo@target-mailfleet.com"])
    left_out = scene.add(sandbox, two[1], ["bo@target-mailfleet.com"], ignore_duplicate_leads_in_other_campaign=True)
    assert left_out["total_leads"] == 0
    assert list(left_out["emailToLeadIdMap"]["existingLeadsInOtherCampaigns"]) == ["bo@target-mailfleet.com"]
    attached = scene.add(sandbox, two[1], ["bo@target-mailfleet.com"])
    assert attached["total_leads"] == 1


def test_unsubscribed_people_are_not_added_unless_the_list_is_ignored(sandbox: Sandbox, two: tuple[int, int]) -> None:
    scene.add(sandbox, two[0], ["bo@target-mailfleet.com"])
    identity = lead_id(sandbox, "bo@target-mailfleet.com")
    assert sandbox.smartlead("POST", f"/leads/{identity}/unsubscribe").json() == {"ok": True}
    assert scene.add(sandbox, two[1], ["bo@target-mailfleet.com"])["unsubscribed_leads"] == ["bo@target-mailfleet.com"]
    assert scene.add(sandbox, two[1], ["bo@target-mailfleet.com"], ignore_unsubscribe_list=True)["total_leads"] == 1
    assert sandbox.smartlead("POST", "/leads/1/unsubscribe").json() == {"ok": False}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, '"lead_list" is required'),
        ({"lead_list": [{"first_name": "Bo"}]}, '"lead_list[0].email" is required'),
        ({"lead_list": [{"email": "a@b.com", "company": "x"}]}, '"lead_list[0].company" is not allowed'),
        ({"lead_list": [{"email": "a@b.com"}], "return_lead_ids": True}, '"return_lead_ids" is not allowed'),
        ({"lead_list": [{"email": "a@b.com"}], "settings": {"update": 1}}, '"settings.update" is not allowed'),
        (
            {"lead_list": [{"email": f"p{n}@target-mailfleet.com"} for n in range(401)]},
            '"lead_list" must contain less than or equal to 400 items',
        ),
    ],
)
def test_bodies_are_checked(shared_sandbox: Sandbox, body: dict[str, Any], text: str) -> None:
    campaign = shared_sandbox.smartlead("POST", "/campaigns/create", {}).json()["id"]
    response = shared_sandbox.smartlead("POST", f"/campaigns/{campaign}/leads", body)
    assert (response.status_code, response.json()) == (400, {"message": text})


def test_four_hundred_rows_are_taken(sandbox: Sandbox, two: tuple[int, int]) -> None:
    assert scene.add(sandbox, two[0], [f"p{n}@target-mailfleet.com" for n in range(400)])["total_leads"] == 400


def test_a_used_up_credit_is_a_200_that_is_not_ok(sandbox: Sandbox, two: tuple[int, int]) -> None:
    sandbox.fault("lead_credits", count=1)
    first = scene.add(sandbox, two[0], ["a@target-mailfleet.com", "b@target-mailfleet.com"])
    assert (first["total_leads"], first["lead_import_stopped_count"], first["is_lead_limit_exhausted"]) == (1, 1, True)
    assert scene.add(sandbox, two[0], ["c@target-mailfleet.com"]) == {
        "ok": False,
        "is_lead_limit_exhausted": True,
        "lead_import_stopped_count": 1,
        "error": "The lead credit limit has been reached, preventing any further lead imports.",
    }


def test_the_list_pages_and_counts_in_text(sandbox: Sandbox, two: tuple[int, int]) -> None:
    scene.add(sandbox, two[0], [f"p{n}@target-mailfleet.com" for n in range(120)])
    path = f"/campaigns/{two[0]}/leads"
    first = sandbox.smartlead("GET", path, limit=100, offset=0).json()
    second = sandbox.smartlead("GET", path, limit=100, offset=100).json()
    assert (first["total_leads"], len(first["data"]), len(second["data"])) == ("120", 100, 20)
    row = first["data"][0]
    assert set(row) == {"campaign_lead_map_id", "lead_category_id", "status", "created_at", "lead"}
    assert isinstance(row["lead"]["id"], int)
    assert row["status"] == "STARTED"
    assert sandbox.smartlead("GET", path, limit=101).status_code == 400
    assert sandbox.smartlead("GET", path, search="p1").status_code == 400
    assert sandbox.smartlead("GET", path, emailStatus="opened").status_code == 400


def test_an_unknown_address_is_an_empty_object(sandbox: Sandbox, two: tuple[int, int]) -> None:
    response = sandbox.smartlead("GET", "/leads/", email="nobody@target-mailfleet.com")
    assert (response.status_code, response.json()) == (200, {})
    scene.add(sandbox, two[0], ["bo@target-mailfleet.com"])
    known = sandbox.smartlead("GET", "/leads", email="Bo@Target-Mailfleet.com").json()
    assert isinstance(known["id"], str)
    assert known["lead_campaign_data"][0]["campaign_id"] == two[0]


def test_pausing_resuming_and_deleting_a_lead(sandbox: Sandbox) -> None:
    box = scene.mailbox(sandbox, "ada@leads-mailfleet.com")
    first = scene.campaign(sandbox, [box])
    scene.add(sandbox, first, ["bo@target-mailfleet.com"])
    identity = lead_id(sandbox, "bo@target-mailfleet.com")
    path = f"/campaigns/{first}/leads/{identity}"
    assert sandbox.smartlead("POST", f"{path}/pause").json() == {"ok": True, "data": "success"}
    assert sandbox.smartlead("GET", f"/campaigns/{first}/leads", status="PAUSED").json()["total_leads"] == "1"
    assert sandbox.smartlead("POST", f"{path}/resume", {}).json() == {"ok": True, "data": "success"}
    assert sandbox.smartlead("GET", f"/campaigns/{first}/leads", status="STARTED").json()["total_leads"] == "1"
    assert sandbox.smartlead("DELETE", path).json() == {"ok": True, "message": "success"}
    assert sandbox.smartlead("GET", "/leads/", email="bo@target-mailfleet.com").json() == {}
    gone = sandbox.smartlead("POST", f"{path}/pause")
    assert (gone.status_code, gone.json()) == (500, {"message": "Invalid lead id"})


def test_resuming_after_the_last_step_is_a_500_with_a_meaning(sandbox: Sandbox, two: tuple[int, int]) -> None:
    scene.add(sandbox, two[0], ["bo@target-mailfleet.com"])
    identity = lead_id(sandbox, "bo@target-mailfleet.com")
    response = sandbox.smartlead("POST", f"/campaigns/{two[0]}/leads/{identity}/resume", {})
    assert response.status_code == 500
    assert response.json() == {"message": "This is the last sequence. You cannot resume this lead."}


def test_categories_are_looked_up_by_name(sandbox: Sandbox, two: tuple[int, int]) -> None:
    rows = sandbox.smartlead("GET", "/leads/fetch-categories").json()
    assert {row["name"] for row in rows} == {
        "Interested", "Meeting Request", "Not Interested", "Do Not Contact", "Information Request", "Out Of Office",
        "Wrong Person",
    }  # fmt: skip
    scene.add(sandbox, two[0], ["bo@target-mailfleet.com"])
    identity = lead_id(sandbox, "bo@target-mailfleet.com")
    path = f"/campaigns/{two[0]}/leads/{identity}/category"
    number = next(row["id"] for row in rows if row["name"] == "Interested")
    assert sandbox.smartlead("POST", path, {"category_id": number, "pause_lead": True}).json() == {"ok": True}
    listed = sandbox.smartlead("GET", f"/campaigns/{two[0]}/leads", lead_category_id=number).json()["data"]
    assert (len(listed), listed[0]["status"]) == (1, "PAUSED")
    assert sandbox.smartlead("POST", path, {"category_id": 999}).status_code == 400


def test_the_block_list_holds_domains_and_addresses(sandbox: Sandbox) -> None:
    body = {"domain_block_list": ["x-mailfleet.com", "p@y-mailfleet.com", "x-mailfleet.com"], "client_id": None}
    answer = sandbox.smartlead("POST", "/leads/add-domain-block-list", body).json()
    assert answer == {"uploadCount": 3, "totalDomainAdded": 2}
    rows = sandbox.smartlead("GET", "/leads/get-domain-block-list", limit=1000).json()
    assert [set(row) for row in rows] == [{"id", "email_or_domain", "created_at", "source", "client_id"}] * 2
    found = sandbox.smartlead("GET", "/leads/get-domain-block-list", filter_email_or_domain="p@y").json()
    assert [row["email_or_domain"] for row in found] == ["p@y-mailfleet.com"]
    assert sandbox.smartlead("DELETE", "/leads/delete-domain-block-list", id=found[0]["id"]).json() == {"ok": True}
    assert len(sandbox.smartlead("GET", "/leads/get-domain-block-list").json()) == 1


def test_the_export_is_csv_with_the_vendors_columns(sandbox: Sandbox, two: tuple[int, int]) -> None:
    scene.add(sandbox, two[0], ["bo@target-mailfleet.com"])
    response = sandbox.smartlead("GET", f"/campaigns/{two[0]}/leads-export")
    assert response.headers["content-type"].startswith("text/csv")
    assert f"sl_campaign_{two[0]}_leads.csv" in response.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert rows[0]["email"] == "bo@target-mailfleet.com"
    assert list(rows[0])[:5] == ["id", "campaign_lead_map_id", "status", "category", "is_interested"]
