"""The mail host: SMTP submission and IMAP on loopback, for the accounts the world holds."""

from __future__ import annotations

import asyncio
import hmac
import logging
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from mailfleet.sandbox.dns.fixed import MAIL_ADDRESS, MAIL_HOST
from mailfleet.sandbox.mail.imap import Connection
from mailfleet.sandbox.world import World

_ADDRESS = re.compile(r"[^@\s<>]+@[^@\s<>]+\.[^@\s<>]+")
_MOST_BYTES = 10 * 1024 * 1024


@dataclass
class MailServers:
    """Where the mail host listens."""

    host: str
    smtp_port: int
    imap_port: int
    closers: list[Callable[[], None]] = field(default_factory=list[Callable[[], None]])

    hostname = MAIL_HOST
    spf = f"ip4:{MAIL_ADDRESS}"

    def close(self) -> None:
        """Stops listening."""
        for closer in self.closers:
            closer()


async def start(world: World, host: str = "127.0.0.1") -> MailServers:
    """Opens SMTP and IMAP on free ports of `host`."""
    # aiosmtpd warns on every connection that AUTH is offered without TLS; here that is meant.
    logging.getLogger("mail.log").setLevel(logging.ERROR)
    loop = asyncio.get_running_loop()
    smtp = await loop.create_server(lambda: _smtp(world), host, 0)
    imap = await asyncio.start_server(lambda reader, writer: _imap(world, reader, writer), host, 0)
    smtp_port, imap_port = (cast(int, server.sockets[0].getsockname()[1]) for server in (smtp, imap))
    return MailServers(host, smtp_port, imap_port, [smtp.close, imap.close])


def accepts(world: World, user: str, password: str) -> bool:
    """Whether the mail host lets this user in."""
    held = world.mail_accounts.get(user.lower())
    return held is not None and hmac.compare_digest(held.encode(), password.encode())


def inbox(world: World, address: str) -> list[bytes]:
    """The mails that lie in an account's INBOX."""
    return world.state.setdefault("inboxes", {}).setdefault(address.lower(), [])


async def _imap(world: World, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await Connection(
        reader,
        writer,
        check=lambda user, password: accepts(world, user, password),
        count=lambda user: len(inbox(world, user)),
    ).serve()


def _smtp(world: World) -> SMTP:
    with warnings.catch_warnings():
        # Loopback: there is no TLS to require before AUTH.
        warnings.simplefilter("ignore", UserWarning)
        return SMTP(
            _Handler(world),
            hostname=MAIL_HOST,
            ident="sandbox",
            data_size_limit=_MOST_BYTES,
            enable_SMTPUTF8=True,
            auth_required=True,
            auth_require_tls=False,
            authenticator=lambda server, session, envelope, mechanism, given: _authenticate(world, given),
            loop=asyncio.get_running_loop(),
        )


def _authenticate(world: World, given: object) -> AuthResult:
    if not isinstance(given, LoginPassword):
        return AuthResult(success=False, handled=False)
    user, password = given.login.decode("utf-8", "replace"), given.password.decode("utf-8", "replace")
    if accepts(world, user, password):
        return AuthResult(success=True, auth_data=user.lower())
    return AuthResult(success=False, handled=False, message="535 5.7.8 Authentication credentials invalid")


class _Handler:
    def __init__(self, world: World) -> None:
        self._world = world

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.lower() != session.auth_data:
            return "553 5.7.1 Sender address is not owned by the authenticated user"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if not _ADDRESS.fullmatch(address):
            return "501 5.1.3 Bad recipient address syntax"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = envelope.content if isinstance(envelope.content, bytes) else (envelope.content or "").encode()
        for address in envelope.rcpt_tos:
            if address.lower() in self._world.mail_accounts:
                inbox(self._world, address).append(content)
        self._world.log.mail(mail_from=envelope.mail_from, rcpt_to=list(envelope.rcpt_tos), size=len(content))
        return "250 2.0.0 OK: queued"
