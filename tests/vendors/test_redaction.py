"""Planted keys and passwords appear nowhere: not raw, not URL-encoded, not in base64."""

from __future__ import annotations

import base64
import io
import logging
import traceback
from collections.abc import Iterable
from dataclasses import replace
from urllib.parse import quote, quote_plus

import httpx2
import msgspec
import pytest
from rich.console import Console
from rich.traceback import Traceback
from tests.vendors.wires import Bench, Handler, caught, ok, script, text

from mailfleet.errors import VendorError
from mailfleet.platforms.port import MailboxSpec
from mailfleet.platforms.smartlead import SmartleadPlatform
from mailfleet.platforms.smartlead_words import account_fields
from mailfleet.vendors.cloudflare.client import CloudflareClient
from mailfleet.vendors.namecheap.client import NamecheapClient
from mailfleet.vendors.slack.client import SlackClient
from mailfleet.vendors.smartlead.client import get_smartlead_client
from mailfleet.vendors.smartlead.mailboxes import LIST
from mailfleet.vendors.transport.secret import Hidden, Redactor, Secret
from mailfleet.vendors.transport.taken import Taken
from mailfleet.vendors.twilio.client import TwilioClient

pytestmark = pytest.mark.anyio
KEY = "pl4nted+key/9f=&x"
PASSWORD = "p4ss w+rd/é="
SPEC = MailboxSpec(
    address="ada@outreach-one.example",
    display_name="Ada",
    username="ada@outreach-one.example",
    password=PASSWORD,
    smtp_host="mail.example",
    smtp_port=587,
    imap_host="mail.example",
    imap_port=993,
    daily_cap=40,
)


def forms(secret: str) -> set[str]:
    coded = base64.b64encode(secret.encode()).decode()
    return {secret, quote(secret, safe=""), quote_plus(secret), coded, coded.rstrip("="), quote(coded, safe="")}


def found_in(text: str) -> list[str]:
    return [form for secret in (KEY, PASSWORD) for form in forms(secret) if form in text]


def rendered(error: BaseException) -> Iterable[str]:
    """As loggers, people and Prefect show it, also with the locals of every frame."""
    yield str(error)
    yield repr(error)
    yield "".join(traceback.format_exception(error))
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    yield "".join(shown.format())
    out = io.StringIO()
    trace = Traceback.from_exception(type(error), error, error.__traceback__, show_locals=True, locals_max_string=None)
    Console(file=out, width=400).print(trace)
    yield out.getvalue()
    yield repr(vars(error))


