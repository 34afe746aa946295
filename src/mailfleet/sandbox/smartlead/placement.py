"""SmartDelivery: placement tests with seed addresses, and what their received copies say about authentication."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from starlette.routing import BaseRoute

from mailfleet.sandbox.dns.fixed import MAIL_ADDRESS
from mailfleet.sandbox.reputation import authentication, placement
from mailfleet.sandbox.seeds import fraction, hexes
from mailfleet.sandbox.smartlead.check import Rule, failed, flag, many, number, said, text
from mailfleet.sandbox.smartlead.http import DELIVERY, Ask, Limit, route, whole
from mailfleet.sandbox.smartlead.state import Mailbox, rest_time
from mailfleet.sandbox.world import World

_TAKES = timedelta(minutes=70)
_PROVIDERS = {20: "Gmail", 21: "Outlook", 22: "Yahoo"}
_HOSTS = {20: "google", 21: "microsoft", 22: "yahoo"}
_SEEDS_EACH = 8
TEST: dict[str, Rule] = {
    "test_name": text(required=True),
    "description": text(),
    "spam_filters": many(text(required=True), required=True),
    "link_checker": flag(required=True),
    "campaign_id": number(required=True),
    "sequence_mapping_id": number(required=True),
    "provider_ids": many(number(required=True), required=True),
    "sender_accounts": many(text(required=True), required=True),
    "all_email_sent_without_time_gap": flag(),
    "min_time_btwn_emails": number(low=0),
    "min_time_unit": text(),
    "is_warmup": flag(),
}
PLAN: dict[str, Rule] = {
    **TEST,
    "schedule_start_time": text(),
    "test_end_date": text(),
    "every_days": number(low=1, high=3650),
    "tz": text(),
    "days": many(number(low=0, high=6)),
    "start_hour": text(),
    "folder_id": number(),
}
DELETE: dict[str, Rule] = {"spamTestIds": many(number(required=True), required=True)}
FOLDER: dict[str, Rule] = {"name": text(required=True)}
LIST: dict[str, Rule] = {"offset": number(low=0), "limit": number(low=1, high=100), "testType": text()}


def routes(world: World, limit: Limit) -> list[BaseRoute]:
    """The paths of the delivery host."""
    report = "/report/{test_id}"
    table = (
        ("POST", "/manual", lambda ask: start(ask, "manual", TEST)),
        ("POST", "/schedule", lambda ask: start(ask, "schedule", PLAN)),
        ("POST", "/report", listed),
        ("GET", "/folder", lambda ask: list(ask.vendor.folders.values())),
        ("POST", "/folder", new_folder),
        ("DELETE", "/folder/{folder_id}", drop_folder),
        ("POST", "/delete", delete),
        ("GET", "/seed/providers", lambda ask: [{"id": number_, "name": name} for number_, name in _PROVIDERS.items()]),
        ("GET", "/report/mailboxes-summary", mailbox_summary),
        ("GET", "/report/mailboxes-count", lambda ask: {"count": len({row["from_email"] for row in _all_copies(ask)})}),
        ("POST", report + "/providerwise", lambda ask: grouped(ask, "esp")),
        ("POST", report + "/groupwise", lambda ask: grouped(ask, "placed")),
        ("GET", report + "/sender-account-wise", sender_wise),
        ("GET", report + "/sender-accounts", lambda ask: [{"email": item} for item in _test(ask)["sender_accounts"]]),
        ("GET", report + "/dkim-details", lambda ask: verified(ask, "dkim")),
        ("GET", report + "/spf-details", lambda ask: verified(ask, "spf")),
        ("GET", report + "/rdns-details", lambda ask: verified(ask, "rdns")),
        ("GET", report + "/sender-account-wise/{reply_id}/email-headers", headers),
        ("GET", report + "/domain-blacklist", lambda ask: _nothing(ask)),
        ("GET", report + "/blacklist", lambda ask: _nothing(ask)),
        ("GET", report + "/spam-filter-details", spam_filters),
        ("GET", report + "/ip-analytics", ips),
        ("GET", report + "/email-content", content),
        ("GET", report + "/schedule-history", schedule_history),
        ("PUT", "/{test_id}/stop", stop),
        ("GET", "/{test_id}", lambda ask: _head(ask, _test(ask))),
    )
    return [entry for method, path, answer in table for entry in route(world, limit, method, path, answer, DELIVERY)]


def start(ask: Ask, kind: str, rules: dict[str, Rule]) -> dict[str, Any]:
    """A test whose mails leave now; it is complete after about 70 minutes."""
    given = ask.body(rules)
    campaign = ask.vendor.campaigns.get(given["campaign_id"])
    if campaign is None:
        raise said("Campaign not found")
    attached = {box.address.lower(): box for box in campaign.mailboxes.values()}
    for sender in given["sender_accounts"]:
        if sender.lower() not in attached:
            raise said(f"Sender account {sender} is not attached to the campaign")
    credits = ask.world.state.get("delivery_credits")
    if credits is not None and credits <= 0:
        raise said("You have no spam test credits left.", 402)
    if credits is not None:
        ask.world.state["delivery_credits"] = credits - 1
    identity = ask.vendor.new_id("test")
    boxes = [attached[sender.lower()] for sender in given["sender_accounts"]]
    test = {**given, "id": identity, "test_type": kind, "at": ask.world.now, "stopped": False}
    test["copies"] = [copy for box in boxes for copy in _copies(ask.world, identity, box, given["provider_ids"])]
    ask.vendor.tests[identity] = test
    return _head(ask, test)


def _copies(world: World, identity: int, box: Mailbox, providers: list[int]) -> list[dict[str, Any]]:
    passed = authentication(world, box.domain)
    rows: list[dict[str, Any]] = []
    for provider in providers:
        share = placement(world, box, _HOSTS.get(provider))
        for number_ in range(_SEEDS_EACH):
            stem = f"{identity}:{box.address}:{provider}:{number_}"
            inbox = fraction(world, "seed place", stem) < share
            rows.append(
                {
                    "id": int(hexes(world, 7, "seed id", stem), 16),
                    "email": f"seed{number_}.{provider}@seeds-{_PROVIDERS.get(provider, 'other').lower()}.com",
                    "esp": _PROVIDERS.get(provider, "Other"),
                    "from_email": box.address,
                    "placed": "inbox" if inbox else "spam",
                    "spf_verified": passed.spf,
                    "dkim_verified": passed.dkim,
                    "rdns_verified": True,
                    "dmarc": passed.dmarc,
                }
            )
            _log(world, box, rows[-1]["email"], stem)
    return rows


def _log(world: World, box: Mailbox, to: str, stem: str) -> None:
    place = {"platform": "smartlead", "campaign_id": None, "lead_id": None}
    fields = {**place, "lead_email": to, "mailbox": box.address, "step": None}
    identity = f"<{hexes(world, 24, 'seed mail', stem)}@{box.domain}>"
    world.log.add("sends", {**fields, "variant": None, "message_id": identity, "kind": "test"})


def _head(ask: Ask, test: dict[str, Any]) -> dict[str, Any]:
    at: datetime = test["at"]
    status = "STOPPED" if test["stopped"] else "COMPLETED" if ask.world.now >= at + _TAKES else "ACTIVE"
    names = ("id", "test_name", "description", "campaign_id", "test_type", "sender_accounts", "provider_ids")
    return {**{name: test.get(name) for name in names}, "status": status, "created_at": rest_time(at)}


def _test(ask: Ask) -> dict[str, Any]:
    found = ask.vendor.tests.get(whole(ask.path["test_id"]))
    if found is None:
        raise failed("Spam test not found.", 404)
    return found


def _arrived(ask: Ask, test: dict[str, Any]) -> list[dict[str, Any]]:
    """The copies that have arrived by now: spread over the time a test takes."""
    passed = (ask.world.now - test["at"]) / _TAKES
    copies: list[dict[str, Any]] = test["copies"]
    return copies[: int(len(copies) * min(1.0, passed))]


def _all_copies(ask: Ask) -> list[dict[str, Any]]:
    return [row for test in ask.vendor.tests.values() for row in _arrived(ask, test)]


def grouped(ask: Ask, by: str) -> dict[str, Any]:
    """Copies counted by provider or by folder."""
    test = _test(ask)
    rows = _arrived(ask, test)
    groups = sorted({str(row[by]) for row in rows})
    result = [_placed(name, [row for row in rows if row[by] == name]) for name in groups]
    return {"overallTotalCount": len(rows), "status": _head(ask, test)["status"], "result": result}


def listed(ask: Ask) -> list[dict[str, Any]]:
    """All tests, newest first."""
    given = ask.body(LIST)
    kind, offset = given.get("testType"), int(given.get("offset") or 0)
    found = [test for test in reversed(ask.vendor.tests.values()) if kind in (None, "", test["test_type"])]
    return [_head(ask, test) for test in found[offset : offset + int(given.get("limit") or 100)]]


def new_folder(ask: Ask) -> dict[str, Any]:
    """Makes a folder for tests."""
    identity = ask.vendor.new_id("folder")
    made = ask.vendor.folders[identity] = {"id": identity, "name": ask.body(FOLDER)["name"]}
    return made


def drop_folder(ask: Ask) -> dict[str, Any]:
    """Removes a folder."""
    if ask.vendor.folders.pop(whole(ask.path["folder_id"]), None) is None:
        raise failed("Folder not found.", 404)
    return {"ok": True}


def _nothing(ask: Ask) -> list[dict[str, Any]]:
    _test(ask)
    return []


def spam_filters(ask: Ask) -> list[dict[str, Any]]:
    """What content filters said of each sender's mail: they look at words, not at standing."""
    named: list[str] = _test(ask)["spam_filters"]
    scores = [{"name": name, "score": 0.5, "is_spam": False} for name in named]
    return [{"from_email": sender, "spam_filters": scores} for sender in _test(ask)["sender_accounts"]]


