"""One attempt on the wire. Nothing raised here leaves: a failure becomes a `Lost`, so no key travels in a frame."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx2
import msgspec

from mailfleet import __version__
from mailfleet.log import redact
from mailfleet.vendors.transport.answer import Answer, read
from mailfleet.vendors.transport.operation import Access, Operation, Vendor
from mailfleet.vendors.transport.secret import Hidden, Redactor

# Cloudflare refuses the agents of bare libraries with error 1010 (smartlead:edge).
USER_AGENT = f"mailfleet/{__version__} (+https://mailfleet.dev)"
# Servers close idle connections after 5 s and more; a request that meets a closing one has an unknown outcome.
IDLE = 4.0
_NEVER_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.UnsupportedProtocol,
    httpx2.InvalidURL,
    httpx2.LocalProtocolError,
    httpx2.ProxyError,
)


class _WithoutKeys(logging.Filter):
    """httpx2 logs whole URLs, and some vendors take their key there."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage()), ()
        return True


logging.getLogger("httpx2").addFilter(_WithoutKeys())


class Lost(msgspec.Struct, frozen=True, kw_only=True):
    """No answer. `sent`: at least part of it may have arrived, so that a write may have taken effect."""

    name: str
    message: str
    sent: bool
    timed_out: bool = False
    ms: int = 0

    def __repr__(self) -> str:
        return f"Lost({self.name})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("name", self.name)]


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """A call ready to leave, without the key."""

    operation: Operation
    path: str
    query: Mapping[str, Any]
    body: Any
    form: Mapping[str, str] | None
    headers: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Outgoing({self.operation.name})"


def opened(body: Any) -> Any:
    return body.value if isinstance(body, Hidden) else body


def place(template: str, values: Mapping[str, object]) -> str:
    """The path with its values, each quoted so that none can change the route."""
    return template.format_map({name: quote(str(value), safe="") for name, value in values.items()})


class Wire:
    """The connection pool to one vendor."""

    def __init__(self, vendor: Vendor, http: httpx2.AsyncBaseTransport | None = None) -> None:
        self._vendor = vendor
        self._redactor = vendor.access.redactor()
        self._client = httpx2.AsyncClient(
            headers={"user-agent": USER_AGENT, "accept": "application/json, */*;q=0.5"},
            transport=http,
            limits=httpx2.Limits(max_connections=20, max_keepalive_connections=10, keepalive_expiry=IDLE),
            trust_env=http is None,
        )

    def __repr__(self) -> str:
        return f"Wire({self._vendor.name})"

    async def close(self) -> None:
        await self._client.aclose()

    async def exchange(self, going: Outgoing, timeout: float) -> Answer | Lost:
        """The answer, or how it was lost."""
        started = time.monotonic()
        try:
            response = await self._client.send(self._build(going, timeout))
        except httpx2.TimeoutException as error:
            return _lost(error, self._redactor, started, timed_out=True)
        except Exception as error:  # whatever the library raises may carry the URL, and so the key
            return _lost(error, self._redactor, started)
        ms = round((time.monotonic() - started) * 1000)
        return read(response.status_code, response.headers, response.content, ms=ms, scrub=self._vendor.scrub)

    def _build(self, going: Outgoing, timeout: float) -> httpx2.Request:
        access = self._vendor.access
        headers = {**going.headers, **{name: value.reveal() for name, value in access.headers.items()}}
        content: bytes | None = None
        if going.body is not None:
            content, headers["content-type"] = msgspec.json.encode(opened(going.body)), "application/json"
        form = going.form and {**going.form, **{name: value.reveal() for name, value in access.form.items()}}
        request = self._client.build_request(
            going.operation.method,
            access.url.reveal() if access.url else self._vendor.base_url.rstrip("/") + going.path,
            params=_query(going, access) or None,
            content=content,
            data=form,
            headers=headers,
            timeout=httpx2.Timeout(timeout, connect=min(10.0, timeout), pool=timeout),
        )
        if access.basic:
            auth = httpx2.BasicAuth(access.basic[0], access.basic[1].reveal())
            return next(auth.auth_flow(request))
        return request


def _query(going: Outgoing, access: Access) -> dict[str, str | list[str]]:
    """A list is the same name again and again."""
    given: dict[str, str | list[str]] = {
        name: [_text(each) for each in value] if isinstance(value, list) else _text(value)
        for name, value in going.query.items()
        if value is not None
    }
    return {**given, **{name: value.reveal() for name, value in access.query.items()}}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _lost(error: Exception, redactor: Redactor, started: float, *, timed_out: bool = False) -> Lost:
    return Lost(
        name=type(error).__name__,
        message=redactor.text(str(error)) or type(error).__name__,
        sent=not isinstance(error, _NEVER_SENT),
        timed_out=timed_out,
        ms=round((time.monotonic() - started) * 1000),
    )
