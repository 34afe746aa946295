"""A whole message read for what it reports: RFC 3464 delivery, RFC 5965 feedback, older forms by flufl.bounce."""

from __future__ import annotations

import email
import email.policy
import re
from email.errors import MessageError
from email.message import Message
from typing import Literal

import msgspec
from flufl.bounce import all_failures

Kind = Literal["delivery", "feedback", "automatic", "old", "plain"]
LOOKS_WHOLE = re.compile(r"\A(?:From |[A-Za-z][\w-]{1,40}:[ \t]).*?\n(?:[A-Za-z][\w-]{1,40}:|[ \t])", re.DOTALL)
HEADERS = re.compile(
    r"^(?:received|return-path|from|to|subject|date|message-id|mime-version|content-type):", re.I | re.M
)
ADDRESS = re.compile(r"[^\s<>;,\"']+@[^\s<>;,\"']+")
LARGEST = 2_000_000
"""Characters of a message that are looked at."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """`diagnostic` is the refusal in the other server's words; `message_ids` those of our mail that came back."""

    kind: Kind
    recipients: tuple[str, ...] = ()
    action: str = ""
    status: str = ""
    diagnostic: str = ""
    message_ids: tuple[str, ...] = ()
    body: str = ""


def looks_whole(text: str) -> bool:
    """Is it a message with headers, not a line of one?"""
    return bool(LOOKS_WHOLE.match(text)) and len(HEADERS.findall(text[:8000])) >= 3


def read(text: str) -> Report:
    """What `text`, a whole message, reports. Rubbish is `plain`: nothing here raises."""
    try:
        message = email.message_from_string(text[:LARGEST], policy=email.policy.compat32)
        return _read(message)
    except (MessageError, LookupError, ValueError, TypeError, AttributeError, RecursionError):
        return Report(kind="plain", body=text[:20_000])


def _read(message: Message) -> Report:
    parts = list(message.walk())
    ids = tuple(dict.fromkeys(filter(None, (_id(part) for part in parts[1:]))))
    body = _body(parts)
    if feedback := next((part for part in parts if part.get_content_type() == "message/feedback-report"), None):
        told = _fields(feedback)
        who = (*ADDRESS.findall(told.get("original-rcpt-to", "")), *ADDRESS.findall(told.get("removal-recipient", "")))
        return Report(kind="feedback", recipients=who, action=told.get("feedback-type", ""), message_ids=ids, body=body)
    if status := next((part for part in parts if part.get_content_type() == "message/delivery-status"), None):
        return _delivery(_fields(status), ids, body)
    if (message.get("Auto-Submitted") or "no").split(";")[0].strip().lower() == "auto-replied":
        return Report(kind="automatic", body=body)
    if found := sorted(str(each, "ascii", "replace") for each in _old_forms(message)):
        return Report(kind="old", recipients=tuple(found), diagnostic=_refusal(body), message_ids=ids, body=body)
    return Report(kind="plain", message_ids=ids, body=body)


def _old_forms(message: Message) -> set[bytes]:
    temporary, permanent = all_failures(message)
    return {*temporary, *permanent}


def _delivery(told: dict[str, str], ids: tuple[str, ...], body: str) -> Report:
    who = ADDRESS.findall(told.get("final-recipient", "") or told.get("original-recipient", ""))
    words = re.sub(r"^\s*[\w-]+\s*;\s*", "", told.get("diagnostic-code", ""))
    return Report(
        kind="delivery",
        recipients=tuple(who[:20]),
        action=told.get("action", "").strip().lower(),
        status=told.get("status", "").split(" ")[0].strip(),
        diagnostic=words.strip() or _refusal(body),
        message_ids=ids,
        body=body,
    )


def _fields(part: Message) -> dict[str, str]:
    """The fields of all blocks; a later recipient's never hide the first's."""
    found: dict[str, str] = {}
    payload = part.get_payload()
    blocks = payload if isinstance(payload, list) else [email.message_from_string(str(payload))]
    for block in blocks:
        if isinstance(block, Message):
            for name, value in block.items():
                found.setdefault(name.lower(), re.sub(r"\s+", " ", str(value)))
    return found


def _body(parts: list[Message]) -> str:
    for part in parts:
        if part.get_content_type() == "text/plain":
            raw = part.get_payload(decode=True)
            return (raw if isinstance(raw, bytes) else b"").decode(_charset(part), "replace")[:20_000]
    return ""


def _charset(part: Message) -> str:
    name = str(part.get_content_charset() or "utf-8")
    try:
        "".encode(name)
    except LookupError:
        return "utf-8"
    return name


def _id(part: Message) -> str:
    return str(part.get("Message-ID") or "").strip() if part.get_content_type() != "message/rfc822" else ""


def _refusal(body: str) -> str:
    """The line that speaks as a server does, with a code."""
    found = re.search(r"^.*(?<![\d.])[45]\d\d[ -](?:#?[45]\.\d{1,3}\.\d{1,3}\b)?.*$", body, re.MULTILINE)
    return found.group(0).strip() if found else ""
