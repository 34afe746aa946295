"""Sets up a world over HTTP: domains with DNS, mailboxes, a campaign, leads. Knows only the vendors' documents."""

from __future__ import annotations

import base64
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.sandbox_fixture import Sandbox

ALL_EVENTS = [
    "EMAIL_SENT",
    "FIRST_EMAIL_SENT",
    "EMAIL_OPEN",
    "EMAIL_LINK_CLICK",
    "EMAIL_REPLY",
    "EMAIL_BOUNCE",
    "LEAD_UNSUBSCRIBED",
    "LEAD_CATEGORY_UPDATED",
    "CAMPAIGN_STATUS_CHANGED",
]
STEPS = [
    {"seq_number": 1, "seq_delay_details": {"delay_in_days": 0}, "subject": "Hello {{first_name}}", "email_body": ""},
    {"seq_number": 2, "seq_delay_details": {"delay_in_days": 3}, "subject": "", "email_body": "<div>Any news?</div>"},
    {"seq_number": 3, "seq_delay_details": {"delay_in_days": 4}, "subject": "", "email_body": "<div>Last try</div>"},
]
STEPS[0]["email_body"] = '<div>Hi {{first_name}},<br>see <a href="https://example.com/a">this</a></div>'
_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
DKIM = base64.b64encode(
    _KEY.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
).decode()


def authenticate(sandbox: Sandbox, domain: str) -> None:
    """A registered domain whose zone at Cloudflare holds SPF, DKIM and DMARC, delegated."""
    sandbox.control("POST", "/registrar/domains", {"name": domain})
    base, token = sandbox.info["cloudflare"]["base_url"], sandbox.info["cloudflare"]["api_token"]
    headers = {"Authorization": f"Bearer {token}"}
    account = {"id": sandbox.info["cloudflare"]["account_id"]}
    zone = sandbox.http.post(
        f"{base}/zones", json={"name": domain, "account": account, "type": "full"}, headers=headers
    ).json()["result"]
    for name, content in (
        (domain, f"v=spf1 {sandbox.info['mailhost']['spf']} -all"),
        (f"s1._domainkey.{domain}", f"v=DKIM1; k=rsa; p={DKIM}"),
        (f"_dmarc.{domain}", "v=DMARC1; p=quarantine"),
    ):
        body = {"type": "TXT", "name": name, "content": content, "ttl": 300}
        response = sandbox.http.post(f"{base}/zones/{zone['id']}/dns_records", json=body, headers=headers)
        assert response.status_code == 200, response.text
    _delegate(sandbox, domain, zone["name_servers"])


def _delegate(sandbox: Sandbox, domain: str, servers: list[str]) -> None:
    label, _, suffix = domain.partition(".")
    keys = sandbox.info["namecheap"]
    query = {
        "ApiUser": keys["api_user"],
        "ApiKey": keys["api_key"],
        "UserName": keys["username"],
        "ClientIp": keys["client_ip"],
        "Command": "namecheap.domains.dns.setCustom",
        "SLD": label,
        "TLD": suffix,
        "Nameservers": ",".join(servers),
    }
    response = sandbox.http.get(keys["base_url"], params=query)
    assert 'Status="OK"' in response.text, response.text


def account_body(sandbox: Sandbox, address: str, **more: Any) -> dict[str, Any]:
    """What the vendor wants to know to connect a mailbox, and the account at the mail host it connects to."""
    sandbox.control("POST", "/mailhost/accounts", {"address": address, "password": "pass-word"})
    host = sandbox.info["mailhost"]
    return {
        "from_name": "Ada Byrne",
        "from_email": address,
        "user_name": address,
        "password": "pass-word",
        "smtp_host": host["smtp_host"],
        "smtp_port": host["smtp_port"],
        "imap_host": host["imap_host"],
        "imap_port": host["imap_port"],
        "max_email_per_day": 40,
        "warmup_enabled": True,
        "total_warmup_per_day": 20,
        "daily_rampup": 5,
        "reply_rate_percentage": 30,
        **more,
    }


def mailbox(sandbox: Sandbox, address: str, **more: Any) -> int:
    """A connected mailbox; its id."""
    response = sandbox.smartlead("POST", "/email-accounts/save", account_body(sandbox, address, **more))
    assert response.status_code == 200, response.text
    return response.json()["emailAccountId"]


def campaign(sandbox: Sandbox, boxes: list[int], *, new_leads: int = 200, **settings: Any) -> int:
    """A draft with schedule, steps and mailboxes; its id."""
    identity = sandbox.smartlead("POST", "/campaigns/create", {"name": "Pilot"}).json()["id"]
    schedule = {
        "timezone": "Australia/Sydney",
        "days_of_the_week": [1, 2, 3, 4, 5],
        "start_hour": "09:00",
        "end_hour": "17:00",
        "min_time_btw_emails": 5,
        "max_new_leads_per_day": new_leads,
    }
    at = f"/campaigns/{identity}"
    for path, body in (
        ("/schedule", schedule),
        ("/settings", {"track_settings": [], "stop_lead_settings": "REPLY_TO_AN_EMAIL", **settings}),
        ("/sequences", {"sequences": STEPS}),
        ("/email-accounts", {"email_account_ids": boxes}),
    ):
        response = sandbox.smartlead("POST", at + path, body)
        assert response.status_code == 200, response.text
    return identity


def add(sandbox: Sandbox, identity: int, addresses: list[str], **settings: Any) -> dict[str, Any]:
    """Adds leads by address; the vendor's answer."""
    rows = [{"email": address, "first_name": address.partition("@")[0].title()} for address in addresses]
    body = {"lead_list": rows, "settings": {"return_lead_ids": True, **settings}}
    response = sandbox.smartlead("POST", f"/campaigns/{identity}/leads", body)
    assert response.status_code == 200, response.text
    return response.json()


def start(sandbox: Sandbox, identity: int) -> None:
    """Starts a campaign."""
    response = sandbox.smartlead("POST", f"/campaigns/{identity}/status", {"status": "START"})
    assert response.status_code == 200, response.text
