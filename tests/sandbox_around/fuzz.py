"""Any call a face's own description allows, and some it does not: answers must be those it describes.

Calls come from schemathesis, seeded; numbers of things that exist are put in, so that calls get past the first check.
An answer is judged here, by the description alone: its status, its media type, its schema.
"""

from __future__ import annotations

import asyncio
import base64
import json
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast
from xml.etree.ElementTree import fromstring

import httpx2
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from jsonschema import Draft202012Validator
from schemathesis.generation import GenerationMode

from mailfleet.sandbox.within import ROOT, Inside

DOMAIN = "get-mailfleet-demo.com"
FACES = ("smartlead", "smartdelivery", "cloudflare", "namecheap", "slack", "twilio", "control", "status")
_LONGEST_JUMP = 600
_OUTSIDE = re.compile(r"[^A-Za-z0-9_:@-]")
# What a case may hold a number of, by the name it goes under.
_ALIASES = {
    "id": "webhook_id", "email_account_ids": "account_id", "selectedEmailAccountId": "account_id",
    "campaignId": "campaign_id", "email_campaign_id": "campaign_id", "leadId": "lead_id", "leadIds": "lead_id",
    "email_lead_map_id": "map_id", "tag_ids": "tag_id", "tagIds": "tag_id", "listId": "list_id", "toListId": "list_id",
    "fromListId": "list_id", "leadListIds": "list_id", "clientId": "client_id", "sequence_mapping_id": "sequence_id",
    "spamTestIds": "test_id",
}  # fmt: skip


@dataclass
class Found:
    """What a search saw."""

    cases: int = 0
    answered: dict[int, int] = field(default_factory=dict[int, int])
    wrong: list[str] = field(default_factory=list[str])


