"""Our own transcription of the specification, section 4. Nothing here is derived from the code it is held against."""

from __future__ import annotations

from typing import Any, NamedTuple


class FlowSpec(NamedTuple):
    module: str
    function: str
    name: str
    description: str
    tags: tuple[str, ...]
    task_runner: str | None
    parameters: dict[str, Any]
    """name → default; REQUIRED where there is none"""
    tasks: dict[str, tuple[str, ...]]
    """task → its parameters, in order"""
    returns: dict[str, type | tuple[type, ...]]


REQUIRED = object()
NONE = type(None)

FLOWS = (
    FlowSpec(
        module="mailfleet.flows.domain_setup",
        function="smartlead_domain_setup_flow",
        name="smartlead_domain_setup",
        description="Configure DNS and create mailboxes for new domain",
        tags=("tier:bulk", "smartlead", "infra:spot"),
        task_runner="ConcurrentTaskRunner",
        parameters={"domain": REQUIRED, "mailbox_count": 2, "client_id": None, "cloudflare_zone_id": None},
        tasks={
            "create_cloudflare_zone_task": ("domain",),
            "create_smartlead_mailbox_task": ("email", "imap_config"),
            "create_dns_records_task": ("zone_id", "spf", "dkim", "dmarc"),
            "verify_dns_propagation_task": ("domain",),
            "enable_warmup_task": ("mailbox_id", "warmup_config"),
            "log_provisioning_task": ("domain", "mailboxes", "status"),
        },
        returns={
            "success": bool,
            "domain": str,
            "mailboxes_created": int,
            "dns_configured": bool,
            "warmup_enabled": bool,
            "estimated_ready_date": (str, NONE),
        },
    ),
    FlowSpec(
        module="mailfleet.flows.mailbox_provisioning",
        function="smartlead_mailbox_provisioning_flow",
        name="smartlead_mailbox_provisioning",
        description="Manage mailbox lifecycle: create, warmup, graduate, retire",
        tags=("tier:realtime", "smartlead"),
        task_runner=None,
        parameters={"action": "sync", "target_mailbox_count": 20, "domains": None},
        tasks={
            "get_current_mailboxes_task": (),
            "check_warmup_status_task": ("mailbox_id",),
            "graduate_warmed_mailboxes_task": ("mailboxes",),
            "create_new_mailboxes_task": ("domains", "count_per_domain"),
            "rotate_degraded_mailboxes_task": ("threshold",),
            "sync_status_to_supabase_task": ("mailboxes",),
        },
        returns={
            "action": str,
            "mailboxes_total": int,
            "warming": int,
            "production": int,
            "retired": int,
            "graduated_this_run": int,
        },
    ),
    FlowSpec(
        module="mailfleet.flows.campaign",
        function="smartlead_campaign_flow",
        name="smartlead_campaign",
        description="Create and manage email campaigns",
        tags=("tier:realtime", "smartlead"),
        task_runner=None,
        parameters={"action": "create", "campaign_id": None, "campaign_config": None, "leads": None},
        tasks={
            "create_campaign_task": ("name", "settings"),
            "configure_sequence_task": ("campaign_id", "steps"),
            "assign_mailboxes_task": ("campaign_id", "mailbox_ids"),
            "set_schedule_task": ("campaign_id", "schedule"),
            "add_leads_batch_task": ("campaign_id", "leads"),
            "start_campaign_task": ("campaign_id",),
            "pause_campaign_task": ("campaign_id", "reason"),
            "get_campaign_stats_task": ("campaign_id",),
        },
        returns={
            "success": bool,
            "action": str,
            "campaign_id": (str, NONE),
            "status": (str, NONE),
            "sequence_id": (str, NONE),
            "leads_added": int,
            "leads_refused": int,
            "stats": (dict, NONE),
            "reason": (str, NONE),
        },
    ),
    FlowSpec(
        module="mailfleet.flows.lead_sync",
        function="smartlead_lead_sync_flow",
        name="smartlead_lead_sync",
        description="Sync leads and events between Supabase and Smartlead",
        tags=("tier:realtime", "smartlead"),
        task_runner=None,
        parameters={"direction": "bidirectional", "campaign_id": None, "since_minutes": 15},
        tasks={
            "fetch_new_leads_from_supabase_task": ("since",),
            "deduplicate_leads_task": ("leads",),
            "push_leads_to_smartlead_task": ("campaign_id", "leads"),
            "fetch_lead_updates_from_smartlead_task": ("since",),
            "update_lead_status_in_supabase_task": ("updates",),
            "handle_replies_task": ("replies",),
            "handle_bounces_task": ("bounces",),
            "sync_unsubscribes_task": ("unsubscribes",),
        },
        returns={
            "pushed": int,
            "pulled_events": int,
            "replies_processed": int,
            "bounces_processed": int,
            "sequence_exits": int,
        },
    ),
)
