"""E-mail accounts by raw HTTP, as the vendor's documents and live captures have them."""

from __future__ import annotations

import base64

import pytest
from tests.sandbox import scene
from tests.sandbox_fixture import Sandbox

BOTH = {
    "id", "created_at", "updated_at", "user_id", "from_name", "from_email", "username", "password", "smtp_host",
    "smtp_port", "smtp_port_type", "message_per_day", "different_reply_to_address", "is_different_imap_account",
    "imap_username", "imap_password", "imap_host", "imap_port", "imap_port_type", "signature", "custom_tracking_domain",
    "bcc_email", "is_smtp_success", "is_imap_success", "smtp_failure_error", "imap_failure_error", "type",
    "daily_sent_count", "client_id", "warmup_details",
}  # fmt: skip
LIST_ONLY = {"expires_at", "minTimeToWaitInMins", "campaign_count", "is_connected_to_campaign", "tags"}
DETAIL_ONLY = {"is_suspended", "use_whitelabel_credentials"}
WARMUP = {
    "status", "reply_rate", "warmup_key_id", "blocked_reason", "total_sent_count", "total_spam_count",
    "warmup_min_count", "warmup_max_count", "max_email_per_day", "warmup_created_at", "warmup_reputation",
}  # fmt: skip


def item(sandbox: Sandbox, identity: int) -> dict:
    rows = sandbox.smartlead("GET", "/email-accounts/").json()
    return next(row for row in rows if row["id"] == identity)


def test_the_key_in_the_query_is_the_only_way_in(shared_sandbox: Sandbox) -> None:
    base, key = (shared_sandbox.info["smartlead"][name] for name in ("base_url", "api_key"))
    for headers in ({}, {"Authorization": f"Bearer {key}"}, {"x-api-key": key}):
        response = shared_sandbox.http.get(f"{base}/campaigns/", headers=headers)
        assert (response.status_code, response.json()) == (401, {"message": "Invalid API Key"})


def test_every_answer_says_how_much_of_the_limit_is_left(shared_sandbox: Sandbox) -> None:
    headers = shared_sandbox.smartlead("GET", "/email-accounts/").headers
    assert headers["x-ratelimit-limit"] == "100000"
    assert int(headers["x-ratelimit-remaining"]) < 100000
    assert int(headers["x-ratelimit-reset"]) > 0


@pytest.mark.parametrize("path", ["/campaigns", "/campaigns/", "/email-accounts", "/email-accounts/", "/client/"])
def test_both_slash_forms_are_answered_without_a_redirect(shared_sandbox: Sandbox, path: str) -> None:
    response = shared_sandbox.smartlead("GET", path)
    assert response.status_code == 200
    assert isinstance(response.json(), list)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/email-accounts"),
        ("POST", "/campaigns"),
        ("POST", "/webhooks"),
        ("GET", "/webhooks"),
        ("POST", "/campaigns/771200/start"),
        ("POST", "/campaigns/771200/pause"),
        ("GET", "/leads/bo@target.example"),
        ("PUT", "/leads/bo@target.example"),
        ("GET", "/campaigns/771200/top-level-analytics"),
        ("GET", "/no-such-thing"),
    ],
)
def test_what_the_vendor_does_not_have_is_404(shared_sandbox: Sandbox, method: str, path: str) -> None:
    assert shared_sandbox.smartlead(method, path).status_code == 404


def test_creating_answers_an_id_and_no_dns_data(shared_sandbox: Sandbox) -> None:
    body = scene.account_body(shared_sandbox, "ada@created-mailfleet.com")
    response = shared_sandbox.smartlead("POST", "/email-accounts/save", body)
    answer = response.json()
    assert set(answer) == {"ok", "message", "emailAccountId", "warmupKey"}
    assert answer["ok"] is True
    assert isinstance(answer["emailAccountId"], int)
    again = shared_sandbox.smartlead("GET", f"/email-accounts/{answer['emailAccountId']}/").text.lower()
    assert not any(word in again for word in ("dkim", "spf", "dmarc", "heat"))


def test_creating_twice_is_refused(shared_sandbox: Sandbox) -> None:
    scene.mailbox(shared_sandbox, "twice@created-mailfleet.com")
    body = scene.account_body(shared_sandbox, "twice@created-mailfleet.com")
    response = shared_sandbox.smartlead("POST", "/email-accounts/save", body)
    assert response.status_code == 400
    assert response.json()["message"] == "ACCOUNT_ALREADY_EXIST"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"password": "wrong"}, "SMTP connection failed"),
        ({"smtp_port": 1}, "SMTP connection failed"),
        ({"imap_port": 1}, "IMAP connection failed"),
        ({"smtp_host": "smtp.elsewhere.example"}, "SMTP connection failed"),
    ],
)
def test_creating_logs_in_over_smtp_and_imap(shared_sandbox: Sandbox, change: dict, message: str) -> None:
    body = {**scene.account_body(shared_sandbox, "login@created-mailfleet.com"), **change}
    response = shared_sandbox.smartlead("POST", "/email-accounts/save", body)
    assert response.status_code == 400
    assert (response.json()["ok"], response.json()["message"]) == (False, message)
    assert all(
        row["from_email"] != body["from_email"] for row in shared_sandbox.smartlead("GET", "/email-accounts").json()
    )


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"smtp_port": None}, '"smtp_port" must be a number'),
        ({"heat_score": 1}, '"heat_score" is not allowed'),
        ({"total_warmup_per_day": 51}, '"total_warmup_per_day" must be less than or equal to 50'),
    ],
)
def test_bodies_are_checked_as_joi_does(shared_sandbox: Sandbox, change: dict, text: str) -> None:
    body = {**scene.account_body(shared_sandbox, "joi@created-mailfleet.com"), **change}
    response = shared_sandbox.smartlead("POST", "/email-accounts/save", body)
    assert (response.status_code, response.json()) == (400, {"message": text})


