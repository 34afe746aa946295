"""Mailboxes on a mail server whose logins the operator holds (D3): checked by logging in, never made here.

The DKIM key pair is ours: the record is published, the private half goes encrypted to whoever runs the mail server.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Sequence

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from mailfleet.errors import ConfigError
from mailfleet.platforms import logins
from mailfleet.platforms.ports import DkimKey, HostedMailbox

NAME = "custom_smtp"
KEY_BITS = 2048
"""RFC 8301 3.2: signers SHOULD use at least 2048."""


Login = Callable[[str], Awaitable[tuple[str, str] | None]]
"""address → (username, password), None when none was given."""


class MailServers(msgspec.Struct, frozen=True, kw_only=True):
    """Where the mailboxes live, and what a domain has to publish for them."""

    smtp_host: str
    smtp_port: int
    imap_host: str
    imap_port: int
    spf_terms: tuple[str, ...]
    mx: tuple[tuple[int, str], ...]
    selector: str = "mf1"
    tls: bool = True
    """Off: STARTTLS is left alone, which only loopback gets away with."""


class CustomSmtp:
    """`MailboxHost` over a server of the operator's."""

    def __init__(self, servers: MailServers, login: Login, *, name: str = NAME) -> None:
        self.name = name
        self._servers, self._login = servers, login

    async def close(self) -> None:
        """Nothing is held open between logins."""

    async def mailbox(self, address: str, display_name: str) -> HostedMailbox:
        """Raises ConfigError without a login of that address, and what `logins.check` raises when it fails."""
        found = await self._hosted(address)
        await logins.check(found, vendor=self.name, tls=self._servers.tls)
        return found

    async def dkim(self, domain: str) -> DkimKey:
        """A new key pair each time: whoever asks stores the first one and does not ask again."""
        return await asyncio.to_thread(key_pair, self._servers.selector)

    async def spf_terms(self, domain: str) -> Sequence[str]:
        return self._servers.spf_terms

    async def mx(self, domain: str) -> Sequence[tuple[int, str]]:
        return self._servers.mx

    async def _hosted(self, address: str) -> HostedMailbox:
        login = await self._login(address)
        if login is None:
            raise ConfigError(
                f"There is no login for the mailbox {address}.",
                hint=f"Give it on standard input: `mailfleet mailbox credentials {address}`.",
            )
        servers = self._servers
        return HostedMailbox(
            address=address,
            username=login[0],
            password=login[1],
            smtp_host=servers.smtp_host,
            smtp_port=servers.smtp_port,
            imap_host=servers.imap_host,
            imap_port=servers.imap_port,
        )


def key_pair(selector: str) -> DkimKey:
    """RSA 2048; the record as it is published (RFC 6376 3.6.1)."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    record = f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"
    return DkimKey(selector=selector, record=record, private_pem=private)
