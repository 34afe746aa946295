"""Infraforge and Mailforge as hosts of mailboxes: what they hold already is sent through again, nothing is bought."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mailfleet.errors import NotAllowed, Unknown
from mailfleet.platforms import logins
from mailfleet.platforms.ports import DkimKey, HostedMailbox
from mailfleet.rules.dns import spf
from mailfleet.vendors.estate import Domain, Mailbox, Record

_PRIORITY = 10
"""None is shown beside an MX, and there is but one."""
_KEY = "._domainkey."


class Estate(Protocol):
    """What both clients can be asked."""

    async def close(self) -> None: ...
    async def domains(self) -> Sequence[Domain]: ...
    async def dns(self, domain: str) -> Sequence[Record]: ...
    async def mailboxes(self) -> Sequence[Mailbox]: ...
    async def mailbox(self, id: str, *, with_credentials: bool = False) -> Mailbox: ...


class ForgeHost:
    """`MailboxHost` over one of the two."""

    def __init__(self, name: str, client: Estate) -> None:
        self.name, self._client = name, client

    async def close(self) -> None:
        await self._client.close()

    async def mailbox(self, address: str, display_name: str) -> HostedMailbox:
        """Credentials of this one mailbox alone are asked for. Raises Unknown when there is none, NotAllowed while it
        has none, and what `logins.check` raises when they do not fit."""
        known = next((each for each in await self._client.mailboxes() if each.email.lower() == address.lower()), None)
        if known is None:
            raise Unknown(f"{self.name} has no mailbox {address}.", hint="Order it there: mailfleet buys nothing.")
        held = (await self._client.mailbox(known.id, with_credentials=True)).credentials
        if held is None:
            raise NotAllowed(f"{self.name} has no login of {address} yet.", hint="Ask again when it is active there.")
        found = HostedMailbox(
            address=address, username=held.smtp_username, password=held.smtp_password, smtp_host=held.smtp_host,
            smtp_port=held.smtp_port, imap_host=held.imap_host, imap_port=held.imap_port,
        )  # fmt: skip
        await logins.check(found, vendor=self.name)
        return found

    async def dkim(self, domain: str) -> DkimKey:
        """The key that is published already; the host signs with the other half."""
        for record in await self._records(domain):
            selector, found, _ = record.name.lower().partition(_KEY)
            if record.type == "TXT" and found:
                return DkimKey(selector=selector, record=record.value)
        return DkimKey(selector="default", record=None)

    async def spf_terms(self, domain: str) -> Sequence[str]:
        """Those of the domain's own record, without its last word on everybody else."""
        texts = [each.value for each in await self._records(domain) if each.type == "TXT" and spf.is_spf(each.value)]
        return [term.text for text in texts for term in spf.parse(text).terms if term.name != "all"]

    async def mx(self, domain: str) -> Sequence[tuple[int, str]]:
        found = await self._records(domain)
        return [(_PRIORITY, each.value) for each in found if (each.type, each.name.lower()) == ("MX", domain.lower())]

    async def _records(self, domain: str) -> Sequence[Record]:
        for each in await self._client.domains():
            if each.name == domain.lower():
                return await self._client.dns(each.id)
        raise Unknown(f"{self.name} has no domain {domain}.", hint="Set the domain's mailbox host to where it is.")
