"""The specification's ten constants, transcribed by hand, and where a decision departs from them."""

from __future__ import annotations

from typing import Any

FIGURES: dict[str, Any] = {
    "SEND_LIMITS": {
        "warmup": {
            "day_1_7": {"min": 5, "max": 20, "rampup_per_day": 3},
            "day_8_14": {"min": 20, "max": 40, "rampup_per_day": 5},
            "day_15_30": {"min": 40, "max": 60, "rampup_per_day": 3},
            "day_30+": {"min": 60, "max": 80, "rampup_per_day": 2},
        },
        "production": {"soft_limit": 50, "hard_limit": 80, "warmup_reserve": 20},
        "emergency": {"pause_threshold": 100},
    },
    "GRADUATION_CRITERIA": {
        "minimum_warmup_days": 14,
        "minimum_heat_score": 85,
        "minimum_emails_sent": 200,
        "maximum_bounce_rate": 0.02,
        "maximum_spam_rate": 0.001,
        "minimum_open_rate": 0.15,
    },
    "BOUNCE_THRESHOLDS": {"normal": 0.02, "warning": 0.05, "critical": 0.08, "emergency": 0.10},
    "BOUNCE_ACTIONS": {
        "warning": ["send_slack_alert", "reduce_daily_limit_by_25_percent", "increase_monitoring_frequency"],
        "critical": ["send_urgent_alert", "pause_new_lead_additions", "reduce_daily_limit_by_50_percent"],
        "emergency": ["pause_all_campaigns", "send_sms_alert_to_dave", "trigger_investigation_flow"],
    },
    "DEDUP_CONFIG": {
        "scope": "global",
        "key_fields": ["email"],
        "secondary_check": ["company", "domain"],
        "time_window_days": 90,
        "status_blocklist": ["replied", "bounced", "unsubscribed", "spam_complaint"],
    },
    "REPLY_CONFIG": {
        "detection_method": "webhook",
        "polling_interval_minutes": 5,
        "auto_categories": {
            "positive": ["interested", "schedule", "call", "meeting", "yes"],
            "negative": ["not interested", "remove", "unsubscribe", "stop"],
            "out_of_office": ["ooo", "out of office", "vacation", "away"],
        },
        "actions": {
            "positive": {
                "exit_sequence": True,
                "update_status": "lead_hot",
                "create_task": "follow_up_call",
                "notify_channel": "#sales-hot-leads",
            },
            "negative": {"exit_sequence": True, "update_status": "rejected", "add_to_suppression": True},
            "out_of_office": {"exit_sequence": False, "pause_days": 7, "update_status": "paused_ooo"},
            "unknown": {"exit_sequence": True, "update_status": "needs_review", "create_task": "review_reply"},
        },
    },
    "ERROR_RESPONSES": {
        "400": {"action": "log_and_skip", "retry": False, "message": "Bad request - fix payload"},
        "401": {"action": "alert_critical", "retry": False, "message": "Auth failed - check API key"},
        "403": {"action": "alert_critical", "retry": False, "message": "Forbidden - check permissions"},
        "404": {"action": "log_and_skip", "retry": False, "message": "Resource not found"},
        "429": {"action": "wait_and_retry", "retry": True, "message": "Rate limited"},
        "500": {"action": "retry_with_backoff", "retry": True, "message": "Server error"},
        "502": {"action": "retry_with_backoff", "retry": True, "message": "Bad gateway"},
        "503": {"action": "retry_with_backoff", "retry": True, "message": "Service unavailable"},
        "MAILBOX_DISABLED": {"action": "pause_and_alert", "retry": False},
        "CAMPAIGN_LIMIT_REACHED": {"action": "queue_for_tomorrow", "retry": False},
        "LEAD_ALREADY_EXISTS": {"action": "skip_silently", "retry": False},
        "INVALID_EMAIL": {"action": "log_and_suppress", "retry": False},
        "WARMUP_FAILED": {"action": "check_dns_and_retry", "retry": True},
    },
    "EXPORT_REQUIREMENTS": {
        "salesforge": {
            "campaigns": "All campaign configurations",
            "sequences": "Email templates and sequences",
            "analytics": "Historical open/click/reply rates",
            "leads": "Lead status and engagement history",
        },
        "warmforge": {
            "mailbox_status": "Current heat scores for all mailboxes",
            "reputation_history": "Historical reputation data",
        },
        "infraforge": {
            "domains": "List of all domains with DNS records",
            "mailboxes": "All mailbox credentials (encrypted)",
        },
        "export_format": "JSON + CSV backup",
        "storage_location": "Supabase + encrypted S3 backup",
        "retention_period": "90 days post-migration",
    },
    "ROLLBACK_TRIGGERS": {
        "automatic": [
            "Deliverability drops > 15% vs Forge baseline",
            "Bounce rate exceeds 8% for > 48 hours",
            "API availability < 99% for > 4 hours",
            "Critical bug affecting > 50% of sends",
        ],
        "manual_review": [
            "Deliverability drops 5-15%",
            "Reply rate drops > 20%",
            "Unexpected feature limitations discovered",
            "Support response time > 24 hours for critical issue",
        ],
    },
    "PARALLEL_CONFIG": {
        "traffic_split": {
            "week_3_4": {"smartlead": 0.10, "forge": 0.90},
            "week_5_6": {"smartlead": 0.25, "forge": 0.75},
            "week_7_8": {"smartlead": 0.75, "forge": 0.25},
            "week_9+": {"smartlead": 1.00, "forge": 0.00},
        },
        "routing_logic": {"method": "campaign_based", "selection": "random_weighted"},
        "shared_components": {
            "lead_source": "Supabase (single source of truth)",
            "suppression_list": "Supabase (global)",
            "analytics": "Supabase (merged from both platforms)",
        },
        "isolation": {"no_cross_platform_leads": True, "separate_domains": False},
    },
}

READINGS: dict[str, tuple[str, Any]] = {
    "ROLLBACK_TRIGGERS.automatic": ("M4", [(0.15, 0), (0.08, 48), (0.99, 4), (0.50, 0)]),
    "ROLLBACK_TRIGGERS.manual_review": ("M4", [(0.05, 0), (0.20, 0), (0, 0), (24, 0)]),
}
"""The sentences that are kept with a machine-readable reading beside them: decision, (threshold, hours) of each."""

SUCCESS_METRICS = {
    "inbox_placement": (0.92, 0.88, 0.80),
    "bounce_rate": (0.02, 0.03, 0.08),
    "reply_rate": (0.04, 0.035, 0.02),
    "api_uptime": (0.999, 0.995, 0.99),
    "warmup_time": (14, 21, 30),
    "cost": (111, 75, None),
}
AUTO_PAUSE = {"bounce_rate": 0.08, "spam_rate": 0.003, "heat_score": 60, "reputation": 50}
COSTS = {"infraforge": 1810, "warmforge": 4650, "salesforge": 4650, "smartlead": 7500}
