"""Namecheap as a registrar (D6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from mailfleet.errors import Conflict, MissingSetting, NotAllowed, VendorError
from mailfleet.platforms.ports import Quote
from mailfleet.platforms.settling import Finding, OpenWrite, found, unreadable
from mailfleet.vendors.namecheap.client import NamecheapClient


class Contact(msgspec.Struct, frozen=True, kw_only=True):
    """The registrant, truthfully (dns-mail L17). `phone` as `+61.255501234`."""

    first_name: str
    last_name: str
    organisation: str = ""
    address: str
    city: str
    state: str
    postcode: str
    country: str
    phone: str
    email: str

    def fields(self) -> Mapping[str, str]:
        """As Namecheap names them, without the role (namecheap:domains.create)."""
        given = {
            "FirstName": self.first_name,
            "LastName": self.last_name,
            "OrganizationName": self.organisation,
            "Address1": self.address,
            "City": self.city,
            "StateProvince": self.state,
            "PostalCode": self.postcode,
            "Country": self.country,
            "Phone": self.phone,
            "EmailAddress": self.email,
        }
        return {name: value for name, value in given.items() if value}


class NamecheapRegistrar:
    """`Registrar` on one Namecheap account. Without a contact it delegates and quotes, but buys nothing."""

    name = "namecheap"

    def __init__(self, client: NamecheapClient, contact: Contact | None = None) -> None:
        self.client, self._contact = client, contact

    async def close(self) -> None:
        await self.client.close()

    @property
    def keys(self) -> frozenset[str]:
        return frozenset({self.client.transport.key_id})

    async def settle(self, write: OpenWrite) -> Finding:
        domain = str(write.match.get("domain", ""))
        match write.operation:
            case "register_domain":
                return found(await self.client.owned(domain))
            case "set_nameservers":
                servers = sorted(await self.client.nameservers(domain))
                return found(servers == sorted(map(str.lower, write.match["nameservers"])), read=servers)
            case _:
                return unreadable(f"nobody knows how to read {write.operation}")

    async def quote(self, domain: str) -> Quote:
        """The price of one year with fees; None when Namecheap names none, and then nothing is bought."""
        offer = await self.client.check(domain)
        price, currency = offer.premium_cents, "USD"
        if offer.available and not offer.premium:
            price, currency = await self._usual_price(domain)
        total = None if price is None else price + offer.surcharge_cents
        return Quote(
            domain=domain, available=offer.available, premium=offer.premium, price_cents=total, currency=currency
        )

    async def owned(self, domain: str) -> bool:
        return await self.client.owned(domain)

    async def buy(self, domain: str, *, ceiling_cents: int) -> str:
        """The price is looked at again just before: what was approved is what is paid, or nothing is bought."""
        if self._contact is None:
            raise MissingSetting(
                f"{domain} is not bought: Namecheap needs the registrant's name and address.",
                hint="Buy it by hand at Namecheap, then `mailfleet domain add` it.",
            )
        quote = await self.quote(domain)
        if not quote.available:
            raise Conflict(f"{domain} is taken.", vendor="namecheap", operation="register_domain")
        if quote.premium or quote.price_cents is None or quote.price_cents > ceiling_cents:
            shown = "no price" if quote.price_cents is None else f"{quote.price_cents / 100:.2f} {quote.currency}"
            raise NotAllowed(f"{domain} is not bought: it now costs {shown}, over the ceiling or premium.")
        return (await self.client.register(domain, self._contact.fields())).order_id

    async def nameservers(self, domain: str) -> Sequence[str]:
        return await self.client.nameservers(domain)

    async def set_nameservers(self, domain: str, nameservers: Sequence[str]) -> None:
        """Nothing is sent when they stand already."""
        wanted = [name.strip().rstrip(".").lower() for name in nameservers]
        if set(await self.client.nameservers(domain)) != set(wanted):
            await self.client.set_nameservers(domain, wanted)

    async def _usual_price(self, domain: str) -> tuple[int | None, str]:
        try:
            return await self.client.price(domain) or (None, "USD")
        except VendorError as error:
            if error.retry_after is not None:
                raise
            return None, "USD"
