"""The policy: every figure of the specification as a typed default, overridable per workspace and per client.

The ten constants of the specification are attributes of `Policy` under their own words; `CONSTANTS` maps their names.
Where a figure differs, the decision is named in `DECISIONS`. Rates are fractions, ranges of days are half-open,
money is integer cents, times carry their unit in the name.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, field

Count = Annotated[int, Meta(ge=0, extra={"unit": "count"})]
Mails = Annotated[int, Meta(ge=0, extra={"unit": "mails"})]
Daily = Annotated[int, Meta(ge=0, extra={"unit": "mails a day"})]
Days = Annotated[int, Meta(ge=0, extra={"unit": "days"})]
Hours = Annotated[float, Meta(ge=0, extra={"unit": "hours"})]
Minutes = Annotated[int, Meta(ge=1, extra={"unit": "minutes"})]
Share = Annotated[float, Meta(ge=0, le=1, extra={"unit": "fraction"})]
Score = Annotated[float, Meta(ge=0, le=100, extra={"unit": "of 100"})]
Cents = Annotated[int, Meta(ge=0, extra={"unit": "cents a month"})]

Band = Literal["normal", "elevated", "warning", "critical", "emergency"]
BounceAction = Literal[
    "send_slack_alert", "reduce_daily_limit_by_25_percent", "increase_monitoring_frequency",
    "send_urgent_alert", "pause_new_lead_additions", "reduce_daily_limit_by_50_percent",
    "pause_all_campaigns", "send_sms_alert_to_dave", "trigger_investigation_flow",
]  # fmt: skip
ErrorAction = Literal[
    "log_and_skip", "alert_critical", "wait_and_retry", "retry_with_backoff", "pause_and_alert",
    "queue_for_tomorrow", "skip_silently", "log_and_suppress", "check_dns_and_retry",
]  # fmt: skip
Metric = Literal[
    "deliverability_drop", "bounce_rate", "api_availability", "sends_affected", "reply_rate_drop",
    "unexpected_limitation", "support_response_hours",
]  # fmt: skip


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of the policy; a key it does not know is an error."""


class WarmupRange(Section, frozen=True):
    """Days [from_day, until_day) of warm-up, the first day being 1; `until_day` 0 = open (S3)."""

    from_day: Days
    until_day: Days
    min: Daily
    """What the first day of the range starts at."""
    max: Daily
    rampup_per_day: Daily


class WarmupTable(Section, frozen=True):
    """Total daily mail of a mailbox that is not in PRODUCTION (S3)."""

    day_1_7: WarmupRange = WarmupRange(from_day=1, until_day=8, min=5, max=20, rampup_per_day=3)
    day_8_14: WarmupRange = WarmupRange(from_day=8, until_day=15, min=20, max=40, rampup_per_day=5)
    day_15_30: WarmupRange = WarmupRange(from_day=15, until_day=30, min=40, max=60, rampup_per_day=3)
    day_30_on: WarmupRange = field(
        default=WarmupRange(from_day=30, until_day=0, min=60, max=80, rampup_per_day=2), name="day_30+"
    )

    def ranges(self) -> tuple[WarmupRange, ...]:
        return (self.day_1_7, self.day_8_14, self.day_15_30, self.day_30_on)


class ProductionLimits(Section, frozen=True):
    """What a mailbox in PRODUCTION may send a day (S2)."""

    soft_limit: Daily = 50
    """Campaign mail above this warns."""
    hard_limit: Daily = 80
    """Everything: campaign + warm-up + tests."""
    warmup_reserve: Daily = 20
    """Kept free for warm-up, always."""
    campaign_per_mailbox: Daily = 40
    """`limits.daily_per_mailbox` of a campaign that names none (spec, flow 3)."""


class EmergencyLimits(Section, frozen=True):
    pause_threshold: Daily = 100
    """Planning more than this for one mailbox is refused and pauses it (S4)."""


class SendLimits(Section, frozen=True):
    """SEND_LIMITS (spec 5)."""

    warmup: WarmupTable = WarmupTable()
    production: ProductionLimits = ProductionLimits()
    emergency: EmergencyLimits = EmergencyLimits()


