"""Infraforge and Mailforge: domains, their DNS, mailboxes and, when asked for, their credentials."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any, cast

from starlette.responses import Response
from starlette.routing import BaseRoute

from mailfleet.sandbox.dns.fixed import MAIL_HOST
from mailfleet.sandbox.dns.views import Delegation
from mailfleet.sandbox.forge.estate import NAMESERVERS, Domain, Estate, Hosted, add_mailbox, estate, publish
from mailfleet.sandbox.forge.http import INFRA_FACE, MAIL_FACE, Ask, found, invalid, route, said, text
from mailfleet.sandbox.forge.state import stamp
from mailfleet.sandbox.world import World

_YEAR = timedelta(days=365)
EXPORTS = (
    "reach", "sl", "inst", "sf", "first_quadrant", "luna", "reply_io", "mailivery", "woodpecker", "superagi",
    "pipelime", "masterinbox",
)  # fmt: skip


def routes(world: World) -> list[BaseRoute]:
    """Both products."""
    shared = (
        ("GET", "/workspaces", workspaces, 200),
        ("GET", "/domains", domains, 200),
        ("GET", "/domains/{domainID}/dns", dns, 200),
        ("PUT", "/domains/{domainID}/dns", set_dns, 204),
        ("PUT", "/domains/{domainID}/enable-autorenew", renew, 204),
        ("PUT", "/domains/{domainID}/disable-autorenew", lapse, 204),
        ("GET", "/mailboxes", mailboxes, 200),
        ("GET", "/mailboxes/{mailboxID}", mailbox, 200),
        ("PATCH", "/mailboxes/{mailboxID}", change, 204),
        ("DELETE", "/mailboxes/{mailboxID}", remove, 204),
    )
    infra = (
        ("POST", "/domains", buy, 200),
        ("POST", "/mailboxes", create_infra, 200),
        ("POST", "/workspaces/{workspaceID}/mailboxes/export", export, 200),
        ("POST", "/domains/{domainID}/transfer-out", transfer_out, 200),
    )
    mail = (("POST", "/domains", buy, 200), ("POST", "/mailboxes", create_mail, 200))
    return [
        *(
            route(world, INFRA_FACE, m, path, _of("infraforge", answer), ok=ok)
            for m, path, answer, ok in shared + infra
        ),
        *(route(world, MAIL_FACE, m, path, _of("mailforge", answer), ok=ok) for m, path, answer, ok in shared + mail),
    ]


def _of(product: str, answer: Any) -> Any:
    return lambda ask: answer(ask, estate(ask.world, product))


def workspaces(ask: Ask, own: Estate) -> Any:
    """A bare list."""
    return list(own.workspaces.values())


def _domain(own: Estate, domain: Domain) -> dict[str, Any]:
    sld, _, tld = domain.name.partition(".")
    return {
        "id": domain.id,
        "workspaceId": domain.workspace_id,
        "sld": sld,
        "tld": tld,
        "status": domain.status,
        "type": "v2",
        "expiresAt": stamp(domain.created_at + _YEAR),
        "nameservers": list(NAMESERVERS),
        "forwardToDomain": domain.forward,
        "dmarcEmail": f"dmarc@{domain.name}",
        "isTransferred": False,
        "autoRenewStatus": domain.renewal,
        "createdAt": stamp(domain.created_at),
        "updatedAt": stamp(domain.created_at),
    }


def domains(ask: Ask, own: Estate) -> Any:
    """A bare list; only `search` is looked at."""
    searched = ask.query.get("search", "").lower()
    status = ask.query.get("status", "") if own.product == "mailforge" else ""
    if status and status not in ("active", "pending", "failed", "expired", "scheduled_for_deletion", "not_paid"):
        raise said("Invalid domain status")
    rows = [row for row in own.domains.values() if searched in row.name and status in ("", row.status)]
    return [_domain(own, row) for row in rows]


def dns(ask: Ask, own: Estate) -> Any:
    """The records, those of the product itself not editable."""
    return found(own.domains, ask.path["domainID"], "domain").records


def set_dns(ask: Ask, own: Estate) -> None:
    """Replaces the whole set: what is not sent is gone, MX, SPF, DKIM and DMARC too."""
    domain = found(own.domains, ask.path["domainID"], "domain")
    rows: Any = ask.body().get("records")
    if not isinstance(rows, list):
        raise _wrong("records is a required field")
    records: list[dict[str, Any]] = []
    for row in cast("list[Any]", rows):
        if not isinstance(row, dict):
            raise _wrong("records must be a list of records")
        given = cast("dict[str, Any]", row)
        kept = {name: str(given.get(name) or "") for name in ("name", "type", "value")}
        if not all(kept.values()):
            raise _wrong("name, type and value are required fields")
        records.append({**kept, "editable": given.get("editable") is not False})
    domain.records, own.writes = records, own.writes + 1
    publish(ask.world, domain)


def _wrong(problem: str) -> Exception:
    return said("invalid request body", 400, [problem])


def renew(ask: Ask, own: Estate) -> None:
    """Renewal by itself: off for new domains."""
    found(own.domains, ask.path["domainID"], "domain").renewal = "enabled"


def lapse(ask: Ask, own: Estate) -> None:
    """The other way."""
    found(own.domains, ask.path["domainID"], "domain").renewal = "disabled"


def transfer_out(ask: Ask, own: Estate) -> Any:
    """Hands a domain's delegation to other nameservers."""
    domain = found(own.domains, ask.path["domainID"], "domain")
    servers: Any = ask.body().get("nameservers")
    if not isinstance(servers, list) or not servers:
        raise _wrong("nameservers is a required field")
    names = tuple(str(server).lower().rstrip(".") for server in cast("list[Any]", servers))
    ask.world.delegations.setdefault(domain.name, []).append(Delegation(ask.world.now, names))
    return {}


