"""Asks the other side: the sandbox's logs, its DNS server over the wire, and Prefect's API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import dns.asyncquery
import dns.message
import dns.rdatatype
import httpx2
import msgspec

from mailfleet.demo.control import Control
from mailfleet.demo.evidence import Deed, Notice, Send, Witness

_DNS_WITHIN = 5.0


async def hear(
    control: Control, sandbox: Mapping[str, Any], selectors: Mapping[str, Sequence[str]], prefect_api: str, tag: str
) -> Witness:
    """Everything the judge needs of the other side.

    `sandbox` are its addresses, `selectors` the DKIM selectors by domain, `tag` marks this run's flow runs.
    """
    state = await control.state()
    nameserver: str = sandbox["dns"]["nameservers"]
    return Witness(
        sends=[_send(line) for line in await control.log("sends")],
        deeds=[_deed(line) for line in await control.log("people")],
        slack=[_notice(line) for line in await control.log("slack")],
        sms=[_notice(line) for line in await control.log("sms")],
        in_campaign=frozenset(await _campaign_leads(sandbox["smartlead"], [each["id"] for each in state["campaigns"]])),
        scheduled=frozenset(await _scheduled(sandbox["smartlead"])),
        dns={domain: await _answers(domain, keys, nameserver) for domain, keys in selectors.items()},
        flow_runs=await flow_runs(prefect_api, tag) if prefect_api else {},
    )


async def flow_runs(api: str, tag: str) -> dict[str, tuple[str, str]]:
    """Run id → (flow name, state type) of every run that carries the tag, as Prefect's API tells it."""
    async with httpx2.AsyncClient(timeout=30, trust_env=False, base_url=api) as client:
        flows = {flow["id"]: flow["name"] for flow in await _all(client, "/flows/filter", {})}
        tagged = {"flow_runs": {"tags": {"all_": [tag]}}}
        runs = await _all(client, "/flow_runs/filter", tagged)
    return {run["id"]: (flows.get(run["flow_id"], ""), run["state_type"]) for run in runs}


async def _all(client: httpx2.AsyncClient, path: str, query: Mapping[str, object]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        answer = await client.post(path, json={**query, "limit": 200, "offset": len(found)})
        answer.raise_for_status()
        page: list[dict[str, Any]] = msgspec.json.decode(answer.content)
        found += page
        if len(page) < 200:
            return found


async def _answers(domain: str, selectors: Sequence[str], nameserver: str) -> dict[str, list[str]]:
    """What the authoritative server says of a domain's mail: TXT by name, and MX."""
    names = (domain, f"_dmarc.{domain}", *(f"{selector}._domainkey.{domain}" for selector in selectors))
    found = {name: await _ask(name, "TXT", nameserver) for name in names}
    return {**found, "MX": await _ask(domain, "MX", nameserver)}


async def _ask(name: str, kind: str, nameserver: str) -> list[str]:
    host, _, port = nameserver.rpartition(":")
    query = dns.message.make_query(name, kind)
    answer, _ = await dns.asyncquery.udp_with_fallback(query, host, timeout=_DNS_WITHIN, port=int(port))
    wanted = dns.rdatatype.from_text(kind)
    return [_text(item) for rrset in answer.answer if rrset.rdtype == wanted for item in rrset]


def _text(item: Any) -> str:
    """A TXT is its strings joined (RFC 7208 3.3, RFC 6376 3.6.2.2)."""
    return b"".join(item.strings).decode() if hasattr(item, "strings") else str(item.to_text())


def _send(line: Mapping[str, Any]) -> Send:
    return Send(
        at=datetime.fromisoformat(line["at"]),
        kind=line["kind"],
        mailbox=line["mailbox"],
        message_id=str(line.get("message_id", "")),
        lead_email=line.get("lead_email"),
        campaign_id=line.get("campaign_id"),
        step=line.get("step"),
    )


def _deed(line: Mapping[str, Any]) -> Deed:
    back = line.get("back")
    return Deed(
        at=datetime.fromisoformat(line["at"]),
        kind=line["kind"],
        email=line.get("email") or "",
        category=line.get("category"),
        text=line.get("text") or "",
        step=line.get("step"),
        hard=line.get("category") == "hard" if line["kind"] == "bounced" else None,
        until=datetime.fromisoformat(back).replace(tzinfo=UTC) if back else None,
    )


def _notice(line: Mapping[str, Any]) -> Notice:
    return Notice(
        at=datetime.fromisoformat(line["at"]),
        text=f"{line.get('text') or line.get('body') or ''} {line.get('blocks') or ''}",
        channel=str(line.get("channel") or line.get("to") or ""),
    )


async def _campaign_leads(smartlead: Mapping[str, Any], campaigns: Sequence[int]) -> list[str]:
    """Every lead of every campaign, as the vendor lists them (smartlead:campaigns/leads)."""
    found: list[str] = []
    async with httpx2.AsyncClient(timeout=30, trust_env=False, base_url=smartlead["base_url"]) as client:
        for campaign in campaigns:
            offset, total = 0, 1
            while offset < total:
                query = {"api_key": smartlead["api_key"], "offset": offset, "limit": 100}
                answer = await client.get(f"/campaigns/{campaign}/leads", params=query)
                answer.raise_for_status()
                page: dict[str, Any] = msgspec.json.decode(answer.content)
                found += [each["lead"]["email"] for each in page["data"]]
                offset, total = offset + 100, int(page["total_leads"])
    return found


async def _scheduled(smartlead: Mapping[str, Any]) -> list[str]:
    """Every lead with a next mail in the queue, as its master inbox shows them."""
    found: list[str] = []
    async with httpx2.AsyncClient(timeout=30, trust_env=False, base_url=smartlead["base_url"]) as client:
        while True:
            page = {"offset": len(found), "limit": 20}
            answer = await client.post("/master-inbox/scheduled", params={"api_key": smartlead["api_key"]}, json=page)
            answer.raise_for_status()
            rows: list[dict[str, Any]] = msgspec.json.decode(answer.content)["data"]
            found += [each["lead_email"] for each in rows]
            if len(rows) < 20:
                return found
