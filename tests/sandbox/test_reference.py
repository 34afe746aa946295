"""The documents' own examples against the sandbox, as an outside client would send them.

Imports neither the sandbox nor any client: names, values and shapes are transcribed by hand from the vendor's pages and
from captures of the live service; the `doc` of a row says where. Numbers of things that exist are put in for the
documents' own, by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.sandbox import scene
from tests.sandbox_fixture import Sandbox

ADDRESS, LEAD, BROKEN = "ada@outreach-one.com", "replies-positive@target-mailfleet.com", "broken@@x"
# email-accounts/get-all and get-by-id, field sets seen live.
ACCOUNT = {
    "id", "created_at", "updated_at", "user_id", "from_name", "from_email", "username", "password", "smtp_host",
    "smtp_port", "smtp_port_type", "message_per_day", "different_reply_to_address", "is_different_imap_account",
    "imap_username", "imap_password", "imap_host", "imap_port", "imap_port_type", "signature",
    "custom_tracking_domain", "bcc_email", "is_smtp_success", "is_imap_success", "smtp_failure_error",
    "imap_failure_error", "type", "daily_sent_count", "client_id", "warmup_details",
}  # fmt: skip
LISTED = {"expires_at", "minTimeToWaitInMins", "campaign_count", "is_connected_to_campaign", "tags"}
WARMUP = {
    "status", "reply_rate", "warmup_key_id", "blocked_reason", "total_sent_count", "total_spam_count",
    "warmup_min_count", "warmup_max_count", "max_email_per_day", "warmup_created_at", "warmup_reputation",
}  # fmt: skip
CAMPAIGN = {
    "id", "user_id", "created_at", "updated_at", "status", "name", "track_settings", "scheduler_cron_value",
    "min_time_btwn_emails", "max_leads_per_day", "stop_lead_settings", "schedule_start_time", "enable_ai_esp_matching",
    "send_as_plain_text", "follow_up_percentage", "unsubscribe_text", "parent_campaign_id", "client_id",
}  # fmt: skip
SEQUENCE = {
    "id", "created_at", "updated_at", "email_campaign_id", "seq_number", "subject", "email_body", "seq_delay_details",
    "sequence_variants",
}  # fmt: skip
MESSAGE = {
    "stats_id", "lead_name", "lead_email", "lead_category", "sequence_number", "email_campaign_seq_id",
    "seq_variant_id", "email_subject", "email_message", "sent_time", "open_time", "click_time", "reply_time",
    "open_count", "click_count", "is_unsubscribed", "is_bounced", "ignore_reply",
}  # fmt: skip
TOTALS = {
    "sent_count", "open_count", "click_count", "reply_count", "block_count", "total_count", "sequence_count",
    "drafted_count", "bounce_count", "unsubscribed_count", "unique_open_count", "unique_click_count",
    "unique_sent_count",
}  # fmt: skip
PERSON = {
    "first_name", "last_name", "email", "phone_number", "company_name", "website", "location", "custom_fields",
    "linkedin_profile", "company_url", "is_unsubscribed", "unsubscribed_client_id_map",
}  # fmt: skip
ADDED = {
    "upload_count", "total_leads", "block_count", "duplicate_count", "invalid_email_count", "invalid_emails",
    "already_added_to_campaign", "unsubscribed_leads", "is_lead_limit_exhausted", "lead_import_stopped_count",
    "bounce_count",
}  # fmt: skip
STEP_COUNTS = {
    "email_campaign_seq_id", "sent_count", "skipped_count", "open_count", "click_count", "reply_count", "bounce_count",
    "unsubscribed_count", "failed_count", "stopped_count", "ln_connection_req_pending_count",
    "ln_connection_req_accepted_count", "ln_connection_req_skipped_sent_msg_count", "positive_reply_count",
}  # fmt: skip
HISTORY = {"type", "time", "message_id", "stats_id", "from", "to", "cc", "bcc", "subject", "email_body", "attachments"}
TEXT, NUMBER = str, int


@dataclass(frozen=True)
class Exchange:
    """One example: what is sent, and what the answer holds."""

    doc: str
    method: str
    path: str
    body: Any = None
    query: dict[str, Any] = field(default_factory=dict[str, Any])
    status: int = 200
    # Path into the answer ("" = the whole, "data.0" = the first row) to the keys that are there, or to a value.
    keys: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    values: dict[str, Any] = field(default_factory=dict[str, Any])
    types: dict[str, type] = field(default_factory=dict[str, type])


def ok(doc: str, method: str, path: str, body: Any = None, **values: Any) -> Exchange:
    """An example whose answer holds these values."""
    return Exchange(doc, method, path, body, values=values or {"ok": True})


DAY = {"start_date": "2026-03-01", "end_date": "2026-03-20"}
RATES = {"sent", "opened", "replied", "bounced", "unique_lead_count", "unique_open_count", "positive_replied"}
READS = (
    Exchange(
        "email-accounts/get-all",
        "GET",
        "/email-accounts/",
        query={"offset": 0, "limit": 100},
        keys={"0": ACCOUNT | LISTED, "0.warmup_details": WARMUP},
        types={"0.warmup_details.warmup_reputation": TEXT},
    ),
    Exchange(
        "email-accounts/get-by-id",
        "GET",
        "/email-accounts/{account}/",
        keys={"": ACCOUNT | {"is_suspended", "use_whitelabel_credentials"}, "warmup_details": WARMUP | {"id"}},
        types={"warmup_details.warmup_reputation": NUMBER},
        values={"password": "pass-word"},
    ),
    Exchange(
        "email-accounts/warmup-stats",
        "GET",
        "/email-accounts/{account}/warmup-stats",
        keys={"stats_by_date.0": {"id", "date", "sent_count", "reply_count", "save_from_spam_count"}},
        types=dict.fromkeys(("sent_count", "spam_count", "inbox_count", "warmup_email_received_count"), TEXT),
    ),
    Exchange(
        "campaigns/get-all", "GET", "/campaigns/", query={"include_tags": "true"}, keys={"0": CAMPAIGN | {"tags"}}
    ),
    Exchange(
        "campaigns/get-by-id",
        "GET",
        "/campaigns/{campaign}",
        keys={"": CAMPAIGN},
        values={"scheduler_cron_value.startHour": "09:00", "min_time_btwn_emails": 5},
    ),
    Exchange(
        "campaigns/get-sequences",
        "GET",
        "/campaigns/{campaign}/sequences",
        keys={"0": SEQUENCE},
        values={"1.seq_delay_details": {"delayInDays": 3}},
    ),
    Exchange("campaigns/get-email-accounts", "GET", "/campaigns/{campaign}/email-accounts", keys={"0": ACCOUNT}),
    Exchange(
        "campaigns/statistics",
        "GET",
        "/campaigns/{campaign}/statistics",
        query={"offset": 0, "limit": 1000},
        keys={"": {"total_stats", "data", "offset", "limit"}, "data.0": MESSAGE},
        types={"total_stats": TEXT},
    ),
    Exchange(
        "campaigns/statistics by state",
        "GET",
        "/campaigns/{campaign}/statistics",
        query={"email_status": "replied", "email_sequence_number": "1,2"},
        types={"total_stats": TEXT},
    ),
    Exchange(
        "campaigns/analytics",
        "GET",
        "/campaigns/{campaign}/analytics",
        keys={"": TOTALS | {"client_name", "tags"}},
        types=dict.fromkeys(TOTALS, TEXT) | {"campaign_lead_stats.inprogress": NUMBER},
    ),
    Exchange(
        "campaigns/analytics-by-date",
        "GET",
        "/campaigns/{campaign}/analytics-by-date",
        query=DAY,
        keys={"": TOTALS | {"total_reply_count", "non_ooo_reply_count"}},
        values=DAY,
    ),
    Exchange(
        "campaigns/top-level-analytics-by-date", "GET", "/campaigns/{campaign}/top-level-analytics-by-date", query=DAY
    ),
    Exchange(
        "campaigns/mailbox-statistics",
        "GET",
        "/campaigns/{campaign}/mailbox-statistics",
        query={"limit": 20},
        keys={"data.0": {"email_account_id", "from_email", "sent_count", "reply_count", "bounce_count"}},
        types={"data.0.sent_count": TEXT},
    ),
    Exchange(
        "campaigns/leads-statistics",
        "GET",
        "/campaigns/{campaign}/leads-statistics",
        query={"limit": 100},
        keys={"": {"data", "hasMore", "skip", "limit"}},
    ),
    Exchange(
        "campaigns/sequence-analytics",
        "GET",
        "/campaigns/{campaign}/sequence-analytics",
        query={"start_date": "2026-03-01 00:00:00", "end_date": "2026-03-20 23:59:59", "time_zone": "Europe/Oslo"},
        keys={"data.0": STEP_COUNTS},
    ),
    Exchange(
        "leads/list",
        "GET",
        "/campaigns/{campaign}/leads",
        query={"offset": 0, "limit": 100},
        keys={
            "data.0": {"campaign_lead_map_id", "lead_category_id", "status", "created_at", "lead"},
            "data.0.lead": PERSON,
        },
        types={"total_leads": TEXT, "data.0.lead.id": NUMBER},
    ),
    Exchange(
        "leads/list of complaints",
        "GET",
        "/campaigns/{campaign}/leads",
        query={"emailStatus": "is_spam"},
        values={"total_leads": "1", "data.0.lead.email": "complains@firm1-mailfleet.com"},
    ),
    Exchange(
        "leads/list of bounces",
        "GET",
        "/campaigns/{campaign}/leads",
        query={"emailStatus": "is_bounced"},
        values={"total_leads": "1", "data.0.status": "BLOCKED"},
    ),
    Exchange(
        "leads/by address",
        "GET",
        "/leads/",
        query={"email": LEAD},
        keys={"": PERSON | {"lead_campaign_data"}},
        types={"id": TEXT},
    ),
    Exchange("leads/by an unknown address", "GET", "/leads/", query={"email": "no@nobody.com"}, values={"": {}}),
    Exchange("leads/by id", "GET", "/leads/{lead}", values={"ok": True, "data.0.email": LEAD}),
    Exchange("leads/campaigns", "GET", "/leads/{lead}/campaigns", keys={"0": {"id", "status", "name"}}),
    Exchange(
        "leads/categories", "GET", "/leads/fetch-categories", keys={"0": {"id", "name", "sentiment_type", "created_at"}}
    ),
    Exchange("leads/global", "GET", "/leads/global-leads", keys={"": {"data", "skip", "limit", "hasMore"}}),
    Exchange("leads/all, of the command line", "GET", "/leads/all", keys={"data": {"leads"}}),
    Exchange(
        "leads/activities", "GET", "/campaigns/all-leads-activities", query={"limit": 1000}, keys={"": {"hasMore"}}
    ),
    Exchange(
        "leads/message-history",
        "GET",
        "/campaigns/{campaign}/leads/{lead}/message-history",
        keys={"": {"history", "from", "to"}, "history.0": HISTORY | {"email_seq_number", "open_count"}},
        values={"history.0.type": "SENT", "to": LEAD},
    ),
    Exchange(
        "block list/get",
        "GET",
        "/leads/get-domain-block-list",
        query={"limit": 1000},
        keys={"0": {"id", "email_or_domain", "created_at", "source", "client_id"}},
    ),
    Exchange(
        "block list/filter",
        "GET",
        "/leads/get-domain-block-list",
        query={"filter_email_or_domain": "hard-bounce"},
        values={"0.source": "Smartlead.ai Bounce Detection"},
    ),
    Exchange(
        "clients/get",
        "GET",
        "/client/",
        keys={
            "0": {"id", "name", "email", "uuid", "client_permision"},
            "0.client_permision": {"permission", "retricted_category"},
        },
    ),
    Exchange("webhooks/list", "GET", "/campaigns/{campaign}/webhooks", keys={"0": {"id", "name", "webhook_url"}}),
    Exchange(
        "webhooks/summary",
        "GET",
        "/campaigns/{campaign}/webhooks/summary",
        query={"fromTime": "2026-03-01T00:00:00.000Z", "toTime": "2026-03-20T00:00:00.000Z"},
        keys={"": {"total_calls", "successful_calls", "failed_calls", "success_rate"}},
    ),
    Exchange("analytics/overall", "GET", "/analytics/overall-stats-v2", query=DAY, keys={"data.overall_stats": RATES}),
    Exchange(
        "analytics/day-wise",
        "GET",
        "/analytics/day-wise-overall-stats",
        keys={"data.day_wise_stats.0": {"date", "sent", "opened", "replied", "bounced"}},
    ),
    Exchange(
        "analytics/domain health",
        "GET",
        "/analytics/mailbox/domain-wise-health-metrics",
        values={"data.domain_health_metrics.0.domain": "outreach-one.com"},
    ),
    Exchange(
        "analytics/mailboxes",
        "GET",
        "/analytics/mailbox/overall-stats",
        values={"data.overall_mailbox_stats.in_use": 1},
    ),
)
GONE = [
    ("GET", "/webhooks"),
    ("POST", "/email-accounts"),
    ("POST", "/campaigns"),
    ("GET", "/campaigns/{campaign}/top-level-analytics"),
    ("GET", "/campaigns/{campaign}/lead-statistics"),
    ("GET", "/email-accounts/{account}/health"),
    ("GET", "/email-accounts/{account}/heat-score"),
    ("GET", "/domains"),
    ("POST", "/dkim-check"),
    ("GET", "/dns/records"),
]
LEADS_BODY = {
    "lead_list": [
        {
            "email": "silent-new@target.com", "first_name": "Bo", "last_name": "Lind", "company_name": "Target",
            "phone_number": "100", "website": "target.com", "location": "Oslo", "linkedin_profile": "",
            "company_url": "", "custom_fields": {"role": "CTO"},
        },
        {"email": BROKEN},
        {"email": "p@blocked-mailfleet.com"},
    ],
    "settings": {
        "ignore_global_block_list": False, "ignore_unsubscribe_list": False, "ignore_community_bounce_list": False,
        "ignore_duplicate_leads_in_other_campaign": False, "return_lead_ids": True,
    },
}  # fmt: skip
STEPS = {
    "sequences": [
        {
            "id": None, "seq_number": 1, "seq_delay_details": {"delay_in_days": 0}, "subject": "Hi",
            "email_body": "<div>Hi</div>",
            "seq_variants": [
                {"id": None, "subject": "Hi", "email_body": "<div>A</div>", "variant_label": "A",
                 "variant_distribution_percentage": 50},
            ],
            "variant_distribution_type": "MANUAL_EQUAL",
        },
    ],
}  # fmt: skip
SCHEDULE = {
    "timezone": "Europe/Berlin", "days_of_the_week": [1, 2, 3, 4, 5], "start_hour": "09:00", "end_hour": "17:00",
    "min_time_btw_emails": 10, "max_new_leads_per_day": 20, "schedule_start_time": "2026-04-01T00:00:00.000Z",
}  # fmt: skip
HOOK = {"id": None, "name": "ours", "webhook_url": "http://127.0.0.1:9/sl", "event_types": ["EMAIL_SENT"]}
WRITES = (
    Exchange(
        "leads/add",
        "POST",
        "/campaigns/{draft}/leads",
        LEADS_BODY,
        keys={"": ADDED},
        values={"upload_count": 3, "total_leads": 1, "block_count": 1, "invalid_emails": [BROKEN]},
        types={"emailToLeadIdMap.newlyAddedLeads.silent-new@target~com": TEXT},
    ),
    Exchange(
        "leads/add, a flag at the wrong level",
        "POST",
        "/campaigns/{draft}/leads",
        {"lead_list": [{"email": LEAD}], "return_lead_ids": True},
        status=400,
        values={"message": '"return_lead_ids" is not allowed'},
    ),
    ok(
        "campaigns/create", "POST", "/campaigns/create", {"name": "Pilot A", "client_id": None}, ok=True, name="Pilot A"
    ),
    ok("campaigns/schedule", "POST", "/campaigns/{draft}/schedule", SCHEDULE),
    ok("campaigns/schedule, as older clients send it", "POST", "/campaigns/{draft}", SCHEDULE),
    Exchange(
        "campaigns/schedule of last before first",
        "POST",
        "/campaigns/{draft}/schedule",
        {**SCHEDULE, "start_hour": "18:00"},
        status=400,
        values={"error": "startHour cannot be greater that endHour"},
    ),
    Exchange(
        "campaigns/schedule of no place",
        "POST",
        "/campaigns/{draft}/schedule",
        {**SCHEDULE, "timezone": "X"},
        status=400,
        values={"error": "Invalid timezone - X"},
    ),
    ok(
        "campaigns/settings",
        "POST",
        "/campaigns/{draft}/settings",
        {
            "track_settings": ["DONT_TRACK_EMAIL_OPEN"],
            "stop_lead_settings": "REPLY_TO_AN_EMAIL",
            "follow_up_percentage": 40,
            "bounce_autopause_threshold": "5",
        },
    ),
    Exchange(
        "campaigns/settings are read shorter",
        "GET",
        "/campaigns/{draft}",
        values={"track_settings": ["DONT_EMAIL_OPEN"]},
    ),
    Exchange(
        "campaigns/settings, an unknown value",
        "POST",
        "/campaigns/{draft}/settings",
        {"track_settings": ["TRACK_OPENS"]},
        status=400,
        values={"error": "Invalid track_settings value - TRACK_OPENS"},
    ),
    ok("campaigns/sequences", "POST", "/campaigns/{draft}/sequences", STEPS),
    ok("campaigns/mailboxes", "POST", "/campaigns/{draft}/email-accounts", {"email_account_ids": ["account"]}),
    Exchange(
        "campaigns/a foreign mailbox",
        "POST",
        "/campaigns/{draft}/email-accounts",
        {"email_account_ids": [297]},
        status=400,
        values={"error": "Email account id - 297 not allowed. Permission Error."},
    ),
    ok("campaigns/status", "POST", "/campaigns/{draft}/status", {"status": "START"}),
    Exchange("campaigns/state is read in other words", "GET", "/campaigns/{draft}", values={"status": "ACTIVE"}),
    ok("campaigns/status by PATCH", "PATCH", "/campaigns/{draft}/status", {"status": "PAUSED"}),
    Exchange(
        "campaigns/status in the word of the readme",
        "POST",
        "/campaigns/{draft}/status",
        {"status": "PAUSE"},
        status=400,
    ),
    ok("campaigns/duplicate", "POST", "/campaigns/{draft}/duplicate"),
    Exchange(
        "campaigns/duplicate of none",
        "POST",
        "/campaigns/1/duplicate",
        status=500,
        values={"message": "Invalid campaign Id!"},
    ),
    Exchange(
        "campaigns/none",
        "GET",
        "/campaigns/1",
        status=404,
        values={"error": "Campaign not found - Invalid campaign_id."},
    ),
    ok(
        "email-accounts/update",
        "POST",
        "/email-accounts/{account}",
        {
            "max_email_per_day": 30,
            "custom_tracking_url": "http://t.outreach-one.com",
            "bcc": "b@x.com",
            "time_to_wait_in_mins": 7,
        },
    ),
    Exchange(
        "email-accounts/update is read under other names",
        "GET",
        "/email-accounts/{account}/",
        values={"message_per_day": 30, "custom_tracking_domain": "http://t.outreach-one.com", "bcc_email": "b@x.com"},
    ),
    ok(
        "email-accounts/warmup",
        "POST",
        "/email-accounts/{account}/warmup",
        {"warmup_enabled": True, "total_warmup_per_day": 20, "daily_rampup": 5, "reply_rate_percentage": 30},
    ),
    Exchange(
        "email-accounts/warmup below the least ramp",
        "POST",
        "/email-accounts/{account}/warmup",
        {"warmup_enabled": True, "daily_rampup": 3},
        status=400,
    ),
    ok("email-accounts/suspend", "PUT", "/email-accounts/suspend/{account}", success=True),
    ok("email-accounts/unsuspend", "DELETE", "/email-accounts/unsuspend/{account}", success=True),
    Exchange("email-accounts/suspend none", "PUT", "/email-accounts/suspend/1", status=400, values={"success": False}),
    Exchange(
        "email-accounts/delete none",
        "DELETE",
        "/email-accounts/1",
        status=404,
        values={"ok": False, "errorCode": "ACCOUNT_NOT_FOUND", "emailAccountId": 1},
    ),
    ok("email-accounts/reconnect", "POST", "/email-accounts/reconnect-failed-email-accounts", {}),
    ok("leads/update", "POST", "/campaigns/{campaign}/leads/{lead}", {"email": LEAD, "custom_fields": {"role": "CEO"}}),
    ok("leads/pause", "POST", "/campaigns/{campaign}/leads/{lead}/pause", None, ok=True, data="success"),
    ok(
        "leads/resume",
        "POST",
        "/campaigns/{campaign}/leads/{lead}/resume",
        {"resume_lead_with_delay_days": 2},
        data="success",
    ),
    ok(
        "leads/category none",
        "POST",
        "/campaigns/{campaign}/leads/{lead}/category",
        {"category_id": None, "pause_lead": False},
    ),
    Exchange(
        "leads/resume none",
        "POST",
        "/campaigns/{campaign}/leads/1/resume",
        {},
        status=500,
        values={"message": "Invalid lead id"},
    ),
    ok("leads/unsubscribe", "POST", "/campaigns/{campaign}/leads/{lead}/unsubscribe"),
    ok("leads/unsubscribe everywhere", "POST", "/leads/{lead}/unsubscribe"),
    ok("leads/unsubscribe nobody", "POST", "/leads/1/unsubscribe", None, ok=False),
    ok(
        "block list/add",
        "POST",
        "/leads/add-domain-block-list",
        {"domain_block_list": ["x-mailfleet.com", "p@y-mailfleet.com"], "client_id": None},
        uploadCount=2,
        totalDomainAdded=2,
    ),
    ok(
        "block list/from the inbox",
        "POST",
        "/master-inbox/block-domains",
        {"domains": ["z.com"], "source": "complaint"},
        success=True,
    ),
    Exchange(
        "reply, with a key the vendor refuses",
        "POST",
        "/campaigns/{campaign}/reply-email-thread",
        {"email_stats_id": "s", "email_body": "b", "lead_id": 1},
        status=400,
        values={"message": '"lead_id" is not allowed'},
    ),
    ok(
        "webhooks/save",
        "POST",
        "/campaigns/{draft}/webhooks",
        {**HOOK, "categories": ["Interested"]},
        ok=True,
        event_type_map={"EMAIL_SENT": True},
    ),
    Exchange(
        "webhooks/save without categories",
        "POST",
        "/campaigns/{draft}/webhooks",
        {**HOOK, "categories": []},
        status=400,
        values={"message": '"categories" does not contain 1 required value(s)'},
    ),
    Exchange(
        "webhooks/save of an invented event",
        "POST",
        "/campaigns/{draft}/webhooks",
        {**HOOK, "event_types": ["LEAD_REPLIED"], "categories": ["Interested"]},
        status=400,
        values={"error": "Invalid event_types - LEAD_REPLIED"},
    ),
    ok(
        "webhook/create",
        "POST",
        "/webhook/create",
        {"webhook_url": "http://127.0.0.1:9/u", "association_type": "user", "event_type_map": {"EMAIL_REPLY": True}},
    ),
    ok(
        "clients/save",
        "POST",
        "/client/save",
        {"name": "N", "email": "n@n.com", "password": "p", "permission": ["reply_master_inbox"]},
        ok=True,
        name="N",
        password="p",
    ),
    ok("tags/create", "POST", "/tags", {"name": "warm", "color": "#ff0000"}),
    ok("lead-list/create", "POST", "/lead-list/", {"listName": "Spring"}, success=True),
    Exchange("SmartDelivery on the main host", "POST", "/smart-delivery/manual", {}, status=404),
)


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Sandbox, dict[str, int]]]:
    """A world in which everything the examples name exists: a campaign that has sent, and a draft."""
    sandbox = Sandbox("--seed", "1", "--rate-limit", "100000", "--profile", "calm")
    account = scene.mailbox(sandbox, ADDRESS)
    sandbox.advance(days=3)
    campaign = scene.campaign(sandbox, [account])
    scene.add(sandbox, campaign, [LEAD, "complains@firm1-mailfleet.com", "hard-bounce@firm2-mailfleet.com"])
    sandbox.smartlead("POST", f"/campaigns/{campaign}/webhooks", {**HOOK, "categories": ["Interested"]})
    scene.start(sandbox, campaign)
    sandbox.advance(days=3)
    sandbox.smartlead("POST", "/leads/add-domain-block-list", {"domain_block_list": ["blocked-mailfleet.com"]})
    client = {"name": "C", "email": "c@c.com", "password": "p", "permission": ["full_access"]}
    sandbox.smartlead("POST", "/client/save", client)
    draft = sandbox.smartlead("POST", "/campaigns/create", {"name": "Draft"}).json()["id"]
    lead = int(sandbox.smartlead("GET", "/leads/", email=LEAD).json()["id"])
    yield sandbox, {"account": account, "campaign": campaign, "draft": draft, "lead": lead}
    sandbox.close()


def at(answer: Any, path: str) -> Any:
    """What stands at a path of an answer; `~` is a dot within a key."""
    for part in path.split(".") if path else ():
        answer = answer[int(part)] if isinstance(answer, list) else answer[part.replace("~", ".")]
    return answer


def carried_out(sandbox: Sandbox, known: dict[str, int], exchange: Exchange) -> None:
    body = exchange.body
    if isinstance(body, dict) and body.get("email_account_ids") == ["account"]:
        body = {"email_account_ids": [known["account"]]}
    response = sandbox.smartlead(exchange.method, exchange.path.format(**known), body, **exchange.query)
    assert response.status_code == exchange.status, f"{exchange.doc}: {response.text}"
    answer = response.json()
    for path, keys in exchange.keys.items():
        assert keys - set(at(answer, path)) == set(), f"{exchange.doc} {path}"
    for path, value in exchange.values.items():
        assert at(answer, path) == value, f"{exchange.doc} {path}"
    for path, kind in exchange.types.items():
        assert type(at(answer, path)) is kind, f"{exchange.doc} {path}"


def test_what_the_documents_show_of_reading_is_answered(served: tuple[Sandbox, dict[str, int]]) -> None:
    for exchange in READS:
        carried_out(*served, exchange)


def test_what_the_documents_show_of_writing_is_answered_in_their_order(served: tuple[Sandbox, dict[str, int]]) -> None:
    for exchange in WRITES:
        carried_out(*served, exchange)


def test_the_export_has_the_documented_columns(served: tuple[Sandbox, dict[str, int]]) -> None:
    sandbox, known = served
    response = sandbox.smartlead("GET", f"/campaigns/{known['campaign']}/leads-export")
    assert response.headers["content-type"].startswith("text/csv")
    assert f"sl_campaign_{known['campaign']}_leads.csv" in response.headers["content-disposition"]
    assert response.text.splitlines()[0].split(",") == [
        "id", "campaign_lead_map_id", "status", "category", "is_interested", "created_at", "first_name", "last_name",
        "email", "phone_number", "company_name", "website", "location", "custom_fields", "linkedin_profile",
        "company_url", "is_unsubscribed", "unsubscribed_client_id_map", "last_email_sequence_sent", "open_count",
        "click_count", "reply_count",
    ]  # fmt: skip


def test_a_reply_is_answered_by_a_sentence_in_html(served: tuple[Sandbox, dict[str, int]]) -> None:
    sandbox, known = served
    path = f"/campaigns/{known['campaign']}/leads/{known['lead']}/message-history"
    replies = [entry for entry in sandbox.smartlead("GET", path).json()["history"] if entry["type"] == "REPLY"]
    body = {
        "email_stats_id": replies[-1]["stats_id"], "email_body": "<div>Thursday works.</div>",
        "reply_message_id": replies[-1]["message_id"], "reply_email_time": replies[-1]["time"],
    }  # fmt: skip
    response = sandbox.smartlead("POST", f"/campaigns/{known['campaign']}/reply-email-thread", body)
    assert response.headers["content-type"].startswith("text/html")
    assert response.text == "Email added to the queue, will be sent out soon!"


def test_paths_that_only_some_descriptions_have_are_404(served: tuple[Sandbox, dict[str, int]]) -> None:
    sandbox, known = served
    for method, path in GONE:
        assert sandbox.smartlead(method, path.format(**known), {}).status_code == 404, path


def test_a_placement_test_goes_as_documented(served: tuple[Sandbox, dict[str, int]]) -> None:
    sandbox, known = served
    held = sandbox.info["smartlead"]
    sequence = sandbox.smartlead("GET", f"/campaigns/{known['campaign']}/sequences").json()[0]["id"]
    body = {
        "test_name": "t", "description": "", "spam_filters": ["spam_assassin"], "link_checker": True,
        "campaign_id": known["campaign"], "sequence_mapping_id": sequence, "provider_ids": [20, 21],
        "sender_accounts": [ADDRESS], "all_email_sent_without_time_gap": True, "min_time_btwn_emails": 0,
        "min_time_unit": "minutes", "is_warmup": False,
    }  # fmt: skip

    def call(method: str, path: str, given: Any = None) -> Any:
        url, key = held["delivery_base_url"] + path, {"api_key": held["api_key"]}
        return sandbox.http.request(method, url, params=key, json=given)

    made = call("POST", "/manual", body).json()
    assert (made["status"], made["test_type"], type(made["id"])) == ("ACTIVE", "manual", int)
    assert call("POST", "/manual", {"description": "no name"}).json()["message"] == '"test_name" is required'
    assert call("POST", "/manual", {**body, "sender_accounts": ["no@one.com"]}).status_code == 400
    sandbox.advance(seconds=75 * 60)
    assert call("GET", f"/{made['id']}").json()["status"] == "COMPLETED"
    rows = call("GET", f"/report/{made['id']}/dkim-details").json()
    assert {"id", "email", "esp", "dkim_verified"} <= set(rows[0]["seed_accounts"][0])
    assert set(call("POST", f"/report/{made['id']}/providerwise").json()) == {"overallTotalCount", "status", "result"}
    sandbox.fault("delivery_credits", count=0)
    assert call("POST", "/manual", body).status_code == 402
