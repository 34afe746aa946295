"""Slack, Twilio and the status page by hand (the vendors' pages: Incoming webhooks, chat.postMessage, Messages)."""

import re
from typing import Any

import httpx2
import pytest

from mailfleet.sandbox import slack, status_page, twilio
from mailfleet.sandbox.namecheap import face as namecheap
from mailfleet.sandbox.world import World

from .conftest import DOMAIN, Cloud

pytestmark = pytest.mark.anyio


@pytest.fixture
def bot(world: World) -> dict[str, str]:
    return {"authorization": f"Bearer {slack.credentials(world)['bot_token']}"}


async def test_the_incoming_webhook_answers_ok_in_plain_text(http: httpx2.AsyncClient, world: World) -> None:
    answer = await http.post(slack.credentials(world)["webhook_path"], json={"text": "A hot reply", "blocks": [1]})

    assert (answer.status_code, answer.text) == (200, "ok")
    assert answer.headers["content-type"].startswith("text/plain")
    (entry,) = world.log.lists["slack"]
    assert (entry["text"], entry["blocks"], entry["via"]) == ("A hot reply", [1], "webhook")


@pytest.mark.parametrize(
    ("content", "text"), [(b"{", "invalid_payload"), (b"[]", "invalid_payload"), (b"{}", "no_text")]
)
async def test_the_webhook_refuses_what_is_no_message(
    http: httpx2.AsyncClient, world: World, content: bytes, text: str
) -> None:
    answer = await http.post(slack.credentials(world)["webhook_path"], content=content)

    assert (answer.status_code, answer.text) == (400, text)
    assert not world.log.lists["slack"]


async def test_a_webhook_that_does_not_exist_is_said_so(http: httpx2.AsyncClient) -> None:
    answer = await http.post("/slack/services/T0/B0/nothing", json={"text": "x"})

    assert (answer.status_code, answer.text) == (404, "no_service")


async def test_a_message_is_posted_to_a_channel(http: httpx2.AsyncClient, world: World, bot: dict[str, str]) -> None:
    by_json = await http.post("/slack/api/chat.postMessage", headers=bot, json={"channel": "#alerts", "text": "one"})
    by_form = await http.post("/slack/api/chat.postMessage", headers=bot, data={"channel": "#alerts", "text": "two"})

    one, two = by_json.json(), by_form.json()
    assert one["ok"]
    assert one["channel"] == two["channel"]
    assert re.fullmatch(r"\d{10}\.\d{6}", one["ts"])
    assert one["ts"] != two["ts"]
    assert [entry["text"] for entry in world.log.lists["slack"]] == ["one", "two"]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"channel": "alerts"}, "no_text"),
        ({"text": "x"}, "channel_not_found"),
        ({"channel": "no-such-channel", "text": "x"}, "channel_not_found"),
        ({"channel": "archived", "text": "x"}, "is_archived"),
        ({"channel": "alerts", "text": "x" * 40_001}, "msg_too_long"),
    ],
)
async def test_a_message_that_cannot_be_posted_is_refused_with_status_200(
    http: httpx2.AsyncClient, bot: dict[str, str], body: dict[str, str], error: str
) -> None:
    answer = await http.post("/slack/api/chat.postMessage", headers=bot, json=body)

    assert answer.status_code == 200
    assert (answer.json()["ok"], answer.json()["error"]) == (False, error)


@pytest.mark.parametrize(("headers", "error"), [({}, "not_authed"), ({"authorization": "Bearer x"}, "invalid_auth")])
async def test_slack_wants_the_token(http: httpx2.AsyncClient, headers: dict[str, str], error: str) -> None:
    answer = await http.post("/slack/api/chat.postMessage", headers=headers, json={"channel": "a", "text": "x"})

    assert answer.json() == {"ok": False, "error": error}


class Sms:
    def __init__(self, http: httpx2.AsyncClient, world: World) -> None:
        self.http = http
        self.held = twilio.credentials(world)
        self.base = f"/twilio/2010-04-01/Accounts/{self.held['account_sid']}/Messages"

    async def send(self, **given: str) -> httpx2.Response:
        form = {"To": "+61255501234", "From": self.held["from_number"], "Body": "stop", **given}
        return await self.http.post(f"{self.base}.json", data=form, auth=self.auth)

    @property
    def auth(self) -> tuple[str, str]:
        return self.held["account_sid"], self.held["auth_token"]


@pytest.fixture
def sms(http: httpx2.AsyncClient, world: World) -> Sms:
    return Sms(http, world)


async def test_a_text_message_is_taken_and_can_be_read_back(sms: Sms, world: World) -> None:
    sent = await sms.send()
    read = await sms.http.get(f"{sms.base}/{sent.json()['sid']}.json", auth=sms.auth)
    (entry,) = world.log.lists["sms"]

    assert (sent.status_code, sent.json()["status"]) == (201, "queued")
    assert re.fullmatch(r"SM[0-9a-f]{32}", sent.json()["sid"])
    assert read.json()["status"] == "delivered"
    assert (entry["to"], entry["text"]) == ("+61255501234", "stop")


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"To": ""}, 21604),
        ({"To": "0255501234"}, 21211),
        ({"To": "+15005550001"}, 21211),
        ({"To": "+15005550002"}, 21612),
        ({"From": "+61255509999"}, 21606),
        ({"Body": ""}, 21602),
        ({"Body": "x" * 1601}, 21617),
    ],
)
async def test_a_text_message_that_cannot_be_sent_is_explained(
    sms: Sms, world: World, given: dict[str, str], code: int
) -> None:
    answer = await sms.send(**given)

    assert answer.status_code == 400
    assert (answer.json()["code"], answer.json()["status"]) == (code, 400)
    assert not world.log.lists["sms"]


async def test_twilio_wants_the_account_and_its_token(sms: Sms) -> None:
    wrong = await sms.http.post(f"{sms.base}.json", data={}, auth=(sms.held["account_sid"], "wrong"))
    none = await sms.http.post(f"{sms.base}.json", data={})
    unknown = await sms.http.get(f"{sms.base}/SM0.json", auth=sms.auth)

    assert [(answer.status_code, answer.json()["code"]) for answer in (wrong, none, unknown)] == [
        (401, 20003),
        (401, 20003),
        (404, 20404),
    ]


async def test_the_status_page_says_what_it_is_told_to(http: httpx2.AsyncClient, world: World) -> None:
    calm = (await http.get("/status/api/v2/summary.json")).json()
    status_page.set_status(world, "major", "Webhooks <late>", ["Webhooks"])
    bad = (await http.get("/status/api/v2/summary.json")).json()
    page = (await http.get("/status")).text

    def states(body: dict[str, Any]) -> dict[str, str]:
        return {part["name"]: part["status"] for part in body["components"]}

    assert calm["status"] == {"indicator": "none", "description": "All Systems Operational"}
    assert set(states(calm).values()) == {"operational"}
    assert bad["status"]["indicator"] == "major"
    assert (states(bad)["Webhooks"], states(bad)["API"]) == ("partial_outage", "operational")
    assert bad["incidents"][0]["name"] == "Webhooks <late>"
    assert "Webhooks &lt;late&gt;" in page


async def test_the_overview_shows_time_counts_and_domains(http: httpx2.AsyncClient, world: World, cloud: Cloud) -> None:
    await cloud.zone()
    namecheap.register(world, "second-mfdemo.com")
    page = (await http.get("/")).text

    assert "Monday, 02 March 2026, 00:00:00 UTC" in page
    assert DOMAIN in page
    assert '<td class="n">2</td>' in page
    assert "/control/log/sends" in page
