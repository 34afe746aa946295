"""The sandbox as a test sees it: another process, spoken to over HTTP only."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest


class Sandbox:
    """A running sandbox. `info` is the JSON object it printed first."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "mailfleet.sandbox", "--port", "0", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.process.stdout.close()
            raise RuntimeError(f"The sandbox ended at once with {self.process.wait()}.")
        self.info: dict[str, Any] = json.loads(line)
        self.http = httpx2.Client(timeout=120, trust_env=False)

    def control(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """A call of the control API; its JSON answer."""
        url = self.info["control"]["base_url"] + path
        response = self.http.request(method, url, json=body, params=query)
        assert response.status_code == 200, response.text
        return response.json()

    def advance(self, to: str | None = None, *, seconds: float = 0, days: float = 0) -> str:
        """Moves the clock; returns what it shows then."""
        body = {"to": to} if to else {"seconds": seconds + 86400 * days}
        return self.control("POST", "/advance", body)["now"]

    def log(self, name: str, after: int = 0) -> list[dict[str, Any]]:
        """All entries of a log."""
        entries: list[dict[str, Any]] = []
        while True:
            page = self.control("GET", f"/log/{name}", after=after)
            entries += page["entries"]
            if not page["entries"] or page["next"] >= page["total"]:
                return entries
            after = page["next"]

    def fault(self, kind: str, **more: Any) -> Any:
        """Begins a fault."""
        return self.control("POST", "/faults", {"kind": kind, **more})

    def smartlead(self, method: str, path: str, body: Any = None, **query: Any) -> httpx2.Response:
        """A raw call of the vendor's API with its key."""
        url = self.info["smartlead"]["base_url"] + path
        params = {"api_key": self.info["smartlead"]["api_key"], **query}
        return self.http.request(method, url, params=params, **({} if body is None else {"json": body}))

    def close(self) -> int:
        """Ends it as a supervisor would; returns its exit code."""
        self.http.close()
        if self.process.poll() is None:
            self.process.terminate()
        try:
            code = self.process.wait(10)
        finally:
            self.process.kill()
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A fresh calm world with a wide rate limit, for one test."""
    running = Sandbox("--seed", "1", "--rate-limit", "100000", "--profile", "calm")
    yield running
    running.close()


@pytest.fixture(scope="session")
def shared_sandbox() -> Iterator[Sandbox]:
    """One calm world for tests that only add to it and expect nothing of its clock."""
    running = Sandbox("--seed", "1", "--rate-limit", "100000", "--profile", "calm")
    yield running
    running.close()