@pytest.mark.parametrize(
    "missing",
    [
        "from_name",
        "from_email",
        "user_name",
        "password",
        "smtp_host",
        "smtp_port",
        "imap_host",
        "imap_port",
        "warmup_enabled",
    ],
)
def test_each_required_key_is_asked_for(shared_sandbox: Sandbox, missing: str) -> None:
    body = scene.account_body(shared_sandbox, "required@created-mailfleet.com")
    del body[missing]
    response = shared_sandbox.smartlead("POST", "/email-accounts/save", body)
    assert (response.status_code, response.json()) == (400, {"message": f'"{missing}" is required'})


def test_list_and_detail_show_the_fields_seen_live(shared_sandbox: Sandbox) -> None:
    identity = scene.mailbox(shared_sandbox, "fields@created-mailfleet.com")
    row = item(shared_sandbox, identity)
    detail = shared_sandbox.smartlead("GET", f"/email-accounts/{identity}/").json()
    assert set(row) == BOTH | LIST_ONLY
    assert set(detail) == BOTH | DETAIL_ONLY
    assert set(row["warmup_details"]) == WARMUP
    assert set(detail["warmup_details"]) == WARMUP | {"id", "created_at", "is_warmup_blocked"}


def test_passwords_come_back_encoded_in_the_list_and_clear_in_the_detail(shared_sandbox: Sandbox) -> None:
    identity = scene.mailbox(shared_sandbox, "secret@created-mailfleet.com")
    assert item(shared_sandbox, identity)["password"] == base64.b64encode(b"pass-word").decode()
    assert shared_sandbox.smartlead("GET", f"/email-accounts/{identity}/").json()["password"] == "pass-word"


def test_reputation_is_text_in_the_list_and_a_number_in_the_detail(shared_sandbox: Sandbox) -> None:
    identity = scene.mailbox(shared_sandbox, "reputation@created-mailfleet.com")
    assert item(shared_sandbox, identity)["warmup_details"]["warmup_reputation"] == "100%"
    detail = shared_sandbox.smartlead("GET", f"/email-accounts/{identity}/").json()
    assert detail["warmup_details"]["warmup_reputation"] == 100
    assert isinstance(detail["warmup_details"]["warmup_key_id"], str)


def test_written_names_are_read_under_others(shared_sandbox: Sandbox) -> None:
    identity = scene.mailbox(shared_sandbox, "drift@created-mailfleet.com", warmup_enabled=False)
    written = {
        "max_email_per_day": 33,
        "custom_tracking_url": "http://t.created-mailfleet.com",
        "bcc": "crm@created-mailfleet.com",
        "time_to_wait_in_mins": 12,
    }
    response = shared_sandbox.smartlead("POST", f"/email-accounts/{identity}", written)
    assert response.json()["ok"] is True
    row = item(shared_sandbox, identity)
    assert (row["message_per_day"], row["minTimeToWaitInMins"]) == (33, 12)
    assert (row["custom_tracking_domain"], row["bcc_email"]) == (
        "http://t.created-mailfleet.com",
        "crm@created-mailfleet.com",
    )
    assert not set(written) & set(row)
    unknown = shared_sandbox.smartlead("POST", f"/email-accounts/{identity}", {"message_per_day": 5})
    assert unknown.json() == {"message": '"message_per_day" is not allowed'}


def test_warm_up_is_null_and_without_statistics_until_it_is_set(shared_sandbox: Sandbox) -> None:
    body = scene.account_body(shared_sandbox, "cold@created-mailfleet.com")
    for name in ("total_warmup_per_day", "daily_rampup", "reply_rate_percentage"):
        del body[name]
    answer = shared_sandbox.smartlead("POST", "/email-accounts/save", {**body, "warmup_enabled": False}).json()
    identity = answer["emailAccountId"]
    assert item(shared_sandbox, identity)["warmup_details"] is None
    assert shared_sandbox.smartlead("GET", f"/email-accounts/{identity}/warmup-stats").status_code == 404


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("total_warmup_per_day", 1, 50), ("daily_rampup", 5, 20), ("reply_rate_percentage", 20, 100)],
)
def test_warm_up_figures_have_bounds(shared_sandbox: Sandbox, name: str, low: int, high: int) -> None:
    identity = scene.mailbox(shared_sandbox, f"bounds-{name}@created-mailfleet.com".replace("_", "-"))
    for value, status in ((low, 200), (high, 200), (low - 1, 400), (high + 1, 400)):
        body = {"warmup_enabled": True, name: value}
        response = shared_sandbox.smartlead("POST", f"/email-accounts/{identity}/warmup", body)
        assert response.status_code == status, (value, response.text)


