"""The one place that puts the parts together, for every entry."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import secrets
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from mailfleet.clock import Clock, clock_from
from mailfleet.errors import ConfigError
from mailfleet.platforms.archive import ExportSource, Shelf
from mailfleet.platforms.cloudflare_dns import CloudflareDns
from mailfleet.platforms.custom_smtp import CustomSmtp, Login, MailServers
from mailfleet.platforms.forge import ForgePlatform
from mailfleet.platforms.forge_archive import ForgeArchive
from mailfleet.platforms.forge_export import ForgeExport
from mailfleet.platforms.forge_hosts import ForgeHost
from mailfleet.platforms.namecheap_registrar import Contact, NamecheapRegistrar
from mailfleet.platforms.names import DnsNames
from mailfleet.platforms.notices import SlackChannel, SmsChannel
from mailfleet.platforms.office_hosts import google_workspace, microsoft365
from mailfleet.platforms.port import SendingPlatform
from mailfleet.platforms.ports import DnsHost, MailboxHost, NoticeChannel, Registrar
from mailfleet.platforms.shelves import bucket, folder
from mailfleet.platforms.smartlead import SmartleadPlatform
from mailfleet.platforms.status_pages import PublicStatus
from mailfleet.policy.load import load
from mailfleet.policy.model import Escalation
from mailfleet.services import credentials, lead_source, samples, vendor_health
from mailfleet.services.context import Fleet
from mailfleet.services.hook_secrets import HookSecrets
from mailfleet.settings import Settings, missing, usable
from mailfleet.store.budget import PostgresBudget
from mailfleet.store.calls import PostgresCalls
from mailfleet.store.circuits import PostgresCircuit
from mailfleet.store.database import Database
from mailfleet.store.embedded import LocalPostgres
from mailfleet.store.journal import PostgresJournal
from mailfleet.store.migrate import require_current
from mailfleet.store.secrets import Kek, Vault, load_kek
from mailfleet.vendors.cloudflare.client import CloudflareClient
from mailfleet.vendors.infraforge.client import InfraforgeClient, get_infraforge_client
from mailfleet.vendors.mailforge.client import get_mailforge_client
from mailfleet.vendors.namecheap.client import NamecheapClient
from mailfleet.vendors.salesforge.client import SalesforgeClient, get_salesforge_client
from mailfleet.vendors.slack.client import SlackClient
from mailfleet.vendors.smartlead.client import get_smartlead_client
from mailfleet.vendors.statuspage.client import StatusPage
from mailfleet.vendors.transport.operation import Patience
from mailfleet.vendors.transport.secret import Secret
from mailfleet.vendors.transport.taken import Taken
from mailfleet.vendors.transport.transport import Means
from mailfleet.vendors.twilio.client import TwilioClient
from mailfleet.vendors.warmforge.client import WarmforgeClient, get_warmforge_client

DATABASE = "mailfleet"
TOKEN_BYTES = 24
T = TypeVar("T")


class Parts(dict[str, T]):
    """Parts by name. Asking for one that is not set up raises MissingSetting, naming what it needs."""

    def __init__(self, needs: Mapping[str, str], have: Mapping[str, T | None]) -> None:
        super().__init__({name: part for name, part in have.items() if part is not None})
        self._needs = needs

    def __missing__(self, name: str) -> T:
        if name in self._needs:
            raise missing(self._needs[name])
        raise ConfigError(f"There is no part called {name!r}.", hint=f"Known: {', '.join(sorted(self._needs))}.")


@contextlib.contextmanager
def database(settings: Settings) -> Generator[tuple[str, LocalPostgres | None]]:
    """The DSN of our database, and the embedded server when it is that one, held running as long as the block.

    DATABASE_URL wins; without it the server in MAILFLEET_HOME is used.
    """
    if given := settings.secret("database_url"):
        yield given, None
        return
    with LocalPostgres(settings.home / "postgres").running() as local:
        yield local.ensure_database(DATABASE), local


@contextlib.asynccontextmanager
async def open_fleet(
    settings: Settings,
    *,
    actor: str = "machine",
    witness: Callable[[Taken], None] | None = None,
    waiting: Callable[[str], None] | None = None,
    clock: Clock | None = None,
    outside: Callable[[Means], Means] = lambda means: means,
) -> AsyncGenerator[Fleet]:
    """Every part, opened and closed.

    `witness` sees every exchange with a vendor, masked; `waiting` is told what is waited for, when it takes long. A
    rehearsal gives a `clock` of its own and an `outside`: vendors that are answered in this process, waits that pass
    in its own time.

    Raises SchemaOutOfDate, DatabaseUnavailable and ConfigError. What a vendor needs is asked for when it is used.
    """
    clock = clock or clock_from(settings.mailfleet_clock)
    policy = load(settings.mailfleet_policy)
    kek = kek_of(settings)
    async with contextlib.AsyncExitStack() as stack:
        dsn, _ = await asyncio.to_thread(stack.enter_context, database(settings))
        await asyncio.to_thread(require_current, dsn)
        db = await stack.enter_async_context(Database(dsn, max_size=settings.mailfleet_database_pool))
        refusals = vendor_health.Refusals()
        means = await _means(stack, settings, db, clock, actor, policy.escalation)
        means = outside(replace(means, witness=witness, waiting=waiting, refused=refusals.told))
        vault = Vault(kek)
        async with db.connection() as rows:
            suppression_key = await vault.kept(rows, "suppression")
        fleet = Fleet(
            db=db,
            clock=clock,
            policy=policy,
            vault=vault,
            platforms=_platforms(settings, means, HookSecrets(db, vault, "forge"), clock),
            client_platforms=_client_platforms(settings, means),
            dns_hosts=_dns_hosts(settings, means),
            mailbox_hosts=_mailbox_hosts(settings, means, _login(db, vault)),
            channels=_channels(settings, means),
            names=DnsNames(
                parent=settings.dns_parent, nameservers=settings.dns_nameservers, resolvers=settings.resolvers
            ),
            registrars=_registrars(settings, means),
            status_pages=_status_pages(settings, means),
            webhook_base=webhook_base(settings),
            slack_channels=settings.slack_channels,
            sms_numbers=settings.sms,
            suppression_key=suppression_key,
            lead_sources=lead_source.load(settings.mailfleet_lead_source),
            sources=_sources(settings, means, clock, db),
            archives={"forge": ForgeArchive},
            shelves=shelves(settings),
            export_recipients=tuple(settings.export_recipients.replace(",", " ").split()),
            actor=actor,
            sync_delay=timedelta(seconds=settings.mailfleet_sync_delay) or None,
            rng=random.Random(),  # noqa: S311 - order and jitter, nothing secret
        )
        stack.push_async_callback(_close, fleet)
        refusals.fleet = fleet
        yield fleet


def kek_of(settings: Settings) -> Kek:
    """The key-encryption key: as set, else in its file, which is made at first use."""
    return load_kek(settings.secret("mailfleet_kek"), settings.mailfleet_kek_file or settings.home / "kek")


def receiver_token(settings: Settings) -> str:
    """The unguessable part of the receiver's path: as set, else made once and kept in MAILFLEET_HOME."""
    return settings.secret("receiver_token") or _kept(settings.home / "receiver_token")


