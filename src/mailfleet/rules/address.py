"""An e-mail address as given, and as compared: syntax, IDN, role, free-mail, registrable domain (RFC 5321, 6531)."""

from __future__ import annotations

import functools
import re
import unicodedata
from importlib import resources

import msgspec
from email_validator import EmailNotValidError, validate_email
from publicsuffixlist import PublicSuffixList

FORMULA = re.compile(r"^[\s\"']*[=+\-@\t\r]")
COMPANY_NOISE = re.compile(
    r"\b(pty|ltd|limited|inc|incorporated|llc|llp|plc|gmbh|ag|kg|co|corp|corporation|company|group|holdings|"
    r"sarl|sas|sa|srl|spa|bv|nv|ab|as|aps|oy|kk|the|and)\b"
)


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


def normalise(email: str) -> Address:
    """Raises BadAddress with rule `empty`, `formula`, `several` or `syntax`. Nothing is looked up."""
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
        role=local.split("+")[0] in _words("roles.txt"),
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
    plain = unicodedata.normalize("NFKD", name.casefold())
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    plain = re.sub(r"[^\w\s]", " ", plain.replace("&", " and ").replace(".", "").replace("'", ""))
    return " ".join(COMPANY_NOISE.sub(" ", plain).split())


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
