"""What Smartlead's answers hold, as schemas: the part of the face's description that says what a reader may rely on."""

from __future__ import annotations

from collections.abc import Mapping

from mailfleet.sandbox.describe import ANY, FLAG, NUMBER, TEXT, Schema, listing, obj, optional

DIGITS: Schema = {"type": "string", "pattern": "^[0-9]+$"}
MOMENT: Schema = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"}
PERCENT: Schema = {"type": "string", "pattern": "^[0-9]+%$"}
_KINDS: Mapping[str, Schema] = {
    "n": NUMBER,
    "x": {"type": "number"},
    "t": TEXT,
    "f": FLAG,
    "m": MOMENT,
    "d": DIGITS,
    "p": PERCENT,
    "a": ANY,
}


def fields(names: str, **more: Schema) -> Schema:
    """An object: `id:n name:t? created_at:m` and so on (`?` = may be null), and more keys with schemas of their own."""
    held: dict[str, Schema] = {}
    for entry in names.split():
        name, _, kind = entry.partition(":")
        found = _KINDS[kind.rstrip("?")]
        held[name] = optional(found) if kind.endswith("?") else found
    return obj({**held, **more})


OK = fields("ok:f")
DONE = fields("ok:f message:t")
SUCCESS = fields("success:f message:t")
ID_ONLY = fields("ok:f id:n")
ANSWERED = fields("ok:f data:t")


def data(of: Schema, flag: str = "ok") -> Schema:
    """The envelope `{ok|success, data}`."""
    return fields(f"{flag}:f", data=of)


_WARMUP = (
    "status:t reply_rate:n warmup_key_id:t blocked_reason:t? total_sent_count:n total_spam_count:n warmup_min_count:n "
    "warmup_max_count:n max_email_per_day:n warmup_created_at:m"
)
_ACCOUNT = (
    "id:n created_at:m updated_at:m user_id:n from_name:t from_email:t username:t password:t? smtp_host:t smtp_port:n "
    "smtp_port_type:t? message_per_day:n? different_reply_to_address:t? is_different_imap_account:f imap_username:t? "
    "imap_password:t? imap_host:t imap_port:n imap_port_type:t? signature:t? custom_tracking_domain:t? bcc_email:t? "
    "is_smtp_success:f is_imap_success:f smtp_failure_error:t? imap_failure_error:t? type:t? daily_sent_count:n "
    "client_id:n?"
)
TAG = fields("id:n name:t color:t")
ACCOUNT_IN_LIST = fields(
    f"{_ACCOUNT} expires_at:t? minTimeToWaitInMins:n? campaign_count:n is_connected_to_campaign:f",
    tags=listing(TAG),
    warmup_details=optional(fields(f"{_WARMUP} warmup_reputation:p")),
)
ACCOUNT = fields(
    f"{_ACCOUNT} is_suspended:f use_whitelabel_credentials:f",
    warmup_details=optional(fields(f"{_WARMUP} warmup_reputation:n id:n created_at:m is_warmup_blocked:f")),
)
SAVED = fields("ok:f message:t emailAccountId:n warmupKey:t?")
SUSPENDED = fields("success:f message:t", data=fields("accountId:n isSuspended:f"))
_WARM_DAY = fields("id:n date:t sent_count:n reply_count:n save_from_spam_count:n")
WARMUP_STATS = fields(
    "id:n sent_count:d spam_count:d inbox_count:d warmup_email_received_count:d", stats_by_date=listing(_WARM_DAY)
)

CRON = fields("tz:t startHour:t endHour:t", days=listing(NUMBER))
CAMPAIGN = fields(
    "id:n user_id:n created_at:m updated_at:m status:t name:t min_time_btwn_emails:n max_leads_per_day:n "
    "stop_lead_settings:t schedule_start_time:t? enable_ai_esp_matching:f send_as_plain_text:f follow_up_percentage:n "
    "unsubscribe_text:t parent_campaign_id:n? client_id:n?",
    track_settings=listing(TEXT),
    scheduler_cron_value=optional(CRON),
)
CREATED = fields("ok:f id:n name:t created_at:m")
_VARIANT = fields(
    "id:n created_at:m updated_at:m is_deleted:f subject:t email_body:t email_campaign_seq_id:n variant_label:t "
    "variant_distribution_percentage:n?"
)
STEP = fields(
    "id:n created_at:m updated_at:m email_campaign_id:n seq_number:n subject:t email_body:t",
    seq_delay_details=fields("delayInDays:n"),
    sequence_variants=optional(listing(_VARIANT)),
)
ADDED_MAILBOXES = fields("ok:f", result=listing(fields("email_campaign_id:n email_account_id:n")))

