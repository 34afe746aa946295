"""The sandbox seen by who drives it: its clock, what it owns at the start, and its logs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self

import httpx2
import msgspec

from mailfleet.errors import Unavailable

_PAGE = 5000
# A day of a busy world takes seconds, not minutes; an hour of silence is a fault.
_TIMEOUT = httpx2.Timeout(600, connect=10)


class Control:
    """The control interface at `base_url`. Raises Unavailable when the sandbox is gone or refuses."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self._client = httpx2.AsyncClient(timeout=_TIMEOUT, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._client.aclose()

    async def now(self) -> datetime:
        return datetime.fromisoformat((await self._call("GET", "/clock"))["now"])

    async def advance(self, to: datetime) -> Mapping[str, Any]:
        """Runs the world to `to`; answers when every webhook due has been sent."""
        return await self._call("POST", "/advance", {"to": to.isoformat()})

    async def host_mailbox(self, address: str, password: str) -> None:
        await self._call("POST", "/mailhost/accounts", {"address": address, "password": password})

    async def own_domain(self, name: str) -> None:
        """The registrar's account owns the domain, delegated to nobody."""
        await self._call("POST", "/registrar/domains", {"name": name})

    async def state(self) -> Mapping[str, Any]:
        return await self._call("GET", "/state")

    async def log(self, kind: str) -> list[dict[str, Any]]:
        """Every line of one log, oldest first."""
        lines: list[dict[str, Any]] = []
        after = 0
        while True:
            page = await self._call("GET", f"/log/{kind}?after={after}&limit={_PAGE}")
            lines += page["entries"]
            after = page["next"]
            if after >= page["total"]:
                return lines

    async def _call(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        try:
            answer = await self._client.request(method, self.base_url + path, json=body)
        except httpx2.HTTPError as error:
            raise Unavailable(
                f"The sandbox does not answer: {error!r}.", vendor="sandbox", operation=path, hint="Is it running?"
            ) from error
        if answer.status_code >= 400:
            raise Unavailable(
                f"The sandbox answered {answer.status_code} to {method} {path}: {answer.text[:300]}",
                vendor="sandbox",
                operation=path,
                status=answer.status_code,
            )
        return msgspec.json.decode(answer.content)