class GraduationCriteria(Section, frozen=True):
    """GRADUATION_CRITERIA (spec 5), with what makes them decidable on small samples (S6, S7)."""

    minimum_warmup_days: Days = 14
    """Days with at least one warm-up mail since entering WARMING."""
    minimum_heat_score: Score = 85
    minimum_emails_sent: Mails = 200
    maximum_bounce_rate: Share = 0.02
    maximum_spam_rate: Share = 0.001
    """Complaints, not spam-folder placement."""
    minimum_open_rate: Share = 0.15
    """Advisory."""
    bounces_allowed_early: Count = 6
    """Bounces allowed until `full_bounce_sample` campaign mails exist."""
    full_bounce_sample: Mails = 500
    full_spam_sample: Mails = 1000
    """Below this, one complaint is too many."""
    open_rate_sample: Mails = 100
    """Opens that can be a person's, needed before the open rate is judged."""
    probation_days: Days = 3
    """Instead of `minimum_warmup_days` for a mailbox warm on another platform."""


class Lifecycle(Section, frozen=True):
    """The state machine's figures (spec 5, S5)."""

    low_heat: Score = 60
    degraded_readings: Count = 2
    """Consecutive readings below `low_heat` taken after entering WARMING."""
    recovery_days: Days = 7
    """Consecutive daily readings at or above `low_heat`."""
    retire_days: Days = 30
    notice_day: Days = 21
    """WARMING this long: a notice (success metric, target)."""
    review_day: Days = 30
    """WARMING this long: a person looks (success metric, trigger)."""
    degraded_count: Count = 3
    """DEGRADED this often within `degraded_window_days` asks a person."""
    degraded_window_days: Days = 90
    disabled_hours: Hours = 24
    """Disabled at the vendor for longer: retired."""
    error_review_hours: Hours = 24
    thin_below: Mails = 20
    """Fewer warm-up mails in 7 days: the heat is unknown (V3)."""
    stale_hours: Hours = 48
    """A heat reading older than this is THIN."""


class BounceThresholds(Section, frozen=True):
    """BOUNCE_THRESHOLDS (spec 5): where normal ends, then where warning, critical and emergency begin (S1)."""

    normal: Share = 0.02
    warning: Share = 0.05
    critical: Share = 0.08
    emergency: Share = 0.10


class BounceActions(Section, frozen=True):
    """BOUNCE_ACTIONS (spec 5); `elevated` is the band between normal and warning (S1)."""

    elevated: tuple[BounceAction, ...] = ("increase_monitoring_frequency",)
    warning: tuple[BounceAction, ...] = (
        "send_slack_alert", "reduce_daily_limit_by_25_percent", "increase_monitoring_frequency",
    )  # fmt: skip
    critical: tuple[BounceAction, ...] = (
        "send_urgent_alert", "pause_new_lead_additions", "reduce_daily_limit_by_50_percent",
    )  # fmt: skip
    emergency: tuple[BounceAction, ...] = (
        "pause_all_campaigns", "send_sms_alert_to_dave", "trigger_investigation_flow",
    )  # fmt: skip
    watch_minutes: Minutes = 5
    """How often a scope is looked at while monitoring is increased."""
    usual_minutes: Minutes = 15
    """How often it is looked at otherwise."""
    least_free: Share = 0.5
    """A campaign takes no new leads where a smaller part of its mailboxes may: the platform picks the writer."""


class BounceEvidence(Section, frozen=True):
    """How sure one has to be before sending is stopped (S1): P(rate > θ) with a Beta prior of `prior_sends` at 2 %."""

    prior_bounces: float = 1.0
    prior_rest: float = 49.0
    breaker_rate: Share = 0.05
    """The matrix row "bounce > 5 % → pause campaign", per campaign."""
    breaker_confidence: Share = 0.90
    breaker_minimum: Mails = 20
    band_confidence: Share = 0.90
    """P(rate > band's lower edge) needed before a band's stopping action is taken."""
    band_minimum: Mails = 20
    slow_minimum: Mails = 50
    """Of fewer mails only a band that is more likely than not slows: one healthy mailbox in three shows 1 of 20."""
    window_days: Days = 7
    """Bounces of the mails sent in these days; a person's release begins the window anew."""
    calm_confidence: Share = 0.50
    """A band is left downwards, one at a time, when P(rate > its lower edge) of the mails since is below this."""
    calm_window_hours: Hours = 48
    step_hours: Hours = 24
    """At most one band down in this time: no flapping."""


