"""Namecheap: is a name free, what does it cost, register it, delegate it. Always POST: the key is in the parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation

import msgspec
from publicsuffixlist import PublicSuffixList

from mailfleet.errors import Conflict, Drift, Forbidden, Invalid, NotFound, RateLimited, Unauthorized, VendorError
from mailfleet.vendors.namecheap import xml
from mailfleet.vendors.namecheap.xml import Node
from mailfleet.vendors.transport.answer import Answer
from mailfleet.vendors.transport.failures import by_status, text_of
from mailfleet.vendors.transport.operation import Access, Failure, Operation, Vendor
from mailfleet.vendors.transport.protocols import Window
from mailfleet.vendors.transport.secret import Secret
from mailfleet.vendors.transport.transport import Means, Transport

BASE_URL = "https://api.namecheap.com/xml.response"
# namecheap:limits
WINDOWS: tuple[Window, ...] = ((20, 60.0), (700, 3600.0), (8000, 86400.0))
YEARS = 1
"""Sent always: the vendor's own default is two years (namecheap:domains.create)."""
CHECK = Operation(name="check_domains", method="POST", path="", reads=True)  # namecheap:domains.check
PRICE = Operation(name="get_pricing", method="POST", path="", reads=True)  # namecheap:users.getPricing
CREATE = Operation(  # namecheap:domains.create
    name="register_domain",
    method="POST",
    path="",
    reconcile="getInfo of the domain, matched on its name: it is ours when it answers",
    timeout=60,
)
INFO = Operation(name="get_domain", method="POST", path="", reads=True)  # namecheap:domains.getInfo
NAMESERVERS = Operation(name="get_nameservers", method="POST", path="", reads=True)  # namecheap:domains.dns.getList
DELEGATE = Operation(  # namecheap:domains.dns.setCustom
    name="set_nameservers",
    method="POST",
    path="",
    reconcile="dns.getList of the domain, matched on the name servers",
    timeout=40,
)
# namecheap:errors
_CODES: Mapping[str, type[VendorError]] = {
    "1010101": Invalid, "1010102": Unauthorized, "1010104": Invalid, "1010105": Invalid, "1011102": Unauthorized,
    "1011150": Forbidden, "1016103": Forbidden, "1017101": Forbidden, "1017103": Forbidden, "1017105": Forbidden,
    "1017150": Forbidden, "1017410": Forbidden, "1017411": RateLimited, "2016166": NotFound, "2019166": NotFound,
}  # fmt: skip
_HINTS: Mapping[str, str] = {
    "1011150": "Add this machine's IPv4 address to the allow-list at Namecheap (Profile → Tools → API access).",
    "1011102": "A parameter is missing, or API access is not switched on for the account.",
    "1017410": "The account's payments were declined; see to it at Namecheap.",
}


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """What `check` says of a name; prices only for premium names, `surcharge` with fees of registry and ICANN."""

    domain: str
    available: bool
    premium: bool
    premium_cents: int | None
    surcharge_cents: int


class Registered(msgspec.Struct, frozen=True, kw_only=True):
    """`charged_cents` is what was taken; `real_time` False: the registry decides later."""

    domain: str
    order_id: str
    transaction_id: str
    charged_cents: int | None
    real_time: bool


