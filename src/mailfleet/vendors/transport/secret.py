"""A key that shows itself to nobody by accident, and the removal of keys from any text."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, quote_plus

import msgspec

from mailfleet.log import HIDDEN, clean, redact

BODY_KEPT = 2000


class Secret:
    """A key or password. `reveal` is called only where it is put on the wire, so that no frame's locals show it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret()"

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


class Hidden:
    """A body that holds a password: shown by no frame's locals, encoded only on the wire."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        return "Hidden()"

    def secrets(self) -> list[Secret]:
        """What in it has a telling name, so that a vendor repeating it does not give it away."""
        return [Secret(text) for text in _told(self.value, "")]


def fingerprint(vendor: str, secret: Secret) -> str:
    """Names a key in the budget, the journal and the log without giving it away."""
    return f"{vendor}:{hashlib.blake2b(secret.reveal().encode(), digest_size=6, person=b'mailfleet').hexdigest()}"


class Redactor:
    """Removes the given secrets (raw, URL-encoded, base64) and everything that looks like one."""

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        self._secrets = tuple(secrets)
        self._needles = tuple(
            needle for secret in self._secrets if len(secret.reveal()) > 3 for needle in _forms(secret)
        )

    def __repr__(self) -> str:
        return "Redactor()"

    def also(self, body: Any) -> Redactor:
        """With the secrets of one call's body."""
        return Redactor([*self._secrets, *body.secrets()]) if isinstance(body, Hidden) else self

    def text(self, text: str) -> str:
        """The text without secrets."""
        for needle in self._needles:
            text = text.replace(needle.reveal(), HIDDEN) if needle.reveal() in text else text
        return redact(text)

    def value(self, value: Any) -> Any:
        """The value as it may be stored: telling names hidden at any depth, texts redacted."""
        return clean(value, text=self.text)

    def body(self, text: str, data: Any = None) -> str:
        """A vendor's body as it may be kept with an error: redacted by structure where it has one, cut at 2,000."""
        shown = msgspec.json.encode(self.value(data)).decode() if isinstance(data, dict | list) else self.text(text)
        return shown[:BODY_KEPT]


def _told(value: Any, name: str) -> Iterable[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _told(item, str(key))
    elif isinstance(value, list):
        for item in value:
            yield from _told(item, name)
    elif isinstance(value, str) and value and clean(value, name) == HIDDEN:
        yield value


def _forms(secret: Secret) -> Iterable[Secret]:
    raw = secret.reveal()
    coded = base64.b64encode(raw.encode()).decode()
    forms = {raw, quote(raw, safe=""), quote_plus(raw), coded, coded.rstrip("="), quote(coded, safe="")}
    return [Secret(form) for form in sorted(forms, key=len, reverse=True)]
