"""DMARC records: parse, judge, and what to publish (RFC 9989, D4)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from mailfleet.rules import address
from mailfleet.rules.dns import dkim

KNOWN = frozenset({"v", "p", "sp", "np", "t", "psd", "adkim", "aspf", "rua", "ruf", "fo"})
HISTORIC = frozenset({"pct", "rf", "ri"})
"""RFC 9989 made these historic: never written, pointed out where found."""
STRENGTH = ("none", "quarantine", "reject")

PolicyWord = Literal["none", "quarantine", "reject"]


class Dmarc(msgspec.Struct, frozen=True, kw_only=True):
    """`effective` takes `t=y` into account: one level weaker."""

    p: PolicyWord
    effective: PolicyWord
    tags: dict[str, str]
    rua: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def is_dmarc(text: str) -> bool:
    """Begins with `v=DMARC1`, exactly."""
    head = text.split(";")[0].replace(" ", "")
    return head == "v=DMARC1"


def parse(text: str) -> Dmarc:
    """Raises ValueError for what receivers would ignore as a whole."""
    if not is_dmarc(text):
        raise ValueError("the record does not begin with v=DMARC1")
    found = dkim.tags(text)
    policy = found.get("p", "none").lower()
    if policy not in STRENGTH:
        raise ValueError(f"p is {policy!r}, not one of {', '.join(STRENGTH)}")
    for tag, allowed in (
        ("sp", STRENGTH),
        ("np", STRENGTH),
        ("t", ("y", "n")),
        ("adkim", ("r", "s")),
        ("aspf", ("r", "s")),
    ):
        if tag in found and found[tag].lower() not in allowed:
            raise ValueError(f"{tag} is {found[tag]!r}, not one of {', '.join(allowed)}")
    return Dmarc(
        p=_word(policy),
        effective=_word(_weaker(policy) if found.get("t", "n").lower() == "y" else policy),
        tags=found,
        rua=tuple(uri.strip() for uri in found.get("rua", "").split(",") if uri.strip()),
        warnings=_warnings(found),
    )


def _warnings(found: dict[str, str]) -> tuple[str, ...]:
    told = [f"{tag} is historic since RFC 9989 and has no effect" for tag in sorted(HISTORIC & found.keys())]
    if "p" not in found:
        told.append("p is missing and counts as none")
    if "fo" in found and "ruf" not in found:
        told.append("fo has no effect without ruf")
    if "rua" not in found:
        told.append("no rua: nobody receives reports")
    told += [f"{tag} is not a DMARC tag" for tag in sorted(found.keys() - KNOWN - HISTORIC)]
    return tuple(told)


def desired(*, only_outreach: bool, dkim_ready: bool, rua: str = "", existing: str | None = None) -> str:
    """The record to publish (D4): `quarantine` for a domain that serves only outreach and signs, else `none` first.

    A stricter record that stands already is kept; historic tags are dropped; `rua` is added, never replaced.
    """
    start: PolicyWord = "quarantine" if only_outreach and dkim_ready else "none"
    if existing is None:
        return _text(start, {}, _uris((), rua))
    had = parse(existing)
    policy = max(start, had.p, key=STRENGTH.index)
    kept = {tag: value for tag, value in had.tags.items() if tag in KNOWN - {"v", "p", "rua"}}
    return _text(policy, kept, _uris(had.rua, rua))


def _uris(had: Iterable[str], rua: str) -> tuple[str, ...]:
    mine = f"mailto:{rua}" if rua and not rua.startswith("mailto:") else rua
    return tuple(dict.fromkeys((*had, *((mine,) if mine else ()))))


def _text(policy: str, kept: dict[str, str], rua: tuple[str, ...]) -> str:
    # p second: older parsers insist on it.
    parts = ["v=DMARC1", f"p={policy}", *(f"{tag}={value}" for tag, value in kept.items())]
    if rua:
        parts.append(f"rua={','.join(rua)}")
    return "; ".join(parts)


def report_authorisations(domain: str, record: str) -> tuple[str, ...]:
    """Names where a foreign report receiver has to publish `v=DMARC1` before it gets reports (RFC 9990)."""
    mine = address.registrable(domain)
    hosts = (uri.removeprefix("mailto:").split("!")[0].rpartition("@")[2].lower() for uri in parse(record).rua)
    return tuple(dict.fromkeys(f"{domain}._report._dmarc.{h}" for h in hosts if h and address.registrable(h) != mine))


def same(one: str, other: str) -> bool:
    """Do two records say the same, however they are spaced?"""
    try:
        a, b = parse(one), parse(other)
    except ValueError:
        return False
    return a.p == b.p and a.tags.items() == b.tags.items()


def _weaker(policy: str) -> str:
    return STRENGTH[max(0, STRENGTH.index(policy) - 1)]


def _word(policy: str) -> PolicyWord:
    return "reject" if policy == "reject" else "quarantine" if policy == "quarantine" else "none"