class AutoPause(Section, frozen=True):
    """Auto-pause triggers of a mailbox (spec 5, S8), each with its minimum sample."""

    bounce_rate: Share = 0.08
    bounce_window_hours: Hours = 24
    bounce_minimum: Mails = 20
    bounce_proven: Share = 0.05
    bounce_confidence: Share = 0.75
    """P(rate > `bounce_proven`) needed besides: 5 of 20, 6 of 40, 9 of 100."""
    spam_rate: Share = 0.003
    spam_window_days: Days = 7
    spam_minimum: Mails = 100
    spam_complaints: Count = 2
    """One complaint among few mails is no rate yet; it is told all the same (S12b)."""
    heat_score: Score = 60
    reputation: Score = 50


class Complaints(Section, frozen=True):
    """A scope's complaint rate (spec 6, S12b)."""

    pause_rate: Share = 0.001
    minimum_sent: Mails = 1000
    minimum_complaints: Count = 2
    window_days: Days = 7


class Staffing(Section, frozen=True):
    """When a campaign has too few mailboxes left to go on (S12a)."""

    minimum: Count = 1
    """Fewer mailboxes that can send: the campaign is paused and somebody is told."""
    share: Share = 0.34
    """The same, as a part of the mailboxes it was given."""


class Reserve(Section, frozen=True):
    """Mailboxes that rest in turn: campaign mail stops, warm-up goes on."""

    share: Share = 0.0
    """Part of a client's PRODUCTION mailboxes that rests at any time; 0: none rests."""
    days_on: Days = 14
    days_off: Days = 14


class Upkeep(Section, frozen=True):
    """What is looked for among the mailboxes besides their health."""

    idle_days: Days = 14
    """In PRODUCTION and without campaign mail for this long: idle."""
    reconnects_a_day: Count = 3
    """How often the platform may be asked to log in again within 24 h."""


class SoftBounce(Section, frozen=True):
    """Spec 6: retry after 24 h, three at most (S9)."""

    retry_after_hours: Hours = 24
    max_retries: Count = 3
    hold_days: Days = 30
    """How long a lead stopped for soft bounces is held."""


class Dedup(Section, frozen=True):
    """DEDUP_CONFIG (spec 5, S10)."""

    scope: Literal["global", "client", "campaign"] = "global"
    key_fields: tuple[Literal["email"], ...] = ("email",)
    secondary_check: tuple[Literal["company", "domain"], ...] = ("company", "domain")
    time_window_days: Days = 90
    one_mailbox: bool = False
    """Dots and tags in an address do not make another person where the provider reads over them (Gmail, Outlook, …)."""
    mirror_hours: Hours = 6
    """How old the copy of a platform's own leads may become before a push reads it again."""
    mirror_max_hours: Hours = 24
    """Older than this, and unreadable: nothing is pushed."""
    status_blocklist: tuple[Literal["replied", "bounced", "unsubscribed", "spam_complaint"], ...] = (
        "replied", "bounced", "unsubscribed", "spam_complaint",
    )  # fmt: skip


class AutoCategories(Section, frozen=True):
    """Keywords of the specification: read as whole words, after every other rule (S11)."""

    positive: tuple[str, ...] = ("interested", "schedule", "call", "meeting", "yes")
    negative: tuple[str, ...] = ("not interested", "remove", "unsubscribe", "stop")
    out_of_office: tuple[str, ...] = ("ooo", "out of office", "vacation", "away")


LeadStatus = Literal["lead_hot", "rejected", "paused_ooo", "needs_review", "held"]
TaskKind = Literal["", "follow_up_call", "review_reply", "investigate", "other"]


class ReplyAction(Section, frozen=True):
    """What a reply of one category brings about."""

    exit_sequence: bool
    update_status: LeadStatus
    create_task: TaskKind = ""
    notify_channel: str = ""
    add_to_suppression: bool = False
    pause_days: Days = 0


class ReplyActions(Section, frozen=True):
    """Actions per category (spec 5) and per sub-category (S11)."""

    positive: ReplyAction = ReplyAction(
        exit_sequence=True, update_status="lead_hot", create_task="follow_up_call", notify_channel="#sales-hot-leads"
    )
    negative: ReplyAction = ReplyAction(exit_sequence=True, update_status="rejected", add_to_suppression=True)
    out_of_office: ReplyAction = ReplyAction(exit_sequence=False, pause_days=7, update_status="paused_ooo")
    unknown: ReplyAction = ReplyAction(exit_sequence=True, update_status="needs_review", create_task="review_reply")
    unsubscribe: ReplyAction = ReplyAction(exit_sequence=True, update_status="rejected", add_to_suppression=True)
    wrong_person: ReplyAction = ReplyAction(
        exit_sequence=True, update_status="needs_review", create_task="review_reply"
    )
    info_request: ReplyAction = ReplyAction(
        exit_sequence=True, update_status="needs_review", create_task="review_reply"
    )


