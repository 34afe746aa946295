"""What to read at Smartlead for each write about leads, and for its block list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mailfleet.platforms.settling import Finding, OpenWrite, Reader, found, standing, unclear
from mailfleet.vendors.smartlead.client import SmartleadClient
from mailfleet.vendors.smartlead.models import CampaignLead

OWN_FIELDS = ("email", "first_name", "last_name", "company_name", "phone_number", "website", "location")


async def _added(client: SmartleadClient, write: OpenWrite) -> Finding:
    """Some of a batch may be refused (blocked, invalid, known), so one that is there proves that it was taken."""
    wanted = {str(email).lower() for email in write.match["emails"]}
    there = {
        seen.lead.email.lower()
        async for seen in client.leads.of(write.match["id"])
        if seen.lead.email.lower() in wanted
    }
    return found(bool(there), there=len(there), asked=len(wanted))


async def _paused(client: SmartleadClient, write: OpenWrite) -> Finding:
    seen = await _of_campaign(client, write)
    return found(bool(seen and seen.status.upper() == "PAUSED"), read=seen and seen.status)


async def _resumed(client: SmartleadClient, write: OpenWrite) -> Finding:
    seen = await _of_campaign(client, write)
    return found(bool(seen and seen.status.upper() != "PAUSED"), read=seen and seen.status)


async def _deleted(client: SmartleadClient, write: OpenWrite) -> Finding:
    return found(await _of_campaign(client, write) is None)


async def _unsubscribed_from(client: SmartleadClient, write: OpenWrite) -> Finding:
    wanted = int(write.match["lead"])
    out = [each async for each in client.leads.of(write.match["id"], emailStatus="is_unsubscribed")]
    return found(any(each.lead.id == wanted for each in out))


async def _unsubscribed(client: SmartleadClient, write: OpenWrite) -> Finding:
    lead = await client.leads.get(write.match["lead"])
    return found(bool(lead and lead.is_unsubscribed))


async def _updated(client: SmartleadClient, write: OpenWrite) -> Finding:
    seen = await _of_campaign(client, write)
    if seen is None:
        return found(False, gone="the lead is not in the campaign")
    return standing(write.match, {name: getattr(seen.lead, name) for name in OWN_FIELDS})


async def _categorised(client: SmartleadClient, write: OpenWrite) -> Finding:
    seen = await _of_campaign(client, write)
    return standing(write.match, {"category_id": seen and seen.lead_category_id})


async def _blocked(client: SmartleadClient, write: OpenWrite) -> Finding:
    wanted = {str(entry).lower() for entry in write.match["entries"]}
    there: set[str] = set()
    for entry in sorted(wanted):
        there |= {each.email_or_domain.lower() async for each in client.leads.blocked(entry)} & wanted
    if there and there != wanted:
        return unclear(f"{len(there)} of {len(wanted)} are on the block list", missing=len(wanted - there))
    return found(there == wanted, there=len(there))


async def _unblocked(client: SmartleadClient, write: OpenWrite) -> Finding:
    wanted = str(write.match["entry"])
    left: list[Any] = [each.id async for each in client.leads.blocked() if str(each.id) == wanted]
    return found(not left)


async def _of_campaign(client: SmartleadClient, write: OpenWrite) -> CampaignLead | None:
    wanted = int(write.match["lead"])
    async for seen in client.leads.of(write.match["id"]):
        if seen.lead.id == wanted:
            return seen
    return None


LEADS: Mapping[str, Reader] = {
    "add_leads_to_campaign": _added,
    "update_lead": _updated,
    "pause_lead": _paused,
    "resume_lead": _resumed,
    "delete_lead": _deleted,
    "unsubscribe_lead_from_campaign": _unsubscribed_from,
    "unsubscribe_lead": _unsubscribed,
    "set_lead_category": _categorised,
    "add_to_block_list": _blocked,
    "delete_from_block_list": _unblocked,
}
