"""The same parts as for leads."""

from tests.leads.conftest import running, world

__all__ = ["running", "world"]
