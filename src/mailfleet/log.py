"""Log lines: structured, without secrets, through stdlib so that Prefect's and uvicorn's look the same."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Mapping, MutableMapping
from functools import lru_cache
from typing import Any, TextIO

import structlog

HIDDEN = "[hidden]"
_NAMES = re.compile(
    r"(?i)(api[_-]?key|authorization|auth[_-]?token|bot[_-]?token|api[_-]?token|access[_-]?token|password|passwd|secret|"
    r"private[_-]?(pem|key)|\bkek\b|cookie|dsn|database_url|webhook_url|receiver_token)"
)
_SAFE = re.compile(r"(?i)(key_id|secret_id|fingerprint|dedupe_key|fact_key)$")
_IN_TEXT = (
    # smartlead: the key stands in the query of every URL.
    (re.compile(r"(?i)([?&](?:api_?key|apiuser|token|secret|password)=)[^&\s\"'#]+"), rf"\1{HIDDEN}"),
    (re.compile(r"(?i)(://[^/\s:@]*:)[^@\s/]+(@)"), rf"\1{HIDDEN}\2"),
    (re.compile(r"(?i)\b((?:bearer|basic)\s+)[a-z0-9._~+/=-]{8,}"), rf"\1{HIDDEN}"),
    (
        re.compile(r"(?i)\b((?:\w*password|passwd|api_?key|secret(?:_key)?|token)[\"']?\s*[=:]\s*[\"']?)[^\s\"',;&}]+"),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"(https://hooks\.slack\.com/services/)\S+"), rf"\1{HIDDEN}"),
    (re.compile(r"(/hooks/)[^/\s\"']+"), rf"\1{HIDDEN}"),
    (re.compile(r"\bxox[abpr]-[\w-]+"), HIDDEN),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----", re.S), HIDDEN),
)
# What each of the patterns above needs: nearly every text has none of it and costs one look instead of eight.
_MARKS = re.compile(r"(?i)[=:]|bearer\s|basic\s|/hooks/|xox[abpr]-|-----BEGIN")


def redact(text: str) -> str:
    """The text without keys in URLs, passwords in addresses, bearer tokens, private keys or the receiver's path."""
    if not _MARKS.search(text):
        return text
    for pattern, shown in _IN_TEXT:
        text = pattern.sub(shown, text)
    return text


def clean(value: Any, name: str = "", text: Callable[[str], str] = redact) -> Any:
    """The value as it may be written: everything under a telling name hidden, every text through `text`."""
    if name and _telling(name):
        return HIDDEN if value not in (None, "", (), {}) else value
    if isinstance(value, str):
        return text(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {text(k) if isinstance(k, str) else k: clean(item, str(k), text) for k, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [clean(item, "", text) for item in value]
    return text(str(value))


@lru_cache(4096)
def _telling(name: str) -> bool:
    return bool(_NAMES.search(name)) and not _SAFE.search(name)


def redaction(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The structlog processor that stands before every renderer."""
    for name in list(event):
        if not name.startswith("_"):
            event[name] = clean(event[name], name)
    return event


def setup(level: str = "info", style: str = "auto", stream: TextIO | None = None) -> None:
    """Every logger of this process writes redacted lines to `stream` (stderr by default); the last call counts."""
    out = stream or sys.stderr
    console = style == "console" or (style == "auto" and out.isatty())
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=out.isatty(), exception_formatter=structlog.dev.plain_traceback)
        if console
        else structlog.processors.JSONRenderer()
    )
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(),
    ]
    last: list[Any] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, structlog.processors.format_exc_info]
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[*last, redaction, renderer])
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in ("httpx", "httpx2", "httpcore", "httpcore2", "asyncio", "websockets", "aiosqlite", "uvicorn.access"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared[:4],
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
