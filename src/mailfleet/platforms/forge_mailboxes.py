"""The mailboxes of the Forge stack: Salesforge sends from them, Warmforge warms them up, joined by the address."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, date, datetime, timedelta

import structlog

from mailfleet.errors import ConfigError, Conflict, NotAllowed, NotFound
from mailfleet.platforms import forge_words
from mailfleet.platforms.forge_events import HOOKED
from mailfleet.platforms.port import (
    Applied,
    Capabilities,
    MailboxSeen,
    MailboxSpec,
    WarmupReading,
    WarmupSettings,
)
from mailfleet.vendors.salesforge.client import SalesforgeClient
from mailfleet.vendors.salesforge.people import BULK
from mailfleet.vendors.transport.secret import Hidden
from mailfleet.vendors.warmforge.client import PER_DAY, RAMPUP, REPLIES, WarmforgeClient
from mailfleet.vendors.warmforge.models import Mailbox as WarmMailbox

LIMITS = (1, 100)
"""Mails a day of one mailbox (salesforge:mailboxes/update)."""
_WEEK = timedelta(days=7)
log = structlog.get_logger(__name__)


class ForgeMailboxes:
    """One workspace of a Salesforge account, with the Warmforge workspace that warms it."""

    def __init__(
        self,
        core: SalesforgeClient,
        warm: WarmforgeClient | None = None,
        *,
        workspace: str = "",
        warm_workspace: str = "",
        today: Callable[[], date] = lambda: datetime.now(UTC).date(),
    ) -> None:
        self.core, self.warm = core, warm
        self.capabilities = Capabilities(
            suspend_mailboxes=False,
            schedule_read_back=False,
            find_lead=False,
            one_state=True,
            stop_lead="address",
            resume_lead_with_delay=False,
            step_statistics=False,
            warmup=warm is not None,
            webhook_retries=False,
            webhook_events=HOOKED,
            max_leads_per_call=BULK,
            warmup_per_day=PER_DAY,
            warmup_rampup=RAMPUP,
            costs=("infraforge", "warmforge", "salesforge"),
        )
        self._named = (workspace, warm_workspace or workspace)
        self._today = today
        self._ids: dict[str, str] = {}

    async def close(self) -> None:
        await self.core.close()
        if self.warm:
            await self.warm.close()

    @property
    def keys(self) -> frozenset[str]:
        return self.core.keys | (self.warm.keys if self.warm else frozenset())

    async def workspace(self) -> str:
        """The workspace named, by id, name or slug; the only one when none is. Raises ConfigError."""
        if "core" not in self._ids:
            known = {row.id: (row.name, row.slug) for row in await self.core.workspaces()}
            self._ids["core"] = _chosen("SALESFORGE_WORKSPACE", self._named[0], known)
        return self._ids["core"]

    async def warm_workspace(self) -> str:
        """Its counterpart at Warmforge, which has ids of its own."""
        if "warm" not in self._ids:
            known = {row.id: (row.name, row.slug) for row in await self._warmer().workspaces()}
            self._ids["warm"] = _chosen("WARMFORGE_WORKSPACE", self._named[1], known)
        return self._ids["warm"]

    def _warmer(self) -> WarmforgeClient:
        if self.warm is None:
            raise NotAllowed("There is no warm-up without a key for Warmforge.", hint="Set WARMFORGE_API_KEY.")
        return self.warm

    async def connect_mailbox(self, spec: MailboxSpec) -> str:
        """Connected at both. A known address is not connected twice: raises `Conflict`, find it instead."""
        ws = await self.workspace()
        if known := await self.core.mailboxes.find(ws, spec.address):
            raise Conflict(
                f"Salesforge already has {spec.address} as {known.id}.",
                vendor="salesforge",
                operation="connect_mailbox",
                hint="Adopt it with `find_mailbox`.",
                ref=known.id,
            )
        first, last = forge_words.names(spec.display_name)
        cap = min(max(spec.daily_cap, LIMITS[0]), LIMITS[1])
        fields = {"address": spec.address, "firstName": first, "lastName": last, "dailyEmailLimit": cap}
        more = {"signature": spec.signature, "trackingDomain": spec.tracking_host or ""}
        given = {**fields, **forge_words.logins(spec), **{name: value for name, value in more.items() if value}}
        made = await self.core.mailboxes.connect(ws, spec.address, Hidden(given))
        if self.warm:
            await self._connect_warmup(spec)
        return made.id

    async def _connect_warmup(self, spec: MailboxSpec) -> None:
        home = await self.warm_workspace()
        try:
            await self._warmer().connect(home, spec.address, Hidden(forge_words.warmup_login(spec)))
        except Conflict as error:
            log.info("forge.warmup_known", address=spec.address, said=error.what)

    async def find_mailbox(self, address: str) -> MailboxSeen | None:
        found = await self.core.mailboxes.find(await self.workspace(), address)
        return forge_words.mailbox(found, await self._warmed(found.address)) if found else None

    async def mailboxes(self) -> AsyncIterator[MailboxSeen]:
        warmed: dict[str, WarmMailbox] = {}
        if self.warm:
            home = await self.warm_workspace()
            warmed = {row.address.lower(): row async for row in self.warm.mailboxes(home)}
        async for found in self.core.mailboxes.list(await self.workspace()):
            yield forge_words.mailbox(found, warmed.get(found.address.lower()))

    async def mailbox(self, ref: str) -> MailboxSeen:
        found = await self.core.mailboxes.get(await self.workspace(), ref)
        return forge_words.mailbox(found, await self._warmed(found.address))

    async def _warmed(self, address: str) -> WarmMailbox | None:
        if self.warm is None:
            return None
        try:
            return await self.warm.mailbox(await self.warm_workspace(), address)
        except NotFound:
            return None

    async def set_mailbox_limits(self, ref: str, *, daily_cap: int, min_gap_minutes: int) -> Applied:
        """The gap is the vendor's own business. No mail at all is not a limit it knows: one a day is the least."""
        values, clamped = _clamp({"daily_cap": (daily_cap, LIMITS)})
        await self.core.mailboxes.update(await self.workspace(), ref, dailyEmailLimit=values["daily_cap"])
        return Applied(values=values, clamped=clamped)

    async def set_warmup(self, ref: str, settings: WarmupSettings) -> Applied:
        """The day's own figure as the least and the most, so that it is what is sent (V4)."""
        address = (await self.core.mailboxes.get(await self.workspace(), ref)).address
        values, clamped = _clamp(
            {
                "per_day": (settings.per_day, PER_DAY),
                "rampup": (settings.rampup, RAMPUP),
                "reply_percent": (settings.reply_percent, REPLIES),
            }
        )
        on = settings.enabled and settings.per_day > 0
        figures = {
            "minEmailsPerDay": values["per_day"],
            "maxEmailsPerDay": values["per_day"],
            "emailRampUp": values["rampup"],
            "replyRatePercent": values["reply_percent"],
        }
        warm = self._warmer()
        await warm.update(await self.warm_workspace(), address, warmupEnabled=on, **(figures if on else {}))
        return Applied(values={"enabled": on, **values}, clamped=clamped)

    async def warmup(self, ref: str) -> WarmupReading | None:
        if self.warm is None:
            return None
        address = (await self.core.mailboxes.get(await self.workspace(), ref)).address
        today = self._today()
        try:
            days = await self.warm.stats(await self.warm_workspace(), address, today - _WEEK, today)
        except NotFound:
            return None
        return forge_words.reading(days)

    async def suspend_mailbox(self, ref: str, suspended: bool) -> None:
        raise NotAllowed(
            "Salesforge cannot suspend a mailbox.",
            hint="Pause its campaigns, or take it out of them; see capabilities.",
        )

    async def reconnect_mailboxes(self) -> None:
        """The vendor tries again by itself; there is no call for it."""


def _chosen(setting: str, named: str, known: Mapping[str, tuple[str, str]]) -> str:
    fitting = [id for id, (name, slug) in known.items() if not named or named in (id, name, slug)]
    if len(fitting) == 1:
        return fitting[0]
    names = ", ".join(sorted(name for name, _ in known.values())) or "none"
    raise ConfigError(
        f"{setting} has to name one workspace; there are: {names}.", hint=f"Set {setting} to its name or id."
    )


def _clamp(
    asked: Mapping[str, tuple[int, tuple[int, int]]],
) -> tuple[dict[str, int], dict[str, tuple[int, int]]]:
    values = {name: min(max(value, low), high) for name, (value, (low, high)) in asked.items()}
    clamped = {name: (value, values[name]) for name, (value, _) in asked.items() if values[name] != value}
    if clamped:
        log.info("forge.clamped", **{name: f"{was}→{now}" for name, (was, now) in clamped.items()})
    return values, clamped