_LEAD = (
    "email:t first_name:t? last_name:t? phone_number:a company_name:t? website:t? location:t? linkedin_profile:t? "
    "company_url:t? is_unsubscribed:f"
)
_OBJECT: Schema = {"type": "object"}
_LEAD_PARTS: Mapping[str, Schema] = {"custom_fields": _OBJECT, "unsubscribed_client_id_map": _OBJECT}
LEAD_ROW = fields(
    "campaign_lead_map_id:n lead_category_id:n? status:t created_at:m", lead=fields(f"id:n {_LEAD}", **_LEAD_PARTS)
)
LEADS = fields("total_leads:d offset:n limit:n", data=listing(LEAD_ROW))
_LEAD_CAMPAIGN = fields(
    "campaign_lead_map_id:n campaign_id:n campaign_name:t client_id:n? client_email:t? lead_category_id:n?"
)
LEAD = fields(f"id:d created_at:m {_LEAD}", **_LEAD_PARTS, lead_campaign_data=listing(_LEAD_CAMPAIGN))
NOBODY: Schema = {"type": "object", "maxProperties": 0}
LEAD_BY_ADDRESS: Schema = {"anyOf": [LEAD, NOBODY]}
LEAD_BY_ID = fields("ok:f message:t", data=listing(fields(f"id:n created_at:m {_LEAD}", **_LEAD_PARTS)))
LEAD_CAMPAIGNS = listing(fields("id:n status:t name:t"))
ADDED = fields(
    "ok:f upload_count:n total_leads:n block_count:n duplicate_count:n invalid_email_count:n "
    "already_added_to_campaign:n is_lead_limit_exhausted:f lead_import_stopped_count:n bounce_count:n",
    invalid_emails=listing(TEXT),
    unsubscribed_leads=listing(TEXT),
)
NO_CREDIT = fields("ok:f is_lead_limit_exhausted:f lead_import_stopped_count:n error:t")
EVERYONE = fields("skip:n limit:n hasMore:f", data=listing(LEAD))
CATEGORY = fields("id:n name:t sentiment_type:t created_at:m")
ACTIVITY = fields("campaign_id:n lead_id:n email:t campaign_lead_map_id:n activity_type:t event_time:m")
ACTIVITIES = fields("ok:f skip:n limit:n hasMore:f", data=listing(ACTIVITY))

MESSAGE_STAT = fields(
    "stats_id:t lead_name:t lead_email:t lead_category:t? sequence_number:n email_campaign_seq_id:n seq_variant_id:n? "
    "email_subject:t email_message:t sent_time:m open_time:m? click_time:m? reply_time:m? open_count:n click_count:n "
    "is_unsubscribed:f is_bounced:f ignore_reply:f email_account_id:n"
)
STATISTICS = fields("total_stats:d offset:n limit:n", data=listing(MESSAGE_STAT))
_COUNTS = (
    "sent_count:d open_count:d click_count:d reply_count:d bounce_count:d unsubscribed_count:d unique_sent_count:d "
    "unique_open_count:d unique_click_count:d"
)
_TOTALS = (
    f"id:n user_id:n created_at:m status:t name:t {_COUNTS} block_count:d total_count:d sequence_count:d "
    "drafted_count:d client_id:n? client_name:t? client_email:t? parent_campaign_id:n?"
)
_WHERE = fields("total:n paused:n blocked:n stopped:n completed:n inprogress:n interested:n notStarted:n")
ANALYTICS = fields(_TOTALS, tags=listing(ANY), campaign_lead_stats=_WHERE)
BY_DATE = fields(f"{_TOTALS} start_date:t end_date:t total_reply_count:d non_ooo_reply_count:d", tags=listing(ANY))
BY_MAILBOX = data(listing(fields(f"email_account_id:n from_email:t {_COUNTS}")))
BY_LEAD = fields("hasMore:f skip:n limit:n", data=listing(fields("lead_id:n email:t campaign_lead_map_id:n status:t")))
BY_STEP = data(
    listing(
        fields(
            "email_campaign_seq_id:n sent_count:n skipped_count:n open_count:n click_count:n reply_count:n "
            "bounce_count:n unsubscribed_count:n failed_count:n stopped_count:n ln_connection_req_pending_count:n "
            "ln_connection_req_accepted_count:n ln_connection_req_skipped_sent_msg_count:n positive_reply_count:n"
        )
    )
)
BY_VARIANT = data(listing(fields("seq_variant_id:n variant_label:t email_campaign_seq_id:n sent_count:n")))
ACCOUNT_FIGURES = fields("success:f message:t", data=_OBJECT)

