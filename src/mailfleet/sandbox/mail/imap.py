"""An IMAP4rev1 server with the commands a connection test uses (RFC 3501)."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from collections.abc import Callable

_TOKEN = re.compile(r'"((?:[^"\\]|\\.)*)"|([^\s]+)')
_LITERAL = re.compile(rb"\{(\d{1,6})(\+?)\}\r?\n$")
_CAPABILITIES = "IMAP4rev1 AUTH=PLAIN SASL-IR LITERAL+"
_LONGEST_LINE = 65536
_MAILBOXES = ("INBOX", "Sent", "Trash", "Junk")

Check = Callable[[str, str], bool]
Count = Callable[[str], int]


class Connection:
    """One client's session; `check(user, password)` decides who may in, `count(user)` how many mails INBOX holds."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, check: Check, count: Count) -> None:
        self._reader, self._writer = reader, writer
        self._check, self._count = check, count
        self._user: str | None = None
        self._selected: str | None = None

    async def serve(self) -> None:
        """Talks until LOGOUT or the client goes away."""
        try:
            await self._send(f"* OK [CAPABILITY {_CAPABILITIES}] sandbox ready")
            while await self._one_command():
                pass
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, ValueError):
            pass
        except asyncio.CancelledError:  # The server is closing; Python 3.11 would log a traceback for each client.
            pass
        finally:
            self._writer.close()

    async def _one_command(self) -> bool:
        line = await self._line()
        if line is None:
            return False
        words = _words(line)
        if len(words) < 2:
            await self._send("* BAD a tag and a command are needed")
            return True
        tag, command, arguments = words[0], words[1].upper(), words[2:]
        await self._send(f"{tag} {await self._reply(command, arguments)}")
        return command != "LOGOUT"

    async def _reply(self, command: str, arguments: list[str]) -> str:
        if command in ("CAPABILITY", "NOOP", "LOGOUT", "LOGIN", "AUTHENTICATE", "ID"):
            return await self._any_state(command, arguments)
        if self._user is None:
            return "NO log in first"
        if command in ("SELECT", "EXAMINE"):
            return await self._select(arguments, read_only=command == "EXAMINE")
        if command == "LIST":
            return await self._list(arguments)
        if command == "STATUS":
            return await self._status(arguments)
        if command in ("CLOSE", "UNSELECT", "CHECK"):
            return await self._in_mailbox(command)
        return "BAD command is not known here"

    async def _any_state(self, command: str, arguments: list[str]) -> str:
        if command == "CAPABILITY":
            await self._send(f"* CAPABILITY {_CAPABILITIES}")
        elif command == "ID":
            await self._send('* ID ("name" "sandbox")')
        elif command == "LOGOUT":
            await self._send("* BYE until next time")
        elif command == "LOGIN":
            return self._login(*arguments) if len(arguments) == 2 else "BAD LOGIN takes a name and a password"
        elif command == "AUTHENTICATE":
            return await self._authenticate(arguments)
        return f"OK {command} completed"

    async def _authenticate(self, arguments: list[str]) -> str:
        if not arguments or arguments[0].upper() != "PLAIN":
            return "NO mechanism is not supported"
        if len(arguments) > 1:
            encoded = arguments[1]
        else:
            await self._send("+ ")
            encoded = await self._line() or "*"
        if encoded.strip() == "*":
            return "BAD cancelled"
        try:
            _, user, password = base64.b64decode(encoded.strip(), validate=True).decode().split("\0")
        except (binascii.Error, ValueError):
            return "BAD the response is not PLAIN"
        return self._login(user, password)

    def _login(self, user: str, password: str) -> str:
        if not self._check(user, password):
            return "NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)"
        self._user = user
        return f"OK [CAPABILITY {_CAPABILITIES}] logged in"

    async def _select(self, arguments: list[str], *, read_only: bool) -> str:
        name = _mailbox(arguments)
        if name is None:
            return "NO [NONEXISTENT] no such mailbox"
        self._selected = name
        held = self._held(name)
        await self._send(f"* {held} EXISTS\r\n* 0 RECENT\r\n* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)")
        await self._send(f"* OK [UIDVALIDITY 1] UIDs valid\r\n* OK [UIDNEXT {held + 1}] next UID")
        return "OK [READ-ONLY] EXAMINE completed" if read_only else "OK [READ-WRITE] SELECT completed"

    async def _list(self, arguments: list[str]) -> str:
        if len(arguments) != 2:
            return "BAD LIST takes a reference and a pattern"
        pattern = re.escape(arguments[1]).replace("\\*", ".*").replace("%", "[^/]*")
        if not arguments[1]:
            await self._send('* LIST (\\Noselect) "/" ""')
        for name in _MAILBOXES:
            if re.fullmatch(pattern, name, re.IGNORECASE):
                await self._send(f'* LIST (\\HasNoChildren) "/" {name}')
        return "OK LIST completed"

    async def _status(self, arguments: list[str]) -> str:
        name = _mailbox(arguments)
        if name is None:
            return "NO [NONEXISTENT] no such mailbox"
        held = self._held(name)
        values = {"MESSAGES": held, "RECENT": 0, "UIDNEXT": held + 1, "UIDVALIDITY": 1, "UNSEEN": held}
        asked = [item.strip("()").upper() for item in arguments[1:]]
        shown = " ".join(f"{item} {values[item]}" for item in asked if item in values)
        await self._send(f"* STATUS {name} ({shown})")
        return "OK STATUS completed"

    async def _in_mailbox(self, command: str) -> str:
        if self._selected is None:
            return "BAD no mailbox is selected"
        if command != "CHECK":
            self._selected = None
        return f"OK {command} completed"

    def _held(self, name: str) -> int:
        return self._count(self._user or "") if name == "INBOX" else 0

    async def _send(self, text: str) -> None:
        self._writer.write(text.encode() + b"\r\n")
        await self._writer.drain()

    async def _line(self) -> str | None:
        """One line with its literals put in as quoted strings; None at the end of the stream."""
        whole = b""
        while True:
            line = await self._reader.readline()
            if not line:
                return None
            literal = _LITERAL.search(line)
            if literal is None:
                return (whole + line).decode("utf-8", "replace").rstrip("\r\n")
            if len(whole) + int(literal[1]) > _LONGEST_LINE:
                raise ValueError("literal too long")
            if not literal[2]:
                await self._send("+ go ahead")
            text = await self._reader.readexactly(int(literal[1]))
            whole += line[: literal.start()] + b'"' + text.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def _words(line: str) -> list[str]:
    return [match[2] or re.sub(r"\\(.)", r"\1", match[1] or "") for match in _TOKEN.finditer(line)]


def _mailbox(arguments: list[str]) -> str | None:
    asked = arguments[0].lower() if arguments else ""
    return next((name for name in _MAILBOXES if name.lower() == asked), None)
