"""SPF: parse, merge without losing a term, count lookups with an injected resolver (RFC 7208, D1, D2)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

import msgspec

from mailfleet.errors import NotAllowed

LOOKUPS_MAX = 10
VOIDS_MAX = 2
QUERYING = frozenset({"include", "a", "mx", "ptr", "exists", "redirect"})
MODIFIER = re.compile(r"^([a-z][a-z0-9_.-]*)=(\S*)$", re.I)

Resolver = Callable[[str, str], Sequence[str] | None]
"""(name, type) → the answers' texts, empty for no data, None when it could not be asked."""


class Term(msgspec.Struct, frozen=True, kw_only=True):
    """One mechanism or modifier (`redirect`, `exp`). `text` is as written."""

    text: str
    qualifier: str = "+"
    name: str
    value: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes two terms the same."""
        return self.qualifier, self.name, self.value.lower()


class Spf(msgspec.Struct, frozen=True, kw_only=True):
    terms: tuple[Term, ...]

    @property
    def all(self) -> Term | None:
        return next((t for t in self.terms if t.name == "all"), None)

    @property
    def redirect(self) -> Term | None:
        return next((t for t in self.terms if t.name == "redirect"), None)

    def text(self) -> str:
        return " ".join(("v=spf1", *(t.text for t in self.terms)))


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What evaluating a record costs. `unknown`: could not be told (a macro, no answer); `problems` are permanent."""

    lookups: int
    voids: int
    problems: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.problems and not self.unknown and self.lookups <= LOOKUPS_MAX and self.voids <= VOIDS_MAX


def is_spf(text: str) -> bool:
    """Is this TXT an SPF record: first token exactly `v=spf1` (RFC 7208 4.5)."""
    return text.lower() == "v=spf1" or text.lower().startswith("v=spf1 ")


def parse(text: str) -> Spf:
    """Raises ValueError naming the term that is not one."""
    if not is_spf(text):
        raise ValueError(f"{text[:40]!r} does not begin with v=spf1")
    return Spf(terms=tuple(_term(token) for token in text.split()[1:]))


def _term(token: str) -> Term:
    if modifier := MODIFIER.match(token):
        return Term(text=token, qualifier="", name=modifier.group(1).lower(), value=modifier.group(2))
    mechanism = re.match(r"^([+\-~?]?)([a-z0-9]+)([:/].*)?$", token, re.I)
    name = mechanism.group(2).lower() if mechanism else ""
    rest = (mechanism.group(3) or "") if mechanism else ""
    if mechanism is None or not _well_formed(name, rest):
        raise ValueError(f"{token!r} is not an SPF term")
    return Term(text=token, qualifier=mechanism.group(1) or "+", name=name, value=rest.removeprefix(":"))


def _well_formed(name: str, rest: str) -> bool:
    if name == "all":
        return not rest
    if name in ("include", "exists"):
        return rest.startswith(":") and len(rest) > 1
    if name == "ip4":
        return re.fullmatch(r":\d{1,3}(\.\d{1,3}){3}(/\d{1,2})?", rest) is not None
    if name == "ip6":
        return re.fullmatch(r":[0-9a-f:.]+(/\d{1,3})?", rest, re.I) is not None
    return name in ("a", "mx", "ptr") and (
        not rest or re.fullmatch(r"(:[^/\s]+)?(/\d{1,2})?(//\d{1,3})?", rest) is not None
    )


def merge(existing: Sequence[str], wanted: Iterable[str], *, final: str = "~all") -> str:
    """The one record to publish: existing terms in their order, `wanted` ones inserted before `all`.

    `existing` are all TXT at the name; foreign ones are ignored here and kept by the caller. Raises NotAllowed for
    several SPF records, a broken one, a `redirect` without `all` (adding would change its meaning), and `+all`.
    """
    records = [text for text in existing if is_spf(text)]
    if len(records) > 1:
        raise _refuse("two SPF records stand at the name", "Show them to whoever owns the zone and leave one.")
    try:
        new = [_term(text) for text in wanted]
        old = parse(records[0]) if records else Spf(terms=(_term(final),))
    except ValueError as error:
        raise _refuse(str(error), "Correct the term first; a broken record is not built upon.") from error
    if old.all and old.all.qualifier == "+":
        raise _refuse("the record ends in +all, which lets everybody send", "Change it to ~all first.")
    if old.redirect and not old.all:
        raise _refuse("the record hands over by redirect=", "Replace it by an include and ~all first.")
    return _joined(old, new)


