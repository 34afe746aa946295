"""The other ports: who serves DNS, who hosts mailboxes, who carries notices, who resolves names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import msgspec


class Zone(msgspec.Struct, frozen=True, kw_only=True):
    ref: str
    name: str
    status: Literal["initializing", "pending", "active", "moved", "unknown"]
    nameservers: tuple[str, ...]


class ZoneRecord(msgspec.Struct, frozen=True, kw_only=True):
    """`content` of a TXT is the joined, decoded text; `ref` is None before it exists."""

    type: str
    name: str
    content: str
    ttl: int = 300
    priority: int | None = None
    ref: str | None = None
    comment: str = ""


class DnsHost(Protocol):
    """Who serves a domain's zone."""

    name: str

    async def close(self) -> None: ...
    async def find_zone(self, name: str) -> Zone | None: ...
    async def zone(self, ref: str) -> Zone: ...
    async def create_zone(self, name: str) -> Zone: ...
    async def check_activation(self, ref: str) -> None: ...
    async def records(self, zone_ref: str) -> Sequence[ZoneRecord]: ...
    async def apply(
        self, zone_ref: str, *, create: Sequence[ZoneRecord] = (), change: Sequence[ZoneRecord] = ()
    ) -> Sequence[ZoneRecord]:
        """All or nothing; the records as they stand afterwards."""
        ...


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """What a domain would cost for one year, in cents of `currency`."""

    domain: str
    available: bool
    premium: bool
    price_cents: int | None
    currency: str = "USD"


class Registrar(Protocol):
    """Who sells domains and holds their delegation (D6)."""

    name: str

    async def close(self) -> None: ...
    async def quote(self, domain: str) -> Quote: ...
    async def owned(self, domain: str) -> bool: ...
    async def buy(self, domain: str, *, ceiling_cents: int) -> str:
        """Registers for one year. The caller has used up an approval and written the intent before."""
        ...

    async def nameservers(self, domain: str) -> Sequence[str]: ...
    async def set_nameservers(self, domain: str, nameservers: Sequence[str]) -> None: ...


class HostedMailbox(msgspec.Struct, frozen=True, kw_only=True):
    """A mailbox as its host gives it to us. The password never appears in a repr."""

    address: str
    username: str
    password: str
    smtp_host: str
    smtp_port: int
    imap_host: str
    imap_port: int

    def __repr__(self) -> str:
        return f"HostedMailbox(address={self.address!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("address", self.address)]


class DkimKey(msgspec.Struct, frozen=True, kw_only=True):
    """`record` is the TXT to publish; None while the host has not issued it yet (state `awaiting_key`)."""

    selector: str
    record: str | None
    private_pem: bytes | None = None

    def __repr__(self) -> str:
        return f"DkimKey(selector={self.selector!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("selector", self.selector)]


class MailboxHost(Protocol):
    """Who holds the mailboxes of a domain (D3). Only the host knows MX, SPF and DKIM."""

    name: str

    async def close(self) -> None: ...
    async def mailbox(self, address: str, display_name: str) -> HostedMailbox:
        """Credentials of a mailbox that exists, or is made now where the host can; its login is checked first."""
        ...

    async def dkim(self, domain: str) -> DkimKey: ...
    async def spf_terms(self, domain: str) -> Sequence[str]:
        """What SPF has to contain, such as `include:_spf.google.com` or `ip4:192.0.2.1`."""
        ...

    async def mx(self, domain: str) -> Sequence[tuple[int, str]]: ...


class StatusSaid(msgspec.Struct, frozen=True, kw_only=True):
    """What a vendor says of itself; `unknown` when its page cannot be read."""

    indicator: str
    description: str = ""


class StatusSource(Protocol):
    """A vendor's public status page."""

    async def close(self) -> None: ...
    async def read(self) -> StatusSaid:
        """Never raises."""
        ...


class NoticeChannel(Protocol):
    """Carries one notice to one target; raises a `VendorError` when it did not arrive."""

    name: Literal["slack", "sms", "email"]

    async def close(self) -> None: ...
    async def send(
        self, target: str, *, title: str, body: str, severity: str, context: Mapping[str, object], notice: str = ""
    ) -> str:
        """The channel's own reference of the message. `notice` is ours: the journal keeps it with the call."""
        ...


class NameAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What one server answered: kept as evidence, never flattened to yes or no."""

    server: str
    outcome: Literal["match", "mismatch", "nxdomain", "nodata", "servfail", "refused", "timeout"]
    values: tuple[str, ...] = ()
    authoritative: bool = False
    detail: str = ""


class Names(Protocol):
    """DNS as the outside sees it."""

    async def delegation(self, domain: str) -> NameAnswer:
        """The NS set that the parent zone gives."""
        ...

    async def authoritative(
        self, domain: str, name: str, type: str, nameservers: Sequence[str]
    ) -> Sequence[NameAnswer]:
        """What each of the zone's own servers answers (UDP, then TCP on truncation)."""
        ...

    async def resolvers(self, name: str, type: str) -> Sequence[NameAnswer]:
        """What each configured resolver answers."""
        ...
