"""Work that may wait: what it asks of a vendor never takes more than half of the vendor's budget."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

_waits: ContextVar[bool] = ContextVar("mailfleet_background", default=False)


@contextmanager
def background() -> Generator[None]:
    """Every call to a vendor in here, and in what is awaited here, is background work."""
    token = _waits.set(True)
    try:
        yield
    finally:
        _waits.reset(token)


def in_background() -> bool:
    return _waits.get()
