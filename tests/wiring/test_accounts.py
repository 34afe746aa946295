"""Whose key goes over the wire: the client's own where it has one, else the common one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mailfleet.errors import MissingSetting, Unauthorized
from mailfleet.services import clients
from mailfleet.settings import get_settings
from mailfleet.wiring import open_fleet

pytestmark = pytest.mark.anyio


@pytest.fixture
def given(dsn: str, tmp_path: Path, shared_sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Settings of a database of its own and the sandbox's Smartlead, without any key."""
    there = shared_sandbox.info["smartlead"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", dsn)
    monkeypatch.setenv("MAILFLEET_HOME", str(tmp_path))
    monkeypatch.setenv("SMARTLEAD_BASE_URL", there["base_url"])
    monkeypatch.delenv("SMARTLEAD_API_KEY", raising=False)
    return monkeypatch


async def test_each_client_speaks_with_its_own_key(given: pytest.MonkeyPatch, shared_sandbox: Any) -> None:
    given.setenv("SMARTLEAD_API_KEY", shared_sandbox.info["smartlead"]["api_key"])
    given.setenv("SMARTLEAD_API_KEY__ACME_TWO", "another-key-of-acme-0001")
    async with open_fleet(get_settings()) as fleet:
        ours = await clients.put_client(fleet, "agency-os", name="Agency")
        theirs = await clients.put_client(fleet, "acme-two", name="Acme")
        assert await fleet.of(ours).platform().campaigns() is not None
        with pytest.raises(Unauthorized):
            await fleet.of(theirs).platform().campaigns()


async def test_a_client_with_a_key_needs_no_common_one(given: pytest.MonkeyPatch, shared_sandbox: Any) -> None:
    given.setenv("SMARTLEAD_API_KEY__ACME_TWO", shared_sandbox.info["smartlead"]["api_key"])
    async with open_fleet(get_settings()) as fleet:
        ours = await clients.put_client(fleet, "agency-os", name="Agency")
        theirs = await clients.put_client(fleet, "acme-two", name="Acme")
        assert await fleet.of(theirs).platform().campaigns() is not None
        with pytest.raises(MissingSetting, match="SMARTLEAD_API_KEY"):
            fleet.of(ours).platform()
