"""The description that the Smartlead face publishes of itself, one line for each endpoint.

Request bodies are described by the very rules that check them; answers by `shapes.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from mailfleet.sandbox.describe import ANY, FLAG, NUMBER, TEXT, Operation, Schema, document, listing, obj, optional
from mailfleet.sandbox.smartlead import (
    account,
    accounts,
    add,
    analytics,
    campaigns,
    clients,
    crm,
    inbox,
    leads,
    lists,
    mail,
    placement,
    senders,
    sequences,
    shapes,
    subsequences,
    team,
    views,
    warmups,
    webhooks,
)
from mailfleet.sandbox.smartlead.check import Rule
from mailfleet.sandbox.smartlead.http import API, DELIVERY

Entry = tuple[str, str, Mapping[str, Rule] | None, str, Schema]
_JSON = "application/json"
_TEXTS = ("Invalid lead id", "Invalid campaign Id!", "This is the last sequence. You cannot resume this lead.")
# Five shapes of errors are published; a client must read all of them.
ERROR: Schema = {
    "anyOf": [
        obj({"error": TEXT}),
        obj({"message": TEXT}),
        obj({"ok": FLAG, "message": TEXT, "errorCode": TEXT, "emailAccountId": NUMBER}),
        obj({"success": FLAG, "message": TEXT}),
        obj({"error": obj({"code": TEXT, "message": TEXT})}),
    ]
}
_PAGE = "offset limit"
_DATES = "start_date end_date"
_C, _L, _A = "/campaigns/{campaign_id}", "/campaigns/{campaign_id}/leads/{lead_id}", "/email-accounts/{account_id}"
_R = "/report/{test_id}"

MAIN: tuple[Entry, ...] = (
    ("GET", "/email-accounts", None, f"{_PAGE} username esp client_id isInUse emailWarmupStatus isSmtpSuccess "
     "isWarmupBlocked fetch_campaigns", listing(shapes.ACCOUNT_IN_LIST)),
    ("POST", "/email-accounts/save", accounts.SAVE, "", shapes.SAVED),
    ("POST", "/email-accounts/save-oauth", accounts.OAUTH, "", shapes.SAVED),
    ("POST", "/email-accounts/reconnect-failed-email-accounts", {}, "", shapes.DONE),
    ("PUT", "/email-accounts/suspend/{account_id}", None, "", shapes.SUSPENDED),
    ("DELETE", "/email-accounts/unsuspend/{account_id}", None, "", shapes.SUSPENDED),
    ("GET", _A, None, "fetch_campaigns fetch_tags", shapes.ACCOUNT),
    ("POST", _A, accounts.UPDATE, "", shapes.DONE),
    ("DELETE", _A, None, "", shapes.DONE),
    ("POST", _A + "/warmup", warmups.WARMUP, "", shapes.DONE),
    ("GET", _A + "/warmup-stats", None, "", shapes.WARMUP_STATS),
    ("POST", "/email-accounts/tag-manager", clients.TAG_CHANGE, "", shapes.OK),
    ("POST", "/email-accounts/tag-mapping", clients.MAPPING, "", shapes.SUCCESS),
    ("DELETE", "/email-accounts/tag-mapping", clients.MAPPING, "", shapes.SUCCESS),
    ("POST", "/email-accounts/tag-list", clients.TAG_LIST, "", shapes.MAILBOX_TAGS),
    ("POST", "/tags", clients.TAG, "", shapes.ID_ONLY),
    ("POST", "/email-accounts/multi/fetch-messages", {}, "", shapes.MAIL_OF_SEVERAL),
    ("POST", _A + "/fetch-messages", mail.FETCH, "", shapes.MAIL_OF_ONE),
    ("GET", "/campaigns", None, "client_id include_tags", listing(shapes.CAMPAIGN)),
    ("POST", "/campaigns/create", campaigns.CREATE, "", shapes.CREATED),
    ("POST", "/campaigns/create-subsequence", subsequences.CREATE, "",
     shapes.fields("ok:f success:f id:n subsequence_id:n")),
    ("POST", "/campaigns/update-lead-email-account", team.MOVE, "", shapes.SUCCESS),
    ("POST", _C + "/team-member", team.OF_CAMPAIGN, "", shapes.SUCCESS),
    ("POST", _C + "/message-history-for-leads/{token}", mail.HISTORIES, "event_time_gt", shapes.HISTORIES),
    ("GET", "/campaigns/all-leads-activities", None, f"{_PAGE} event_time_gt", shapes.ACTIVITIES),
    ("GET", _C, None, "", shapes.CAMPAIGN),
    ("DELETE", _C, None, "", shapes.OK),
    ("POST", _C, campaigns.SCHEDULE, "", shapes.OK),
    ("POST", _C + "/duplicate", None, "", shapes.fields("ok:f newCampaignId:n")),
    ("POST", _C + "/status", campaigns.STATUS, "", shapes.OK),
    ("PATCH", _C + "/status", campaigns.STATUS, "", shapes.OK),
    ("POST", _C + "/schedule", campaigns.SCHEDULE, "", shapes.OK),
    ("POST", _C + "/settings", campaigns.SETTINGS, "", shapes.OK),
    ("GET", _C + "/sequences", None, "", listing(shapes.STEP)),
    ("POST", _C + "/sequences", sequences.SEQUENCES, "", shapes.ANSWERED),
    ("GET", _C + "/email-accounts", None, "", listing(shapes.ACCOUNT_IN_LIST)),
    ("POST", _C + "/email-accounts", campaigns.MAILBOXES, "", shapes.ADDED_MAILBOXES),
    ("DELETE", _C + "/email-accounts", campaigns.MAILBOXES, "", shapes.OK),
    ("POST", _C + "/send-test-email", campaigns.TEST, "", shapes.OK),
    ("GET", _C + "/leads", None, f"{_PAGE} status lead_category_id emailStatus created_at_gt last_sent_time_gt "
     "event_time_gt", shapes.LEADS),
    ("POST", _C + "/leads", add.BODY, "", {"anyOf": [shapes.ADDED, shapes.NO_CREDIT]}),
    ("GET", _C + "/leads-export", None, "", TEXT),
    ("POST", _L, leads.CHANGES, "", shapes.OK),
    ("DELETE", _L, None, "", shapes.DONE),
    ("POST", _L + "/pause", {}, "", shapes.ANSWERED),
    ("POST", _L + "/resume", leads.RESUME, "", shapes.ANSWERED),
    ("POST", _L + "/unsubscribe", {}, "", shapes.OK),
    ("POST", _L + "/category", leads.CATEGORY, "", shapes.OK),
    ("POST", _L + "/manual-complete", None, "", shapes.OK),
    ("GET", _L + "/message-history", None, "event_time_gt show_plain_text_response", shapes.HISTORY),
    ("GET", "/leads", None, "email", shapes.LEAD_BY_ADDRESS),
    ("GET", "/leads/fetch-categories", None, "", listing(shapes.CATEGORY)),
    ("GET", "/leads/global-leads", None, _PAGE, shapes.EVERYONE),
    ("GET", "/leads/all", None, _PAGE, shapes.data(shapes.fields("", leads=listing(shapes.LEAD)))),
    ("GET", "/leads/{lead_id}", None, "", shapes.LEAD_BY_ID),
    ("GET", "/leads/{lead_id}/campaigns", None, "", shapes.LEAD_CAMPAIGNS),
    ("POST", "/leads/{lead_id}/unsubscribe", None, "", shapes.OK),
    ("GET", _C + "/statistics", None, f"{_PAGE} email_sequence_number email_status sent_time_start_date "
     "sent_time_end_date", shapes.STATISTICS),
    ("GET", _C + "/analytics", None, "", shapes.ANALYTICS),
    ("GET", _C + "/analytics-by-date", None, f"{_DATES} time_zone", shapes.BY_DATE),
    ("GET", _C + "/top-level-analytics-by-date", None, f"{_DATES} time_zone", shapes.BY_DATE),
    ("GET", _C + "/mailbox-statistics", None, f"{_PAGE} {_DATES} timezone client_id", shapes.BY_MAILBOX),
    ("GET", _C + "/leads-statistics", None, f"{_PAGE} created_at_gt event_time_gt", shapes.BY_LEAD),
    ("GET", _C + "/sequence-analytics", None, f"{_DATES} time_zone", shapes.BY_STEP),
    ("GET", _C + "/variant-statistics", None, "", shapes.BY_VARIANT),
    ("POST", _C + "/reply-email-thread", inbox.REPLY, "", shapes.QUEUED),
    ("POST", _C + "/forward-email", inbox.FORWARD, "", shapes.OK),
    ("POST", "/leads/add-domain-block-list", inbox.BLOCK, "", shapes.BLOCK_ADDED),
    ("GET", "/leads/get-domain-block-list", None, f"{_PAGE} filter_email_or_domain filter_client_id", shapes.BLOCKED),
    ("DELETE", "/leads/delete-domain-block-list", None, "id", shapes.OK),
    ("POST", "/master-inbox/block-domains", inbox.INBOX_BLOCK, "", shapes.SUCCESS),
    *(("POST", f"/master-inbox/{name}", views.LIST, "fetch_message_history", shapes.VIEW) for name in views.VIEWS),
    ("GET", "/master-inbox/untracked-replies", None, f"{_PAGE} fetchBody fetchAttachments", shapes.VIEW),
    ("GET", "/master-inbox/reply-status", None, "", shapes.data(shapes.fields("replied:n unread:n"))),
    ("GET", "/master-inbox/{map_id}", None, "", shapes.CONVERSATION),
    ("PATCH", "/master-inbox/change-read-status", views.READ, "", shapes.SUCCESS),
    ("PATCH", "/master-inbox/update-category", views.CATEGORY, "", shapes.SUCCESS),
    ("PATCH", "/master-inbox/update-revenue", views.REVENUE, "", shapes.SUCCESS),
    ("PATCH", "/master-inbox/resume-lead", views.RESUME, "", shapes.SUCCESS),
    ("POST", "/master-inbox/update-team-member", team.OF_LEAD, "", shapes.GIVEN),
    ("POST", "/master-inbox/push-to-subsequence", subsequences.PUSH, "", shapes.PUSHED_DOWN),
    ("POST", "/master-inbox/set-reminder", views.REMINDER, "", shapes.SUCCESS),
    ("POST", "/master-inbox/create-note", crm.NOTE, "", shapes.data(shapes.NOTE, "success")),
    ("POST", "/master-inbox/create-task", crm.TASK, "", shapes.data(shapes.TASK, "success")),
    ("GET", "/crm/leads/tags", None, "lead_id", shapes.LEAD_TAGS),
    ("POST", "/crm/leads/tags", crm.TAG, "", shapes.LEAD_TAGS),
    ("DELETE", "/crm/leads/tags/{mapping_id}", None, "", shapes.SUCCESS),
    ("GET", "/crm/leads/notes/{lead_id}", None, "", shapes.data(listing(shapes.NOTE), "success")),
    ("GET", "/crm/leads/tasks/{lead_id}", None, "", shapes.data(listing(shapes.TASK), "success")),
    ("GET", _C + "/webhooks", None, "", listing(shapes.HOOK)),
    ("POST", _C + "/webhooks", webhooks.SAVE, "", shapes.HOOK_SAVED),
    ("DELETE", _C + "/webhooks", webhooks.DELETE, "", shapes.OK),
    ("DELETE", _C + "/webhooks/{webhook_id}", None, "", shapes.OK),
    ("GET", _C + "/webhooks/summary", None, "fromTime toTime", shapes.HOOK_SUMMARY),
    ("POST", _C + "/webhooks/retrigger-failed-events", webhooks.RETRIGGER, "", shapes.RETRIGGERED),
    ("POST", "/webhook/create", webhooks.CREATE, "", shapes.HOOK_MADE),
    ("GET", "/webhook/{webhook_id}", None, "", shapes.HOOK),
    ("PUT", "/webhook/update/{webhook_id}", webhooks.UPDATE, "", shapes.HOOK_MADE),
    ("DELETE", "/webhook/delete", webhooks.DELETE, "", shapes.OK),
    ("DELETE", "/webhook/delete/{webhook_id}", None, "", shapes.OK),
    ("POST", "/client/save", clients.CLIENT, "", shapes.CLIENT_SAVED),
    ("GET", "/client", None, "", listing(shapes.CLIENT)),
    ("POST", "/client/api-key", clients.KEY, "", shapes.data(shapes.KEY)),
    ("GET", "/client/api-key", None, "", shapes.data(listing(shapes.KEY))),
    ("DELETE", "/client/api-key/{key_id}", None, "", shapes.OK),
    ("PUT", "/client/api-key/reset/{key_id}", None, "", shapes.data(shapes.KEY)),
    ("GET", "/lead-list", None, f"{_PAGE} search", shapes.LISTS),
    ("POST", "/lead-list", lists.NAME, "", shapes.data(shapes.LIST, "success")),
    ("POST", "/lead-list/assign-tags", lists.ASSIGN, "", shapes.SUCCESS),
    ("GET", "/lead-list/{list_id}", None, "", shapes.data(shapes.LIST, "success")),
    ("PUT", "/lead-list/{list_id}", lists.NAME, "", shapes.data(shapes.LIST, "success")),
    ("DELETE", "/lead-list/{list_id}", None, "", shapes.SUCCESS),
    ("POST", "/lead-list/{list_id}/import", lists.IMPORT, "", shapes.IMPORTED),
    ("POST", "/leads/push-to-campaign", lists.PUSH, "", shapes.PUSHED),
    ("POST", "/leads/push-to-list", lists.BETWEEN, "", shapes.PUSHED),
    ("POST", "/leads/leads/push-between-lists", lists.BETWEEN, "", shapes.PUSHED),
    ("GET", "/users/get-by-api-key", None, "", shapes.data(shapes.fields("id:n name:t email:t"), "success")),
    ("GET", "/subscription/credits-stats", None, "",
     shapes.data(shapes.fields("lead_credits:n? spam_test_credits:n?"), "success")),
    ("POST", "/send-email/initiate", account.MAIL, "", shapes.data(shapes.fields("id:n"), "success")),
    ("GET", "/send-email/track-email/{mail_id}", None, "", shapes.MAIL),
    *(("GET", f"/analytics/{path}", None, " ".join(analytics.QUERY), shapes.ACCOUNT_FIGURES)
      for path in analytics.TABLE),
)  # fmt: skip
PLACEMENT: tuple[Entry, ...] = (
    ("POST", "/manual", placement.TEST, "", shapes.PLACEMENT_TEST),
    ("POST", "/schedule", placement.PLAN, "", shapes.PLACEMENT_TEST),
    ("POST", "/report", placement.LIST, "", listing(shapes.PLACEMENT_TEST)),
    ("POST", "/delete", placement.DELETE, "", shapes.OK),
    ("GET", "/folder", None, "", listing(shapes.fields("id:n name:t"))),
    ("POST", "/folder", placement.FOLDER, "", shapes.fields("id:n name:t")),
    ("DELETE", "/folder/{folder_id}", None, "", shapes.OK),
    ("GET", "/seed/providers", None, "", listing(shapes.fields("id:n name:t"))),
    ("GET", "/report/mailboxes-summary", None, "", shapes.SUMMARY),
    ("GET", "/report/mailboxes-count", None, "", shapes.fields("count:n")),
    ("POST", _R + "/providerwise", {}, "", shapes.GROUPED),
    ("POST", _R + "/groupwise", {}, "", shapes.GROUPED),
    ("GET", _R + "/sender-account-wise", None, "", shapes.by_sender(shapes.COPY)),
    ("GET", _R + "/sender-accounts", None, "", listing(shapes.fields("email:t"))),
    *(("GET", f"{_R}/{what}-details", None, "",
       shapes.by_sender(shapes.fields(f"id:n email:t esp:t {what}_verified:f")))
      for what in ("dkim", "spf", "rdns")),
    ("GET", _R + "/sender-account-wise/{reply_id}/email-headers", None, "", shapes.HEADERS),
    ("GET", _R + "/domain-blacklist", None, "", listing(ANY)),
    ("GET", _R + "/blacklist", None, "", listing(ANY)),
    ("GET", _R + "/spam-filter-details", None, "", listing(shapes.fields("from_email:t", spam_filters=listing(ANY)))),
    ("GET", _R + "/ip-analytics", None, "", listing(shapes.fields("from_email:t ip:t blacklists:n"))),
    ("GET", _R + "/email-content", None, "", shapes.fields("subject:t? body:t?")),
    ("GET", _R + "/schedule-history", None, "", listing(shapes.fields("id:n run_at:m status:t"))),
    ("PUT", "/{test_id}/stop", None, "", shapes.OK),
    ("GET", "/{test_id}", None, "", shapes.PLACEMENT_TEST),
)  # fmt: skip
BOUGHT: tuple[Entry, ...] = (
    ("GET", "/get-vendors", None, "", shapes.data(listing(shapes.fields("id:n name:t")))),
    ("GET", "/search-domain", None, "domain_name vendor_id", shapes.data(listing(shapes.OFFER))),
    ("POST", "/auto-generate-mailboxes", senders.GENERATE, "", shapes.data(listing(shapes.GENERATED))),
    ("POST", "/place-order", senders.ORDER, "", shapes.data(shapes.fields("order_id:t status:t"))),
    ("GET", "/get-domain-list", None, "", shapes.data(listing(shapes.BOUGHT_DOMAIN))),
    ("GET", "/order-details", None, "order_id", shapes.data(shapes.ORDER)),
    ("GET", "/auth-secret", None, "email_account", shapes.data(shapes.fields("otp:d expires_in:n"))),
)  # fmt: skip
# Bodies that are no object.
_LISTS: Mapping[str, Rule] = {"/email-accounts/multi/fetch-messages": mail.SEVERAL}
# Answers that are not JSON.
_OTHER_TYPES = {_C + "/leads-export": "text/csv", _C + "/reply-email-thread": "text/html"}
# Statuses that only these endpoints answer with, beside those that all do.
_RARE: Mapping[str, int] = {
    "/email-accounts/reconnect-failed-email-accounts": 406,
    "/manual": 402,
    "/schedule": 402,
    "/master-inbox/resume-lead": 500,
    _C + "/duplicate": 500,
}
BUSINESS: Schema = obj({"message": {"enum": list(_TEXTS)}})


def description(entries: Sequence[Entry], base: str, title: str) -> dict[str, Any]:
    """A host of the vendor, described."""
    key = {"key": {"type": "apiKey", "in": "query", "name": "api_key"}}
    return document(title, [_operation(base, *entry) for entry in entries], key)


def main_host() -> dict[str, Any]:
    """The main host."""
    return description(MAIN, API, "Smartlead (sandbox)")


def placement_host() -> dict[str, Any]:
    """The host of placement tests."""
    return description(PLACEMENT, DELIVERY, "SmartDelivery (sandbox)")


def senders_host() -> dict[str, Any]:
    """The host of bought domains."""
    return description(BOUGHT, senders.SENDERS, "SmartSenders (sandbox)")


def _operation(
    base: str, method: str, path: str, body: Mapping[str, Rule] | None, query: str, answer: Schema
) -> Operation:
    answers: dict[int, tuple[str, Schema]] = {200: (_OTHER_TYPES.get(path, _JSON), answer)}
    answers |= dict.fromkeys((400, 401, 404, 429), (_JSON, ERROR))
    rare = _RARE.get(path, 500 if path.startswith(_L) else None)
    if rare is not None:
        answers[rare] = (_JSON, BUSINESS if rare == 500 else ERROR)
    return Operation(
        method=method,
        path=base + path,
        summary=f"{method} {path}",
        answers=answers,
        body=_rule(_LISTS[path]) if path in _LISTS else None if body is None else taken(body),
        query=dict.fromkeys(query.split(), TEXT),
    )


def taken(keys: Mapping[str, Rule]) -> Schema:
    """What a body may hold, from the rules that check it."""
    needed = [name for name, rule in keys.items() if rule.required]
    held = {name: _rule(rule) for name, rule in keys.items()}
    return {"type": "object", "properties": held, "required": needed, "additionalProperties": False}


def _rule(rule: Rule) -> Schema:
    found = _KINDS[rule.kind](rule)
    return optional(found) if rule.nullable and rule.kind != "any" else found


def _number(rule: Rule) -> Schema:
    bounds = {"minimum": rule.low, "maximum": rule.high}
    return {"type": rule.kind, **{name: value for name, value in bounds.items() if value is not None}}


def _string(rule: Rule) -> Schema:
    return {"type": "string", **({"enum": list(rule.options)} if rule.options else {})}


def _array(rule: Rule) -> Schema:
    most = {} if rule.most is None else {"maxItems": rule.most}
    return {**listing(_rule(replace(rule.items or Rule(), nullable=False))), **most}


_KINDS: Mapping[str, Callable[[Rule], Schema]] = {
    "any": lambda rule: {"enum": list(rule.options)} if rule.options else ANY,
    "string": _string,
    "integer": _number,
    "number": _number,
    "boolean": lambda rule: FLAG,
    "array": _array,
    "object": lambda rule: taken(rule.keys) if rule.keys else {"type": "object"},
}
