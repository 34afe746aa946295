"""The library of templates: files of the package, as they are printed."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import files
from typing import Any

from mailfleet.errors import Unknown
from mailfleet.rules.wording import GAP

_NAME = re.compile(r'^name = ".*"$', re.M)
_ZONE = re.compile(r'^timezone = ".*"$', re.M)


def names() -> Sequence[str]:
    found = files("mailfleet").joinpath("_examples", "templates").iterdir()
    return sorted(each.name.removesuffix(".toml") for each in found if each.name.endswith(".toml"))


def text(name: str) -> str:
    """Raises Unknown."""
    if name not in names():
        raise Unknown(f"There is no template {name!r}.", hint=f"There are {', '.join(names())}.")
    return files("mailfleet").joinpath("_examples", "templates", f"{name}.toml").read_text(encoding="utf-8")


def purpose(name: str) -> str:
    """Its first line, a comment."""
    return text(name).partition("\n")[0].removeprefix("#").strip()


def made(name: str, *, called: str, timezone: str) -> str:
    """The template as a file of one's own."""
    found = text(name)
    # JSON's strings are TOML's: what is given cannot end the line or the string.
    if called:
        found = _NAME.sub(lambda _: f"name = {json.dumps(called, ensure_ascii=False)}", found, count=1)
    if timezone:
        found = _ZONE.sub(lambda _: f"timezone = {json.dumps(timezone, ensure_ascii=False)}", found, count=1)
    return found


def gaps(found: str) -> Sequence[str]:
    """What is to be replaced before it can be sent, each once."""
    return list(dict.fromkeys(gap for text in _strings(tomllib.loads(found)) for gap in GAP.findall(text)))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        inner: Iterable[Any] = value.values() if isinstance(value, dict) else value
        for each in inner:
            yield from _strings(each)
