"""The whole Smartlead face: both of its hosts, one key, one rate limit."""

from __future__ import annotations

from starlette.routing import BaseRoute

from mailfleet.sandbox.describe import published
from mailfleet.sandbox.smartlead import (
    account,
    accounts,
    analytics,
    campaigns,
    clients,
    crm,
    inbox,
    leads,
    lists,
    mail,
    openapi,
    placement,
    senders,
    stats,
    subsequences,
    team,
    views,
    warmups,
    webhooks,
)
from mailfleet.sandbox.smartlead.http import Limit
from mailfleet.sandbox.world import World

# Clients stand before accounts: /email-accounts/tag-list must not be taken for an account's id.
# Lists stand before leads: /leads/push-to-list must not be taken for a lead's id.
# Mail, team and subsequences stand before accounts and campaigns for the same reason.
_FACES = (
    mail,
    team,
    subsequences,
    clients,
    accounts,
    warmups,
    webhooks,
    inbox,
    views,
    crm,
    lists,
    account,
    stats,
    analytics,
    leads,
    campaigns,
    placement,
    senders,
)


def routes(world: World, per_minute: int = 60) -> list[BaseRoute]:
    """Every endpoint, under one limit of calls per key and minute."""
    limit = Limit(per_minute)
    described = [
        published("/smartlead/openapi.json", openapi.main_host()),
        published("/smartdelivery/openapi.json", openapi.placement_host()),
        published("/smartsenders/openapi.json", openapi.senders_host()),
    ]
    return [*described, *(entry for face in _FACES for entry in face.routes(world, limit))]
