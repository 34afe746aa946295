"""Does a mailbox's login work? SMTP and IMAP, over TLS wherever it is offered, in the clear on loopback alone."""

from __future__ import annotations

import asyncio
import imaplib
import ipaddress
import smtplib
import socket
import ssl
from collections.abc import Callable

from mailfleet.errors import Forbidden, TimedOut, Unauthorized, Unavailable, VendorError
from mailfleet.platforms.ports import HostedMailbox

SUBMISSIONS, IMAPS = 465, 993
SECONDS = 20.0
Attempt = Callable[[HostedMailbox, bool], None]


async def check(mailbox: HostedMailbox, *, vendor: str, tls: bool = True) -> None:
    """Raises `Unauthorized` for a wrong password, `Forbidden` without TLS, `Unavailable` for no answer."""
    await asyncio.gather(
        asyncio.to_thread(_guarded, _smtp, mailbox, vendor, "smtp_login", tls),
        asyncio.to_thread(_guarded, _imap, mailbox, vendor, "imap_login", tls),
    )


class _NoTls(Exception):
    """The server offers none, and it is not this machine."""


def _guarded(login: Attempt, mailbox: HostedMailbox, vendor: str, operation: str, tls: bool) -> None:
    """Runs one login; its errors are raised from here, where no frame holds the password."""
    try:
        login(mailbox, tls)
        return
    except (smtplib.SMTPAuthenticationError, imaplib.IMAP4.error) as error:
        kind, told = Unauthorized, _said(error)
    except _NoTls:
        kind, told = Forbidden, "the server offers no TLS"
    except TimeoutError:
        kind, told = TimedOut, f"no answer in {SECONDS:g} s"
    except (OSError, smtplib.SMTPException, ssl.SSLError) as error:
        kind, told = Unavailable, _said(error)
    raise _failed(kind, mailbox, vendor, operation, told)


def _failed(kind: type[VendorError], mailbox: HostedMailbox, vendor: str, operation: str, told: str) -> VendorError:
    where = operation.partition("_")[0].upper()
    hints: dict[type[VendorError], str] = {
        Unauthorized: "Give the mailbox's password again; the host may need an app password.",
        Forbidden: "A password is sent in the clear to this machine only: switch TLS on at the server.",
    }
    return kind(
        f"{where} login of {mailbox.address} failed: {told}.",
        vendor=vendor,
        operation=operation,
        hint=hints.get(kind, "Check host and port of the mail server, and that it is reachable from here."),
    )


def _smtp(mailbox: HostedMailbox, tls: bool) -> None:
    context = _context(mailbox.smtp_host)
    if mailbox.smtp_port == SUBMISSIONS:
        with smtplib.SMTP_SSL(mailbox.smtp_host, mailbox.smtp_port, timeout=SECONDS, context=context) as server:
            server.login(mailbox.username, mailbox.password)
        return
    with smtplib.SMTP(mailbox.smtp_host, mailbox.smtp_port, timeout=SECONDS) as server:
        server.ehlo()
        if tls and server.has_extn("starttls"):
            server.starttls(context=context)
            server.ehlo()
        elif not loopback(mailbox.smtp_host):
            raise _NoTls
        server.login(mailbox.username, mailbox.password)


def _imap(mailbox: HostedMailbox, tls: bool) -> None:
    context = _context(mailbox.imap_host)
    if mailbox.imap_port == IMAPS:
        with imaplib.IMAP4_SSL(mailbox.imap_host, mailbox.imap_port, ssl_context=context, timeout=SECONDS) as server:
            server.login(mailbox.username, mailbox.password)
        return
    with imaplib.IMAP4(mailbox.imap_host, mailbox.imap_port, timeout=SECONDS) as server:
        if tls and "STARTTLS" in server.capabilities:
            server.starttls(context)
        elif not loopback(mailbox.imap_host):
            raise _NoTls
        server.login(mailbox.username, mailbox.password)


def loopback(host: str) -> bool:
    """Whether all of a host's addresses are this machine's own."""
    try:
        found = {info[4][0] for info in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return bool(found) and all(ipaddress.ip_address(address).is_loopback for address in found)


def _context(host: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if loopback(host):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _said(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        text = error.smtp_error
        return f"{error.smtp_code} {text.decode('utf-8', 'replace') if isinstance(text, bytes) else text}"[:200]
    return str(error)[:200] or type(error).__name__