def webhook_base(settings: Settings) -> str:
    """Where platforms are told to send webhooks, without the platform's name; empty when nobody can reach us."""
    public = settings.receiver_public_url.rstrip("/")
    return f"{public}/hooks/{receiver_token(settings)}" if public else ""


async def _means(
    stack: contextlib.AsyncExitStack, settings: Settings, db: Database, clock: Clock, actor: str, rule: Escalation
) -> Means:
    calls = await stack.enter_async_context(PostgresCalls(db, clock).writing())
    return Means(
        journal=PostgresJournal(db, clock, actor=actor),
        budget=PostgresBudget(db),
        circuit=PostgresCircuit(db),
        calls=calls,
        patience=_patience(settings, rule),
    )


def _patience(settings: Settings, rule: Escalation) -> Patience:
    """A call that may take so long in all neither waits for its answer nor for its turn any longer."""
    usual, longest = Patience(timeouts=rule.timeout_attempts), settings.mailfleet_call_timeout
    if longest is None:
        return usual
    cap = min(usual.timeout_cap, longest)
    return msgspec.structs.replace(
        usual, deadline=longest, queue=longest, timeout=min(usual.timeout, longest), timeout_cap=cap
    )


def _platforms(settings: Settings, means: Means, hooks: HookSecrets, clock: Clock) -> Parts[SendingPlatform]:
    key = settings.secret("smartlead_api_key")
    return Parts(
        {"smartlead": "smartlead_api_key", "forge": "salesforge_api_key"},
        {
            "smartlead": _smartlead(settings, means, key) if key else None,
            "forge": _forge(settings, means, hooks, clock) if settings.salesforge_api_key else None,
        },
    )


