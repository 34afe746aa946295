"""TXT content between text and the quoted strings of a zone file (RFC 1035 5.1)."""

from __future__ import annotations

import re

LONGEST = 255
_STRING = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.S)
_ESCAPE = re.compile(rb"\\(\d{3}|.)", re.S)


def encode(text: str) -> str:
    """Quoted strings of at most 255 octets, joined by a space."""
    raw = text.encode()
    pieces = [raw[start : start + LONGEST] for start in range(0, len(raw), LONGEST)] or [b""]
    return " ".join('"' + _escaped(piece) + '"' for piece in pieces)


def decode(content: str) -> str:
    """The strings joined with nothing between; text without quotes is taken as it stands."""
    stripped = content.strip()
    if not stripped.startswith('"'):
        return content
    joined = b"".join(_ESCAPE.sub(_octet, piece) for piece in _STRING.findall(stripped.encode()))
    return joined.decode("utf-8", "replace")


def _escaped(piece: bytes) -> str:
    return "".join(
        f"\\{chr(octet)}" if octet in b'"\\' else chr(octet) if 32 <= octet < 127 else f"\\{octet:03d}"
        for octet in piece
    )


def _octet(found: re.Match[bytes]) -> bytes:
    said = found[1]
    return bytes([int(said) & 255]) if len(said) == 3 else said
