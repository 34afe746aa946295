"""A vendor's every mood, spoken raw over a socket, as the person at the keyboard sees it. Nothing shows the key."""

from __future__ import annotations

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager

import pytest
from tests.faults.conftest import PLANTED, Run

BANNED = (
    "<!DOCTYPE html><html><head><title>Access denied | a vendor used Cloudflare to restrict access</title></head>"
    "<body><h1>Error 1010</h1></body></html>"
)


def _http(status: int, body: str, *headers: str, kind: str = "application/json") -> bytes:
    head = [f"HTTP/1.1 {status} X", f"content-type: {kind}", f"content-length: {len(body.encode())}", *headers]
    return "\r\n".join([*head, "connection: close", "", body]).encode()


@contextmanager
def _vendor(answer: bytes) -> Generator[str]:
    """A server of one answer; its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    caller, _ = listening.accept()
                except OSError:
                    return
                with caller:
                    caller.settimeout(10)
                    caller.recv(65536)
                    caller.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/api/v1"
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(10)


MOODS = [
    (_http(401, '{"message": "Invalid API key"}'), 4, "V301", "mailfleet config show"),
    (_http(401, f'{{"message": "{PLANTED} is no key"}}'), 4, "V301", "mailfleet config show"),
    (_http(403, BANNED, kind="text/html"), 4, "V302", "Access denied"),
    (_http(429, '{"message": "Slow down"}', "retry-after: 3600"), 1, "V306", "It asks to wait 3600 s."),
    (_http(302, "", "location: http://127.0.0.1:1/"), 1, "V300", "base URL"),
    (_http(200, '{"a": [1,'), 1, "V311", "no JSON"),
    (_http(200, ""), 1, "V311", "an empty body"),
    (_http(200, '"hello"'), 1, "V311", "no JSON"),
    (_http(200, "[1, 2, 3]"), 1, "V311", "Expected `object`"),
]


@pytest.mark.parametrize(("answer", "code", "kind", "told"), MOODS)
def test_what_a_vendor_may_answer_is_told_with_its_code(
    run: Run, dsn: str, answer: bytes, code: int, kind: str, told: str
) -> None:
    with _vendor(answer) as address:
        ended = run(
            "mailbox", "run", DATABASE_URL=dsn, SMARTLEAD_BASE_URL=address, SMARTLEAD_API_KEY=PLANTED,
            MAILFLEET_LOG_LEVEL="debug",
        )  # fmt: skip
    assert ended.code == code
    assert f"\n{kind} smartlead " in f"\n{ended.said}" and told in ended.said and "What to do:" in ended.said
    assert PLANTED not in ended.said


def test_a_refused_key_ends_a_setup_with_the_code_of_authentication(run: Run, dsn: str) -> None:
    name = "harbour-mfdemo.com.au"
    assert run("domain", "add", name, "--client", "c", "--new-client", "C", DATABASE_URL=dsn).code == 0
    with _vendor(_http(401, '{"success": false, "errors": [{"code": 10000, "message": "no"}]}')) as address:
        ended = run(
            "domain", "setup", name, "--yes", DATABASE_URL=dsn, CLOUDFLARE_BASE_URL=address,
            CLOUDFLARE_API_TOKEN=PLANTED, CLOUDFLARE_ACCOUNT_ID="a", SMARTLEAD_BASE_URL=address,
            SMARTLEAD_API_KEY=PLANTED,
        )  # fmt: skip
    assert ended.code == 4
    assert "V302 cloudflare" in ended.said and "Zone:Edit" in ended.said
    assert PLANTED not in ended.said
    assert "new" in run("domain", "list", DATABASE_URL=dsn).said
