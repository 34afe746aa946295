"""What a vendor really answers, asked with the credentials that are set: for recording it and for comparing it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime

from mailfleet.errors import ConfigError
from mailfleet.platforms.cloudflare_dns import CloudflareDns
from mailfleet.platforms.namecheap_registrar import NamecheapRegistrar
from mailfleet.platforms.notices import SlackChannel, SmsChannel
from mailfleet.platforms.smartlead import SmartleadPlatform
from mailfleet.services.context import Fleet
from mailfleet.settings import Settings, missing
from mailfleet.store import domains
from mailfleet.vendors.cloudflare import probe as cloudflare
from mailfleet.vendors.compare import Description
from mailfleet.vendors.namecheap import probe as namecheap
from mailfleet.vendors.probe import Probe
from mailfleet.vendors.slack import probe as slack
from mailfleet.vendors.smartlead import probe as smartlead
from mailfleet.vendors.twilio import probe as twilio
from mailfleet.wiring import open_fleet

Run = Callable[[Fleet, Settings, Probe, bool], Awaitable[None]]


async def probe(
    settings: Settings,
    vendor: str,
    *,
    actor: str,
    write: bool,
    descriptions: Mapping[str, Description] | None = None,
    waiting: Callable[[str], None] | None = None,
) -> Probe:
    """Every row of the vendor that can be asked. Raises ConfigError for a vendor that is not known or not set up."""
    run = RUNS.get(vendor)
    if run is None:
        raise ConfigError(f"There is no vendor {vendor!r}.", hint=f"It is one of {', '.join(sorted(RUNS))}.")
    made = Probe(vendor, descriptions)
    async with open_fleet(settings, actor=actor, witness=made.witness, waiting=waiting) as fleet:
        await run(fleet, settings, made, write)
    return made


async def _smartlead(fleet: Fleet, settings: Settings, probe: Probe, write: bool) -> None:
    platform = fleet.platforms["smartlead"]
    assert isinstance(platform, SmartleadPlatform)
    await smartlead.run(platform.client, probe, datetime.now(UTC).date(), write=write)


async def _cloudflare(fleet: Fleet, settings: Settings, probe: Probe, write: bool) -> None:
    host = fleet.dns_hosts["cloudflare"]
    assert isinstance(host, CloudflareDns)
    await cloudflare.run(host.client, probe, write=write)


async def _namecheap(fleet: Fleet, settings: Settings, probe: Probe, write: bool) -> None:
    registrar = fleet.registrars["namecheap"]
    assert isinstance(registrar, NamecheapRegistrar)
    async with fleet.db.connection() as db:
        ours = await domains.every(db)
    await namecheap.run(registrar.client, probe, ours[0].name if ours else "")


async def _slack(fleet: Fleet, settings: Settings, probe: Probe, write: bool) -> None:
    channel = fleet.channels.get("slack")
    if not isinstance(channel, SlackChannel):
        raise missing("slack_bot_token")
    to = settings.slack_channels.get("default", "#mailfleet-alerts")
    await slack.run(channel.client, probe, to, hook=not settings.slack_bot_token, write=write)


async def _twilio(fleet: Fleet, settings: Settings, probe: Probe, write: bool) -> None:
    channel = fleet.channels.get("sms")
    if not isinstance(channel, SmsChannel):
        raise missing("twilio_auth_token")
    await twilio.run(channel.client, probe, next(iter(settings.sms), ""), write=write)


RUNS: Mapping[str, Run] = {
    "smartlead": _smartlead,
    "cloudflare": _cloudflare,
    "namecheap": _namecheap,
    "slack": _slack,
    "twilio": _twilio,
}