class Reply(Section, frozen=True):
    """REPLY_CONFIG (spec 5, S11)."""

    detection_method: Literal["webhook", "polling"] = "webhook"
    polling_interval_minutes: Minutes = 5
    auto_categories: AutoCategories = AutoCategories()
    actions: ReplyActions = ReplyActions()
    pause_days_max: Days = 365
    """A return date further away than this is not believed."""
    task_due_hours: Hours = 24
    task_owner: str = ""
    """Who owes the tasks that replies make, until somebody else takes them."""


class ErrorResponse(Section, frozen=True):
    action: ErrorAction
    retry: bool
    message: str = ""


def _error_responses() -> dict[str, ErrorResponse]:
    def row(action: ErrorAction, retry: bool, message: str = "") -> ErrorResponse:
        return ErrorResponse(action=action, retry=retry, message=message)

    return {
        "400": row("log_and_skip", False, "Bad request - fix payload"),
        "401": row("alert_critical", False, "Auth failed - check API key"),
        "403": row("alert_critical", False, "Forbidden - check permissions"),
        "404": row("log_and_skip", False, "Resource not found"),
        "429": row("wait_and_retry", True, "Rate limited"),
        "500": row("retry_with_backoff", True, "Server error"),
        "502": row("retry_with_backoff", True, "Bad gateway"),
        "503": row("retry_with_backoff", True, "Service unavailable"),
        "MAILBOX_DISABLED": row("pause_and_alert", False),
        "CAMPAIGN_LIMIT_REACHED": row("queue_for_tomorrow", False),
        "LEAD_ALREADY_EXISTS": row("skip_silently", False),
        "INVALID_EMAIL": row("log_and_suppress", False),
        "WARMUP_FAILED": row("check_dns_and_retry", True),
    }


class Escalation(Section, frozen=True):
    """The last column of the error matrix (spec 6)."""

    api_failures_per_hour: Count = 5
    timeout_attempts: Count = 3
    invalid_leads_in_batch: Count = 10
    webhook_silence_hours: Hours = 1
    dns_pending_hours: Hours = 48
    """Propagation takes longer: an alert; the domain stays `verifying` (D5)."""


class Export(Section, frozen=True):
    """EXPORT_REQUIREMENTS (spec 7, M8)."""

    salesforge: dict[str, str] = field(
        default_factory=lambda: {
            "campaigns": "All campaign configurations",
            "sequences": "Email templates and sequences",
            "analytics": "Historical open/click/reply rates",
            "leads": "Lead status and engagement history",
        }
    )
    warmforge: dict[str, str] = field(
        default_factory=lambda: {
            "mailbox_status": "Current heat scores for all mailboxes",
            "reputation_history": "Historical reputation data",
        }
    )
    infraforge: dict[str, str] = field(
        default_factory=lambda: {
            "domains": "List of all domains with DNS records",
            "mailboxes": "All mailbox credentials (encrypted)",
        }
    )
    export_format: str = "JSON + CSV backup"
    storage_location: str = "Supabase + encrypted S3 backup"
    retention_period: str = "90 days post-migration"
    retention_days: Days = 90

    def requirements(self) -> dict[str, str]:
        """What has to be exported: `system.kind` → in the specification's words."""
        systems = {"salesforge": self.salesforge, "warmforge": self.warmforge, "infraforge": self.infraforge}
        return {f"{system}.{kind}": asks for system, kinds in systems.items() for kind, asks in kinds.items()}


class RollbackTrigger(Section, frozen=True):
    """One sentence of the specification and its machine-readable reading (M4, M5)."""

    text: str
    metric: Metric
    threshold: float
    upper: float | None = None
    for_hours: Hours = 0


def _trigger(
    text: str, metric: Metric, threshold: float, upper: float | None = None, for_hours: float = 0
) -> RollbackTrigger:
    return RollbackTrigger(text=text, metric=metric, threshold=threshold, upper=upper, for_hours=for_hours)


