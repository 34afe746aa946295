"""An e-mail address as given, and as compared: syntax, IDN, role, free-mail, registrable domain (RFC 5321, 6531)."""

from __future__ import annotations

import functools
import re
import unicodedata
from importlib import resources
from pathlib import Path

import msgspec
from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email
from publicsuffixlist import PSLFILE, PublicSuffixList

FORMULA = re.compile(r"^[\s\"']*[=+\-@\t\r]")
COMPANY_NOISE = re.compile(
    r"\b(pty|ltd|limited|inc|incorporated|llc|llp|plc|gmbh|ag|kg|co|corp|corporation|company|group|holdings|"
    r"sarl|sas|sa|srl|spa|bv|nv|ab|as|aps|oy|kk|the|and)\b"
)
_NOISE = frozenset(COMPANY_NOISE.pattern.removeprefix(r"\b(").removesuffix(r")\b").split("|"))
PLAIN = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_+-]*+(?:\.[A-Za-z0-9_+-]++)*+)@([A-Za-z0-9.-]{4,180}+)")
"""Addresses without anything odd: nearly all there are. Whatever else there may be is email-validator's to judge."""
LOCAL = 63
"""Characters of a local part that are judged here (RFC 5321 4.5.3.1.1 allows one more)."""
_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z])?")
_SIGN = re.compile(r"[^\w\s]")
_SIGNS = str.maketrans({chr(c): " " for c in range(128) if not re.match(r"\w", chr(c))} | {".": None, "'": None})
_DOMAINS = 1 << 17
"""Domains remembered: a list of leads names each several times."""


class BadAddress(ValueError):
    """The address cannot be written to; `rule` is a stable code for the refusal report."""

    def __init__(self, rule: str, detail: str) -> None:
        super().__init__(detail)
        self.rule = rule


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """`email` is as given without the space around it; `norm` is what addresses are compared by."""

    email: str
    norm: str
    local: str
    domain: str
    """Lower case, in Unicode."""
    registrable: str
    """By the public suffix list, private section included: what `domain contacted in 90 days` counts by."""
    role: bool
    """A function's address (info@), not a person's."""
    free: bool
    """At a provider shared by strangers, so exempt from the domain rule (S10)."""


class Site(msgspec.Struct, frozen=True):
    """What is known of an address by its domain."""

    domain: str
    registrable: str
    free: bool
    shared: str
    """`free` as COPY reads it."""


def plain(email: str) -> tuple[str, Site] | None:
    """(local part in lower case, site) of an address without anything odd, 20 times faster; None: `normalise` tells."""
    found = PLAIN.fullmatch(email)
    if found is None or found.end(1) > LOCAL:
        return None
    site = site_of(found[2].lower())
    return (found[1].lower(), site) if site else None


@functools.lru_cache(maxsize=_DOMAINS)
def site_of(domain: str) -> Site | None:
    """What is known of a host name; None for one that is not of plain labels, or that no mail can go to."""
    if not _HOST.fullmatch(domain) or "--" in domain:
        return None
    if domain.rpartition(".")[2] in _special():
        return None
    own = domain if _is_apex(domain) else registrable(domain)
    free = _words("free_mail.txt")
    shared = own in free or domain in free
    return Site(domain, own, shared, "t" if shared else "f")


def _is_apex(domain: str) -> bool:
    """Whether it is plainly what somebody registered: no rule names it, and one plain rule names what is above it."""
    plain_rules, named = _suffix_rules()
    return domain.partition(".")[2] in plain_rules and domain not in named


@functools.cache
def _suffix_rules() -> tuple[frozenset[str], frozenset[str]]:
    """(suffixes that only a plain rule names, every name that any rule has) of the public suffix list."""
    lines = Path(PSLFILE).read_text("utf-8").splitlines()
    rules = [line.split(" ")[0].lower() for line in lines if line and not line.startswith("//")]
    odd = frozenset(rule.lstrip("!*.") for rule in rules if rule[0] in "!*")
    return frozenset(rules) - odd, odd.union(rules)


@functools.cache
def _special() -> frozenset[str]:
    """Top levels no mail goes to, and those below which there are such names: `normalise` tells of them."""
    return frozenset(name.rpartition(".")[2] for name in SPECIAL_USE_DOMAIN_NAMES)


def is_role(local: str) -> bool:
    """Whether the local part names a function, not a person."""
    return local.split("+")[0] in _words("roles.txt")


def normalise(email: str) -> Address:
    """Raises BadAddress with rule `empty`, `formula`, `several` or `syntax`. Nothing is looked up."""
    if known := plain(email):
        local, at = known
        return Address(
            email=email, norm=f"{local}@{at.domain}", local=local, domain=at.domain, registrable=at.registrable,
            role=is_role(local), free=at.free,
        )  # fmt: skip
    given = unicodedata.normalize("NFKC", email).strip().strip("\u200b\ufeff").removeprefix("mailto:").strip("<>")
    _refuse(given)
    try:
        parts = validate_email(given, check_deliverability=False, test_environment=False)
    except EmailNotValidError as error:
        raise BadAddress("syntax", str(error)) from error
    domain = parts.domain.lower()
    local = parts.local_part.casefold()
    site = registrable(parts.ascii_domain)
    return Address(
        email=given,
        norm=f"{local}@{domain}",
        local=local,
        domain=domain,
        registrable=site,
        role=is_role(local),
        free=site in _words("free_mail.txt") or domain in _words("free_mail.txt"),
    )


def _refuse(given: str) -> None:
    if not given:
        raise BadAddress("empty", "The cell is empty.")
    # A spreadsheet would run it when the refusal report is opened.
    if FORMULA.match(given):
        raise BadAddress("formula", "The cell begins like a spreadsheet formula.")
    if given.count("@") > 1 and re.search(r"[;,\s]", given):
        raise BadAddress("several", "The cell holds more than one address.")


def registrable(domain: str) -> str:
    """The part of a domain that somebody registered, in lower-case ASCII; the name itself when it is a suffix."""
    name = domain.lower().rstrip(".")
    return _suffixes().privatesuffix(name) or name


def is_registrable(domain: str) -> bool:
    """Whether somebody can have registered it, or something above it: it is no public suffix and no bare word."""
    return _suffixes().privatesuffix(domain.lower().rstrip(".")) is not None


def company_key(name: str) -> str:
    """A company's name as compared: no case, accents, punctuation or legal form. Empty when nothing is left (S10)."""
    if name.isascii():
        low = name.lower()
        words = (low.translate(_SIGNS) if _SIGN.search(low) else low).split()  # `&` is `and`, a word of noise
        return " ".join([word for word in words if word not in _NOISE])
    bare = unicodedata.normalize("NFKD", name.casefold())
    bare = "".join(c for c in bare if not unicodedata.combining(c))
    bare = re.sub(r"[^\w\s]", " ", bare.replace("&", " and ").replace(".", "").replace("'", ""))
    return " ".join(COMPANY_NOISE.sub(" ", bare).split())


def is_formula(cell: str) -> bool:
    """A text cell that a spreadsheet would run. Signs before digits are numbers or phones, not formulas."""
    return bool(FORMULA.match(cell)) and not re.match(r"^\s*[+\-]?[\d\s().,-]+$", cell)


@functools.cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList(accept_unknown=True)


@functools.cache
def _words(name: str) -> frozenset[str]:
    lines = resources.files("mailfleet.rules").joinpath("data", name).read_text("utf-8").splitlines()
    return frozenset(line.strip() for line in lines if line.strip() and not line.startswith("#"))
