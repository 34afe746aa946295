"""DNS records as the Cloudflare API takes and refuses them.

Codes not in the public documentation are marked (K): general knowledge of the service, to be confirmed.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from dns.exception import DNSException

from mailfleet.sandbox.cloudflare.zone import Record
from mailfleet.sandbox.dns.zone import rdata

TYPES = ("A", "AAAA", "CAA", "CNAME", "MX", "NS", "SRV", "TXT")
PROXIABLE = ("A", "AAAA", "CNAME")
_LONGEST_WIRE = 4096
_LONGEST_SET = 8192
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPE = re.compile(r"\\(\d{3}|.)", re.DOTALL)
_LABEL = re.compile(r"(?:\*|[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)", re.IGNORECASE)


@dataclass
class Problem(Exception):
    """An error entry of the envelope, and the HTTP status it travels with."""

    code: int
    message: str
    chain: tuple[tuple[int, str], ...] = ()
    status: int = 400


def validation(code: int, message: str) -> Problem:
    """A DNS validation error: the detail is in `error_chain`."""
    return Problem(1004, "DNS Validation Error", ((code, message),))


def txt_value(content: str) -> str:
    """The text that a TXT content means: quoted strings joined with nothing between, or the bare text."""
    if not content.lstrip().startswith('"'):
        return content
    octets = content.encode().decode("latin-1")
    joined = "".join(_ESCAPE.sub(_unescape, part) for part in _STRING.findall(octets))
    return joined.encode("latin-1", "replace").decode("utf-8", "replace")


def txt_content(value: str) -> str:
    """Quoted strings of at most 255 bytes each (RFC 1035 3.3)."""
    raw = value.encode()
    parts = [raw[at : at + 255] for at in range(0, len(raw), 255)] or [b""]
    return " ".join('"' + "".join(_escaped(byte) for byte in part) + '"' for part in parts)


def presentation(record: Record) -> str:
    """The record's data in DNS presentation form."""
    if record.type in ("CNAME", "NS"):
        return _dotted(record.content)
    if record.type == "MX":
        return f"{record.priority} {_dotted(record.content)}"
    return record.content


def absolute_name(name: str, zone: str) -> str:
    """A record's full name: `@`, a name below the zone, or a name without it."""
    clean = name.strip().lower().rstrip(".")
    if clean in ("@", "", zone):
        return zone
    return clean if clean.endswith(f".{zone}") else f"{clean}.{zone}"


def parse(body: Mapping[str, object], *, zone: str, record_id: str, now: datetime) -> Record:
    """A new record from a request body. Raises Problem as the API refuses it."""
    kind = body.get("type")
    if not isinstance(kind, str) or kind.upper() not in TYPES:
        raise validation(9020, "Invalid DNS record type.")
    name = body.get("name")
    if not isinstance(name, str) or not name.strip():
        raise validation(9000, "DNS name is invalid.")
    if body.get("tags"):
        raise validation(9300, "DNS record has 1 tags, exceeding the quota of 0.")
    draft = Record(
        id=record_id,
        name=_checked_name(absolute_name(name, zone)),
        type=kind.upper(),
        content="",
        ttl=_ttl(body.get("ttl", 1)),
        proxied=_proxied(body, kind.upper()),
        priority=_priority(body, kind.upper()),
        data=_data(body),
        comment=_comment(body.get("comment")),
        created_on=now,
        modified_on=now,
    )
    return _servable(replace(draft, content=_content(draft, body)))


def _servable(record: Record) -> Record:
    """The record if a nameserver can put it on the wire. Raises Problem."""
    try:
        rdata(record.type, presentation(record)).to_wire()
    except (DNSException, ValueError) as error:
        raise validation(9207, f"Content for {record.type} record is invalid: {error}.") from None  # number: (K)
    return record


def patched(record: Record, body: Mapping[str, object], *, zone: str, now: datetime) -> Record:
    """The record with the given fields changed and the others kept."""
    kept: dict[str, object] = {
        "type": record.type,
        "name": record.name,
        "content": record.content,
        "ttl": record.ttl,
        "proxied": record.proxied,
        "priority": record.priority,
        "data": record.data,
        "comment": record.comment,
    }
    if "content" in body and "data" not in body:
        kept["data"] = None
    new = parse({**kept, **body}, zone=zone, record_id=record.id, now=now)
    return replace(new, created_on=record.created_on)


def check_set(records: Sequence[Record], zone: str) -> None:
    """What must hold between the records of a zone. Raises Problem on the first breach."""
    by_name: dict[str, list[Record]] = {}
    for record in records:
        by_name.setdefault(record.name, []).append(record)
    for name, same_name in by_name.items():
        _check_identical(same_name)
        _check_alias(same_name, at_apex=name == zone)
        _check_size(same_name)


def _check_identical(same_name: Sequence[Record]) -> None:
    seen: dict[tuple[str, str, int | None], Record] = {}
    for record in same_name:
        other = seen.setdefault((record.type, _compared(record), record.priority), record)
        if other is record:
            continue
        if (other.ttl, other.proxied) == (record.ttl, record.proxied):
            raise Problem(81058, "An identical record already exists.")
        raise Problem(81057, "The record already exists.")


