"""What the registrar holds: domains, prices, a balance, and what the parent zones are told. No HTTP here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import cast

from mailfleet.sandbox.dns.fixed import REGISTRAR_NAMESERVERS, fixed_zones, registrable
from mailfleet.sandbox.dns.views import Delegation
from mailfleet.sandbox.seeds import fraction, hexes
from mailfleet.sandbox.world import World

# Magic names, by the beginning of the domain.
TAKEN_PREFIX = "taken-"
PREMIUM_PREFIX = "premium-"
PREMIUM_PRICE = Decimal("1450.00")
ICANN_FEE = Decimal("0.18")
_PRICES = {"com": Decimal("10.98"), "com.au": Decimal("12.98"), "net": Decimal("12.98"), "io": Decimal("34.98")}
_OTHER_PRICE = Decimal("14.98")
# Times until the parent zones follow the registrar (dns-mail: minutes to hours).
_NEW_DOMAIN = (timedelta(minutes=2), timedelta(minutes=20))
_FASTEST_CHANGE = timedelta(minutes=5)
_SLOWEST_RATIO = 48.0


@dataclass
class Domain:
    """A registered domain of the account."""

    name: str
    number: int
    created: datetime
    expires: datetime
    nameservers: tuple[str, ...] = REGISTRAR_NAMESERVERS
    whoisguard: bool = True
    auto_renew: bool = False

    @property
    def own_dns(self) -> bool:
        """Whether the registrar's own DNS serves it."""
        return self.nameservers == REGISTRAR_NAMESERVERS


@dataclass
class Registrar:
    """The one account at the registrar."""

    api_user: str
    api_key: str
    client_ip: str
    balance: Decimal = Decimal("500.00")
    orders: int = 0
    domains: dict[str, Domain] = field(default_factory=dict[str, Domain])


def registrar(world: World) -> Registrar:
    """The account of this world."""
    kept = world.state.get("registrar")
    if kept is None:
        key = hexes(world, 32, "namecheap", "key")
        kept = world.state["registrar"] = Registrar("sandboxagency", key, "203.0.113.7")
    return cast(Registrar, kept)


def price(name: str) -> Decimal:
    """The first year's price in USD, without the ICANN fee."""
    if name.startswith(PREMIUM_PREFIX):
        return PREMIUM_PRICE
    return _PRICES.get(name.split(".", 1)[-1], _OTHER_PRICE)


def available(world: World, name: str) -> bool:
    """Whether anyone may register the name now."""
    owned = name in registrar(world).domains or name in world.delegations
    return not (owned or name in fixed_zones() or name.startswith(TAKEN_PREFIX)) and registrable(name) == name


def register(world: World, name: str, *, years: int = 1, delegated_after: timedelta = timedelta(0)) -> Domain:
    """Makes the account own a domain that points at the registrar's own DNS. An owned one stays as it is."""
    name = name.lower().rstrip(".")
    owner = registrar(world)
    if name not in owner.domains:
        owner.orders += 1
        number = 1_000_000 + owner.orders
        owner.domains[name] = Domain(name, number, world.now, world.now + timedelta(days=365 * years))
        world.delegations.setdefault(name, []).append(Delegation(world.now + delegated_after, REGISTRAR_NAMESERVERS))
    return owner.domains[name]


def buy(world: World, name: str, years: int) -> tuple[Domain, Decimal]:
    """Registers for money; the parent knows the domain some minutes later. Returns what was charged."""
    charged = price(name) * years + ICANN_FEE * years
    shortest, longest = _NEW_DOMAIN
    delay = shortest + (longest - shortest) * fraction(world, "registration", name)
    domain = register(world, name, years=years, delegated_after=delay)
    registrar(world).balance -= charged
    return domain, charged


def set_nameservers(world: World, domain: Domain, nameservers: Sequence[str]) -> None:
    """Changes the delegation: known here at once, at the parent after a seeded delay of minutes to hours."""
    servers = tuple(server.lower().rstrip(".") for server in nameservers)
    if set(servers) == set(domain.nameservers):
        return
    domain.nameservers = servers
    entries = world.delegations.setdefault(domain.name, [])
    share = fraction(world, "delegation", domain.name, len(entries))
    at = world.now + _FASTEST_CHANGE * (_SLOWEST_RATIO**share)
    # A later change never overtakes an earlier one.
    entries.append(Delegation(max([at, *(entry.since for entry in entries)]), servers))
