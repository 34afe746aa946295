"""The logins the vendor makes while a mailbox is connected: SMTP AUTH and IMAP LOGIN, really spoken."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
from collections.abc import Mapping
from typing import Any
from weakref import WeakValueDictionary

from mailfleet.sandbox.dns.fixed import MAIL_HOST
from mailfleet.sandbox.world import World

# What the mail host says to a wrong password, by SMTP and by IMAP.
_REFUSED = (
    "Invalid login: 535 5.7.8 Authentication credentials invalid",
    "NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)",
)
_PATIENCE = 10.0
_LINE_END = b"\r\n"


IN_PROCESS: WeakValueDictionary[str, World] = WeakValueDictionary()
"""Names of mail hosts without a socket, each the host of a world of this process."""


class LoginFailed(Exception):
    """The mail host refused, or could not be reached; the text is what the vendor repeats."""


async def check_logins(fields: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Logs in over SMTP and IMAP with these settings; the failure texts of both, None where it worked."""
    user, password = str(fields["username"]), str(fields["password"])
    imap_user = str(fields.get("imap_username") or user)
    imap_password = str(fields.get("imap_password") or password)
    smtp = _attempt(_smtp, str(fields["smtp_host"]), int(fields["smtp_port"]), user, password)
    imap = _attempt(_imap, str(fields["imap_host"]), int(fields["imap_port"]), imap_user, imap_password)
    return await smtp, await imap


async def _attempt(speak: Any, host: str, port: int, user: str, password: str) -> str | None:
    local = IN_PROCESS.get(host)
    if local is not None:
        return None if local.mail_accounts.get(user.lower()) == password else _REFUSED[speak is _imap]
    try:
        async with asyncio.timeout(_PATIENCE):
            reader, writer = await asyncio.open_connection(_reachable(host), port)
            try:
                await speak(reader, writer, user, password)
            finally:
                writer.close()
    except LoginFailed as refusal:
        return str(refusal)
    except TimeoutError:
        return "Connection timeout"
    except OSError:
        return f"connect ECONNREFUSED {host}:{port}"
    except asyncio.IncompleteReadError:
        return "Connection closed unexpectedly"
    return None


def _reachable(host: str) -> str:
    if host.lower().rstrip(".") in (MAIL_HOST, "localhost"):
        return "127.0.0.1"
    try:
        # Nothing outside this machine is ever contacted.
        if ipaddress.ip_address(host).is_loopback:
            return host
    except ValueError:
        pass
    raise LoginFailed(f"getaddrinfo ENOTFOUND {host}")


async def _smtp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, user: str, password: str) -> None:
    await _reply(reader, "220")
    writer.write(b"EHLO smartlead.sandbox.example" + _LINE_END)
    await _reply(reader, "250")
    token = base64.b64encode(f"\0{user}\0{password}".encode())
    writer.write(b"AUTH PLAIN " + token + _LINE_END)
    await _reply(reader, "235", "Invalid login: ")
    writer.write(b"QUIT" + _LINE_END)


async def _reply(reader: asyncio.StreamReader, wanted: str, before: str = "") -> None:
    while True:
        line = (await reader.readuntil(b"\n")).decode("utf-8", "replace").strip()
        if line[3:4] != "-":
            break
    if not line.startswith(wanted):
        raise LoginFailed(before + line)


async def _imap(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, user: str, password: str) -> None:
    await reader.readuntil(b"\n")
    quoted = " ".join('"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' for text in (user, password))
    writer.write(b"a1 LOGIN " + quoted.encode() + _LINE_END)
    line = ""
    while not line.startswith("a1 "):
        line = (await reader.readuntil(b"\n")).decode("utf-8", "replace").strip()
    if not line.startswith("a1 OK"):
        raise LoginFailed(line[3:])
    writer.write(b"a2 LOGOUT" + _LINE_END)
