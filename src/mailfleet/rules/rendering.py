"""Texts with merge fields: which fields a lead has to fill, what is ours to fill, and what the platform is given.

A platform knows only `{{name}}`. So a fallback (`{{first_name|there}}`) and a field of ours that it does not have
become fields of their own, computed for each lead and pushed with it.
"""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from mailfleet.rules.bodies import is_html, to_html

if TYPE_CHECKING:
    from mailfleet.rules.campaigns import CampaignConfig

MERGE = re.compile(r"\{\{([^{}|]*)(?:\|([^{}]*))?\}\}")
FIELDS = frozenset({"first_name", "last_name", "company", "company_name", "email", "domain", "country"})
"""Merge fields every lead has; others are declared in `fields`."""
SENDER = frozenset({"sender_name", "sender_first_name"})
"""Filled by us when all its mailboxes carry one name; a platform chooses the mailbox after the text is there."""
PLACES = frozenset({"unsubscribe", "signature", "identity"}) | SENDER
"""Merge fields that we or the platform fill, not the lead."""
_PLATFORMS_OWN = frozenset({"first_name", "last_name", "company_name", "email"})
IDENTITY_NEEDED = ("legal_name", "postal_address", "reply_contact")
_UNSAFE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f<>]")
_SLUG_LENGTH = 24


def merge_fields(text: str) -> frozenset[str]:
    """The names between `{{` and `}}`."""
    return frozenset(found.group(1).strip() for found in MERGE.finditer(text))


def texts(config: CampaignConfig) -> Iterator[str]:
    for step in config.sequence:
        yield from (step.subject, step.body)
        for form in step.variants:
            yield from (form.subject, form.body)


def needed_fields(config: CampaignConfig) -> frozenset[str]:
    """Merge fields a lead has to fill: used somewhere without a fallback, and not ours to fill."""
    found = (match for text in texts(config) for match in MERGE.finditer(text))
    return frozenset(match.group(1).strip() for match in found if match.group(2) is None) - PLACES


def missing_fields(config: CampaignConfig, values: Mapping[str, str]) -> tuple[str, ...]:
    """Fields this lead leaves empty although the text needs them."""
    return lacking(needed_fields(config), values)


def lacking(needed: frozenset[str], values: Mapping[str, str]) -> tuple[str, ...]:
    """Those of the needed fields that are empty here; `needed` is computed once for many leads."""
    return tuple(sorted(name for name in needed if not clean(values.get(name, ""))))


def clean(value: object) -> str:
    """A lead's value as it may stand in a subject or a body: one line, no markup, no merge field of its own."""
    text = _UNSAFE.sub("", str(value)).replace("{{", "{").replace("}}", "}")
    return " ".join(text.split())


def render(text: str, values: Mapping[str, str]) -> str:
    """`text` with its merge fields filled: `{{name}}`, or `{{name|fallback}}` where the value is empty.

    Values lose their line breaks, so that a lead cannot bring headers or lines of its own.
    """

    def fill(found: re.Match[str]) -> str:
        return clean(values.get(found.group(1).strip(), "")) or (found.group(2) or "").strip()

    return MERGE.sub(fill, text)


def derived(config: CampaignConfig) -> dict[str, tuple[str, str]]:
    """Fields that go with every lead beside its own: name → (our field, its fallback)."""
    made: dict[str, tuple[str, str]] = {}
    for text in texts(config):
        for found in MERGE.finditer(text):
            field, fallback = found.group(1).strip(), found.group(2)
            if field in PLACES:
                continue
            if fallback is not None:
                made[_derived_name(field, fallback)] = (field, fallback.strip())
            elif field in FIELDS - _PLATFORMS_OWN:
                made[field] = (field, "")
    return made


def lead_fields(config: CampaignConfig, values: Mapping[str, str]) -> dict[str, str]:
    """What `derived` names, for this lead."""
    return {name: clean(values.get(field, "")) or fallback for name, (field, fallback) in derived(config).items()}


def _derived_name(field: str, fallback: str) -> str:
    word = re.sub(r"[^a-z0-9]+", "_", fallback.strip().lower()).strip("_")
    if len(word) > _SLUG_LENGTH or word != fallback.strip():
        # Two fallbacks that look alike when spelled as a name stay two.
        digest = hashlib.sha256(fallback.strip().encode()).hexdigest()[:6]
        word = f"{word[:_SLUG_LENGTH].strip('_')}_{digest}".strip("_")
    return f"{field}_or_{word}"


def for_platform(text: str) -> str:
    """Fallbacks named as the fields they became; spaces within the braces gone."""

    def name(found: re.Match[str]) -> str:
        field, fallback = found.group(1).strip(), found.group(2)
        plain = fallback is None or field in PLACES
        return "{{" + (field if plain else _derived_name(field, fallback or "")) + "}}"

    return MERGE.sub(name, text)


def identity_lines(identity: Mapping[str, str]) -> tuple[str, ...]:
    """The sender's identity as it stands under a mail (L5)."""
    at = {name: str(value).strip() for name, value in identity.items()}
    trading = at.get("trading_name", "")
    name = at.get("legal_name", "") + (f", trading as {trading}" if trading else "")
    number = at.get("company_number", "")
    name = f"{name} ({number})" if number and name else name
    return tuple(line for line in (name, at.get("postal_address", ""), at.get("reply_contact", "")) if line)


def names_sender(body: str, identity: Mapping[str, str]) -> bool:
    """Does the body name its sender itself: by the place for it, or by legal name and address in words?"""
    if "identity" in merge_fields(body):
        return True
    words = [str(identity.get(key, "")).strip() for key in ("legal_name", "postal_address")]
    return all(word and word in html.unescape(body) for word in words)


def complete(body: str, *, identity: Mapping[str, str], unsubscribe: str, sender: str = "") -> str:
    """The body as HTML with everything of ours in it: identity and the way out at their places, or at its end (L5, L6).

    What the lead or the mailbox fills stays as a merge field.
    """
    markup = is_html(body)
    lines = identity_lines(identity)
    block = "<br>".join(html.escape(line, quote=False) for line in lines) if markup else "\n".join(lines)
    way_out = html.escape(unsubscribe, quote=False) if markup else unsubscribe
    tail = [] if names_sender(body, identity) else [block]
    said = "unsubscribe" in merge_fields(body) or unsubscribe.strip() in html.unescape(body)
    tail += [] if said else [way_out]
    filled = _places(body, {"unsubscribe": way_out, "identity": block, **_sender(sender)})
    return for_platform(to_html(_ended(filled, [part for part in tail if part], markup)))


def _places(text: str, values: Mapping[str, str]) -> str:
    def fill(found: re.Match[str]) -> str:
        return values.get(found.group(1).strip(), found.group(0))

    return MERGE.sub(fill, text)


def _ended(body: str, tail: Sequence[str], markup: bool) -> str:
    if not tail:
        return body
    if not markup:
        return f"{body.rstrip()}\n\n--\n" + "\n".join(tail)
    added = f"<p>--<br>{'<br>'.join(tail)}</p>"
    head, end, rest = body.rpartition("</body>")
    return f"{head}{added}{end}{rest}" if end else body + added


def subject_for_platform(subject: str, sender: str = "") -> str:
    return for_platform(_places(subject, _sender(sender)))


def _sender(name: str) -> dict[str, str]:
    return {"sender_name": name, "sender_first_name": name.split(" ")[0] if name else ""}