def _forge(settings: Settings, means: Means, hooks: HookSecrets, clock: Clock) -> ForgePlatform:
    return ForgePlatform(
        _salesforge(settings, means),
        _warmforge(settings, means),
        workspace=settings.salesforge_workspace,
        warm_workspace=settings.warmforge_workspace,
        product=settings.salesforge_product,
        language=settings.salesforge_language,
        hooks=hooks,
        today=lambda: clock.now().date(),
    )


def _salesforge(settings: Settings, means: Means) -> SalesforgeClient:
    return get_salesforge_client(
        settings.need("salesforge_api_key"),
        means,
        base_url=settings.salesforge_base_url,
        multichannel_base_url=settings.salesforge_multichannel_base_url,
        rate=settings.forge_calls_per_second,
    )


def _warmforge(settings: Settings, means: Means) -> WarmforgeClient | None:
    key = settings.secret("warmforge_api_key")
    if not key:
        return None
    return get_warmforge_client(key, means, base_url=settings.warmforge_base_url, rate=settings.forge_calls_per_second)


def _infraforge(settings: Settings, means: Means) -> InfraforgeClient | None:
    key = settings.secret("infraforge_api_key")
    if not key:
        return None
    return get_infraforge_client(
        key, means, base_url=settings.infraforge_base_url, rate=settings.forge_calls_per_second
    )


def _sources(settings: Settings, means: Means, clock: Clock, db: Database) -> Parts[ExportSource]:
    forge = (
        ForgeExport(
            _salesforge(settings, means),
            _warmforge(settings, means),
            _infraforge(settings, means),
            samples.history(db),
            today=lambda: clock.now().date(),
        )
        if settings.salesforge_api_key
        else None
    )
    return Parts({"forge": "salesforge_api_key"}, {"forge": forge})


def shelves(settings: Settings) -> tuple[Shelf, ...]:
    """Every place that is set for exports. Raises ShelfError for a folder that cannot be used."""
    found: list[Shelf] = []
    if settings.export_folder:
        found.append(folder(settings.export_folder))
    if settings.export_bucket:
        found.append(
            bucket(
                settings.export_bucket,
                key_id=settings.need("export_s3_key_id"),
                secret=settings.need("export_s3_secret"),
                region=settings.export_s3_region,
                endpoint=settings.export_s3_endpoint,
            )
        )
    return tuple(found)


def _client_platforms(settings: Settings, means: Means) -> dict[str, dict[str, SendingPlatform]]:
    """The accounts of the clients that have a key of their own, by slug as in the setting's name."""
    return {
        slug: {"smartlead": _smartlead(settings, means, key.get_secret_value())}
        for slug, key in settings.smartlead_api_keys.items()
    }


def _smartlead(settings: Settings, means: Means, key: str) -> SmartleadPlatform:
    return SmartleadPlatform(
        get_smartlead_client(
            key,
            means,
            base_url=settings.smartlead_base_url,
            delivery_base_url=settings.smartlead_delivery_base_url,
            plan=settings.smartlead_plan,
        )
    )


def _dns_hosts(settings: Settings, means: Means) -> Parts[DnsHost]:
    token = settings.secret("cloudflare_api_token")
    cloudflare = (
        CloudflareDns(
            CloudflareClient(
                Secret(token),
                means,
                account_id=settings.cloudflare_account_id or "",
                base_url=settings.cloudflare_base_url,
            )
        )
        if token
        else None
    )
    return Parts({"cloudflare": "cloudflare_api_token"}, {"cloudflare": cloudflare})


def _mailbox_hosts(settings: Settings, means: Means, login: Login) -> Parts[MailboxHost]:
    infraforge, mailforge = _infraforge(settings, means), settings.secret("mailforge_api_key")
    rate, url = settings.forge_calls_per_second, settings.mailforge_base_url
    return Parts(
        {"custom_smtp": "mailbox_smtp", "infraforge": "infraforge_api_key", "mailforge": "mailforge_api_key"},
        {
            "custom_smtp": CustomSmtp(_mail_servers(settings), login) if settings.mailbox_smtp else None,
            "google_workspace": google_workspace(login),
            "microsoft365": microsoft365(login),
            "infraforge": ForgeHost("infraforge", infraforge) if infraforge else None,
            "mailforge": (
                ForgeHost("mailforge", get_mailforge_client(mailforge, means, base_url=url, rate=rate))
                if mailforge
                else None
            ),
        },
    )


