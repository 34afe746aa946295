"""A campaign of another platform in our configuration: what carries over, what is lost, what a person has to say."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

FIELD = re.compile(r"\{\{([^{}]*)\}\}")
_NAME = re.compile(r"[a-z][a-z0-9_]*")
KNOWN = frozenset({"first_name", "last_name", "company", "email"})
ASKED = ("timezone", "days", "start_hour", "end_hour")
"""What nobody can read back where the schedule is write-only."""


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """One mail of the source: label, subject and body of each wording."""

    delay_days: int
    wordings: tuple[tuple[str, str, str], ...]


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign as the other platform gives it."""

    ref: str
    name: str
    state: str
    steps: tuple[Form, ...]
    mailboxes: tuple[str, ...]


class Mapped(msgspec.Struct, frozen=True, kw_only=True):
    """`config` is in our schema; `lost` is told and goes on; `asked` has to be answered first."""

    config: dict[str, Any]
    lost: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()


def mapped(source: Source, answers: Mapping[str, Any]) -> Mapped:
    """The configuration, with the review file's answers for what cannot be read."""
    fields: set[str] = set()
    lost: list[str] = []
    sequence = [_step(place, step, fields, lost) for place, step in enumerate(source.steps, 1)]
    asked = tuple(name for name in ASKED if answers.get(name) in (None, "", []))
    config: dict[str, Any] = {
        "name": str(answers.get("name") or source.name),
        "from_mailboxes": sorted(set(source.mailboxes)),
        "sequence": sequence,
        "fields": sorted(fields),
    }
    if not asked:
        config["schedule"] = {name: answers[name] for name in ASKED}
    if answers.get("client_id"):
        config["client_id"] = str(answers["client_id"])
    if not source.steps:
        lost.append("it has no steps")
    return Mapped(config=config, lost=tuple(dict.fromkeys(lost)), asked=asked)


def _step(place: int, step: Form, fields: set[str], lost: list[str]) -> dict[str, Any]:
    forms = [
        (label, *(translated(text, f"step {place} {label}", fields, lost) for text in (subject, body)))
        for label, subject, body in step.wordings
    ]
    _, subject, body = forms[0] if forms else ("", "", "")
    made: dict[str, Any] = {
        "step": place,
        "subject": subject,
        "body": body,
        "delay_days": step.delay_days if place > 1 else 0,
    }
    if len(forms) > 1:
        made["variants"] = [{"label": label, "subject": s, "body": b} for label, s, b in forms]
    return made


def translated(text: str, where: str, fields: set[str], lost: list[str]) -> str:
    """The text with merge fields in our form.

    `{{a | b}}` is a choice of wordings there and a fallback here: the first wording is taken and the others are told.
    """

    def put(found: re.Match[str]) -> str:
        inner = found[1].strip()
        if "|" in inner:
            first, *others = (part.strip() for part in inner.split("|"))
            lost.append(f"{where}: of {{{{{inner}}}}} only {first!r} is kept, not {', '.join(others)}")
            return first
        if not _NAME.fullmatch(inner):
            lost.append(f"{where}: {{{{{inner}}}}} is no merge field here; correct it in the new campaign")
            return found[0]
        if inner not in KNOWN:
            fields.add(inner)
        return f"{{{{{inner}}}}}"

    if text.count("{{") != text.count("}}"):
        lost.append(f"{where}: a merge field is not closed")
    return FIELD.sub(put, text)


def differences(old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> list[str]:
    """What an import would change in our campaign, in words; nothing when it is as the source says."""
    if old is None:
        return ["new campaign"]
    told: list[str] = []
    before, after = list(old.get("sequence") or []), list(new.get("sequence") or [])
    if len(before) != len(after):
        told.append(f"steps: {len(before)} here, {len(after)} there")
    for place, (one, other) in enumerate(zip(before, after, strict=False), 1):
        told += [
            f"step {place}: {name} differs"
            for name in ("subject", "body", "delay_days")
            if one.get(name) != other.get(name)
        ]
        if _wordings(one) != _wordings(other):
            told.append(f"step {place}: variants differ")
    for name in ("from_mailboxes", "schedule"):
        told += _changed(name, old.get(name), new.get(name))
    return told


def _wordings(step: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    return [(form.get("label"), form.get("subject"), form.get("body")) for form in step.get("variants") or []]


def _changed(name: str, old: Any, new: Any) -> list[str]:
    if new is None:
        return []
    if isinstance(new, Mapping):
        was: Mapping[str, Any] = old if isinstance(old, Mapping) else {}
        return [f"{name}.{key}: {_plain(was.get(key))} → {_plain(value)}" for key, value in new.items()
                if _plain(was.get(key)) != _plain(value)]  # fmt: skip
    return [] if _plain(old) == _plain(new) else [f"{name}: {_plain(old)} → {_plain(new)}"]


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, list | tuple) else value


def review(sources: Sequence[tuple[Source, Mapped]], answers: Mapping[str, Mapping[str, Any]]) -> str:
    """The review file (TOML): one table a campaign, what was answered before kept, what is missing left to fill."""
    lines = ["# What cannot be read back. Fill it in, then: mailfleet forge import --review FILE --yes"]
    for source, found in sources:
        given = answers.get(source.ref, {})
        lines += ["", f"[{_quoted(source.ref)}]", f"name = {_quoted(str(given.get('name') or source.name))}"]
        lines += [f"# lost: {each}" for each in found.lost]
        lines.append(f"timezone = {_quoted(str(given.get('timezone') or ''))}  # such as Australia/Sydney")
        lines.append(f"days = {list(given.get('days') or [])}  # 1 = Monday")
        for name in ("start_hour", "end_hour"):
            value = given.get(name)
            lines.append(f"{name} = {value}" if value is not None else f"# {name} =")
        lines.append(f"skip = {'true' if given.get('skip') else 'false'}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()
