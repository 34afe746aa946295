"""Warmforge: warm-up on and off, heat, what it sees of a domain's DNS, and placement tests."""

from __future__ import annotations

from datetime import date, timedelta
from math import ceil
from typing import Any, cast

from starlette.routing import BaseRoute

from mailfleet.sandbox.dns.auth import texts as dns_texts
from mailfleet.sandbox.forge.http import WARM_FACE, Ask, found, integer, invalid, route, said, text, texts
from mailfleet.sandbox.forge.state import ident, new_id, stamp
from mailfleet.sandbox.forge.warm import PROVIDERS, WARM_DAYS, WarmBox, add, heat, make_workspace, switch, warm
from mailfleet.sandbox.reputation import authentication, placement
from mailfleet.sandbox.seeds import fraction
from mailfleet.sandbox.smartlead.login import check_logins
from mailfleet.sandbox.world import World

_BOUNDS = {"minEmailsPerDay": (1, 20), "maxEmailsPerDay": (1, 20), "emailRampUp": (0, 20), "replyRatePercent": (0, 50)}
_STATES = ("warm", "pending", "disconnected", "suspended", "all")
_SEEDS = 20
_DAY = timedelta(days=1)


def shown(world: World, box: WarmBox) -> dict[str, Any]:
    """A mailbox as it is read, with its health report."""
    days = len(box.days)
    return {
        "id": box.id,
        "address": box.address,
        "workspaceID": box.workspace_id,
        "provider": box.provider,
        "status": box.status,
        "warm": days >= WARM_DAYS,
        "warmupEnabled": box.enabled,
        "warmupStartDate": box.started.isoformat() if box.started else None,
        "warmupEndDate": box.ended.isoformat() if box.ended else None,
        "warmupCode": box.code,
        "warmupDaysCompleted": days,
        "warmupDaysLeft": max(0, WARM_DAYS - days),
        "minEmailsPerDay": box.least,
        "maxEmailsPerDay": box.most,
        "emailRampUp": box.ramp,
        "replyRatePercent": box.reply_rate,
        "firstName": box.first_name,
        "lastName": box.last_name,
        "signature": box.signature,
        "healthReport": _health(world, box),
    }


def _health(world: World, box: WarmBox) -> dict[str, Any]:
    passed, domain = authentication(world, box.domain), box.domain
    checked = world.now.replace(hour=2, minute=0, second=0, microsecond=0)
    spf = next((value for value in dns_texts(world, domain) if value.startswith("v=spf1")), "")
    dmarc = next(iter(dns_texts(world, f"_dmarc.{domain}")), "")
    return {
        "id": ident(world, "hr_", box.address),
        "address": box.address,
        "domain": domain,
        "heatScore": heat(world, box),
        "warmupDays": len(box.days),
        "lastCheckedAt": stamp(checked if checked <= world.now else checked - _DAY),
        "spf": _record(passed.spf, spf),
        "dmarc": _record(passed.dmarc, dmarc),
        "mx": _record(True, ""),
        "dkim": {"selector": "default", **_record(passed.dkim, "")},
        "blacklists": {"detectedCount": 0, "checks": []},
    }


def _record(good: bool, value: str) -> dict[str, Any]:
    status = "valid" if good else "invalid" if value else "missing"
    return {"status": status, "value": value, "error": "" if good else "record could not be verified"}


def routes(world: World) -> list[BaseRoute]:
    """Every endpoint under the workspace, and again without it as the older keys have it."""
    table = (
        ("GET", "/mailboxes", listed, 200),
        ("POST", "/mailboxes/connect-smtp", connect, 200),
        ("POST", "/mailboxes/connect-oauth2", connect_oauth, 200),
        ("POST", "/mailboxes/bulk-update", change_many, 200),
        ("POST", "/mailboxes/placement-results/latest", latest, 200),
        ("GET", "/mailboxes/{address}", one, 200),
        ("PATCH", "/mailboxes/{address}", change, 200),
        ("DELETE", "/mailboxes/{address}", remove, 202),
        ("GET", "/mailboxes/{address}/warmup/stats", stats, 200),
        ("GET", "/placement-tests", tests, 200),
        ("POST", "/placement-tests", test, 200),
        ("GET", "/placement-tests/{placementTestID}", one_test, 200),
        ("DELETE", "/placement-tests/{placementTestID}", remove_test, 202),
    )
    both = [
        route(world, WARM_FACE, method, prefix + path, answer, ok=ok)
        for prefix in ("/workspaces/{workspaceID}", "")
        for method, path, answer, ok in table
    ]
    whole = [
        route(world, WARM_FACE, "GET", "/workspaces", workspaces),
        route(world, WARM_FACE, "POST", "/workspaces", create_workspace, ok=201),
    ]
    return whole + both