def echo(status: int) -> Handler:
    """A vendor that repeats all it was sent, and an edge that shows the whole address."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen = {"url": str(request.url), "headers": dict(request.headers), "body": request.content.decode()}
        coded = base64.b64encode(KEY.encode()).decode()
        return ok({"message": f"cannot do {seen} {KEY} {coded}", "password": PASSWORD}, status)

    return answer


HANDLERS: list[Handler] = [
    echo(400),
    echo(401),
    echo(500),
    script(httpx2.ReadTimeout(f"timed out reading https://x.example/?api_key={quote(KEY)}")),
    script(httpx2.ConnectError(f"cannot reach {KEY}")),
    script(text(f"<html>api_key={quote_plus(KEY)}</html>", 403)),
    script(ok({"id": "no number", "from_email": 7, "password": PASSWORD, "imap_password": PASSWORD})),
    script(ok(["not", "an", "object"])),
    lambda request: ok([]) if request.method == "GET" else ok({"ok": False, "message": f"no login with {PASSWORD}"}),
]


@pytest.mark.parametrize("handler", HANDLERS, ids=range(len(HANDLERS)))
async def test_no_error_of_smartlead_shows_key_or_password(handler: Handler, caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(handler)
    platform = SmartleadPlatform(get_smartlead_client(KEY, bench.means, base_url="https://sl.example/api/v1"))
    caplog.set_level(logging.DEBUG)
    errors = [
        await caught(platform.client.create_email_account(Hidden(account_fields(SPEC)))),
        await caught(platform.connect_mailbox(SPEC)),
    ]
    assert all(isinstance(error, VendorError) for error in errors)
    for error in errors:
        assert [found_in(shown) for shown in rendered(error)] == [[]] * 6
    assert found_in(caplog.text) == []
    assert found_in(repr(bench.journal.entries)) == []
    assert found_in(repr(bench.calls.made)) == []


@pytest.mark.parametrize("handler", HANDLERS[:6], ids=range(6))
async def test_no_error_of_another_vendor_shows_its_key(handler: Handler, caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(handler)
    caplog.set_level(logging.DEBUG)
    key = Secret(KEY)
    cloudflare = CloudflareClient(key, bench.means, account_id="a", base_url="https://cf.example")
    namecheap = NamecheapClient(
        bench.means, api_user="u", key=key, username="u", client_ip="192.0.2.1", base_url="https://nc.example"
    )
    twilio = TwilioClient(bench.means, account_sid="AC1", token=key, sender="+1", base_url="https://tw.example")
    hook = SlackClient(bench.means, webhook=Secret(f"https://hooks.slack.com/services/T/B/{quote(KEY, safe='')}"))
    bot = SlackClient(bench.means, token=key, base_url="https://sk.example")
    errors = [
        await caught(cloudflare.create_zone("a.example")),
        await caught(cloudflare.records("z")),
        await caught(namecheap.check("a.example")),
        await caught(namecheap.set_nameservers("a.example", ["ns1.example"])),
        await caught(twilio.send("+2", "hello")),
        await caught(hook.post("#a", "hello")),
        await caught(bot.post("#a", "hello")),
    ]
    for error in errors:
        assert [found_in(shown) for shown in rendered(error)] == [[]] * 6
    assert found_in(caplog.text) == []
    assert found_in(repr(bench.journal.entries)) == []


async def test_nothing_we_hold_shows_the_key_in_its_repr() -> None:
    bench = Bench(script(ok()))
    client = get_smartlead_client(KEY, bench.means)
    shown = [client, client.transport, client.transport.vendor, client.transport.__dict__, Secret(KEY), SPEC]
    assert found_in(repr(shown)) == []


async def test_passwords_of_accounts_do_not_pass_the_border() -> None:
    coded = base64.b64encode(PASSWORD.encode()).decode()
    account = {"id": 1, "from_email": "a@b.example", "password": coded, "imap_password": PASSWORD}
    bench = Bench(script(ok([account])))
    platform = SmartleadPlatform(get_smartlead_client(KEY, bench.means))
    seen = [mailbox async for mailbox in platform.mailboxes()]
    answer = await platform.client.transport.call(LIST)
    assert found_in(repr(seen) + msgspec.json.encode(seen).decode()) == []
    assert found_in(repr(answer.data) + answer.text) == []


def test_every_form_of_a_secret_is_removed() -> None:
    redactor = Redactor([Secret(KEY)])
    for form in forms(KEY):
        assert found_in(redactor.text(f"a {form} b")) == []
        assert found_in(repr(redactor.value({"a": [{"b": form}], form: 1}))) == []


@pytest.mark.parametrize("handler", HANDLERS, ids=range(len(HANDLERS)))
async def test_no_recorded_exchange_shows_key_or_password(handler: Handler) -> None:
    bench, kept = Bench(handler), list[Taken]()
    means = replace(bench.means, witness=kept.append)
    client = get_smartlead_client(KEY, means, base_url="https://sl.example/api/v1")
    twilio = TwilioClient(means, account_sid="AC1", token=Secret(KEY), sender="+1", base_url="https://tw.example")
    await caught(client.create_email_account(Hidden(account_fields(SPEC))))
    await caught(client.clients.create("C", "c@c.example", Hidden(PASSWORD)))
    await caught(twilio.send("+2", f"hello {KEY}"))
    shown = msgspec.json.encode(kept).decode() + repr(kept)
    assert len(kept) >= 3 and found_in(shown) == []
    assert base64.b64encode(f"AC1:{KEY}".encode()).decode() not in shown + repr(bench.journal.entries)
