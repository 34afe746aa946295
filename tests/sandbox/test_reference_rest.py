"""What the documents name beyond their worked examples, raw over HTTP, as an outside client would call it.

Imports neither the sandbox nor any client; paths, bodies and the little that is said of the answers are the documents'.
"""

from __future__ import annotations

from typing import Any

import pytest
from tests.sandbox import scene
from tests.sandbox_fixture import Sandbox

DOMAIN = "outreach-rest-mailfleet.com"
HOOK = {"webhook_url": "http://127.0.0.1:9/rest", "event_types": ["EMAIL_SENT"], "categories": ["Interested"]}


@pytest.fixture(scope="module")
def world(shared_sandbox: Sandbox) -> tuple[Sandbox, int, int]:
    """The shared world with a mailbox and a campaign of this module's own."""
    account = scene.mailbox(shared_sandbox, f"ada@{DOMAIN}")
    return shared_sandbox, account, scene.campaign(shared_sandbox, [account])


def call(sandbox: Sandbox, method: str, path: str, body: Any = None, **query: Any) -> Any:
    answer = sandbox.smartlead(method, path, body, **query)
    assert answer.status_code == 200, f"{method} {path}: {answer.text}"
    return answer.json()


def test_an_account_by_token_is_saved_and_answered_as_by_password(world: tuple[Sandbox, int, int]) -> None:
    sandbox, _, _ = world
    token = {"scope": "https://mail.google.com/", "expiry_date": 1, "access_token": "a", "refresh_token": "r"}
    body = {"from_email": f"cy@{DOMAIN}", "from_name": "Cy", "type": "GMAIL", "token": token}
    assert call(sandbox, "POST", "/email-accounts/save-oauth", body)["ok"] is True
    (row,) = call(sandbox, "GET", "/email-accounts/", offset=0, limit=100, username=f"cy@{DOMAIN}")
    assert (row["from_email"], row["type"]) == (f"cy@{DOMAIN}", "GMAIL")


def test_tags_are_mapped_to_accounts_and_taken_off(world: tuple[Sandbox, int, int]) -> None:
    sandbox, account, _ = world
    tag = call(sandbox, "POST", "/tags", {"name": "rest", "color": "#00ff00"})["id"]
    body = {"email_account_ids": [account], "tag_ids": [tag]}
    call(sandbox, "POST", "/email-accounts/tag-mapping", body)
    assert [each["id"] for each in call(sandbox, "GET", f"/email-accounts/{account}/", fetch_tags=True)["tags"]] == [
        tag
    ]
    call(sandbox, "DELETE", "/email-accounts/tag-mapping", body)
    assert call(sandbox, "GET", f"/email-accounts/{account}/", fetch_tags=True)["tags"] == []


def test_what_a_campaign_has_is_taken_from_it(world: tuple[Sandbox, int, int]) -> None:
    sandbox, account, campaign = world
    scene.add(sandbox, campaign, [f"silent@firm-{DOMAIN}"])
    (lead,) = [each["lead"]["id"] for each in call(sandbox, "GET", f"/campaigns/{campaign}/leads")["data"]]
    call(sandbox, "DELETE", f"/campaigns/{campaign}/leads/{lead}")
    assert call(sandbox, "GET", f"/campaigns/{campaign}/leads")["data"] == []
    hook = call(sandbox, "POST", f"/campaigns/{campaign}/webhooks", {"id": None, "name": "rest", **HOOK})["id"]
    again = {"fromTime": "2026-03-01T00:00:00.000Z", "toTime": "2026-03-09T00:00:00.000Z"}
    assert "retriggered_count" in call(
        sandbox, "POST", f"/campaigns/{campaign}/webhooks/retrigger-failed-events", again
    )
    call(sandbox, "DELETE", f"/campaigns/{campaign}/webhooks", {"id": hook})
    assert call(sandbox, "GET", f"/campaigns/{campaign}/webhooks") in ([], {})
    call(sandbox, "DELETE", f"/campaigns/{campaign}/email-accounts", {"email_account_ids": [account]})
    assert call(sandbox, "GET", f"/campaigns/{campaign}/email-accounts") in ([], {})
    call(sandbox, "POST", f"/campaigns/{campaign}/email-accounts", {"email_account_ids": [account]})