_HISTORY = fields(
    "time:m message_id:t stats_id:t from:t to:t bcc:a subject:t email_body:t",
    type={"enum": ["SENT", "REPLY"]},
    attachments=listing(ANY),
)
HISTORY = fields("from:t? to:t", history=listing(_HISTORY))
QUEUED: Schema = {"type": "string", "minLength": 1}
BLOCKED = listing(fields("id:n email_or_domain:t created_at:m source:t client_id:n?"))
BLOCK_ADDED = fields("uploadCount:n totalDomainAdded:n")
_CONVERSATION = fields(
    "email_lead_map_id:d email_lead_id:d email_campaign_id:n lead_email:t lead_category_id:n? lead_status:t "
    "email_account_id:n? last_sent_time:m? last_reply_time:m? has_new_unread_email:f",
    email_history=listing(_HISTORY),
)
VIEW = fields("ok:f offset:n limit:n", data=listing(_CONVERSATION))
CONVERSATION = data(_CONVERSATION)

_HOOK = "id:n name:t created_at:m updated_at:m webhook_url:t email_campaign_id:n?"
_HOOK_PARTS: Mapping[str, Schema] = {
    "event_types": listing(TEXT),
    "event_type_map": _OBJECT,
    "categories": listing(TEXT),
}
HOOK = fields(_HOOK, **_HOOK_PARTS)
HOOK_SAVED = fields(f"ok:f {_HOOK}", **_HOOK_PARTS)
HOOK_MADE = fields("ok:f id:n webhook_url:t")
HOOK_SUMMARY = fields("total_calls:n successful_calls:n failed_calls:n success_rate:p")
RETRIGGERED = fields("success:f retriggered_count:n")

CLIENT_SAVED = fields("ok:f clientId:n name:t email:t password:t")
CLIENT = fields(
    "id:n name:t email:t uuid:t created_at:m user_id:n logo:t? logo_url:t?",
    client_permision=obj({"permission": listing(TEXT), "retricted_category": listing(ANY)}),
)
KEY = fields("id:n client_id:n key_name:t key:t created_at:m")
MAILBOX_TAGS = data(listing(fields("email_id:t email_account_id:n", tags=listing(TAG))), "success")
LIST = fields("id:n list_name:t created_at:m lead_count:n", tags=listing(TAG))
LISTS = fields("success:f total:n", data=listing(LIST))
IMPORTED = fields(
    "success:f upload_count:n total_leads:n block_count:n invalid_email_count:n", invalid_emails=listing(TEXT)
)
PUSHED = fields("success:f message:t", data=fields("total_leads:n"))
LEAD_TAGS = data(listing(fields("tag_mapping_id:n lead_id:n", tag=TAG)), "success")
NOTE = fields("id:n note:t created_at:m")
TASK = fields("id:n name:t status:t created_at:m")
MAIL = data(fields("id:n status:t created_at:m"), "success")

PLACEMENT_TEST = fields(
    "id:n test_name:t description:t? campaign_id:n test_type:t created_at:m",
    status={"enum": ["ACTIVE", "COMPLETED", "STOPPED"]},
    sender_accounts=listing(TEXT),
    provider_ids=listing(NUMBER),
)
_PLACED = fields("name:t total:n inbox:n tab:n spam:n")
GROUPED = fields("overallTotalCount:n status:t", result=listing(_PLACED))


def by_sender(of: Schema) -> Schema:
    """Rows per sending address with what its seed addresses saw."""
    return listing(fields("from_email:t", seed_accounts=listing(of)))


COPY = fields("id:n reply_id:n email:t esp:t folder:t")
HEADERS = fields("", headers={"type": "object", "additionalProperties": TEXT})
SUMMARY = listing(fields("email:t placement_score:n inbox:n tab:n spam:n"))

_MESSAGE = fields(
    "messageId:t threadId:t subject:t from:t to:t timestamp:m date:t snippet:t sizeEstimate:n",
    folders=listing(fields("id:t name:t")),
    labelIds=listing(TEXT),
)
_FOUND = fields("totalCount:n processedCount:n", messages=listing(_MESSAGE), folders=listing(fields("name:t count:n")))
MAIL_OF_ONE = fields("success:f accountId:d", data=_FOUND)
_READ = obj({"account_id": NUMBER, "status": {"enum": ["success", "error"]}}, {"data": _FOUND, "error": TEXT})
MAIL_OF_SEVERAL = fields("", results=listing(_READ), summary=fields("total:n success:n error:n"))
HISTORIES: Schema = {"type": "object", "additionalProperties": listing(_HISTORY)}
GIVEN = fields("success:f message:t", data=fields("email_lead_map_id:n team_member_id:n assigned_at:m"))
PUSHED_DOWN = fields(
    "success:f message:t",
    data=fields("email_lead_map_id:n parent_campaign_id:n sub_sequence_id:n will_start_at:m stop_on_parent_reply:f"),
)
OFFER = fields("domain_name:t price:x")
GENERATED = fields("domain_name:t", mailbox_details=listing(fields("mailbox:t first_name:t last_name:t")))
BOUGHT_DOMAIN = fields("domain_name:t vendor_id:n order_id:t status:t", email_accounts=listing(TEXT))
ORDER = fields(
    "order_id:t status:t domain:t created_at:m expires_at:m", email_accounts=listing(fields("email:t password:t"))
)