class RollbackTriggers(Section, frozen=True):
    """ROLLBACK_TRIGGERS (spec 7)."""

    automatic: tuple[RollbackTrigger, ...] = (
        _trigger("Deliverability drops > 15% vs Forge baseline", "deliverability_drop", 0.15),
        _trigger("Bounce rate exceeds 8% for > 48 hours", "bounce_rate", 0.08, for_hours=48),
        _trigger("API availability < 99% for > 4 hours", "api_availability", 0.99, for_hours=4),
        _trigger("Critical bug affecting > 50% of sends", "sends_affected", 0.50),
    )
    manual_review: tuple[RollbackTrigger, ...] = (
        _trigger("Deliverability drops 5-15%", "deliverability_drop", 0.05, upper=0.15),
        _trigger("Reply rate drops > 20%", "reply_rate_drop", 0.20),
        _trigger("Unexpected feature limitations discovered", "unexpected_limitation", 0),
        _trigger("Support response time > 24 hours for critical issue", "support_response_hours", 24),
    )


class Split(Section, frozen=True):
    smartlead: Share
    forge: Share


class TrafficSplit(Section, frozen=True):
    """Share of traffic by week of the migration, half-open weeks (M1)."""

    week_3_4: Split = Split(smartlead=0.10, forge=0.90)
    week_5_6: Split = Split(smartlead=0.25, forge=0.75)
    week_7_8: Split = Split(smartlead=0.75, forge=0.25)
    week_9_on: Split = field(default=Split(smartlead=1.0, forge=0.0), name="week_9+")


class RoutingLogic(Section, frozen=True):
    method: Literal["campaign_based"] = "campaign_based"
    selection: Literal["random_weighted"] = "random_weighted"


class SharedComponents(Section, frozen=True):
    lead_source: str = "Supabase (single source of truth)"
    suppression_list: str = "Supabase (global)"
    analytics: str = "Supabase (merged from both platforms)"


class Isolation(Section, frozen=True):
    no_cross_platform_leads: bool = True
    separate_domains: bool = False


class Parallel(Section, frozen=True):
    """PARALLEL_CONFIG (spec 7)."""

    traffic_split: TrafficSplit = TrafficSplit()
    routing_logic: RoutingLogic = RoutingLogic()
    shared_components: SharedComponents = SharedComponents()
    isolation: Isolation = Isolation()


class SuccessMetric(Section, frozen=True):
    """One row of spec 10. `better` says which way is good; `trigger` None: none."""

    baseline: float
    target: float
    trigger: float | None
    unit: str
    better: Literal["higher", "lower"]


def _metric(
    baseline: float, target: float, trigger: float | None, unit: str, better: Literal["higher", "lower"]
) -> SuccessMetric:
    return SuccessMetric(baseline=baseline, target=target, trigger=trigger, unit=unit, better=better)


class SuccessMetrics(Section, frozen=True):
    """The success metrics (spec 10)."""

    inbox_placement: SuccessMetric = _metric(0.92, 0.88, 0.80, "fraction", "higher")
    bounce_rate: SuccessMetric = _metric(0.02, 0.03, 0.08, "fraction", "lower")
    reply_rate: SuccessMetric = _metric(0.04, 0.035, 0.02, "fraction", "higher")
    api_uptime: SuccessMetric = _metric(0.999, 0.995, 0.99, "fraction", "higher")
    warmup_time: SuccessMetric = _metric(14, 21, 30, "days", "lower")
    cost: SuccessMetric = _metric(111, 75, None, "AUD a month", "lower")


class Costs(Section, frozen=True):
    """The price table (spec 1, M9)."""

    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")] = "AUD"
    as_of: str = "2026-02-05"
    infraforge: Cents = 1810
    warmforge: Cents = 4650
    salesforge: Cents = 4650
    smartlead: Cents = 7500