class Scene:
    """A world with something of everything, and the numbers of it."""

    def __init__(self) -> None:
        self.inside = Inside(5)
        transport = httpx2.ASGITransport(app=self.inside.app, raise_app_exceptions=False)
        self.http = httpx2.AsyncClient(transport=transport, base_url=ROOT)
        self.known: dict[str, Any] = {}

    async def call(self, method: str, path: str, body: Any = None, *, host: str = "base_url") -> Any:
        held = self.inside.info["smartlead"]
        answer = await self.http.request(method, held[host] + path, params={"api_key": held["api_key"]}, json=body)
        assert answer.status_code == 200, (path, answer.text)
        return answer.json()

    async def built(self) -> Scene:
        """Makes a mailbox, a campaign that has sent, and one of each other thing."""
        control = self.inside.info["control"]["base_url"]
        address, host = f"ada@{DOMAIN}", self.inside.info["mailhost"]
        await self.http.post(control + "/registrar/domains", json={"name": DOMAIN})
        await self.http.post(control + "/mailhost/accounts", json={"address": address, "password": "pw"})
        login = {"from_email": address, "from_name": "Ada", "user_name": address, "password": "pw"}
        places = {name: host[name] for name in ("smtp_host", "smtp_port", "imap_host", "imap_port")}
        saved = await self.call("POST", "/email-accounts/save", {**login, **places, "warmup_enabled": True})
        campaign = (await self.call("POST", "/campaigns/create", {"name": "Fuzz"}))["id"]
        at = f"/campaigns/{campaign}"
        step = {"seq_delay_details": {"delay_in_days": 0}, "subject": "Hi", "email_body": "<div>Hi</div>"}
        steps = [{**step, "seq_number": number} for number in (1, 2)]
        hours = {"start_hour": "00:00", "end_hour": "23:59", "min_time_btw_emails": 3, "max_new_leads_per_day": 100}
        await self.call("POST", at + "/schedule", {"timezone": "UTC", "days_of_the_week": list(range(7)), **hours})
        await self.call("POST", at + "/sequences", {"sequences": steps})
        await self.call("POST", at + "/email-accounts", {"email_account_ids": [saved["emailAccountId"]]})
        names = ("replies-positive", "hard-bounce", "unsubscribes", "complains", "silent")
        rows = [{"email": f"{name}{n}@firm{n}-mailfleet.com"} for n in range(2) for name in names]
        await self.call("POST", at + "/leads", {"lead_list": rows})
        await self.call("POST", at + "/status", {"status": "START"})
        await self.inside.advance(self.inside.now + timedelta(days=2))
        self.known = {"campaign_id": campaign, "account_id": saved["emailAccountId"], **await self._more(at, address)}
        return self

    async def _more(self, at: str, address: str) -> dict[str, Any]:
        hook = {"name": "h", "webhook_url": "http://127.0.0.1:9/h", "event_types": ["EMAIL_SENT"]}
        leads = (await self.call("GET", at + "/leads"))["data"]
        sequence = (await self.call("GET", at + "/sequences"))[0]["id"]
        test = {"test_name": "t", "spam_filters": [], "link_checker": False, "campaign_id": int(at.rpartition("/")[2])}
        test |= {"sequence_mapping_id": sequence, "provider_ids": [20, 21], "sender_accounts": [address]}
        client = {"name": "C", "email": "c@c.com", "password": "p", "permission": ["full_access"]}
        made = (await self.call("POST", "/client/save", client))["clientId"]
        key = await self.call("POST", "/client/api-key", {"clientId": made, "keyName": "k"})
        history = await self.call("GET", f"{at}/leads/{leads[0]['lead']['id']}/message-history")
        hook_path = self.inside.info["slack"]["webhook_url"].split("/")
        return {
            "webhook_id": (await self.call("POST", at + "/webhooks", {**hook, "categories": ["Interested"]}))["id"],
            "lead_id": leads[0]["lead"]["id"],
            "map_id": leads[0]["campaign_lead_map_id"],
            "sequence_id": sequence,
            "test_id": (await self.call("POST", "/manual", test, host="delivery_base_url"))["id"],
            "client_id": made,
            "key_id": key["data"]["id"],
            "tag_id": (await self.call("POST", "/tags", {"name": "t", "color": "#fff"}))["id"],
            "list_id": (await self.call("POST", "/lead-list", {"listName": "l"}))["data"]["id"],
            "email_stats_id": history["history"][0]["stats_id"],
            "stats_id": history["history"][0]["stats_id"],
            "sender_accounts": address,
            "email_ids": address,
            **self._registrar(),
            **await self._zone(),
            "account": self.inside.info["twilio"]["account_sid"],
            **dict(zip(("team", "app", "token"), hook_path[-3:], strict=True)),
        }

    async def _zone(self) -> dict[str, Any]:
        held = self.inside.info["cloudflare"]
        headers = {"authorization": f"Bearer {held['api_token']}"}
        body = {"name": DOMAIN, "account": {"id": held["account_id"]}, "type": "full"}
        zone = (await self.http.post(held["base_url"] + "/zones", json=body, headers=headers)).json()["result"]["id"]
        record = {"type": "TXT", "name": DOMAIN, "content": '"v=spf1 -all"', "ttl": 300}
        records = f"{held['base_url']}/zones/{zone}/dns_records"
        made = (await self.http.post(records, json=record, headers=headers)).json()["result"]["id"]
        return {"zone_id": zone, "record_id": made}

    def _registrar(self) -> dict[str, Any]:
        held = self.inside.info["namecheap"]
        names = {"ApiUser": "api_user", "ApiKey": "api_key", "UserName": "username", "ClientIp": "client_ip"}
        return {name: held[key] for name, key in names.items()} | {
            "DomainName": DOMAIN,
            "SLD": DOMAIN[:-4],
            "TLD": "com",
        }

    def credentials(self, face: str) -> tuple[dict[str, str], dict[str, str]]:
        """Query and headers that a face wants."""
        info = self.inside.info
        if face in ("smartlead", "smartdelivery"):
            return {"api_key": info["smartlead"]["api_key"]}, {}
        if face == "twilio":
            pair = f"{info['twilio']['account_sid']}:{info['twilio']['auth_token']}"
            return {}, {"authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
        tokens = {"cloudflare": info["cloudflare"]["api_token"], "slack": info["slack"]["bot_token"]}
        return {}, {"authorization": f"Bearer {tokens[face]}"} if face in tokens else {}


def search(face: str, examples: int, number: int) -> Found:
    """So many calls for each operation of a face."""
    with asyncio.Runner() as runner:
        scene = runner.run(Scene().built())
        described = runner.run(scene.http.get(f"/{face}/openapi.json")).json()
        found, odd = Found(), random.Random(f"{face}:{number}")
        judge = judging(described)
        schema = schemathesis.openapi.from_dict(described)
        for result in schema.get_all_operations():
            operation: Any = cast(Any, result).ok()
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):

                def one(case: Any) -> None:
                    runner.run(_try(scene, face, case, odd, found, judge))

                _drive(operation, mode, max(1, examples // 2), number, one)
        runner.run(scene.http.aclose())
    return found


def _drive(operation: Any, mode: GenerationMode, examples: int, number: int, one: Callable[[Any], None]) -> None:
    # Not every operation can be called wrongly.
    kept = settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=cast(list[HealthCheck], list(HealthCheck)),
    )
    try:
        seed(number)(kept(given(case=operation.as_strategy(generation_mode=mode))(one)))()
    except schemathesis.errors.InvalidSchema:
        raise
    except Exception as error:
        if type(error).__name__ != "Unsatisfiable":
            raise


async def _try(
    scene: Scene, face: str, case: Any, odd: random.Random, found: Found, judge: Callable[[Any, Any], str | None]
) -> None:
    _put_in(scene.known, case, odd)
    query, headers = scene.credentials(face)
    sent = case.as_transport_kwargs(base_url=ROOT)
    sent.pop("cookies", None)
    sent["params"] = {**(sent.get("params") or {}), **query}
    if isinstance(sent.get("data"), str | bytes):
        sent["content"] = sent.pop("data")
    made = (sent.get("headers") or {}).items()
    sent["headers"] = {name: value for name, value in made if name.lower() != "authorization"} | headers
    if face == "control" and isinstance(case.body, dict):
        sent["json"] = _short(case.body)
    try:
        answer = await scene.http.request(**sent)
    except (httpx2.InvalidURL, UnicodeError, ValueError):
        return
    found.cases += 1
    found.answered[answer.status_code] = found.answered.get(answer.status_code, 0) + 1
    complaint = judge(case, answer)
    if complaint:
        found.wrong.append(f"{case.method} {case.path}: {complaint}\n  sent {sent}\n  got {answer.text[:400]}")


def _short(body: Mapping[str, Any]) -> dict[str, Any]:
    """A jump of the clock that takes no time to make, and no fault that hangs."""
    kept = {name: value for name, value in body.items() if name not in ("to", "until", "days")}
    if isinstance(kept.get("seconds"), int | float):
        kept["seconds"] = min(kept["seconds"], _LONGEST_JUMP)
    return kept


def _put_in(known: Mapping[str, Any], case: Any, odd: random.Random) -> None:
    """Replaces most made-up numbers by those of things that exist."""
    parameters = case.path_parameters or {}
    for name in parameters:
        if name in known and odd.random() < 0.85:
            parameters[name] = str(known[name])
        # What is no part of a path would ask for another path.
        parameters[name] = _OUTSIDE.sub("", str(parameters[name])) or "x"
    for name in case.query or {}:
        if name in known and odd.random() < 0.85:
            case.query[name] = str(known[name])
    if isinstance(case.body, dict | list):
        case.body = _replaced(known, case.body, odd)


def _replaced(known: Mapping[str, Any], value: Any, odd: random.Random) -> Any:
    if isinstance(value, list):
        return [_replaced(known, entry, odd) for entry in value]
    if not isinstance(value, dict):
        return value
    done: dict[str, Any] = {}
    for name, held in value.items():
        number = known.get(_ALIASES.get(str(name), str(name)))
        if number is not None and odd.random() < 0.7:
            done[str(name)] = [number] if isinstance(held, list) else number
        else:
            done[str(name)] = _replaced(known, held, odd)
    return done


def judging(described: Mapping[str, Any]) -> Callable[[Any, Any], str | None]:
    """What is wrong about an answer by the description, or None."""
    checks: dict[tuple[str, str, int], Draft202012Validator] = {}

    def judge(case: Any, answer: Any) -> str | None:
        answers = described["paths"][case.path][case.method.lower()]["responses"]
        told = answers.get(str(answer.status_code))
        if told is None:
            return f"status {answer.status_code} is not described"
        media = answer.headers.get("content-type", "").partition(";")[0]
        if media not in told["content"]:
            return f"media type {media!r} is not described"
        if "xml" in media and fromstring(answer.text).get("Status") not in ("OK", "ERROR"):
            return "an answer without a status"
        if "json" not in media:
            return None
        key = (case.method, case.path, answer.status_code)
        if key not in checks:
            checks[key] = Draft202012Validator(told["content"][media]["schema"])
        error = next(checks[key].iter_errors(json.loads(answer.text)), None)
        return None if error is None else f"{answer.status_code}: {list(error.absolute_path)}: {error.message[:300]}"

    return judge