def _home(ask: Ask) -> str:
    account = warm(ask.world)
    given = ask.path.get("workspaceID") or next(iter(account.workspaces))
    return str(found(account.workspaces, given, "workspace")["id"])


def _pages(ask: Ask, size_name: str, most: int) -> tuple[int, int]:
    page, size = ask.number("page", None), ask.number(size_name, None)
    if page < 1 or not 1 <= size <= most:
        raise said(f"{'page' if page < 1 else size_name} is out of range")
    return page, size


def workspaces(ask: Ask) -> Any:
    """The workspaces."""
    page, size = _pages(ask, "page_size", 100)
    rows = list(warm(ask.world).workspaces.values())
    shown_rows = rows[(page - 1) * size : page * size]
    pages = ceil(len(rows) / size)
    return {"workspaces": shown_rows, "currentPage": page, "totalCount": len(rows), "totalPages": pages}


def create_workspace(ask: Ask) -> Any:
    """One more."""
    return make_workspace(ask.world, warm(ask.world), text(ask.body(), "name", longest=50))


def _own(ask: Ask) -> list[WarmBox]:
    home = _home(ask)
    return [box for box in warm(ask.world).boxes.values() if box.workspace_id == home]


def _matches(box: WarmBox, special: str) -> bool:
    if special == "warm":
        return len(box.days) >= WARM_DAYS
    if special == "disconnected":
        return box.status == "access_lost"
    return special in ("", "all") or box.status == special


def listed(ask: Ask) -> Any:
    """Mailboxes with their heat; no total is given, only the number of pages."""
    page, size = _pages(ask, "page_size", 100)
    special = ask.query.get("status", "all")
    if special not in _STATES:
        raise said("status must be one of [" + " ".join(_STATES) + "]")
    searched, reference = ask.query.get("search", "").lower(), ask.query.get("external_reference", "")
    rows = [box for box in _own(ask) if _matches(box, special) and searched in box.address]
    rows = [box for box in rows if not reference or box.reference == reference]
    shown_rows = [shown(ask.world, box) for box in rows[(page - 1) * size : page * size]]
    return {"mailboxes": shown_rows, "page": page, "pageSize": size, "totalPages": ceil(len(rows) / size)}


def _box(ask: Ask) -> WarmBox:
    box = warm(ask.world).boxes.get(ask.path["address"].lower())
    if box is None or box.workspace_id != _home(ask):
        raise said("mailbox not found", 404)
    return box


def one(ask: Ask) -> Any:
    """One mailbox, by its address."""
    return shown(ask.world, _box(ask))


async def connect(ask: Ask) -> Any:
    """Logs in first. An address that another workspace holds is a conflict."""
    given, home, account = ask.body(), _home(ask), warm(ask.world)
    names = ("address", "firstName", "lastName", "smtpHost", "smtpUsername", "smtpPassword", "imapHost")
    values = {name: text(given, name) for name in (*names, "imapUsername", "imapPassword")}
    ports = {name: integer(given, name, 1, 65535) for name in ("smtpPort", "imapPort")}
    held = account.boxes.get(values["address"].lower())
    if held is not None:
        raise said("mailbox is already connected" + (" to another workspace" * (held.workspace_id != home)), 409)
    login = {
        "username": values["smtpUsername"],
        "password": values["smtpPassword"],
        "smtp_host": values["smtpHost"],
        "smtp_port": ports["smtpPort"],
        "imap_host": values["imapHost"],
        "imap_port": ports["imapPort"],
        "imap_username": values["imapUsername"],
        "imap_password": values["imapPassword"],
    }
    for problem in await check_logins(login):
        if problem:
            raise said(problem)
    on = given.get("warmupEnabled") is not False
    box = add(ask.world, values["address"], values["firstName"], values["lastName"], workspace_id=home, enabled=on)
    box.reference = str(given.get("externalReference") or "")
    return shown(ask.world, box)


