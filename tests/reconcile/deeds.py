"""Every kind of write: how it is prepared, made, and counted at the sandbox, apart from our adapters."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from tests.reconcile.vendors import CONTACT
from tests.sandbox_fixture import Sandbox

from mailfleet.platforms.port import CampaignSettings, MailboxSpec, NewLead, Schedule, Step, WarmupSettings
from mailfleet.platforms.ports import ZoneRecord
from mailfleet.services.context import Fleet

SCHEDULE = Schedule(timezone="Australia/Sydney", days=(1, 2, 3, 4, 5), start_hour=9, end_hour=17)
STEPS = (Step(position=1, subject="Hi", body="<p>one</p>", delay_days=0),)
PASSWORD = "pw-123 x"


@dataclass
class Scene:
    """Where a write takes place."""

    fleet: Fleet
    sandbox: Sandbox
    n: str
    have: dict[str, Any] = field(default_factory=dict)

    @property
    def platform(self) -> Any:
        return self.fleet.platforms["smartlead"]

    @property
    def client(self) -> Any:
        """Smartlead's client itself."""
        return self.platform.client

    @property
    def domain(self) -> str:
        return f"brightwater-{self.n}-mailfleet-demo.com"

    def leads(self) -> list[str]:
        return [f"p{number}@firm{self.n}{number}-mfdemo.com" for number in range(3)]

    def raw(self, path: str, **query: Any) -> Any:
        return self.sandbox.smartlead("GET", path, **query).json()


@dataclass(frozen=True)
class Deed:
    """One write. `count` tells how often its effect is there."""

    name: str
    operation: str
    path: str
    prepare: Callable[[Scene], Awaitable[None]]
    make: Callable[[Scene], Awaitable[object]]
    count: Callable[[Scene], Awaitable[int]]
    vendor: str = "smartlead"
    method: str = "POST"
    face: str = ""
    """The vendor's host, where it is another one."""
    later: float = 0
    """Seconds of the vendor's time until the effect can be seen."""
    readable: bool = True
    """False: nothing shows what became of it, so it is never made again."""


async def nothing(scene: Scene) -> None:
    """Needs nothing beforehand."""


async def a_campaign(scene: Scene) -> None:
    scene.have["campaign"] = await scene.platform.create_campaign(f"Pilot {scene.n}")


async def a_mailbox(scene: Scene) -> None:
    scene.have["mailbox"] = await connect(scene)


async def a_campaign_and_a_mailbox(scene: Scene) -> None:
    await a_campaign(scene)
    await a_mailbox(scene)


async def a_ready_campaign(scene: Scene) -> None:
    await a_campaign(scene)
    await a_mailbox(scene)
    ref = scene.have["campaign"]
    await scene.platform.set_campaign(ref, schedule=SCHEDULE, settings=CampaignSettings())
    await scene.platform.set_steps(ref, STEPS)
    await scene.platform.set_campaign_mailboxes(ref, [scene.have["mailbox"]])
    added = await scene.platform.add_leads(ref, [NewLead(email=email) for email in scene.leads()])
    scene.have["lead"] = added.added[scene.leads()[0]]


async def a_running_campaign(scene: Scene) -> None:
    await a_ready_campaign(scene)
    await scene.platform.start_campaign(scene.have["campaign"])


async def a_paused_lead(scene: Scene) -> None:
    await a_running_campaign(scene)
    await scene.platform.pause_lead(scene.have["campaign"], scene.have["lead"])


async def a_name(scene: Scene) -> None:
    scene.sandbox.control("POST", "/registrar/domains", {"name": scene.domain})


async def a_zone(scene: Scene) -> None:
    scene.have["zone"] = await scene.fleet.dns_hosts["cloudflare"].create_zone(scene.domain)


async def a_named_zone(scene: Scene) -> None:
    await a_name(scene)
    await a_zone(scene)


async def connect(scene: Scene) -> str:
    address = f"ada{scene.n}@brightwater-mailfleet-demo.com"
    scene.sandbox.control("POST", "/mailhost/accounts", {"address": address, "password": PASSWORD})
    host = scene.sandbox.info["mailhost"]
    places = {name: host[name] for name in ("smtp_host", "smtp_port", "imap_host", "imap_port")}
    spec = MailboxSpec(
        address=address, display_name="Ada", username=address, password=PASSWORD, daily_cap=40, **places
    )  # fmt: skip
    return await scene.platform.connect_mailbox(spec)