def ips(ask: Ask) -> list[dict[str, Any]]:
    """The address each sender's mail left from."""
    return [{"from_email": item, "ip": MAIL_ADDRESS, "blacklists": 0} for item in _test(ask)["sender_accounts"]]


def content(ask: Ask) -> dict[str, Any]:
    """The mail that was sent: the campaign's step."""
    test = _test(ask)
    campaign = ask.vendor.campaigns.get(test["campaign_id"])
    steps = campaign.steps if campaign else []
    step = next((item for item in steps if item.id == test["sequence_mapping_id"]), steps[0] if steps else None)
    return {"subject": step.subject if step else None, "body": step.body if step else None}


def schedule_history(ask: Ask) -> list[dict[str, Any]]:
    """The runs of a test; one that is made by hand has one."""
    test = _test(ask)
    return [{"id": test["id"], "run_at": rest_time(test["at"]), "status": _head(ask, test)["status"]}]


def _placed(name: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    inbox = sum(row["placed"] == "inbox" for row in rows)
    return {"name": name, "total": len(rows), "inbox": inbox, "tab": 0, "spam": len(rows) - inbox}


def _by_sender(rows: list[dict[str, Any]], make: Callable[[dict[str, Any]], dict[str, Any]]) -> list[dict[str, Any]]:
    senders = list(dict.fromkeys(row["from_email"] for row in rows))
    return [
        {"from_email": sender, "seed_accounts": [make(row) for row in rows if row["from_email"] == sender]}
        for sender in senders
    ]


def sender_wise(ask: Ask) -> list[dict[str, Any]]:
    """Each copy and where it landed."""

    def copy(row: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": row["id"],
            "reply_id": row["id"],
            "email": row["email"],
            "esp": row["esp"],
            "folder": row["placed"],
        }

    return _by_sender(_arrived(ask, _test(ask)), copy)


def verified(ask: Ask, what: str) -> list[dict[str, Any]]:
    """What each seed address saw of SPF, DKIM or reverse DNS; no record is ever shown."""
    key = f"{what}_verified"
    return _by_sender(
        _arrived(ask, _test(ask)),
        lambda row: {"id": row["id"], "email": row["email"], "esp": row["esp"], key: row[key]},
    )


def headers(ask: Ask) -> dict[str, Any]:
    """The header of one received copy; DMARC shows nowhere else."""
    found = next((row for row in _arrived(ask, _test(ask)) if row["id"] == whole(ask.path["reply_id"])), None)
    if found is None:
        raise failed("Reply not found.", 404)
    domain = str(found["from_email"]).rpartition("@")[2]
    words = {name: "pass" if found[key] else "fail" for name, key in _RESULTS.items()}
    value = (
        f"mx.sandbox.example; dkim={words['dkim']} header.d={domain}; spf={words['spf']} smtp.mailfrom={domain}; "
        f"dmarc={words['dmarc']} header.from={domain}"
    )
    return {"headers": {"Authentication-Results": value, "From": found["from_email"], "To": found["email"]}}


_RESULTS = {"dkim": "dkim_verified", "spf": "spf_verified", "dmarc": "dmarc"}


def mailbox_summary(ask: Ask) -> list[dict[str, Any]]:
    """Placement per mailbox over all tests."""
    rows = _all_copies(ask)
    summary: list[dict[str, Any]] = []
    for sender in dict.fromkeys(row["from_email"] for row in rows):
        counted = _placed(sender, [row for row in rows if row["from_email"] == sender])
        score = round(100 * counted["inbox"] / counted["total"]) if counted["total"] else 0
        summary.append(
            {"email": sender, "placement_score": score, **{key: counted[key] for key in ("inbox", "tab", "spam")}}
        )
    return summary


def stop(ask: Ask) -> dict[str, Any]:
    """Ends an automated test."""
    _test(ask)["stopped"] = True
    return {"ok": True}


def delete(ask: Ask) -> dict[str, Any]:
    """Removes tests."""
    for identity in ask.body(DELETE)["spamTestIds"]:
        ask.vendor.tests.pop(identity, None)
    return {"ok": True}