def _mail_servers(settings: Settings) -> MailServers:
    smtp_host, smtp_port = _endpoint("mailbox_smtp", settings.need("mailbox_smtp"))
    imap_host, imap_port = _endpoint("mailbox_imap", settings.need("mailbox_imap"))
    return MailServers(
        smtp_host=smtp_host,
        smtp_port=smtp_port,
        imap_host=imap_host,
        imap_port=imap_port,
        spf_terms=tuple(settings.need("mailbox_spf").split()),
        mx=((10, settings.need("mailbox_mx")),),
        tls=settings.mailbox_tls,
    )


def _registrars(settings: Settings, means: Means) -> Parts[Registrar]:
    key = settings.secret("namecheap_api_key")
    namecheap = (
        NamecheapRegistrar(
            NamecheapClient(
                means,
                api_user=settings.need("namecheap_api_user"),
                key=Secret(key),
                username=settings.namecheap_username or settings.need("namecheap_api_user"),
                client_ip=settings.need("namecheap_client_ip"),
                base_url=settings.namecheap_base_url,
            ),
            _registrant(settings),
        )
        if key
        else None
    )
    return Parts({"namecheap": "namecheap_api_key"}, {"namecheap": namecheap})


def _registrant(settings: Settings) -> Contact | None:
    try:
        return msgspec.convert(settings.registrant, Contact) if settings.registrant else None
    except msgspec.ValidationError as error:
        raise ConfigError(
            f"REGISTRANT is not usable: {error}.", hint="It needs every field a registrar asks for; see the settings."
        ) from None


def _channels(settings: Settings, means: Means) -> dict[str, NoticeChannel]:
    """Those that are set up; an alert without any is a row all the same."""
    found: dict[str, NoticeChannel] = {}
    token, hook = settings.secret("slack_bot_token"), settings.secret("slack_webhook_url")
    if token or hook:
        found["slack"] = SlackChannel(
            SlackClient(
                means,
                token=Secret(token) if token else None,
                webhook=Secret(hook) if hook else None,
                base_url=settings.slack_base_url,
            )
        )
    if settings.twilio_auth_token:
        found["sms"] = SmsChannel(
            TwilioClient(
                means,
                account_sid=settings.need("twilio_account_sid"),
                token=Secret(settings.need("twilio_auth_token")),
                sender=settings.need("twilio_from"),
                base_url=settings.twilio_base_url,
            )
        )
    return found


def _status_pages(settings: Settings, means: Means) -> dict[str, PublicStatus]:
    return {vendor: PublicStatus(StatusPage(vendor, url, means)) for vendor, url in settings.status_urls.items()}


def _login(db: Database, vault: Vault) -> Login:
    async def login(address: str) -> tuple[str, str] | None:
        found = await credentials.lookup(db, vault, address)
        return (found.username, found.password) if found else None

    return login


async def _close(fleet: Fleet) -> None:
    groups: tuple[Mapping[str, Any], ...] = (
        fleet.platforms, fleet.dns_hosts, fleet.mailbox_hosts, fleet.channels, fleet.registrars, fleet.sources,
        fleet.status_pages,
        *fleet.client_platforms.values(),
    )  # fmt: skip
    for group in groups:
        for part in group.values():
            await part.close()


def _endpoint(name: str, text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit():
        raise ConfigError(f"{name.upper()} is {text!r}.", hint="It is `host:port`.")
    return host, int(port)


def _kept(path: Path, make: Callable[[], str] = lambda: secrets.token_urlsafe(TOKEN_BYTES)) -> str:
    """The text in the file, made at first use, readable by this account alone; racing processes agree on one."""
    with contextlib.suppress(FileNotFoundError):
        return path.read_text().strip()
    usable(path.parent)
    new = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write(make())
    with contextlib.suppress(FileExistsError):
        os.link(new, path)
    new.unlink()
    return path.read_text().strip()
