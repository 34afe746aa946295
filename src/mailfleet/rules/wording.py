"""What may not stand in a subject or a body: headers of somebody else's, scripts, broken markup, unclosed fields."""

from __future__ import annotations

import re
from collections.abc import Collection
from html.parser import HTMLParser

from mailfleet.rules.bodies import is_html
from mailfleet.rules.rendering import MERGE

BODY_MAX = 100_000
"""Characters. Mail programs cut a message at about 102 kB, and with it the way out at its end."""
SUBJECT_MAX = 255
REPLY_PREFIX = re.compile(r"^\s*(re|fwd?|aw|wg|tr|sv|antw)\s*:", re.I)
# A line break would end the header and let the rest become headers of its own (RFC 5322 2.2).
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029]")
_ACTIVE = re.compile(r"<\s*/?\s*(script|iframe|object|embed|form|base|meta|link|style\s+src)\b", re.I)
_SCHEMES = ("javascript:", "vbscript:", "data:text")
GAP = re.compile(r"\[\[[^\[\]]{0,200}\]\]")
"""What a template leaves to be written."""
_ONE_BRACE = re.compile(r"(?<!\{)\{([a-z_]{2,40})\}(?!\})")
_BLANKS = re.compile(r"[\x00-\x20]+")
_VOID = frozenset(("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"))
# HTML lets the end of these be left out (HTML living standard, 13.1.2.4).
_OPTIONAL_END = frozenset(
    ("body", "dd", "dt", "head", "html", "li", "option", "p", "tbody", "td", "tfoot", "th", "thead", "tr")
)


def subject_problems(subject: str, *, first: bool) -> list[str]:
    """What is wrong with the subject of a step; `first`: it opens the conversation (L16)."""
    found: list[str] = []
    if _CONTROL.search(subject):
        found.append("holds a line break or control character")
    if len(subject) > SUBJECT_MAX:
        found.append(f"has {len(subject)} characters, at most {SUBJECT_MAX} are possible")
    if first and REPLY_PREFIX.match(subject):
        found.append("begins like an answer (Re:, Fwd:), which a first mail is not (L16)")
    if first and not subject.strip():
        found.append("is empty")
    return found


def body_problems(body: str) -> list[str]:
    if not body.strip():
        return ["is empty"]
    if len(body) > BODY_MAX:
        return [f"has {len(body)} characters, at most {BODY_MAX} are possible"]
    found: list[str] = []
    if hit := _ACTIVE.search(body):
        found.append(f"holds <{hit.group(1).lower()}>, which mail programs refuse and filters punish")
    if "\x00" in body:
        found.append("holds a NUL character")
    return found + (_broken(body) if is_html(body) else [])


def field_problems(text: str, known: Collection[str]) -> list[str]:
    """Merge fields that nothing fills, and braces that make none."""
    if len(text) > 2 * BODY_MAX:
        return []
    names = sorted({found.group(1).strip() for found in MERGE.finditer(text)})
    found = [
        f"unknown merge field {{{{{name}}}}}; declare it in `fields` or correct it"
        for name in names
        if name not in known
    ]
    if gap := GAP.search(text):
        found.append(f"still holds {gap.group(0)}, to be replaced with words of your own")
    rest = MERGE.sub("", text)
    if "{{" in rest:
        found.append("a merge field is not closed by }}")
    elif "}}" in rest:
        found.append("a merge field is not opened by {{")
    found += [
        f"{{{name}}} has one brace; a merge field has two: {{{{{name}}}}}"
        for name in sorted({hit.group(1) for hit in _ONE_BRACE.finditer(rest)})
        if name in known
    ]
    return found


class _Tags(HTMLParser):
    """Follows what is open. Tolerant where HTML is, so that only real mistakes are told."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.problems: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._judge(attrs)
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """`<br/>` opens nothing."""
        self._judge(attrs)

    def _judge(self, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            # Control characters and blanks within a scheme are ignored by what follows it.
            if name.startswith("on") or _BLANKS.sub("", value or "").lower().startswith(_SCHEMES):
                self.problems.append(f"a script in {name}=")

    def handle_endtag(self, tag: str) -> None:
        if tag in _VOID:
            return
        if tag not in self.open:
            self.problems.append(f"</{tag}> closes nothing")
            return
        while (last := self.open.pop()) != tag:
            if last not in _OPTIONAL_END:
                self.problems.append(f"<{last}> is not closed before </{tag}>")


def _broken(body: str) -> list[str]:
    read = _Tags()
    read.feed(body)
    read.close()
    told = read.problems + [f"<{tag}> is not closed" for tag in read.open if tag not in _OPTIONAL_END]
    if "<" in read.rawdata:
        told.append("ends within a tag")
    unique = list(dict.fromkeys(told))
    return [f"broken HTML: {', '.join(unique[:5])}" + (" and more" if len(unique) > 5 else "")] if unique else []