def test_every_campaign_of_the_account_has_its_row_of_counters(world: tuple[Sandbox, int, int]) -> None:
    sandbox, _, campaign = world
    days = {"start_date": "2026-03-01", "end_date": "2026-03-31", "full_data": "true"}
    rows = call(sandbox, "GET", "/analytics/campaign/overall-stats", **days)["data"]["campaign_wise_performance"]
    mine = next(each for each in rows if each["id"] == campaign)
    assert {"id", "sent", "opened", "replied", "bounced"} <= set(mine)


def test_a_webhook_of_the_account_is_read_changed_and_deleted_by_its_id(world: tuple[Sandbox, int, int]) -> None:
    sandbox, _, _ = world
    body = {"webhook_url": HOOK["webhook_url"], "association_type": "user", "event_type_map": {"EMAIL_SENT": True}}
    made = call(sandbox, "POST", "/webhook/create", body)
    assert (made["ok"], made["webhook_url"]) == (True, HOOK["webhook_url"])
    id = made["id"]
    call(sandbox, "PUT", f"/webhook/update/{id}", {**body, "webhook_url": "http://127.0.0.1:9/other"})
    assert call(sandbox, "GET", f"/webhook/{id}")["webhook_url"] == "http://127.0.0.1:9/other"
    call(sandbox, "DELETE", f"/webhook/delete/{id}")
    assert sandbox.smartlead("GET", f"/webhook/{id}").status_code == 404


def test_placement_tests_are_planned_stopped_listed_and_deleted(world: tuple[Sandbox, int, int]) -> None:
    sandbox, _, campaign = world
    held = sandbox.info["smartlead"]

    def place(method: str, path: str, given: Any = None, **query: Any) -> Any:
        params = {"api_key": held["api_key"], **query}
        answer = sandbox.http.request(method, held["delivery_base_url"] + path, params=params, json=given)
        assert answer.status_code == 200, f"{method} {path}: {answer.text}"
        return answer.json()

    step = call(sandbox, "GET", f"/campaigns/{campaign}/sequences")[0]["id"]
    body = {
        "test_name": "rest", "description": "", "spam_filters": ["spam_assassin"], "link_checker": True,
        "campaign_id": campaign, "sequence_mapping_id": step, "provider_ids": [20], "is_warmup": False,
        "sender_accounts": [f"ada@{DOMAIN}"], "all_email_sent_without_time_gap": True, "min_time_btwn_emails": 0,
        "min_time_unit": "minutes",
    }  # fmt: skip
    planned, made = place("POST", "/schedule", body)["id"], place("POST", "/manual", body)["id"]
    place("PUT", f"/{planned}/stop")
    assert place("GET", f"/{planned}")["status"] == "STOPPED"
    sandbox.advance(seconds=75 * 60)
    assert str(made) in str(place("POST", "/report", {}, limit=100, offset=0))
    assert set(place("POST", f"/report/{made}/groupwise")) == {"overallTotalCount", "status", "result"}
    seeds = place("GET", f"/report/{made}/sender-account-wise")
    assert place("GET", f"/report/{made}/sender-account-wise/{first_reply(seeds)}/email-headers")
    assert place("GET", "/seed/providers")
    assert place("GET", "/report/mailboxes-summary")
    assert place("GET", "/report/mailboxes-count")
    place("POST", "/delete", {"spamTestIds": [planned]})
    answer = sandbox.http.get(f"{held['delivery_base_url']}/{planned}", params={"api_key": held["api_key"]})
    assert answer.status_code == 404


def first_reply(rows: Any) -> Any:
    """What the headers of one received mail are asked by, wherever it stands."""
    if isinstance(rows, dict):
        told = next((rows[name] for name in ("reply_id", "replyId") if name in rows), None)
        return told or next(filter(None, map(first_reply, rows.values())), None)
    return next(filter(None, map(first_reply, rows)), None) if isinstance(rows, list) else None