class Legal(Section, frozen=True):
    """When the law's gate lets a lead through (dns-mail L1 to L4)."""

    strict_countries: tuple[str, ...] = ("AU",)
    """Countries where a lead without a complete legal basis is blocked."""
    unknown_country_is_strict: bool = True
    individual_countries: tuple[str, ...] = ()
    """Countries where only a company goes without a complete basis: any other subscriber counts as a person (L3)."""
    corporate: tuple[str, ...] = ("corporate", "company", "limited", "llp", "plc", "public")
    """What a list's `subscriber` says of such a one."""
    basis_fields: tuple[str, ...] = ("basis", "evidence", "captured_at", "role", "relevance")
    """What a complete record holds."""
    bases: tuple[str, ...] = ("consent", "inferred", "conspicuous_publication", "legitimate_interest")
    source_required: bool = True
    retention_days: Days = 90
    """After so many days a lead that was never sent to, or never answered, is purged (L12)."""
    open_tracking_allowed: bool = True
    """A client's override forbids what its countries do not allow (L15); campaigns have it off by themselves (S12c)."""
    click_tracking_allowed: bool = True


class Dns(Section, frozen=True):
    """What a domain's records say beyond what its hosts need (RFC 9989)."""

    report_address: Annotated[str, Meta(pattern=r"^([^\s@;,!]+@[^\s@;,!]+\.[^\s@;,!]+)?$")] = ""
    """Where receivers send DMARC's aggregate reports (`rua`); empty: nowhere."""


class Policy(Section, frozen=True):
    """Everything mailfleet decides by. `version` changes when any figure does."""

    send_limits: SendLimits = SendLimits()
    graduation: GraduationCriteria = GraduationCriteria()
    lifecycle: Lifecycle = Lifecycle()
    bounce_thresholds: BounceThresholds = BounceThresholds()
    bounce_actions: BounceActions = BounceActions()
    bounce_evidence: BounceEvidence = BounceEvidence()
    auto_pause: AutoPause = AutoPause()
    complaints: Complaints = Complaints()
    staffing: Staffing = Staffing()
    reserve: Reserve = Reserve()
    upkeep: Upkeep = Upkeep()
    soft_bounce: SoftBounce = SoftBounce()
    dedup: Dedup = Dedup()
    reply: Reply = Reply()
    errors: dict[str, ErrorResponse] = field(default_factory=_error_responses)
    escalation: Escalation = Escalation()
    export: Export = field(default_factory=Export)
    rollback_triggers: RollbackTriggers = RollbackTriggers()
    parallel: Parallel = Parallel()
    success_metrics: SuccessMetrics = SuccessMetrics()
    costs: Costs = Costs()
    legal: Legal = Legal()
    dns: Dns = Dns()

    @property
    def version(self) -> str:
        """Twelve hexadecimal digits over every figure; stored with each decision."""
        # Read back first: 85 and 85.0 are one figure.
        evened = msgspec.convert(msgspec.to_builtins(self), Policy)
        return hashlib.sha256(msgspec.json.encode(evened, order="sorted")).hexdigest()[:12]


def default_policy() -> Policy:
    """The specification's figures."""
    return Policy()


CONSTANTS = {
    "SEND_LIMITS": "send_limits",
    "GRADUATION_CRITERIA": "graduation",
    "BOUNCE_THRESHOLDS": "bounce_thresholds",
    "BOUNCE_ACTIONS": "bounce_actions",
    "DEDUP_CONFIG": "dedup",
    "REPLY_CONFIG": "reply",
    "ERROR_RESPONSES": "errors",
    "EXPORT_REQUIREMENTS": "export",
    "ROLLBACK_TRIGGERS": "rollback_triggers",
    "PARALLEL_CONFIG": "parallel",
}
"""The specification's names → ours."""

DECISIONS = {
    "send_limits.warmup": "S3",
    "send_limits.production": "S2",
    "send_limits.emergency": "S4",
    "graduation": "S7",
    "graduation.minimum_warmup_days": "S6",
    "graduation.probation_days": "S6",
    "lifecycle": "S5",
    "lifecycle.thin_below": "V3",
    "bounce_thresholds": "S1",
    "bounce_actions": "S1",
    "bounce_actions.emergency": "S12",
    "bounce_evidence": "S1",
    "auto_pause": "S8",
    "complaints": "S12b",
    "staffing": "S12a",
    "soft_bounce": "S9",
    "dedup": "S10",
    "reply": "S11",
    "errors": "V13a",
    "escalation.dns_pending_hours": "D5",
    "export": "M8",
    "rollback_triggers": "M4",
    "parallel.traffic_split": "M1",
    "parallel.routing_logic": "M2",
    "parallel.isolation": "M3",
    "costs": "M9",
    "legal": "dns-mail L1–L4",
    "dns": "D4",
}
"""Dotted prefix → the decision that fixes or reads the figure."""