async def mailboxes(scene: Scene) -> int:
    address = f"ada{scene.n}@brightwater-mailfleet-demo.com"
    rows = scene.raw("/email-accounts/", offset=0, limit=100, username=address)
    return sum(row["from_email"] == address for row in rows)


async def campaigns(scene: Scene) -> int:
    return sum(row["name"] == f"Pilot {scene.n}" for row in scene.raw("/campaigns/"))


async def in_campaign(scene: Scene) -> int:
    rows = scene.raw(f"/campaigns/{scene.have['campaign']}/leads", offset=0, limit=100)["data"]
    assert len(rows) in (0, 3)
    return len(rows) // 3


def status(wanted: str) -> Callable[[Scene], Awaitable[int]]:
    async def count(scene: Scene) -> int:
        return int(scene.raw(f"/campaigns/{scene.have['campaign']}")["status"] == wanted)

    return count


def lead_paused(wanted: bool) -> Callable[[Scene], Awaitable[int]]:
    async def count(scene: Scene) -> int:
        rows = scene.raw(f"/campaigns/{scene.have['campaign']}/leads", offset=0, limit=100)["data"]
        mine = next(row for row in rows if str(row["lead"]["id"]) == scene.have["lead"])
        return int((mine["status"] == "PAUSED") == wanted)

    return count


async def blocked(scene: Scene) -> int:
    rows = scene.raw("/leads/get-domain-block-list", offset=0, limit=1000)
    return sum(row["email_or_domain"] == f"gone@firm{scene.n}-mfdemo.com" for row in rows)


async def hooks(scene: Scene) -> int:
    return len(scene.raw(f"/campaigns/{scene.have['campaign']}/webhooks"))


async def steps(scene: Scene) -> int:
    return len(scene.raw(f"/campaigns/{scene.have['campaign']}/sequences"))


async def staff(scene: Scene) -> int:
    return len(scene.raw(f"/campaigns/{scene.have['campaign']}/email-accounts"))


async def scheduled(scene: Scene) -> int:
    return int(
        (scene.raw(f"/campaigns/{scene.have['campaign']}")["scheduler_cron_value"] or {}).get("tz")
        == "Australia/Sydney"
    )


async def capped(scene: Scene) -> int:
    return int(scene.raw(f"/email-accounts/{scene.have['mailbox']}/")["message_per_day"] == 23)


async def warmed(scene: Scene) -> int:
    details = scene.raw(f"/email-accounts/{scene.have['mailbox']}/")["warmup_details"]
    return int((details or {}).get("status") == "ACTIVE")


async def suspended(scene: Scene) -> int:
    return int(bool(scene.raw(f"/email-accounts/{scene.have['mailbox']}/").get("is_suspended")))


async def zones(scene: Scene) -> int:
    return scene.sandbox.control("GET", "/state")["zones"].count(scene.domain)


async def zone_records(scene: Scene) -> int:
    told = scene.sandbox.info["cloudflare"]
    url = f"{told['base_url']}/zones/{scene.have['zone'].ref}/dns_records"
    rows = scene.sandbox.http.get(url, headers={"Authorization": f"Bearer {told['api_token']}"}).json()["result"]
    assert len(rows) in (0, 2)
    return len(rows) // 2


async def publish(scene: Scene) -> object:
    key = ZoneRecord(type="TXT", name=f"s1._domainkey.{scene.domain}", content="v=DKIM1; k=rsa; p=" + "MIIB" * 90)
    mx = ZoneRecord(type="MX", name=scene.domain, content="mail.sandbox.example", priority=10)
    return await scene.fleet.dns_hosts["cloudflare"].apply(scene.have["zone"].ref, create=[key, mx])


def registrar(scene: Scene) -> Any:
    return scene.fleet.registrars["namecheap"].client  # type: ignore[attr-defined]


async def delegated(scene: Scene) -> int:
    return int(set(await registrar(scene).nameservers(scene.domain)) == set(scene.have["zone"].nameservers))