def connect_oauth(ask: Ask) -> Any:
    """With tokens in place of a password; nobody checks them here."""
    given, account = ask.body(), warm(ask.world)
    address = text(given, "email").lower()
    if address in account.boxes:
        raise said("mailbox is already connected", 409)
    box = add(ask.world, address, address.partition("@")[0].title(), "", workspace_id=_home(ask))
    box.provider = "gmail" if given.get("provider") == "google" else "outlook"
    return shown(ask.world, box)


def apply(ask: Ask, box: WarmBox, given: dict[str, Any]) -> None:
    """Changes what is given. Raises Refusal for a figure out of its bounds."""
    figures = {name: integer(given, name, *bounds) for name, bounds in _BOUNDS.items() if given.get(name) is not None}
    box.least = figures.get("minEmailsPerDay", box.least)
    box.most = figures.get("maxEmailsPerDay", box.most)
    box.ramp = figures.get("emailRampUp", box.ramp)
    box.reply_rate = figures.get("replyRatePercent", box.reply_rate)
    box.first_name = str(given.get("firstName") or box.first_name)
    box.last_name = str(given.get("lastName") or box.last_name)
    box.signature = text(given, "signature", required=False, longest=1000) or box.signature
    on = given.get("warmupEnabled")
    if on is not None and not isinstance(on, bool):
        raise invalid("warmupEnabled must be a boolean")
    if on is not None and on != box.enabled:
        switch(ask.world, box, on=on)


def change(ask: Ask) -> Any:
    """Warm-up on and off, and its figures."""
    box = _box(ask)
    apply(ask, box, ask.body())
    return shown(ask.world, box)


def change_many(ask: Ask) -> Any:
    """The same for several; filters that say nothing hit every mailbox."""
    body = ask.body()
    data: Any = body.get("data") or {}
    filters: Any = body.get("filters") or {}
    if not isinstance(data, dict) or not isinstance(filters, dict):
        raise said("invalid request body")
    chosen = cast("dict[str, Any]", filters)
    within, without = chosen.get("includedIds") or [], chosen.get("excludedIds") or []
    searched, special = str(chosen.get("search") or "").lower(), str(chosen.get("specialStatus") or "")
    rows = [
        box
        for box in _own(ask)
        if (not within or box.id in within)
        and box.id not in without
        and searched in box.address
        and _matches(box, special)
    ]
    for box in rows:
        apply(ask, box, cast("dict[str, Any]", data))
    return {"mailboxes": [shown(ask.world, box) for box in rows]}


def remove(ask: Ask) -> None:
    """Takes a mailbox out of warm-up for good."""
    del warm(ask.world).boxes[_box(ask).address]


def stats(ask: Ask) -> Any:
    """Warm-up mail by day."""
    box = _box(ask)
    first, last = (_day(ask, name) for name in ("from", "to"))
    return {
        "stats": [
            {
                "date": day.isoformat(),
                "sentCount": sent,
                "replyCount": replied,
                "spamCount": spam,
                "providerStats": {
                    name: {"primaryCount": inbox, "replyCount": answers, "spamCount": lost}
                    for name, (inbox, answers, lost) in box.providers.get(day, {}).items()
                },
            }
            for day, (sent, replied, spam) in sorted(box.days.items())
            if first <= day <= last
        ]
    }


def _day(ask: Ask, name: str) -> date:
    given = ask.query.get(name)
    if not given:
        raise said(f"{name} is required")
    try:
        return date.fromisoformat(given)
    except ValueError:
        raise said(f"{name} must be a date like 2026-01-31") from None


