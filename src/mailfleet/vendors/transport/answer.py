"""An answer as it came: parsed by what it contains, not by what its header claims."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

Kind = Literal["json", "html", "xml", "csv", "text", "empty"]
REQUEST_IDS = ("x-request-id", "cf-ray", "twilio-request-id", "x-slack-req-id")


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """`data` is the decoded JSON, already free of passwords; None for every other kind."""

    status: int
    kind: Kind
    text: str
    data: Any = None
    headers: Mapping[str, str] = {}
    ms: int = 0

    @property
    def request_id(self) -> str:
        return next((value for name in REQUEST_IDS if (value := self.headers.get(name, ""))), "")

    @property
    def fields(self) -> Mapping[str, Any]:
        """The JSON object, or nothing when the body is not one."""
        return self.data if isinstance(self.data, dict) else {}

    def __repr__(self) -> str:
        return f"Answer(status={self.status}, kind={self.kind!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("status", self.status), ("kind", self.kind)]


def read(
    status: int, headers: Mapping[str, str], body: bytes, *, ms: int, scrub: Callable[[Any], Any] | None = None
) -> Answer:
    """The answer in our form. `scrub` takes out what must not pass the border (V13)."""
    text = body.decode("utf-8", "replace")
    start = text.lstrip("\ufeff \t\r\n")[:200]
    data: Any = None
    kind: Kind = "text"
    if not start:
        kind = "empty"
    elif start[0] in "[{":
        kind, data = _json(body)
    elif start[0] == "<":
        kind = "html" if "<html" in start.lower() or "<!doctype" in start.lower() else "xml"
    elif "csv" in headers.get("content-type", ""):
        kind = "csv"
    if scrub is not None and data is not None:
        data, text = scrub(data), ""
    return Answer(status=status, kind=kind, text=text, data=data, headers=dict(headers), ms=ms)


def _json(body: bytes) -> tuple[Kind, Any]:
    try:
        return "json", msgspec.json.decode(body.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "text", None
