"""Namecheap's XML API: the commands an agency needs to buy a domain and point it elsewhere."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from urllib.parse import parse_qsl
from xml.etree.ElementTree import Element, SubElement, tostring

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from mailfleet.sandbox.describe import published
from mailfleet.sandbox.dns.fixed import REGISTRAR_NAMESERVERS
from mailfleet.sandbox.namecheap.openapi import CONTACT_FIELDS, CONTACTS, description
from mailfleet.sandbox.namecheap.state import (
    ICANN_FEE,
    PREMIUM_PREFIX,
    TAKEN_PREFIX,
    Domain,
    available,
    buy,
    price,
    register,
    registrar,
    set_nameservers,
)
from mailfleet.sandbox.world import World

__all__ = ["Limit", "credentials", "register", "routes"]

PATH = "/namecheap/xml.response"
_NAMESPACE = "http://api.namecheap.com/xml.response"
_MOST_CHECKED = 50
_PHONE = re.compile(r"\+\d{1,3}\.\d{4,14}")
# Characters that XML 1.0 has no way to write.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}", re.IGNORECASE)


@dataclass
class Refused(Exception):
    """An `<Error>` of the answer, which comes with HTTP 200."""

    number: int
    message: str


@dataclass
class Limit:
    """20 calls a minute, 700 an hour, 8,000 a day, in real time."""

    windows: tuple[tuple[float, int], ...] = ((60.0, 20), (3600.0, 700), (86400.0, 8000))
    clock: Callable[[], float] = time.monotonic
    taken: deque[float] = field(default_factory=deque[float])

    def admits(self) -> bool:
        """Counts one call if every window has room."""
        now = self.clock()
        while self.taken and self.taken[0] <= now - self.windows[-1][0]:
            self.taken.popleft()
        if any(sum(at > now - span for at in self.taken) >= most for span, most in self.windows):
            return False
        self.taken.append(now)
        return True


@dataclass
class Ask:
    """One call: the world and its parameters by lower-case name."""

    world: World
    given: Mapping[str, str]

    def need(self, name: str, number: int = 2010324) -> str:
        """A parameter that must be there. Raises Refused."""
        value = self.given.get(name.lower(), "").strip()
        if not value:
            raise Refused(number, f"Parameter {name} is Missing")
        return value


Command = Callable[[Ask, Element], None]


def credentials(world: World) -> dict[str, str]:
    """What a client of this face needs."""
    owner = registrar(world)
    return {
        "api_user": owner.api_user,
        "api_key": owner.api_key,
        "username": owner.api_user,
        "client_ip": owner.client_ip,
    }


def routes(world: World, limit: Limit | None = None) -> list[BaseRoute]:
    """The one route of the API, for GET and POST."""
    bucket = limit or Limit()

    async def answer(request: Request) -> Response:
        if not bucket.admits():  # Throttling arrives as 405, with a page and no XML.
            return Response("<html><body>Too many requests</body></html>", 405, media_type="text/html")
        given = {key.lower(): value for key, value in request.query_params.items()}
        if request.method == "POST":
            form = parse_qsl((await request.body()).decode("utf-8", "replace"))
            given |= {key.lower(): value for key, value in form}
        return Response(perform(world, given), media_type="text/xml; charset=utf-8")

    return [
        published("/namecheap/openapi.json", description(PATH, COMMANDS)),
        Route(PATH, answer, methods=["GET", "POST"]),
    ]


def perform(world: World, given: Mapping[str, str]) -> bytes:
    """The whole answer to one call."""
    given = {key: _NOT_XML.sub("", value) for key, value in given.items()}
    name = given.get("command", "")
    response = Element("CommandResponse", Type=name)
    try:
        _authorise(world, given)
        command = COMMANDS.get(name.lower())
        if command is None:
            raise Refused(
                1010105 if not name else 1011102, f"Parameter Command is {'Missing' if not name else 'invalid'}"
            )
        command(Ask(world, given), response)
    except Refused as refused:
        return _document(name, None, refused)
    return _document(name, response, None)


def _document(name: str, response: Element | None, refused: Refused | None) -> bytes:
    root = Element("ApiResponse", Status="OK" if refused is None else "ERROR", xmlns=_NAMESPACE)
    errors = SubElement(root, "Errors")
    if refused is not None:
        SubElement(errors, "Error", Number=str(refused.number)).text = refused.message
    SubElement(root, "Warnings")
    SubElement(root, "RequestedCommand").text = name.lower()
    if response is not None:
        root.append(response)
    SubElement(root, "Server").text = "SANDBOX01"
    SubElement(root, "GMTTimeDifference").text = "--4:00"
    SubElement(root, "ExecutionTime").text = "0.010"
    return tostring(root, encoding="utf-8", xml_declaration=True)


def _authorise(world: World, given: Mapping[str, str]) -> None:
    owner = registrar(world)
    wanted = {"ApiUser": 1010101, "ApiKey": 1010102, "UserName": 1010103, "Command": 1010104, "ClientIp": 1010105}
    for parameter, number in wanted.items():
        if not given.get(parameter.lower()):
            raise Refused(number, f"Parameter {parameter} is missing")
    if (given["apiuser"], given["apikey"]) != (owner.api_user, owner.api_key):
        raise Refused(1011102, "API Key is invalid or API access has not been enabled")
    if given["username"] != owner.api_user:
        raise Refused(1016103, "UserName is unauthorized")
    if given["clientip"] != owner.client_ip:
        raise Refused(1011150, f"Invalid request IP: {given['clientip']}")


def _check(ask: Ask, response: Element) -> None:
    names = [name.strip().lower() for name in ask.need("DomainList").split(",") if name.strip()]
    if len(names) > _MOST_CHECKED:
        raise Refused(2011169, f"Only {_MOST_CHECKED} domains are allowed in a single check command")
    for name in names:
        premium = name.startswith(PREMIUM_PREFIX)
        SubElement(
            response,
            "DomainCheckResult",
            Domain=name,
            Available=_bool(available(ask.world, name)),
            ErrorNo="0",
            Description="",
            IsPremiumName=_bool(premium),
            PremiumRegistrationPrice=str(price(name)) if premium else "0",
            PremiumRenewalPrice=str(price(name)) if premium else "0",
            PremiumRestorePrice="0",
            PremiumTransferPrice="0",
            IcannFee=str(ICANN_FEE),
            EapFee="0",
        )


def _create(ask: Ask, response: Element) -> None:
    name = ask.need("DomainName").lower()
    years = _years(ask.given.get("years", "2"))  # The service's own default is two years.
    _check_contacts(ask)
    if not available(ask.world, name):
        raise Refused(3031510, f"Domain name {name} is not available")  # number: (K)
    if name.startswith(PREMIUM_PREFIX) and ask.given.get("ispremiumdomain", "").lower() != "true":
        raise Refused(2515623, "Domain is premium: send IsPremiumDomain and PremiumPrice")  # (K)
    if price(name) * years > registrar(ask.world).balance:
        raise Refused(2528166, "Order creation failed: insufficient funds")  # (K)
    domain, charged = buy(ask.world, name, years)
    domain.nameservers = REGISTRAR_NAMESERVERS
    domain.whoisguard = ask.given.get("addfreewhoisguard", "no").lower() == "yes"
    SubElement(
        response,
        "DomainCreateResult",
        Domain=name,
        Registered="true",
        ChargedAmount=f"{charged:.4f}",
        DomainID=str(domain.number),
        OrderID=str(domain.number + 2_000_000),
        TransactionID=str(domain.number + 4_000_000),
        WhoisguardEnable=_bool(domain.whoisguard),
        NonRealTimeDomain="false",
    )


def _get_info(ask: Ask, response: Element) -> None:
    domain = _owned(ask, ask.need("DomainName").lower())
    result = SubElement(
        response,
        "DomainGetInfoResult",
        Status="Ok",
        ID=str(domain.number),
        DomainName=domain.name,
        OwnerName=registrar(ask.world).api_user,
        IsOwner="true",
        IsPremium=_bool(domain.name.startswith(PREMIUM_PREFIX)),
    )
    details = SubElement(result, "DomainDetails")
    SubElement(details, "CreatedDate").text = f"{domain.created:%m/%d/%Y}"
    SubElement(details, "ExpiredDate").text = f"{domain.expires:%m/%d/%Y}"
    SubElement(details, "NumYears").text = "0"
    SubElement(result, "LockDetails")
    SubElement(result, "Whoisguard", Enabled="True" if domain.whoisguard else "False")
    kind = "FREE" if domain.own_dns else "CUSTOM"
    dns = SubElement(result, "DnsDetails", ProviderType=kind, IsUsingOurDNS=_bool(domain.own_dns))
    for server in domain.nameservers:
        SubElement(dns, "Nameserver").text = server
    SubElement(result, "Modificationrights", All="true")


def _get_list(ask: Ask, response: Element) -> None:
    domains = sorted(registrar(ask.world).domains.values(), key=lambda domain: domain.name)
    wanted = ask.given.get("searchterm", "").lower()
    found = [domain for domain in domains if wanted in domain.name]
    size = min(100, max(10, _number(ask.given.get("pagesize"), 20)))
    page = max(1, _number(ask.given.get("page"), 1))
    result = SubElement(response, "DomainGetListResult")
    for domain in found[(page - 1) * size : page * size]:
        SubElement(
            result,
            "Domain",
            ID=str(domain.number),
            Name=domain.name,
            User=registrar(ask.world).api_user,
            Created=f"{domain.created:%m/%d/%Y}",
            Expires=f"{domain.expires:%m/%d/%Y}",
            IsExpired=_bool(domain.expires <= ask.world.now),
            IsLocked="false",
            AutoRenew=_bool(domain.auto_renew),
            WhoisGuard="ENABLED" if domain.whoisguard else "NOTPRESENT",
            IsPremium=_bool(domain.name.startswith(PREMIUM_PREFIX)),
            IsOurDNS=_bool(domain.own_dns),
        )
    paging = SubElement(response, "Paging")
    for tag, value in (("TotalItems", len(found)), ("CurrentPage", page), ("PageSize", size)):
        SubElement(paging, tag).text = str(value)


def _dns_get_list(ask: Ask, response: Element) -> None:
    domain = _owned(ask, f"{ask.need('SLD')}.{ask.need('TLD')}".lower())
    result = SubElement(response, "DomainDNSGetListResult", Domain=domain.name, IsUsingOurDNS=_bool(domain.own_dns))
    for server in domain.nameservers:
        SubElement(result, "Nameserver").text = server


def _dns_set_custom(ask: Ask, response: Element) -> None:
    sld, tld = ask.need("SLD"), ask.need("TLD")
    domain = _owned(ask, f"{sld}.{tld}".lower())
    servers = [server.strip() for server in ask.need("Nameservers").split(",") if server.strip()]
    if len(servers) < 2 or len(",".join(servers)) > 1200 or not all(_HOST.fullmatch(server) for server in servers):
        raise Refused(4022288, "Unable to get nameserver list: at least two valid nameservers are needed")  # (K)
    set_nameservers(ask.world, domain, servers)
    SubElement(response, "DomainDNSSetCustomResult", Domain=domain.name, Updated="true")


def _balances(ask: Ask, response: Element) -> None:
    balance = registrar(ask.world).balance
    SubElement(
        response,
        "UserGetBalancesResult",
        Currency="USD",
        AvailableBalance=f"{balance:.2f}",
        AccountBalance=f"{balance:.2f}",
        EarnedAmount="0.00",
        WithdrawableAmount="0.00",
        FundsRequiredForAutoRenew=f"{Decimal(0):.2f}",
    )


COMMANDS: Mapping[str, Command] = {
    "namecheap.domains.check": _check,
    "namecheap.domains.create": _create,
    "namecheap.domains.getinfo": _get_info,
    "namecheap.domains.getlist": _get_list,
    "namecheap.domains.dns.getlist": _dns_get_list,
    "namecheap.domains.dns.setcustom": _dns_set_custom,
    "namecheap.users.getbalances": _balances,
}


def _owned(ask: Ask, name: str) -> Domain:
    domain = registrar(ask.world).domains.get(name)
    if domain is not None:
        return domain
    if name.startswith(TAKEN_PREFIX) or name in ask.world.delegations:
        raise Refused(2016166, f"Domain {name} is not associated with your account")
    raise Refused(2019166, f"Domain {name} not found")


def _check_contacts(ask: Ask) -> None:
    for contact in CONTACTS:
        for name in CONTACT_FIELDS:
            ask.need(contact + name)
        if not _PHONE.fullmatch(ask.given[f"{contact}Phone".lower()]):
            raise Refused(2015182, f"{contact}Phone is invalid: use +NNN.NNNNNNNNNN")  # (K)


def _years(text: str) -> int:
    years = _number(text, 0)
    if not 1 <= years <= 10:
        raise Refused(2033409, "Years must be between 1 and 10")  # (K)
    return years


def _number(text: str | None, default: int) -> int:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 10 else default


def _bool(value: bool) -> str:
    return "true" if value else "false"
