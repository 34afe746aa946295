"""No key, password or token reaches a log line, wherever it hides."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest
import structlog

from mailfleet import log

SECRET = "s3cr3tv4lu3xyz"


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


@pytest.mark.parametrize(
    "text",
    [
        f"GET https://server.smartlead.ai/api/v1/campaigns?api_key={SECRET}&offset=0",
        f"https://server.smartlead.ai/api/v1/x?limit=1&api_key={SECRET}",
        f"postgresql://app:{SECRET}@db.example.com:5432/app",
        f"Authorization: Bearer {SECRET}",
        f"https://hooks.slack.com/services/T000/B000/{SECRET}",
        f"POST /hooks/{SECRET}/smartlead",
        f"xoxb-12345-{SECRET}",
        f'{{"smtp_password": "{SECRET}", "user": "x"}}',
        f"password={SECRET}",
        f"host=/run/pg user=app password={SECRET} dbname=app",
        f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END RSA PRIVATE KEY-----",
        f"secret_key: {SECRET}",
        f"ApiKey={SECRET}",
    ],
)
def test_text_is_redacted(text: str) -> None:
    assert SECRET not in log.redact(text)


@pytest.mark.parametrize(
    "name", ["api_key", "password", "smtp_password", "Authorization", "bot_token", "dsn", "kek", "webhook_url"]
)
def test_telling_names_are_hidden(name: str) -> None:
    assert log.clean({"outer": [{name: SECRET}]}) == {"outer": [{name: log.HIDDEN}]}


def test_what_is_no_secret_stays() -> None:
    event = {"key_id": "ab12", "fact_key": "hot:1", "count": 3, "url": "https://x.test/a?limit=2", "none": None}
    assert log.clean(event) == event


@pytest.mark.parametrize("style", ["json", "console"])
def test_no_line_of_any_logger_carries_a_secret(style: str) -> None:
    stream = io.StringIO()
    log.setup("debug", style, stream)
    structlog.get_logger("ours").info("called", api_key=SECRET, url=f"http://x.test/?api_key={SECRET}")
    logging.getLogger("theirs").warning("GET %s", f"http://x.test/?api_key={SECRET}")
    try:
        raise ValueError(f"postgresql://u:{SECRET}@h/d")
    except ValueError:
        logging.getLogger("theirs").exception("failed")
    written = stream.getvalue()
    assert written.count("\n") >= 3
    assert SECRET not in written
