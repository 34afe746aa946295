"""The whole Smartlead face: both of its hosts, one key, one rate limit."""

from __future__ import annotations

from starlette.routing import BaseRoute

from mailfleet.sandbox import (
    smartlead_accounts,
    smartlead_campaigns,
    smartlead_clients,
    smartlead_delivery,
    smartlead_inbox,
    smartlead_leads,
    smartlead_stats,
    smartlead_webhooks,
)
from mailfleet.sandbox.smartlead_http import Limit
from mailfleet.sandbox.world import World

# Clients stand before accounts: /email-accounts/tag-list must not be taken for an account's id.
_FACES = (
    smartlead_clients,
    smartlead_accounts,
    smartlead_webhooks,
    smartlead_inbox,
    smartlead_stats,
    smartlead_leads,
    smartlead_campaigns,
    smartlead_delivery,
)


def routes(world: World, per_minute: int = 60) -> list[BaseRoute]:
    """Every endpoint, under one limit of calls per key and minute."""
    limit = Limit(per_minute)
    return [entry for face in _FACES for entry in face.routes(world, limit)]
