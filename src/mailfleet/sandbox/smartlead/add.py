"""Adding leads to a campaign: what is taken, what is counted where (smartlead: campaigns/add-leads, observed live)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mailfleet.sandbox.engine.send import enqueue
from mailfleet.sandbox.smartlead.check import Refusal, Rule, failed, flag, group, many, number, said, text
from mailfleet.sandbox.smartlead.http import Ask
from mailfleet.sandbox.smartlead.state import Campaign, Lead, LeadMap
from mailfleet.sandbox.world import World

MOST_ROWS = 400
_MOST_CUSTOM = 200
_ADDRESS = re.compile(
    r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]+@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]"
)
NO_CREDIT = "The lead credit limit has been reached, preventing any further lead imports."

FIELDS = (
    "first_name", "last_name", "phone_number", "company_name", "website", "location", "linkedin_profile", "company_url",
)  # fmt: skip
_NUMERIC = ("phone_number",)
ROW: dict[str, Rule] = {
    "email": Rule(kind="any", required=True),
    **{name: Rule() if name in _NUMERIC else text() for name in FIELDS},
    "custom_fields": Rule(kind="object"),
}
BODY: dict[str, Rule] = {
    "lead_list": many(group(ROW), required=True),
    "settings": group(
        {
            "ignore_global_block_list": flag(),
            "ignore_unsubscribe_list": flag(),
            "ignore_community_bounce_list": flag(),
            "ignore_duplicate_leads_in_other_campaign": flag(),
            "ignore_duplicate_leads_in_same_campaign": flag(),
            "ignore_invalid_emails": flag(),
            "return_lead_ids": flag(),
        }
    ),
    "lead_list_ids": many(number()),
    "type": text(),
}


@dataclass
class Tally:
    """The counters of one answer."""

    added: int = 0
    blocked: int = 0
    repeated: int = 0
    invalid: list[str] = field(default_factory=list[str])
    already: int = 0
    unsubscribed: list[str] = field(default_factory=list[str])
    stopped: int = 0
    new: dict[str, str] = field(default_factory=dict[str, str])
    existing: dict[str, str] = field(default_factory=dict[str, str])
    elsewhere: dict[str, str] = field(default_factory=dict[str, str])


def add(ask: Ask) -> dict[str, Any]:
    """Attaches leads. Known addresses are updated even when they are not attached again."""
    campaign = ask.campaign
    given = ask.body(BODY)
    rows: list[dict[str, Any]] = given["lead_list"]
    if not rows:
        raise said('"lead_list" must contain at least 1 items')
    if len(rows) > MOST_ROWS:
        raise said(f'"lead_list" must contain less than or equal to {MOST_ROWS} items')
    _check_custom(rows)
    if ask.world.state.get("partial_batch"):
        rows = rows[: len(rows) // 2]
    flags = given.get("settings") or {}
    tally, seen = Tally(), set[str]()
    for row in rows:
        _take(ask, campaign, row, flags, tally, seen)
    if tally.stopped and not tally.added:
        body = {
            "ok": False,
            "is_lead_limit_exhausted": True,
            "lead_import_stopped_count": tally.stopped,
            "error": NO_CREDIT,
        }
        raise Refusal(200, body)
    return _answer(len(rows), tally, with_ids=bool(flags.get("return_lead_ids")))


def _check_custom(rows: list[dict[str, Any]]) -> None:
    for position, row in enumerate(rows):
        if len(row.get("custom_fields") or {}) > _MOST_CUSTOM:
            raise failed(f"Custom fields count exceeded - lead_list[{position}] has more than {_MOST_CUSTOM} fields")


def known_or_new(ask: Ask, row: Mapping[str, Any], *, ignore_blocks: bool) -> Lead | str:
    """The lead of a row outside any campaign, made or updated; `invalid` or `blocked` when it is not taken."""
    email = row["email"].strip().lower() if isinstance(row["email"], str) else ""
    if len(email) > 254 or not _ADDRESS.fullmatch(email):
        return "invalid"
    if not ignore_blocks and ask.vendor.blocks_address(email):
        return "blocked"
    lead = ask.vendor.by_email.get(email) or _made(ask, email)
    _update(lead, row)
    return lead


def _made(ask: Ask, email: str) -> Lead:
    lead = Lead(ask.vendor.new_id("lead"), email, {}, ask.world.now)
    ask.vendor.leads[lead.id] = ask.vendor.by_email[email] = lead
    return lead


def _take(
    ask: Ask, campaign: Campaign, row: dict[str, Any], flags: Mapping[str, Any], tally: Tally, seen: set[str]
) -> None:
    email = row["email"].strip().lower() if isinstance(row["email"], str) else ""
    if len(email) > 254 or not _ADDRESS.fullmatch(email):
        tally.invalid.append(str(row["email"]))
        return
    if email in seen:
        tally.repeated += 1
        return
    seen.add(email)
    if not flags.get("ignore_global_block_list") and ask.vendor.blocks_address(email):
        tally.blocked += 1
        return
    lead = ask.vendor.by_email.get(email)
    if lead is not None:
        _update(lead, row)
    if lead is not None and lead.unsubscribed and not flags.get("ignore_unsubscribe_list"):
        tally.unsubscribed.append(email)
        return
    if lead is not None and campaign.id in lead.maps:
        tally.already += 1
        tally.existing[email] = str(lead.id)
        return
    if lead is not None and lead.maps and flags.get("ignore_duplicate_leads_in_other_campaign"):
        # Observed: true leaves such leads out; the documents say the opposite.
        tally.elsewhere[email] = str(lead.id)
        return
    _attach(ask, campaign, lead, row, email, tally)


def _attach(ask: Ask, campaign: Campaign, lead: Lead | None, row: dict[str, Any], email: str, tally: Tally) -> None:
    credits = ask.vendor.lead_credits
    if credits is not None and credits <= 0:
        tally.stopped += 1
        return
    if credits is not None:
        ask.vendor.lead_credits = credits - 1
    known = lead is not None
    if lead is None:
        lead = _made(ask, email)
        _update(lead, row)
    attach(ask.world, campaign, lead, ask.vendor.new_id("map"))
    tally.added += 1
    (tally.existing if known else tally.new)[email] = str(lead.id)


def attach(world: World, campaign: Campaign, lead: Lead, number_: int) -> LeadMap:
    """Puts a lead into a campaign."""
    lead_map = LeadMap(number_, lead, campaign, world.now)
    campaign.maps[lead_map.id] = lead_map
    lead.maps[campaign.id] = lead_map
    enqueue(world, lead_map)
    return lead_map


def _update(lead: Lead, row: Mapping[str, Any]) -> None:
    for name in FIELDS:
        if row.get(name) is not None:
            lead.fields[name] = row[name]
    custom = {name: str(value) for name, value in (row.get("custom_fields") or {}).items() if value is not None}
    lead.fields["custom_fields"] = {**lead.fields.get("custom_fields", {}), **custom}


def _answer(looked_at: int, tally: Tally, *, with_ids: bool) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "ok": True,
        "upload_count": looked_at,
        "total_leads": tally.added,
        "block_count": tally.blocked,
        "duplicate_count": tally.repeated,
        "invalid_email_count": len(tally.invalid),
        "invalid_emails": tally.invalid,
        "already_added_to_campaign": tally.already,
        "unsubscribed_leads": tally.unsubscribed,
        "is_lead_limit_exhausted": bool(tally.stopped),
        "lead_import_stopped_count": tally.stopped,
        "bounce_count": 0,
    }
    if with_ids:
        answer["emailToLeadIdMap"] = {
            "newlyAddedLeads": tally.new,
            "existingLeads": tally.existing,
            "existingLeadsInOtherCampaigns": tally.elsewhere,
        }
    return answer