def _joined(old: Spf, new: Sequence[Term]) -> str:
    before: list[Term] = []
    for term in old.terms:
        if term.name == "all":
            break
        before.append(term)
    after = old.terms[len(before) :]
    have = {term.key for term in old.terms}
    for term in new:
        if term.key not in have and term.name != "all":
            have.add(term.key)
            before.append(term)
    ending = after or (_term("~all"),)
    modifiers = [t for t in before if not t.qualifier]
    mechanisms = [t for t in before if t.qualifier]
    ordered = before if not modifiers else [*mechanisms, *modifiers]
    return Spf(terms=(*ordered, *ending)).text()


def remove(existing: str, ours: Iterable[str]) -> str:
    """`existing` without the terms that we once added, and no other."""
    drop = {_term(text).key for text in ours}
    return Spf(terms=tuple(t for t in parse(existing).terms if t.key not in drop or t.name == "all")).text()


def covers(record: str, wanted: Iterable[str]) -> tuple[str, ...]:
    """The wanted terms that the record lacks."""
    have = {t.key for t in parse(record).terms}
    return tuple(text for text in wanted if _term(text).key not in have)


def names_needed(record: str) -> tuple[tuple[str, str], ...]:
    """The (name, type) pairs that one level of this record asks for, so that a caller can fetch them beforehand."""
    pairs = {"include": "TXT", "redirect": "TXT", "a": "A", "mx": "MX", "exists": "A"}
    return tuple(
        (t.value.split("/")[0].lower(), pairs[t.name])
        for t in parse(record).terms
        if t.name in pairs and t.value and "%" not in t.value and not t.value.startswith("/")
    )


def cost(domain: str, record: str, resolve: Resolver) -> Cost:
    """Lookups and voids over the whole tree. Raises ValueError for a record that does not parse."""
    count = _Count(resolve)
    count.walk(domain.lower().rstrip("."), parse(record), ())
    return Cost(lookups=count.lookups, voids=count.voids, problems=tuple(count.problems), unknown=tuple(count.unknown))


def check(domain: str, record: str, resolve: Resolver) -> tuple[str, ...]:
    """Why this record must not be written; empty when it may be. What could not be asked refuses too."""
    try:
        found = cost(domain, record, resolve)
    except ValueError as error:
        return (str(error),)
    reasons = [*found.problems, *found.unknown]
    if found.lookups > LOOKUPS_MAX:
        reasons.append(f"{found.lookups} DNS lookups, at most {LOOKUPS_MAX} are allowed (RFC 7208 4.6.4)")
    if found.voids > VOIDS_MAX:
        reasons.append(f"{found.voids} lookups without an answer, at most {VOIDS_MAX} are allowed (RFC 7208 4.6.4)")
    if len(record) > 450:
        reasons.append(f"{len(record)} characters, about 450 fit into one answer (RFC 7208 3.4)")
    return tuple(reasons)


class _Count:
    def __init__(self, resolve: Resolver) -> None:
        self.resolve = resolve
        self.lookups = 0
        self.voids = 0
        self.problems: list[str] = []
        self.unknown: list[str] = []

    def walk(self, domain: str, record: Spf, path: tuple[str, ...]) -> None:
        if domain in path:
            self.problems.append(f"{domain} includes itself")
            return
        if len(path) > LOOKUPS_MAX:
            return
        has_all = record.all is not None
        for term in record.terms:
            if term.name in QUERYING and not (term.name == "redirect" and has_all):
                self.lookups += 1
                self._follow(domain, term, (*path, domain))

    def _follow(self, domain: str, term: Term, path: tuple[str, ...]) -> None:
        target = (term.value.split("/")[0] or domain).lower().rstrip(".")
        if "%" in target:
            self.unknown.append(f"{term.text} holds a macro that cannot be expanded here")
            return
        if term.name in ("include", "redirect"):
            self._include(term, target, path)
        elif term.name in ("a", "mx", "exists"):
            answers = self.resolve(target, "MX" if term.name == "mx" else "A")
            if answers is None:
                self.unknown.append(f"{target} could not be looked up")
            elif not answers:
                self.voids += 1

    def _include(self, term: Term, target: str, path: tuple[str, ...]) -> None:
        answers = self.resolve(target, "TXT")
        if answers is None:
            self.unknown.append(f"{target} could not be looked up")
            return
        records = [text for text in answers if is_spf(text)]
        if not answers:
            self.voids += 1
        if len(records) != 1:
            # RFC 7208 5.2: an include without exactly one record is a permanent error of the whole record (D1).
            self.problems.append(f"{term.text}: {target} has {len(records)} SPF records, exactly one is needed")
            return
        try:
            self.walk(target, parse(records[0]), path)
        except ValueError as error:
            self.problems.append(f"{target}: {error}")


def _refuse(reason: str, hint: str) -> NotAllowed:
    return NotAllowed(f"The SPF record is not changed: {reason}.", reasons=(reason,), hint=hint)
