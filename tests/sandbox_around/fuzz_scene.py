"""A world with something of everything, and the numbers, names and keys a call needs to get past the first check."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import httpx2

from mailfleet.sandbox.namecheap.state import register
from mailfleet.sandbox.within import ROOT, Inside

DOMAIN = "get-mailfleet-demo.com"
# A value, or what picks one for a call to this path.
Known = dict[str, Any | Callable[[random.Random, str], Any]]
# The same number goes under several names.
_SAME = {
    "email_account_ids": "account_id", "email_account_id": "account_id", "selectedEmailAccountId": "account_id",
    "campaignId": "campaign_id", "email_campaign_id": "campaign_id", "parent_campaign_id": "campaign_id",
    "leadId": "lead_id", "leadIds": "lead_id", "email_lead_id": "lead_id", "email_lead_map_id": "map_id",
    "lead_ids": "lead_id", "tag_ids": "tag_id", "tagIds": "tag_id", "listId": "list_id", "toListId": "list_id",
    "fromListId": "list_id", "leadListIds": "list_id", "lead_list_ids": "list_id", "clientId": "client_id",
    "sequence_mapping_id": "sequence_id", "spamTestIds": "test_id", "stats_id": "email_stats_id",
}  # fmt: skip
_AT = "2026-03-06T09:00:00.000Z"
# What a random text never is: a zone, an hour, a day, an address, an event.
_PLAIN: Known = {
    "timezone": "Europe/Berlin", "time_zone": "Europe/Berlin", "start_hour": "09:00", "end_hour": "17:00",
    "start_date": "2026-03-02", "end_date": "2026-03-05", "fromTime": "2026-03-02T00:00:00.000Z", "toTime": _AT,
    "event_time_gt": "2026-03-02T00:00:00.000Z", "created_at_gt": "2026-03-02T00:00:00.000Z", "reminder_time": _AT,
    "schedule_start_time": _AT, "due_date": _AT, "subject": "s",
    "webhook_url": "http://127.0.0.1:9/h", "event_types": ["EMAIL_SENT"], "categories": ["Interested"],
    "event_type_map": {"EMAIL_SENT": True}, "association_type": "campaign", "sequenceNumber": 1, "category_id": 1,
    "message_id": "<m@x>", "provider_ids": [20, 21], "spam_filters": [], "every_days": 1, "status": "PAUSED",
    "to_emails": "a@b.com", "track_settings": ["DONT_TRACK_EMAIL_OPEN"],
    "stop_lead_settings": "CLICK_ON_A_LINK", "bounce_autopause_threshold": "5", "sent_time_start_date": _AT,
    "sent_time_end_date": _AT, "limit": 5, "offset": 0, "custom_fields": {}, "email_status": "opened",
}  # fmt: skip
_HOSTED = ("from_email", "user_name", "username", "imap_user_name")
_PLACES = ("smtp_host", "smtp_port", "imap_host", "imap_port")
# How many there are of what a call may take away.
_SPARE = 30


def among(values: Sequence[Any]) -> Callable[[random.Random, str], Any]:
    """Picks one of these."""
    return lambda odd, path: odd.choice(values)


def _number(row: dict[str, Any], path: str) -> int:
    # One path of the vendor's takes the lead's number in its campaign where others take the lead's own.
    return row["campaign_lead_map_id"] if path.endswith("/manual-complete") else row["lead"]["id"]


def fresh(odd: random.Random, path: str) -> str:
    """A domain that nobody has."""
    return f"fresh{odd.randrange(10**6)}-mailfleet.com"


class Scene:
    """A world with something of everything, and the numbers of it."""

    def __init__(self) -> None:
        self.inside = Inside(5)
        transport = httpx2.ASGITransport(app=self.inside.app, raise_app_exceptions=False)
        self.http = httpx2.AsyncClient(transport=transport, base_url=ROOT)
        self.known: dict[str, Known] = {}
        self.spare = 0

    async def call(self, method: str, path: str, body: Any = None, *, host: str = "base_url") -> Any:
        held = self.inside.info["smartlead"]
        answer = await self.http.request(method, held[host] + path, params={"api_key": held["api_key"]}, json=body)
        assert answer.status_code == 200, (path, answer.text)
        return answer.json()

    async def built(self) -> Scene:
        """Makes a mailbox, a campaign that has sent, and one of each other thing."""
        control = self.inside.info["control"]["base_url"]
        address = f"ada@{DOMAIN}"
        await self.http.post(control + "/registrar/domains", json={"name": DOMAIN})
        account, self.spare = await self._mailbox(address), await self._mailbox(f"bea@{DOMAIN}")
        campaign = (await self.call("POST", "/campaigns/create", {"name": "Fuzz"}))["id"]
        at = f"/campaigns/{campaign}"
        step = {"subject": "Hi", "email_body": "<div>Hi</div>"}
        steps = [{**step, "seq_number": n + 1, "seq_delay_details": {"delay_in_days": 5 * n}} for n in range(2)]
        hours = {"start_hour": "00:00", "end_hour": "23:59", "min_time_btw_emails": 3, "max_new_leads_per_day": 100}
        await self.call("POST", at + "/schedule", {"timezone": "UTC", "days_of_the_week": list(range(7)), **hours})
        await self.call("POST", at + "/sequences", {"sequences": steps})
        await self.call("POST", at + "/email-accounts", {"email_account_ids": [account]})
        names = ("replies-positive", "hard-bounce", "unsubscribes", "complains", *("silent",) * 8)
        rows = [{"email": f"{name}{n}@firm{n}-mailfleet.com"} for n, name in enumerate(names)]
        await self.call("POST", at + "/leads", {"lead_list": rows})
        await self.call("POST", at + "/status", {"status": "START"})
        await self.inside.advance(self.inside.now + timedelta(days=2))
        numbers = await self._more(at, address, campaign, account)
        self.known = {
            **dict.fromkeys(("smartlead", "smartdelivery", "smartsenders"), numbers),
            "cloudflare": await self._cloudflare(),
            "namecheap": self._namecheap(),
            "twilio": await self._twilio(),
            "slack": self._slack(),
            "control": {"domain": DOMAIN, "address": address, "name": fresh, "campaign_id": campaign},
            "status": {},
        }
        return self

    async def _mailbox(self, address: str) -> int:
        host = self.inside.info["mailhost"]
        self.inside.world.mail_accounts[address] = "pw"
        login = {"from_email": address, "from_name": "Ada", "user_name": address, "password": "pw"}
        body = {**login, **{name: host[name] for name in _PLACES}, "warmup_enabled": True}
        return (await self.call("POST", "/email-accounts/save", body))["emailAccountId"]

    async def _bought_mail(self) -> Known:
        """An order that has arrived, and how the next one is placed."""
        who = ("email", "firstName", "lastName", "company", "country", "city", "addressLineOne", "postalCode", "state")
        details = dict.fromkeys((*who, "phoneCc", "phone", "languagePreference"), "x")

        def domains(odd: random.Random, path: str) -> list[dict[str, Any]]:
            name = fresh(odd, path)
            person = {"mailbox": f"ada@{name}", "first_name": "Ada", "last_name": "Byrne"}
            return [{"domain_name": name, "mailbox_details": [person]}]

        wanted = domains(random.Random(1), "")
        body = {"vendor_id": 1, "forwarding_domain": "a.com", "user_details": details, "domains": wanted}
        order = await self.call("POST", "/place-order", body, host="senders_base_url")
        await self.inside.advance(self.inside.now + timedelta(hours=3))
        return {
            "order_id": order["data"]["order_id"],
            "email_account": wanted[0]["mailbox_details"][0]["mailbox"],
            "domains": lambda odd, path: ["a.com"] if "block" in path else domains(odd, path),
            "user_details": details,
            "vendor_id": 1,
            "domain_name": "fresh",
        }

    def _hosted(self, odd: random.Random, path: str) -> str:
        """An address with an account at the mail host: that of the first mailbox, or another."""
        if "initiate" in path:
            return f"ada@{DOMAIN}"
        # A login needs the same address under all of its names.
        address = f"box{len(self.inside.world.log.lists['http'])}@{DOMAIN}"
        self.inside.world.mail_accounts[address] = "pw"
        return address

    async def _several(self, at: str, address: str) -> Known:
        """Things of which each call may take one away."""
        hook = {"name": "h", "webhook_url": "http://127.0.0.1:9/h", "event_types": ["EMAIL_SENT"]}
        hooks = [
            (await self.call("POST", at + "/webhooks", {**hook, "categories": ["Interested"]}))["id"]
            for _ in range(_SPARE)
        ]
        tags = [(await self.call("POST", "/tags", {"name": "t", "color": "#fff"}))["id"] for _ in range(_SPARE)]
        lists = [(await self.call("POST", "/lead-list", {"listName": f"l{n}"}))["data"]["id"] for n in range(_SPARE)]
        lead = (await self.call("GET", at + "/leads"))["data"][0]["lead"]["id"]
        mapped = (await self.call("POST", "/crm/leads/tags", {"lead_id": lead, "tag_ids": tags}))["data"]
        folders = [
            (await self.call("POST", "/folder", {"name": "f"}, host="delivery_base_url"))["id"] for _ in range(_SPARE)
        ]
        await self.call(
            "POST", "/leads/add-domain-block-list", {"domain_block_list": [f"blocked{n}.com" for n in range(_SPARE)]}
        )
        blocked = [entry["id"] for entry in await self.call("GET", "/leads/get-domain-block-list")]
        mail = {"from_email": address, "to_email": "a@b.com", "subject": "s", "email_body": "b"}
        sent = (await self.call("POST", "/send-email/initiate", mail))["data"]["id"]
        ids = {"tag-manager": tags, "block-list": blocked, "email-accounts/save": [self.spare]}
        return {
            "webhook_id": among(hooks),
            "id": lambda odd, path: odd.choice(next((held for part, held in ids.items() if part in path), hooks)),
            "tag_id": among(tags),
            "list_id": among(lists),
            "mapping_id": among([entry["tag_mapping_id"] for entry in mapped]),
            "folder_id": among(folders),
            "mail_id": sent,
        }

    async def _more(self, at: str, address: str, campaign: int, account: int) -> Known:
        leads = (await self.call("GET", at + "/leads"))["data"]
        sequence = (await self.call("GET", at + "/sequences"))[0]["id"]
        test = {"test_name": "t", "spam_filters": [], "link_checker": False, "campaign_id": campaign}
        test |= {"sequence_mapping_id": sequence, "provider_ids": [20, 21], "sender_accounts": [address]}
        client = {"name": "C", "email": "c@c.com", "password": "p", "permission": ["full_access"]}
        made = (await self.call("POST", "/client/save", client))["clientId"]
        key = await self.call("POST", "/client/api-key", {"clientId": made, "keyName": "k"})
        made_test = (await self.call("POST", "/manual", test, host="delivery_base_url"))["id"]
        await self.inside.advance(self.inside.now + timedelta(hours=3))
        copies = await self.call("GET", f"/report/{made_test}/sender-account-wise", host="delivery_base_url")
        below = {"parent_campaign_id": campaign}
        history = await self.call("GET", f"{at}/leads/{leads[0]['lead']['id']}/message-history")
        numbers: Known = {
            "campaign_id": campaign,
            "account_id": lambda odd, path: self.spare if path.endswith("{account_id}") else account,
            "lead_id": lambda odd, path: _number(leads[0] if path.endswith("{lead_id}") else odd.choice(leads), path),
            "email": lambda odd, path: (
                leads[0]["lead"]["email"] if path.endswith("{lead_id}") else f"a@{fresh(odd, '')}"
            ),
            "map_id": among([row["campaign_lead_map_id"] for row in leads]),
            "sequence_id": sequence,
            "test_id": made_test,
            "reply_id": copies[0]["seed_accounts"][0]["reply_id"],
            "client_id": made,
            "key_id": key["data"]["id"],
            "email_stats_id": history["history"][0]["stats_id"],
            "sender_accounts": [address],
            "email_ids": [address],
            "to_email": address,
            **await self._several(at, address),
            **await self._bought_mail(),
            "sub_sequence_id": (await self.call("POST", "/campaigns/create-subsequence", below))["id"],
            "teamMemberId": 9001,
            "team_member_id": 9002,
            "override_lead_email_account": True,
            **{name: self.inside.info["mailhost"][name] for name in _PLACES},
            **dict.fromkeys(_HOSTED, self._hosted),
            "password": "pw",
        }
        return numbers | {name: numbers[same] for name, same in _SAME.items()} | _PLAIN

    async def _cloudflare(self) -> Known:
        held = self.inside.info["cloudflare"]
        headers = {"authorization": f"Bearer {held['api_token']}"}
        account = {"id": held["account_id"]}
        body = {"name": DOMAIN, "account": account, "type": "full"}
        zone = (await self.http.post(held["base_url"] + "/zones", json=body, headers=headers)).json()["result"]["id"]
        records = f"{held['base_url']}/zones/{zone}/dns_records"
        posts = [{"type": "TXT", "name": f"r{n}.{DOMAIN}", "content": f'"{n}"', "ttl": 300} for n in range(60)]
        made = (await self.http.post(records + "/batch", json={"posts": posts}, headers=headers)).json()["result"]
        record = among([entry["id"] for entry in made["posts"]])
        return {
            "zone_id": zone,
            "record_id": record,
            "id": record,
            "account": account,
            "name": lambda odd, path: (
                f"x{odd.randrange(10**6)}.{DOMAIN}" if "dns_records" in path else self._bought(odd, path)
            ),
            "type": lambda odd, path: odd.choice(["A", "TXT"]) if "dns_records" in path else "full",
            "content": "192.0.2.7",
            "ttl": 300,
            "priority": 10,
            "data": {},
            "proxied": False,
            "comment": "c",
        }

    def _bought(self, odd: random.Random, path: str) -> str:
        name = fresh(odd, path)
        register(self.inside.world, name)
        return name

    def _namecheap(self) -> Known:
        sld, _, tld = DOMAIN.partition(".")
        return {
            "DomainName": lambda odd, path: fresh(odd, path) if odd.random() < 0.5 else DOMAIN,
            "SLD": sld,
            "TLD": tld,
            "Nameservers": "ada.ns.cloudflare.com,bob.ns.cloudflare.com",
            "Years": "1",
        }

    async def _twilio(self) -> Known:
        held = self.inside.info["twilio"]
        send = f"{held['base_url']}/2010-04-01/Accounts/{held['account_sid']}/Messages.json"
        body = {"To": "+15557654321", "From": held["from_number"], "Body": "b"}
        made = await self.http.post(send, data=body, headers=self.credentials("twilio")[2])
        # The vendor's own numbers for tests are wrong, not reachable, blocked, unable to take one, and good ones.
        to = [*["+15557654321"] * 8, *(f"+1500555000{n}" for n in (1, 2, 3, 4, 9))]
        return {
            **body,
            "StatusCallback": "http://127.0.0.1:9/s",
            "account": held["account_sid"],
            "sid": made.json()["sid"],
            "To": among(to),
        }

    def _slack(self) -> Known:
        parts = self.inside.info["slack"]["webhook_url"].split("/")[-3:]
        return {**dict(zip(("team", "app", "token"), parts, strict=True)), "channel": among(["#ops", "archived"])}

    def credentials(self, face: str) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
        """Query, form and headers that a face wants."""
        info = self.inside.info
        if face in ("smartlead", "smartdelivery", "smartsenders"):
            return {"api_key": info["smartlead"]["api_key"]}, {}, {}
        if face == "namecheap":
            names = {"ApiUser": "api_user", "ApiKey": "api_key", "UserName": "username", "ClientIp": "client_ip"}
            given = {name: info["namecheap"][key] for name, key in names.items()}
            return given, given, {}
        if face == "twilio":
            pair = f"{info['twilio']['account_sid']}:{info['twilio']['auth_token']}"
            return {}, {}, {"authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
        tokens = {"cloudflare": info["cloudflare"]["api_token"], "slack": info["slack"]["bot_token"]}
        return {}, {}, {"authorization": f"Bearer {tokens[face]}"} if face in tokens else {}