class NamecheapClient:
    """One account, called from one allow-listed IPv4 address."""

    def __init__(
        self,
        means: Means,
        *,
        api_user: str,
        key: Secret,
        username: str,
        client_ip: str,
        base_url: str = BASE_URL,
    ) -> None:
        self._identity = {"ApiUser": api_user, "UserName": username, "ClientIp": client_ip}
        access = Access(form={"ApiKey": key})
        vendor = Vendor(name="namecheap", base_url=base_url, access=access, windows=WINDOWS, judge=judge)
        self.transport = Transport(vendor, means)
        self._suffixes = PublicSuffixList()

    def __repr__(self) -> str:
        return f"NamecheapClient({self.transport.key_id})"

    async def close(self) -> None:
        await self.transport.close()

    async def check(self, domain: str) -> Offer:
        node = await self._ask(CHECK, "namecheap.domains.check", {"DomainList": domain}, "DomainCheckResult")
        fees = [cents(node.get(name)) or 0 for name in ("IcannFee", "EapFee")]
        return Offer(
            domain=node.get("Domain", domain),
            available=node.yes("Available"),
            premium=node.yes("IsPremiumName"),
            premium_cents=cents(node.get("PremiumRegistrationPrice")) or None,
            surcharge_cents=sum(fees),
        )

    async def price(self, domain: str) -> tuple[int, str] | None:
        """The account's price of one year in cents and its currency; None when it is not given."""
        tld = self.split(domain)[1]
        form = {"ProductType": "DOMAIN", "ActionName": "REGISTER", "ProductName": tld.upper()}
        answer = await self._send(PRICE, "namecheap.users.getPricing", form)
        root = xml.parse(answer.text)
        for price in root.all("Price") if root else ():
            if price.get("Duration") == str(YEARS) and price.get("DurationType", "YEAR").upper() == "YEAR":
                amount = cents(price.get("YourPrice") or price.get("Price"))
                extra = cents(price.get("YourAdditonalCost") or price.get("AdditionalCost")) or 0
                if amount is not None:
                    return amount + extra, price.get("Currency", "USD")
        return None

    async def register(self, domain: str, contact: Mapping[str, str], nameservers: Sequence[str] = ()) -> Registered:
        """For one year. The caller has spent an approval; a lost answer is settled by `owned`, never repeated."""
        form = {"DomainName": domain, "Years": str(YEARS), "AddFreeWhoisguard": "yes", "WGEnabled": "yes"}
        roles = ("Registrant", "Tech", "Admin", "AuxBilling")
        form |= {f"{role}{name}": value for role in roles for name, value in contact.items()}
        form |= {"Nameservers": ",".join(nameservers)} if nameservers else {}
        answer = await self._send(CREATE, "namecheap.domains.create", form, {"domain": domain})
        node = self._found(CREATE, answer, "DomainCreateResult")
        return Registered(
            domain=node.get("Domain", domain),
            order_id=node.get("OrderID"),
            transaction_id=node.get("TransactionID"),
            charged_cents=cents(node.get("ChargedAmount")),
            real_time=not node.yes("NonRealTimeDomain"),
        )

    async def owned(self, domain: str) -> bool:
        """Whether the domain is in this account."""
        try:
            node = await self._ask(INFO, "namecheap.domains.getInfo", {"DomainName": domain}, "DomainGetInfoResult")
        except NotFound:
            return False
        return node.get("IsOwner", "true").lower() == "true"

    async def nameservers(self, domain: str) -> Sequence[str]:
        form = self._parts(domain)
        node = await self._ask(NAMESERVERS, "namecheap.domains.dns.getList", form, "DomainDNSGetListResult")
        return [server.text.lower() for server in node.all("Nameserver") if server.text]

    async def set_nameservers(self, domain: str, nameservers: Sequence[str]) -> None:
        """Namecheap's own forwarding and dynamic DNS end with it."""
        form = self._parts(domain) | {"Nameservers": ",".join(nameservers)}
        match = {"domain": domain, "nameservers": list(nameservers)}
        answer = await self._send(DELEGATE, "namecheap.domains.dns.setCustom", form, match)
        node = self._found(DELEGATE, answer, "DomainDNSSetCustomResult")
        if not node.yes("Updated"):
            raise Conflict(
                f"Namecheap did not change the name servers of {domain}.",
                vendor="namecheap",
                operation=DELEGATE.name,
                hint="The domain may be locked; look at it at Namecheap.",
            )

    def split(self, domain: str) -> tuple[str, str]:
        """`acme.com.au` as `acme`, `com.au`: by the public suffix list."""
        suffix = self._suffixes.publicsuffix(domain) or domain.rpartition(".")[2]
        return domain[: -len(suffix) - 1], suffix

    def _parts(self, domain: str) -> dict[str, str]:
        second, top = self.split(domain)
        return {"SLD": second, "TLD": top}

    async def _ask(self, operation: Operation, command: str, form: Mapping[str, str], result: str) -> Node:
        return self._found(operation, await self._send(operation, command, form), result)

    async def _send(
        self, operation: Operation, command: str, form: Mapping[str, str], match: Mapping[str, object] | None = None
    ) -> Answer:
        whole = {**self._identity, "Command": command, **form}
        return await self.transport.call(operation, form=whole, match=match, journaled={"command": command})

    def _found(self, operation: Operation, answer: Answer, result: str) -> Node:
        root = xml.parse(answer.text)
        node = root.find(result) if root else None
        if node is None:
            raise Drift(
                f"Namecheap's answer to {operation.name} has no {result}.",
                vendor="namecheap",
                operation=operation.name,
                status=answer.status,
                body=answer.text[:500],
                hint="The vendor changed its interface: report it with the redacted body.",
                field=result,
            )
        return node


def cents(text: str) -> int | None:
    """`10.87` as 1087; None for nothing."""
    try:
        return int((Decimal(text) * 100).to_integral_value()) if text.strip() else None
    except InvalidOperation:
        return None


def judge(answer: Answer) -> Failure | None:
    """`Status="OK"` decides, not HTTP's 200; throttling comes as 405 (namecheap:limits)."""
    if answer.status == 405:
        return Failure(kind=RateLimited, message="too many calls a minute (Namecheap answers 405)")
    root = xml.parse(answer.text) if answer.kind in ("xml", "html") else None
    if root is None or root.name != "apiresponse":
        usual = by_status(answer)
        return usual or Failure(kind=VendorError, message=f"not XML: {text_of(answer)}", settled=False)
    if root.get("Status").upper() == "OK":
        return None
    errors = [(error.get("Number"), error.text) for error in root.all("Error")]
    number = next((number for number, _ in errors if number in _CODES), errors[0][0] if errors else "")
    said = "; ".join(f"{code} {text}".strip() for code, text in errors) or "no reason given"
    return Failure(kind=_CODES.get(number, Invalid), message=said, hint=_HINTS.get(number, ""))
