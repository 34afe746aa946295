"""Google Workspace and Microsoft 365: the host issues the DKIM key and has no call for it; a person pastes it (D3)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from mailfleet.platforms.custom_smtp import CustomSmtp, Login, MailServers
from mailfleet.platforms.ports import DkimKey, HostedMailbox

Pasted = Callable[[str], Awaitable[str | None]]
"""domain → the DKIM record a person copied from the host's console, None while nobody did."""
GOOGLE = MailServers(
    smtp_host="smtp.gmail.com",
    smtp_port=587,
    imap_host="imap.gmail.com",
    imap_port=993,
    spf_terms=("include:_spf.google.com",),
    mx=((1, "smtp.google.com"),),
    selector="google",
)
MICROSOFT = MailServers(
    smtp_host="smtp.office365.com",
    smtp_port=587,
    imap_host="outlook.office365.com",
    imap_port=993,
    spf_terms=("include:spf.protection.outlook.com",),
    mx=(),
    selector="selector1",
)


async def nobody(_domain: str) -> str | None:
    """No one has pasted anything."""
    return None


class OfficeHost:
    """`MailboxHost` whose mailboxes exist already and whose DKIM key is `awaiting_key` until it is pasted."""

    def __init__(self, name: str, servers: MailServers, login: Login, pasted: Pasted = nobody) -> None:
        self.name = name
        self._servers, self._pasted = servers, pasted
        self._logins = CustomSmtp(servers, login, name=name)

    async def close(self) -> None:
        await self._logins.close()

    async def mailbox(self, address: str, display_name: str) -> HostedMailbox:
        return await self._logins.mailbox(address, display_name)

    async def dkim(self, domain: str) -> DkimKey:
        return DkimKey(selector=self._servers.selector, record=await self._pasted(domain))

    async def spf_terms(self, domain: str) -> Sequence[str]:
        return self._servers.spf_terms

    async def mx(self, domain: str) -> Sequence[tuple[int, str]]:
        """Microsoft's host name is made from the domain; Google has one for all."""
        return self._servers.mx or ((0, f"{domain.lower().replace('.', '-')}.mail.protection.outlook.com"),)


def google_workspace(login: Login, pasted: Pasted = nobody) -> OfficeHost:
    return OfficeHost("google_workspace", GOOGLE, login, pasted)


def microsoft365(login: Login, pasted: Pasted = nobody) -> OfficeHost:
    return OfficeHost("microsoft365", MICROSOFT, login, pasted)
