"""Mailboxes on a mail server whose logins the operator holds (D3): checked by logging in, never made here.

The DKIM key pair is ours: the record is published, the private half goes encrypted to whoever runs the mail server.
"""

from __future__ import annotations

import asyncio
import base64
import imaplib
import ipaddress
import smtplib
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from mailfleet.errors import ConfigError, Forbidden, Unauthorized, Unavailable
from mailfleet.platforms.ports import DkimKey, HostedMailbox

NAME = "custom_smtp"
TIMEOUT = 15.0
_KEY_BITS = 2048  # RFC 8301 3.2


class Login(Protocol):
    @property
    def username(self) -> str: ...
    @property
    def password(self) -> str: ...


class MailServer(msgspec.Struct, frozen=True, kw_only=True):
    """Where the mailboxes live. `spf` are the terms its sending addresses need, `mx_host` receives."""

    smtp_host: str
    smtp_port: int
    imap_host: str
    imap_port: int
    mx_host: str
    spf: tuple[str, ...]
    selector: str = "mf1"


class CustomSmtp:
    """`MailboxHost` over a server of the operator's."""

    name = NAME

    def __init__(self, server: MailServer, credentials: Callable[[str], Awaitable[Login | None]]) -> None:
        self._server = server
        self._credentials = credentials

    async def close(self) -> None:
        return None

    async def mailbox(self, address: str, display_name: str) -> HostedMailbox:
        """Raises ConfigError without a login of that address, Unauthorized when it is refused, Unavailable when the
        server does not answer."""
        login = await self._credentials(address)
        if login is None:
            raise ConfigError(
                f"There is no login for the mailbox {address}.",
                hint=f"Give it on standard input: `mailfleet mailbox credentials {address}`.",
            )
        await asyncio.to_thread(self._log_in, address, login)
        server = self._server
        return HostedMailbox(
            address=address,
            username=login.username,
            password=login.password,
            smtp_host=server.smtp_host,
            smtp_port=server.smtp_port,
            imap_host=server.imap_host,
            imap_port=server.imap_port,
        )

    async def dkim(self, domain: str) -> DkimKey:
        """A new key pair; whoever asks stores it and does not ask again for the same domain."""
        private = await asyncio.to_thread(rsa.generate_private_key, 65537, _KEY_BITS)
        public = private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return DkimKey(
            selector=self._server.selector,
            record=f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}",  # RFC 6376 3.6.1
            private_pem=private.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
        )

    def spf_terms(self) -> Sequence[str]:
        return self._server.spf

    def mx(self, domain: str) -> Sequence[tuple[int, str]]:
        return [(10, self._server.mx_host)]

    def _log_in(self, address: str, login: Login) -> None:
        try:
            self._smtp(login)
            self._imap(login)
        except (smtplib.SMTPAuthenticationError, imaplib.IMAP4.error):
            raise Unauthorized(
                f"The mail server refuses the login of {address}.",
                vendor=NAME,
                operation="login",
                hint=f"Give the right password: `mailfleet mailbox credentials {address}`.",
            ) from None  # the original may carry what was sent
        except (OSError, smtplib.SMTPException) as error:
            raise Unavailable(
                f"The mail server of {address} does not answer: {error.__class__.__name__}.",
                vendor=NAME,
                operation="login",
                hint="Check its host names and ports, and that it accepts connections from here.",
            ) from None

    def _smtp(self, login: Login) -> None:
        server = self._server
        kind = smtplib.SMTP_SSL if server.smtp_port == 465 else smtplib.SMTP
        with kind(server.smtp_host, server.smtp_port, timeout=TIMEOUT) as smtp:
            smtp.ehlo()
            if smtp.has_extn("starttls"):
                smtp.starttls(context=ssl.create_default_context())
                smtp.ehlo()
            elif kind is smtplib.SMTP:
                _only_on_loopback(server.smtp_host)
            smtp.login(login.username, login.password)

    def _imap(self, login: Login) -> None:
        server = self._server
        if server.imap_port == 993:
            imap: imaplib.IMAP4 = imaplib.IMAP4_SSL(
                server.imap_host, server.imap_port, ssl_context=ssl.create_default_context(), timeout=TIMEOUT
            )
        else:
            imap = imaplib.IMAP4(server.imap_host, server.imap_port, timeout=TIMEOUT)
        with imap:
            if not isinstance(imap, imaplib.IMAP4_SSL):
                if "STARTTLS" in imap.capabilities:
                    imap.starttls(ssl_context=ssl.create_default_context())
                else:
                    _only_on_loopback(server.imap_host)
            imap.login(login.username, login.password)


def _only_on_loopback(host: str) -> None:
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if not loopback:
        raise Forbidden(
            f"{host} offers no TLS, and a password is not sent in clear.",
            vendor=NAME,
            operation="login",
            hint="Use a port with TLS (465, 993) or a server that offers STARTTLS.",
        )
