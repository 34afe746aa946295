"""What is called, what became of it, and how patient we are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import msgspec

from mailfleet.errors import VendorError
from mailfleet.vendors.transport.answer import Answer
from mailfleet.vendors.transport.protocols import Window
from mailfleet.vendors.transport.secret import Redactor, Secret, fingerprint

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of call. A write says how it is reconciled when its outcome is unknown (V9)."""

    name: str
    method: Method
    path: str
    reconcile: str = ""
    """By reading what, matched on what; empty: a read, which may be repeated."""
    reads: bool = False
    """Changes nothing though its method is not GET."""
    timeout: float | None = None
    """Seconds of the first attempt, where the vendor is known to be slow."""
    own_limit: bool = False
    """Rarely allowed by itself: being refused as too often says nothing about the key's other calls."""

    def __post_init__(self) -> None:
        """A write that does not say how it is reconciled would be repeated like a read: it cannot be made at all."""
        if self.method != "GET" and self.reads == bool(self.reconcile):
            raise TypeError(f"{self.name}: a {self.method} either says that it only reads, or how it is reconciled.")

    @property
    def write(self) -> bool:
        return bool(self.reconcile)


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer means when it is not a success. `settled`: the vendor decided, nothing is pending there."""

    kind: type[VendorError]
    message: str
    settled: bool = True
    hint: str = ""

    def __repr__(self) -> str:
        return f"Failure({self.kind.__name__})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("kind", self.kind)]


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """Real seconds. Timeouts grow with each attempt up to the cap; `queue` bounds the wait for the budget."""

    attempts: int = 4
    timeouts: int = 3
    deadline: float = 120
    first_wait: float = 0.5
    timeout: float = 20
    timeout_cap: float = 60
    queue: float = 300
    silent: float = 4
    """After so long somebody who waits is told what for, and again each time."""


@dataclass(frozen=True, kw_only=True)
class Access:
    """A key and where it goes. Its values are shown to nobody: every secret is a `Secret`."""

    query: Mapping[str, Secret] = field(default_factory=dict)
    headers: Mapping[str, Secret] = field(default_factory=dict)
    form: Mapping[str, Secret] = field(default_factory=dict)
    basic: tuple[str, Secret] | None = None
    url: Secret | None = None
    """The whole address where it is itself the secret (an incoming webhook)."""

    def secrets(self) -> Sequence[Secret]:
        own = [*self.query.values(), *self.headers.values(), *self.form.values()]
        bare = [Secret(secret.reveal().removeprefix("Bearer ")) for secret in self.headers.values()]
        return [*own, *bare, *(_of_basic(*self.basic) if self.basic else []), *(_of_url(self.url) if self.url else [])]

    def key_id(self, vendor: str) -> str:
        every = self.secrets()
        return fingerprint(vendor, every[0]) if every else vendor

    def redactor(self) -> Redactor:
        return Redactor(self.secrets())


@dataclass(frozen=True, kw_only=True)
class Vendor:
    """What the transport has to know of one vendor's ways."""

    name: str
    base_url: str
    access: Access
    windows: Sequence[Window]
    judge: Callable[[Answer], Failure | None]
    scrub: Callable[[Any], Any] | None = None
    circuit: str = ""
    reserved: float = 0.035
    """Kept for urgent calls: 2 of 60 a minute, so that everything else has at least 95 % of each window."""

    @property
    def circuit_name(self) -> str:
        return self.circuit or self.name


def _of_basic(user: str, key: Secret) -> Iterable[Secret]:
    """The key, and it with the name before it: encoded together they look different (RFC 7617)."""
    yield key
    yield Secret(f"{user}:{key.reveal()}")


def _of_url(url: Secret) -> Iterable[Secret]:
    """An address that is a secret: whole, and the pieces of its path long enough to be one."""
    yield url
    for piece in urlsplit(url.reveal()).path.split("/"):
        if len(piece) >= 8:
            yield Secret(unquote(piece))