async def owned(scene: Scene) -> int:
    return int(await registrar(scene).owned(scene.domain))


def on_campaign(call: str, *more: Any, **named: Any) -> Callable[[Scene], Awaitable[object]]:
    return lambda scene: getattr(scene.platform, call)(scene.have["campaign"], *more, **named)


def on_lead(call: str) -> Callable[[Scene], Awaitable[object]]:
    return lambda scene: getattr(scene.platform, call)(scene.have["campaign"], scene.have["lead"])


def on_mailbox(call: str, *more: Any, **named: Any) -> Callable[[Scene], Awaitable[object]]:
    return lambda scene: getattr(scene.platform, call)(scene.have["mailbox"], *more, **named)


DEEDS = (
    Deed("mailbox", "create_email_account", "/email-accounts/save", nothing, connect, mailboxes),
    Deed("campaign", "create_campaign", "/campaigns/create", nothing, a_campaign, campaigns),
    Deed(
        "leads", "add_leads_to_campaign", "/leads", a_campaign,
        lambda scene: scene.platform.add_leads(scene.have["campaign"], [NewLead(email=e) for e in scene.leads()]),
        in_campaign,
    ),
    Deed("start", "set_campaign_status", "/status", a_ready_campaign, on_campaign("start_campaign"), status("ACTIVE")),
    Deed("pause", "set_campaign_status", "/status", a_running_campaign, on_campaign("pause_campaign"),
         status("PAUSED")),
    Deed("lead pause", "pause_lead", "/pause", a_running_campaign, on_lead("pause_lead"), lead_paused(True)),
    Deed("lead resume", "resume_lead", "/resume", a_paused_lead, on_lead("resume_lead"), lead_paused(False)),
    Deed(
        "block list", "add_to_block_list", "/leads/add-domain-block-list", nothing,
        lambda scene: scene.platform.block([f"gone@firm{scene.n}-mfdemo.com"]), blocked,
    ),
    Deed(
        "webhook", "configure_webhook", "/webhooks", a_campaign,
        on_campaign("ensure_webhook", "http://127.0.0.1/hooks/token/smartlead"), hooks,
    ),
    Deed("steps", "set_sequences", "/sequences", a_campaign, on_campaign("set_steps", STEPS), steps),
    Deed(
        "schedule", "set_campaign_schedule", "/schedule", a_campaign,
        on_campaign("set_campaign", schedule=SCHEDULE, settings=CampaignSettings()), scheduled,
    ),
    Deed(
        "settings", "set_campaign_settings", "/settings", a_campaign,
        on_campaign("set_campaign", schedule=SCHEDULE, settings=CampaignSettings()), scheduled,
    ),
    Deed(
        "staff", "add_campaign_mailboxes", "/email-accounts", a_campaign_and_a_mailbox,
        lambda scene: scene.platform.set_campaign_mailboxes(scene.have["campaign"], [scene.have["mailbox"]]), staff,
    ),
    Deed(
        "limits", "update_email_account", "/email-accounts/", a_mailbox,
        on_mailbox("set_mailbox_limits", daily_cap=23, min_gap_minutes=7), capped,
    ),
    Deed(
        "warm-up", "configure_warmup", "/warmup", a_mailbox,
        on_mailbox("set_warmup", WarmupSettings(enabled=True, per_day=12, rampup=5)), warmed,
    ),
    Deed(
        "suspend", "suspend_email_account", "/suspend", a_mailbox, on_mailbox("suspend_mailbox", True), suspended,
        method="PUT",
    ),
    Deed("zone", "create_zone", "/zones", a_name, a_zone, zones, vendor="cloudflare"),
    Deed("records", "batch_records", "/batch", a_named_zone, publish, zone_records, vendor="cloudflare"),
    Deed(
        "delegation", "set_nameservers", "", a_named_zone,
        lambda scene: registrar(scene).set_nameservers(scene.domain, list(scene.have["zone"].nameservers)), delegated,
        vendor="namecheap",
    ),
    Deed(
        "purchase", "register_domain", "", nothing,
        lambda scene: registrar(scene).register(scene.domain, CONTACT), owned, vendor="namecheap",
    ),
)  # fmt: skip