def buy(ask: Ask, own: Estate) -> Any:
    """Costs money, of which the account has none."""
    raise said("payment method is required", 402)


def _mailbox(ask: Ask, own: Estate, box: Hosted, *, secret: bool) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": box.id,
        "email": box.address,
        "firstName": box.first_name,
        "lastName": box.last_name,
        "domain": box.address.rpartition("@")[2],
        "domainId": box.domain_id,
        "status": box.status,
        "workspaceId": box.workspace_id,
        "signature": box.signature,
        "forwardingEmail": box.forwarding,
        "createdAt": stamp(box.created_at),
        "updatedAt": stamp(box.created_at),
    }
    return row | ({"credentials": credentials(ask.world, box)} if secret else {})


def credentials(world: World, box: Hosted) -> dict[str, Any]:
    """Both logins of a mailbox, at the mail host of this world."""
    host, smtp, imap = world.state.get("mailhost") or (MAIL_HOST, 465, 993)
    ours = {"Username": box.address, "Password": box.password}
    logins = {f"{kind}{name}": value for kind in ("smtp", "imap") for name, value in ours.items()}
    return {**logins, "smtpHost": host, "smtpPort": smtp, "imapHost": host, "imapPort": imap}


def _asked(ask: Ask) -> bool:
    return ask.query.get("with_credentials", "").lower() == "true"


def mailboxes(ask: Ask, own: Estate) -> Any:
    """A bare list of all, without pages; credentials only when asked for."""
    home, searched = ask.query.get("workspace_id", ""), ask.query.get("search", "").lower()
    rows = [box for box in own.boxes.values() if home in ("", box.workspace_id) and searched in box.address]
    return [_mailbox(ask, own, box, secret=_asked(ask)) for box in rows]


def _one(ask: Ask, own: Estate) -> Hosted:
    return found(own.boxes, ask.path["mailboxID"], "mailbox")


def mailbox(ask: Ask, own: Estate) -> Any:
    """One of them."""
    return _mailbox(ask, own, _one(ask, own), secret=_asked(ask))


def change(ask: Ask, own: Estate) -> None:
    """Names, signature, forwarding and the password, which breaks every sender that uses the old one."""
    box, given = _one(ask, own), ask.body()
    box.first_name = str(given.get("firstName") or box.first_name)
    box.last_name = str(given.get("lastName") or box.last_name)
    box.signature = str(given.get("signature", box.signature))
    box.forwarding = str(given.get("forwardingEmail", box.forwarding))
    if given.get("password"):
        box.password = ask.world.mail_accounts[box.address] = text(given, "password")


def remove(ask: Ask, own: Estate) -> None:
    """Gives a mailbox up."""
    box = _one(ask, own)
    del own.boxes[box.id]
    ask.world.mail_accounts.pop(box.address, None)


def create_infra(ask: Ask, own: Estate) -> Any:
    """Makes mailboxes by domain and answers without ids; no login works until a password was set."""
    rows: Any = ask.body().get("domains")
    if not isinstance(rows, list) or not rows:
        raise _wrong("domains is a required field")
    made = 0
    for row in cast("list[dict[str, Any]]", rows):
        name = text(row, "domain")
        if not any(domain.name == name.lower() for domain in own.domains.values()):
            raise said("domain not found", 404)
        for wanted in cast("list[dict[str, Any]]", row.get("mailboxes") or []):
            _make(ask, own, wanted, works=False)
            made += 1
    return {"created": made}


def create_mail(ask: Ask, own: Estate) -> Any:
    """A flat list, and credentials in the answer."""
    rows: Any = ask.body().get("mailboxes")
    if not isinstance(rows, list) or not rows:
        raise invalid("mailboxes is a required field")
    made = [_make(ask, own, row, works=True) for row in cast("list[dict[str, Any]]", rows)]
    return {"mailboxes": [_mailbox(ask, own, box, secret=True) for box in made]}


def _make(ask: Ask, own: Estate, row: dict[str, Any], *, works: bool) -> Hosted:
    address = text(row, "email").lower()
    if not any(domain.name == address.rpartition("@")[2] for domain in own.domains.values()):
        raise said("domain not found", 404)
    return add_mailbox(ask.world, own.product, address, text(row, "firstName"), text(row, "lastName"), works=works)


def export(ask: Ask, own: Estate) -> Any:
    """The mailboxes as CSV in another product's layout; which columns `sl` has is not published."""
    given, home = ask.body(), ask.path["workspaceID"]
    if given.get("exportType") not in EXPORTS:
        raise _wrong("exportType must be one of [" + " ".join(EXPORTS) + "]")
    within, without = given.get("includedIds") or [], given.get("excludedIds") or []
    out = io.StringIO()
    names = ("from_name", "from_email", "user_name", "password", "smtp_host", "smtp_port", "imap_host", "imap_port")
    writer = csv.DictWriter[str](out, names)
    writer.writeheader()
    for box in own.boxes.values():
        if box.workspace_id == home and (not within or box.id in within) and box.id not in without:
            shown = credentials(ask.world, box)
            row = {"from_name": f"{box.first_name} {box.last_name}", "from_email": box.address}
            row |= {"user_name": shown["smtpUsername"], "password": shown["smtpPassword"]}
            row |= {name: shown[name.replace("_h", "H").replace("_p", "P")] for name in names[4:]}
            writer.writerow(row)
    return Response(out.getvalue(), media_type="text/csv")
