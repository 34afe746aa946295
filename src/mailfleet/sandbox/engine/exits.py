"""What the vendor does when it notices an open, a click, a reply, a bounce, an opt-out or a complaint."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from mailfleet.sandbox.engine.react import Answer
from mailfleet.sandbox.seeds import fraction
from mailfleet.sandbox.smartlead.payloads import (
    bounced_event,
    breach_notice,
    campaign_event,
    category_event,
    clicked_event,
    name_of,
    opened_event,
    replied_event,
    unsubscribed_event,
)
from mailfleet.sandbox.smartlead.state import (
    Campaign,
    LeadMap,
    Mailbox,
    Message,
    Sent,
    categories,
    smartlead,
)
from mailfleet.sandbox.world import World

BOUNCE_SOURCE = "Smartlead.ai Bounce Detection"
# The vendor's own circuit breaker looks at no fewer mails than this.
_LEAST_FOR_BREACH = 50
_AI_NAMES = {
    "positive": "Interested",
    "negative": "Not Interested",
    "out_of_office": "Out Of Office",
    "unsubscribe": "Do Not Contact",
    "wrong_person": "Wrong Person",
    "info_request": "Information Request",
}
_AI_WRONG = 0.12


@dataclass(frozen=True)
class Noticed:
    """A mail of this vendor, as the receiving side meets it."""

    sent: Sent

    @property
    def identity(self) -> str:
        return self.sent.stats_id

    @property
    def message_id(self) -> str:
        return self.sent.message_id

    @property
    def subject(self) -> str:
        return self.sent.subject

    @property
    def body(self) -> str:
        return self.sent.body

    @property
    def at(self) -> datetime:
        return self.sent.at

    @property
    def links(self) -> list[str]:
        return self.sent.links

    @property
    def to(self) -> str:
        return self.sent.lead_map.lead.email

    @property
    def to_name(self) -> str:
        return name_of(self.sent.lead_map.lead)

    @property
    def step(self) -> int:
        return self.sent.step.number

    @property
    def box(self) -> Mailbox:
        return self.sent.mailbox

    @property
    def sender_name(self) -> str:
        return str(self.sent.mailbox.fields["from_name"])

    def tracks(self, what: str) -> bool:
        return self.sent.lead_map.campaign.tracks(what)

    def opened(self, world: World) -> None:
        opened(world, self.sent)

    def clicked(self, world: World, link: str) -> None:
        clicked(world, self.sent, link)

    def replied(self, world: World, answer: Answer, meaning: str) -> None:
        kept = (answer.at, answer.message_id, self.sent.stats_id, answer.sender, answer.to, answer.subject, answer.html)
        replied(world, self.sent, Message("REPLY", *kept), meaning)

    def bounced(self, world: World, message_id: str, text: str, kind: str) -> None:
        bounced(world, self.sent, message_id, text, kind)

    def unsubscribed(self, world: World) -> None:
        unsubscribed(world, self.sent.lead_map, self.sent)

    def complained(self, world: World) -> None:
        complained(world, self.sent)


def stop(lead_map: LeadMap, status: str) -> None:
    """Ends a lead's sequence in one campaign; what was queued for it is out of date."""
    if lead_map.status in ("STARTED", "INPROGRESS", "PAUSED"):
        lead_map.status = status
    lead_map.version += 1


def opened(world: World, sent: Sent) -> None:
    """The tracking picture was fetched."""
    sent.opens += 1
    sent.opened_at = sent.opened_at or world.now
    opened_event(world, sent)
    if _stops_on(sent.lead_map.campaign, "OPEN"):
        stop(sent.lead_map, "STOPPED")


def clicked(world: World, sent: Sent, link: str) -> None:
    """A tracked link was followed."""
    sent.clicks += 1
    sent.clicked_at = sent.clicked_at or world.now
    clicked_event(world, sent, link)
    if _stops_on(sent.lead_map.campaign, "CLICK"):
        stop(sent.lead_map, "STOPPED")


def _stops_on(campaign: Campaign, what: str) -> bool:
    return what in str(campaign.settings.get("stop_lead_settings", "REPLY_TO_AN_EMAIL"))


def replied(world: World, sent: Sent, reply: Message, meaning: str) -> None:
    """An answer arrived in the mailbox."""
    lead_map, campaign = sent.lead_map, sent.lead_map.campaign
    if campaign.maps.get(lead_map.id) is not lead_map or not campaign.tracks("REPLY_TO_AN_EMAIL"):
        return
    lead_map.messages.append(reply)
    sent.replied_at = sent.replied_at or world.now
    if not _away(world, lead_map, meaning) and _stops_on(campaign, "REPLY"):
        stop(lead_map, "STOPPED")
        _stop_colleagues(lead_map)
    replied_event(world, sent, reply)
    if campaign.settings.get("ai_categorisation_options"):
        world.at(world.now + timedelta(seconds=5), partial(_categorise, world, lead_map, meaning))


