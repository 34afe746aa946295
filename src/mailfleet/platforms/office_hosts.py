"""Google Workspace and Microsoft 365: the host issues the DKIM key and has no call for it; a person pastes it (D3)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from mailfleet.platforms.custom_smtp import Credentials, CustomSmtp, MailServer
from mailfleet.platforms.ports import DkimKey, HostedMailbox

Pasted = Callable[[str], Awaitable[str | None]]
"""domain → the DKIM record a person copied from the host's console, None while nobody did."""
GOOGLE = MailServer(
    smtp_host="smtp.gmail.com",
    smtp_port=587,
    imap_host="imap.gmail.com",
    imap_port=993,
    spf=("include:_spf.google.com",),
    mx_host="smtp.google.com",
    mx_priority=1,
    selector="google",
)
MICROSOFT = MailServer(
    smtp_host="smtp.office365.com",
    smtp_port=587,
    imap_host="outlook.office365.com",
    imap_port=993,
    spf=("include:spf.protection.outlook.com",),
    mx_host="",
    mx_priority=0,
    selector="selector1",
)


async def nobody(_domain: str) -> str | None:
    """No one has pasted anything."""
    return None


class OfficeHost:
    """`MailboxHost` whose mailboxes exist already and whose DKIM key is `awaiting_key` until it is pasted."""

    def __init__(self, name: str, server: MailServer, credentials: Credentials, pasted: Pasted = nobody) -> None:
        self.name = name
        self._server, self._pasted = server, pasted
        self._logins = CustomSmtp(server, credentials, name=name)

    async def close(self) -> None:
        await self._logins.close()

    async def mailbox(self, address: str, display_name: str) -> HostedMailbox:
        return await self._logins.mailbox(address, display_name)

    async def dkim(self, domain: str) -> DkimKey:
        return DkimKey(selector=self._server.selector, record=await self._pasted(domain))

    def spf_terms(self) -> Sequence[str]:
        return self._server.spf

    def mx(self, domain: str) -> Sequence[tuple[int, str]]:
        """Microsoft's host name is made from the domain; Google has one for all."""
        host = self._server.mx_host or f"{domain.lower().replace('.', '-')}.mail.protection.outlook.com"
        return [(self._server.mx_priority, host)]


def google_workspace(credentials: Credentials, pasted: Pasted = nobody) -> OfficeHost:
    return OfficeHost("google_workspace", GOOGLE, credentials, pasted)


def microsoft365(credentials: Credentials, pasted: Pasted = nobody) -> OfficeHost:
    return OfficeHost("microsoft365", MICROSOFT, credentials, pasted)
