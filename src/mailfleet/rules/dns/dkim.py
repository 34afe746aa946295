"""DKIM key records: parse, measure, compare with the key that was issued (RFC 6376, 8301, 8463)."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Literal

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

BITS_MIN = 1024
BITS_ADVISED = 2048
STRING_MAX = 255


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """`bits` is None for Ed25519 and for a revoked key; `p` is the key's base64 without spaces."""

    kind: Literal["rsa", "ed25519"]
    p: str
    bits: int | None
    revoked: bool
    testing: bool
    strict_identity: bool


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    ok: bool
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def name(selector: str, domain: str) -> str:
    """Where the record stands."""
    return f"{selector}._domainkey.{domain}".lower()


def tags(record: str) -> dict[str, str]:
    """A tag list as a dict (RFC 6376 3.2). Raises ValueError for a tag twice or a piece that is no tag."""
    found: dict[str, str] = {}
    for piece in record.split(";"):
        if not piece.strip():
            continue
        key, sign, value = piece.partition("=")
        key = key.strip()
        if not sign or not re.fullmatch(r"[A-Za-z]\w*", key):
            raise ValueError(f"{piece.strip()[:40]!r} is not a tag")
        if key in found:
            raise ValueError(f"tag {key} occurs twice")
        found[key] = value.strip()
    return found


def parse(record: str) -> Key:
    """Raises ValueError saying what is wrong with the record."""
    found = tags(record)
    if found.get("v", "DKIM1") != "DKIM1":
        raise ValueError(f"v is {found['v']!r}, not DKIM1")
    if "p" not in found:
        raise ValueError("the record has no p tag")
    kind = found.get("k", "rsa").lower()
    if kind not in ("rsa", "ed25519"):
        raise ValueError(f"k is {kind!r}, neither rsa nor ed25519")
    p = re.sub(r"\s+", "", found["p"])
    flags = {flag.strip() for flag in found.get("t", "").split(":")}
    return Key(
        kind="rsa" if kind == "rsa" else "ed25519",
        p=p,
        bits=_bits(p) if kind == "rsa" and p else None,
        revoked=not p,
        testing="y" in flags,
        strict_identity="s" in flags,
    )


def _bits(p: str) -> int:
    try:
        key = load_der_public_key(base64.b64decode(p, validate=True))
    except (ValueError, binascii.Error, UnsupportedAlgorithm) as error:
        raise ValueError("p does not hold a public key") from error
    if not isinstance(key, RSAPublicKey):
        raise ValueError("p does not hold an RSA key")
    return key.key_size


def judge(published: str, issued: str | None = None) -> Judgement:
    """Is the published record usable, and is it the key that was issued (doctor check 8)?"""
    try:
        key = parse(published)
    except ValueError as error:
        return Judgement(ok=False, problems=(str(error),))
    problems: list[str] = []
    if key.revoked:
        problems.append("the key is revoked: p is empty")
    if key.testing:
        problems.append("t=y: receivers treat the key as a test")
    if key.bits is not None and key.bits < BITS_MIN:
        problems.append(f"the key has {key.bits} bits, at least {BITS_MIN} are needed (RFC 8301)")
    if issued is not None and not same_key(published, issued):
        problems.append("the key is not the one that was issued")
    weak = key.bits is not None and BITS_MIN <= key.bits < BITS_ADVISED
    warnings = (f"the key has {key.bits} bits, {BITS_ADVISED} are advised (RFC 8301)",) if weak else ()
    return Judgement(ok=not problems, problems=tuple(problems), warnings=warnings)


def same_key(one: str, other: str) -> bool:
    """Do two records publish the same key, however they are spaced and ordered?"""
    try:
        a, b = parse(one), parse(other)
    except ValueError:
        return False
    return (a.kind, a.p) == (b.kind, b.p)


def strings(text: str) -> tuple[str, ...]:
    """A TXT's text cut into strings of at most 255 octets, which are joined again with nothing between."""
    raw = text.encode()
    return tuple(raw[i : i + STRING_MAX].decode() for i in range(0, len(raw), STRING_MAX)) or ("",)