def _check_alias(same_name: Sequence[Record], *, at_apex: bool) -> None:
    kinds = [record.type for record in same_name]
    if "CNAME" not in kinds:
        return
    if sum(kind in PROXIABLE for kind in kinds) > 1:
        raise Problem(81053, "An A, AAAA, or CNAME record with that host already exists.")
    if len(kinds) > 1 and not at_apex:  # At the apex the alias is flattened and may have company.
        raise Problem(81054, "A CNAME record with that host already exists.")  # (K)


def _check_size(same_name: Sequence[Record]) -> None:
    for record in same_name:
        if len(record.content.encode()) > _LONGEST_WIRE:
            raise validation(9207, "Content is longer than 4096 bytes on the wire.")  # number: (K)
        together = sum(len(other.content) for other in same_name if other.type == record.type)
        if together > _LONGEST_SET:
            raise validation(9207, "All records of this name and type together exceed 8192 characters.")


def _compared(record: Record) -> str:
    return txt_value(record.content) if record.type == "TXT" else record.content.lower()


def _content(draft: Record, body: Mapping[str, object]) -> str:
    if draft.type in ("SRV", "CAA"):
        return _structured(draft)
    content = body.get("content")
    if not isinstance(content, str) or not content.strip():
        raise validation(9017, "Content is a required data field.")  # (K)
    content = content.strip()
    if draft.type == "TXT":
        return _txt(content)
    if draft.type in ("A", "AAAA"):
        return _ip(content, draft.type)
    return _target(content, draft)


def _txt(content: str) -> str:
    if content.startswith('"') and _STRING.sub("", content).strip():
        raise validation(9217, "TXT content has unbalanced quotes.")  # (K)
    return txt_content(txt_value(content))


def _ip(content: str, kind: str) -> str:
    try:
        address = ipaddress.ip_address(content)
    except ValueError:
        address = None
    if kind == "A" and isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if kind == "AAAA" and isinstance(address, ipaddress.IPv6Address):
        return str(address)
    if kind == "A":
        raise validation(9005, "Content for A record must be a valid IPv4 address.")
    raise validation(9006, "Content for AAAA record must be a valid IPv6 address.")


def _target(content: str, draft: Record) -> str:
    clean = content.lower().rstrip(".")
    if not clean and draft.type == "MX":
        return "."
    if not _is_name(clean):
        raise validation(9007, f"Content for {draft.type} record is invalid.")
    if draft.type == "CNAME" and clean == draft.name:
        raise validation(9039, "CNAME content cannot reference itself.")
    return clean


def _structured(draft: Record) -> str:
    data = draft.data or {}
    try:
        if draft.type == "SRV":
            numbers = " ".join(str(_number(data[key])) for key in ("priority", "weight", "port"))
            return f"{numbers} {_dotted(str(data['target']))}"
        return f'{_number(data["flags"])} {data["tag"]} "{data["value"]}"'
    except (KeyError, ValueError) as error:
        raise validation(9101, f"{error} is a required data field.") from None


def _number(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 65535:
        raise ValueError(value)
    return value


def _data(body: Mapping[str, object]) -> Mapping[str, object] | None:
    data = body.get("data")
    return {str(key): value for key, value in data.items()} if isinstance(data, dict) else None


def _priority(body: Mapping[str, object], kind: str) -> int | None:
    if kind != "MX":
        return None
    try:
        return _number(body.get("priority"))
    except ValueError:
        raise validation(9101, "priority is a required data field.") from None


def _ttl(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not (value == 1 or 60 <= value <= 86400):
        raise validation(9021, "Invalid TTL. Must be between 60 and 86,400 seconds, or 1 for Automatic.")
    return value


def _proxied(body: Mapping[str, object], kind: str) -> bool:
    proxied = bool(body.get("proxied", False))
    if proxied and kind not in PROXIABLE:
        raise validation(9004, "This record type cannot be proxied.")
    return proxied


def _comment(value: object) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > 100:  # Free plan: 100 characters. (K)
        raise validation(9313, "DNS record comment is longer than 100 characters.")
    return value


def _checked_name(name: str) -> str:
    if not _is_name(name):
        raise validation(9000, "DNS name is invalid.")
    return name


def _is_name(name: str) -> bool:
    labels = name.split(".")
    return 0 < len(name) <= 253 and all(len(label) <= 63 and _LABEL.fullmatch(label) for label in labels)


def _dotted(name: str) -> str:
    return name if name.endswith(".") else f"{name}."


def _escaped(byte: int) -> str:
    char = chr(byte)
    if char in '"\\':
        return "\\" + char
    return char if 32 <= byte < 127 else f"\\{byte:03d}"


def _unescape(match: re.Match[str]) -> str:
    text = match.group(1)
    return chr(int(text)) if text.isdigit() and len(text) == 3 else text