def test_pages_of_accounts_hold_a_hundred_at_most(shared_sandbox: Sandbox) -> None:
    response = shared_sandbox.smartlead("GET", "/email-accounts/", limit=101)
    assert (response.status_code, response.json()) == (400, {"message": '"limit" must be less than or equal to 100'})
    scene.mailbox(shared_sandbox, "page@created-mailfleet.com")
    assert len(shared_sandbox.smartlead("GET", "/email-accounts/", limit=1, offset=0).json()) == 1
    assert shared_sandbox.smartlead("GET", "/email-accounts/", offset=10_000).json() == []


def test_suspending_shows_in_the_detail(shared_sandbox: Sandbox) -> None:
    identity = scene.mailbox(shared_sandbox, "suspend@created-mailfleet.com")
    answer = shared_sandbox.smartlead("PUT", f"/email-accounts/suspend/{identity}").json()
    assert answer["data"] == {"accountId": identity, "isSuspended": True}
    assert shared_sandbox.smartlead("GET", f"/email-accounts/{identity}").json()["is_suspended"] is True
    shared_sandbox.smartlead("DELETE", f"/email-accounts/unsuspend/{identity}")
    assert shared_sandbox.smartlead("GET", f"/email-accounts/{identity}").json()["is_suspended"] is False


def test_a_deleted_account_is_gone_and_says_so_in_the_vendors_way(shared_sandbox: Sandbox) -> None:
    identity = scene.mailbox(shared_sandbox, "deleted@created-mailfleet.com")
    assert shared_sandbox.smartlead("DELETE", f"/email-accounts/{identity}").json()["ok"] is True
    response = shared_sandbox.smartlead("DELETE", f"/email-accounts/{identity}")
    assert response.status_code == 404
    assert response.json()["errorCode"] == "ACCOUNT_NOT_FOUND"
    assert response.json()["emailAccountId"] == identity


def test_the_fourth_reconnect_of_a_day_is_406(sandbox: Sandbox) -> None:
    path = "/email-accounts/reconnect-failed-email-accounts"
    statuses = [sandbox.smartlead("POST", path, {}).status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 406]


def test_warm_up_counts_are_text_over_seven_days(sandbox: Sandbox) -> None:
    scene.authenticate(sandbox, "warm-mailfleet.com")
    sandbox.advance(days=1)
    identity = scene.mailbox(sandbox, "ada@warm-mailfleet.com")
    sandbox.advance(days=10)
    stats = sandbox.smartlead("GET", f"/email-accounts/{identity}/warmup-stats").json()
    assert set(stats) == {
        "id", "sent_count", "spam_count", "inbox_count", "warmup_email_received_count", "stats_by_date",
    }  # fmt: skip
    assert int(stats["sent_count"]) == int(stats["inbox_count"]) + int(stats["spam_count"])
    assert 100 <= int(stats["sent_count"]) <= 140
    assert [row["sent_count"] for row in stats["stats_by_date"]][:5] == [20] * 5
    assert "reputation" not in str(stats)


def test_the_ramp_rises_day_by_day(sandbox: Sandbox) -> None:
    scene.mailbox(sandbox, "ada@ramp-mailfleet.com", daily_rampup=5, total_warmup_per_day=18)
    sandbox.advance(days=6)
    days: dict[str, int] = {}
    for entry in sandbox.log("sends"):
        assert entry["kind"] == "warmup"
        days[entry["at"][:10]] = days.get(entry["at"][:10], 0) + 1
    assert list(days.values())[:5] == [5, 10, 15, 18, 18]


def test_unsigned_mail_places_far_worse(sandbox: Sandbox) -> None:
    for domain in ("signed-mailfleet.com", "unsigned-mailfleet.com", "broken-mailfleet.com"):
        if not domain.startswith("unsigned"):
            scene.authenticate(sandbox, domain)
    sandbox.advance(days=1)
    for domain in ("signed-mailfleet.com", "unsigned-mailfleet.com", "broken-mailfleet.com"):
        scene.mailbox(sandbox, f"ada@{domain}")
    sandbox.fault("corrupt_dkim", domain="broken-mailfleet.com")
    sandbox.advance(days=7)
    placed = {
        row["address"].partition("@")[2]: row["placement"] for row in sandbox.control("GET", "/state")["mailboxes"]
    }
    assert placed["signed-mailfleet.com"] > 0.85
    assert placed["broken-mailfleet.com"] < 0.7
    assert placed["unsigned-mailfleet.com"] < 0.5
