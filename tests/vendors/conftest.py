"""Commands as a person runs them."""

from __future__ import annotations

from tests.faults.conftest import run

__all__ = ["run"]