def test(ask: Ask) -> Any:
    """Begins a placement test; its results come within some minutes."""
    given, home = ask.body(), _home(ask)
    subject, body = text(given, "subject"), text(given, "body")
    wanted = texts(given, "mailboxes", least=0) if given.get("mailboxes") is not None else []
    boxes = [box for box in _own(ask) if not wanted or box.id in wanted]
    if not boxes:
        raise said("mailbox not found", 404)
    identity = new_id(ask.world, "pt_")
    row = {"id": identity, "name": str(given.get("name") or subject), "workspaceId": home}
    row |= {"reference": str(given.get("externalReference") or ""), "date": ask.world.now.isoformat()}
    made = [_one_box(ask.world, identity, box, subject, body) for box in boxes]
    warm(ask.world).tests[identity] = {**row, "made": ask.world.now, "tests": made}
    return _shown_test(ask.world, warm(ask.world).tests[identity])


def _one_box(world: World, identity: str, box: WarmBox, subject: str, body: str) -> dict[str, Any]:
    targets: list[dict[str, Any]] = []
    for number in range(_SEEDS):
        provider = PROVIDERS[number % 2]
        place = fraction(world, "seed", identity, box.id, number)
        result = "inbox" if place < placement(world, box) else "missing" if place > 0.99 else "spam"
        targets.append({"address": f"seed{number}@{provider}-seeds.com", "provider": provider, "result": result})
    row = {"id": ident(world, "ptt_", identity, box.id), "mailboxId": box.id, "address": box.address}
    return {**row, "provider": box.provider, "subject": subject, "body": body, "targets": targets}


def _tally(targets: list[dict[str, Any]]) -> dict[str, Any]:
    tally: dict[str, Any] = {"emailSent": len(targets)}
    for name, provider in (("Gmail", "gmail"), ("Outlook", "outlook")):
        for result in ("inbox", "spam"):
            both = [target for target in targets if (target["provider"], target["result"]) == (provider, result)]
            tally[f"{result}Count{name}"] = len(both)
    for name in ("pending", "missing"):
        tally[f"{name}Count"] = sum(target["result"] == name for target in targets)
    inbox = tally["inboxCountGmail"] + tally["inboxCountOutlook"]
    return {**tally, "result": round(100 * inbox / len(targets)) if targets else 0}


def _shown_test(world: World, row: dict[str, Any]) -> dict[str, Any]:
    ready = world.now >= row["made"] + timedelta(minutes=10)
    rows: list[dict[str, Any]] = []
    for one_ in row["tests"]:
        targets = [
            {**target, "result": target["result"] if ready else "pending", "headers": {}, "receivedAt": ""}
            for target in one_["targets"]
        ]
        rows.append({**one_, "date": row["date"], "targets": targets, **_tally(targets)})
    every = [target for one_ in rows for target in one_["targets"]]
    head = {name: row[name] for name in ("id", "name", "workspaceId", "date")}
    return {**head, "mailboxCount": len(rows), **_tally(every), "tests": rows}


def tests(ask: Ask) -> Any:
    """The placement tests."""
    page, size = _pages(ask, "size", 50)
    home = _home(ask)
    rows = [row for row in warm(ask.world).tests.values() if row["workspaceId"] == home]
    shown_rows = [_shown_test(ask.world, row) for row in rows[(page - 1) * size : page * size]]
    pages = ceil(len(rows) / size)
    return {"placementTests": shown_rows, "currentPage": page, "totalCount": len(rows), "totalPages": pages}


def one_test(ask: Ask) -> Any:
    """One placement test; finished when nothing is pending."""
    return _shown_test(ask.world, found(warm(ask.world).tests, ask.path["placementTestID"], "placement test"))


def remove_test(ask: Ask) -> None:
    """Forgets one."""
    found(warm(ask.world).tests, ask.path["placementTestID"], "placement test")
    del warm(ask.world).tests[ask.path["placementTestID"]]


def latest(ask: Ask) -> Any:
    """The newest test of each of these mailboxes."""
    wanted = texts(ask.body(), "mailboxIds", most=100)
    by_id = {box.id: box for box in _own(ask)}
    rows: list[dict[str, Any]] = []
    for identity in wanted:
        if (box := by_id.get(identity)) is None:
            continue
        with_it = [
            row for row in warm(ask.world).tests.values() if any(one_["mailboxId"] == box.id for one_ in row["tests"])
        ]
        shown_test = _shown_test(ask.world, with_it[-1]) if with_it else None
        place = {"mailboxId": box.id, "address": box.address, "provider": box.provider}
        rows.append({**place, "placementTest": shown_test})
    return {"results": rows}