def _away(world: World, lead_map: LeadMap, meaning: str) -> bool:
    """The vendor's own handling of absences, when it is switched on; True when the lead goes on."""
    rules = lead_map.campaign.settings.get("out_of_office_detection_settings") or {}
    if meaning != "out_of_office" or not rules.get("ignoreOOOasReply"):
        return False
    if rules.get("autoReactivateOOO") and lead_map.status == "INPROGRESS":
        rest(world, lead_map, int(rules.get("reactivateOOOwithDelay") or 0))
    return True


def rest(world: World, lead_map: LeadMap, days: int) -> None:
    """Leaves a lead alone for some days; its next mail comes after that."""
    lead_map.resting_until = world.now + timedelta(days=days)
    lead_map.due = max(lead_map.due or world.now, lead_map.resting_until)


def _stop_colleagues(lead_map: LeadMap) -> None:
    campaign = lead_map.campaign
    if not campaign.settings.get("auto_pause_domain_leads_on_reply"):
        return
    host = lead_map.lead.email.rpartition("@")[2]
    for other in campaign.maps.values():
        if (
            other is not lead_map
            and other.lead.email.endswith("@" + host)
            and other.status in ("STARTED", "INPROGRESS")
        ):
            other.status = "PAUSED"
            other.version += 1


def _categorise(world: World, lead_map: LeadMap, meaning: str) -> None:
    name = _AI_NAMES.get(meaning)
    if name is None:
        return
    if fraction(world, "AI", lead_map.id) < _AI_WRONG:
        name = "Information Request" if name != "Information Request" else "Interested"
    set_category(world, lead_map, categories(world)[name])


def set_category(world: World, lead_map: LeadMap, number: int | None) -> None:
    """Gives a lead a category, or takes it away, and tells the hooks."""
    names = {identity: name for name, identity in categories(world).items()}
    old = lead_map.category_id
    lead_map.category_id = number
    before = (old, names[old]) if old in names else None
    after = (number, names[number]) if number in names else None
    category_event(world, lead_map, before, after)


def bounced(world: World, sent: Sent, message_id: str, text: str, kind: str) -> None:
    """A mail came back. The vendor ends the lead only when the address is dead; it does not say which it was."""
    lead_map, campaign = sent.lead_map, sent.lead_map.campaign
    sent.bounced, sent.sender_bounced = True, kind == "block"
    campaign.bounces += 1
    if kind == "hard":
        stop(lead_map, "BLOCKED")
        smartlead(world).block(lead_map.lead.email, world.now, BOUNCE_SOURCE)
    bounced_event(world, sent, message_id, text, by_sender=kind == "block")
    check_breach(world, campaign)


def check_breach(world: World, campaign: Campaign) -> None:
    """The vendor's own pause when the campaign's bounces pass its threshold (smartlead: campaigns/update-settings)."""
    given = campaign.settings.get("bounce_autopause_threshold")
    if campaign.status != "ACTIVE" or not given or len(campaign.sent) < _LEAST_FOR_BREACH:
        return
    share = 100 * campaign.bounces / len(campaign.sent)
    if share <= float(given):
        return
    campaign.status, campaign.updated_at = "PAUSED", world.now
    campaign_event(world, campaign)
    breach_notice(world, campaign, share, given)


def unsubscribed(world: World, lead_map: LeadMap, sent: Sent | None = None) -> None:
    """Somebody used the unsubscribe link (`sent` says in which mail), or was unsubscribed in all campaigns by hand."""
    lead_map.lead.unsubscribed = True
    if sent is not None:
        sent.unsubscribed = True
    for other in lead_map.lead.maps.values():
        _opt_out(other)
    unsubscribed_event(world, lead_map)


def unsubscribed_here(world: World, lead_map: LeadMap) -> None:
    """Somebody was unsubscribed in one campaign by hand."""
    _opt_out(lead_map)
    unsubscribed_event(world, lead_map)


def _opt_out(lead_map: LeadMap) -> None:
    lead_map.unsubscribed = True
    stop(lead_map, "STOPPED")


def complained(world: World, sent: Sent) -> None:
    """Somebody pressed the spam button: no event exists for it, only the filter and the block list show it."""
    lead = sent.lead_map.lead
    lead.spam = True
    for other in lead.maps.values():
        stop(other, "BLOCKED")
    smartlead(world).block(lead.email, world.now, "complaint")
