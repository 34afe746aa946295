"""Buying a domain: a price, a ceiling, a person's approval used once, and the intent written before the call (D6)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from mailfleet.errors import ConfigError, NeedsApproval, NotAllowed, Unknown
from mailfleet.platforms.ports import Quote, Registrar
from mailfleet.services import clients, domains
from mailfleet.services.context import Fleet
from mailfleet.store import approvals, audit
from mailfleet.store.approvals import Approval
from mailfleet.store.database import Connection

ACTION = "buy_domain"
VALID_FOR = timedelta(days=7)


async def plan(fleet: Fleet, name: str, *, registrar: str | None = None) -> Quote:
    """What the domain would cost for one year; asks the registrar, changes nothing."""
    return await _registrar(fleet, registrar).quote(domains.clean_name(name))


async def request(
    fleet: Fleet, name: str, *, ceiling_cents: int, client: str | None = None, registrar: str | None = None
) -> Approval:
    """Asks for an approval, under a ceiling, valid for seven days. Raises NotAllowed when it cannot be had for that."""
    quote = await plan(fleet, name, registrar=registrar)
    _affordable(quote, ceiling_cents)
    async with fleet.db.transaction() as db:
        owner = await clients.the_client(db, client)
        now = fleet.clock.now()
        return await approvals.request(
            db,
            ACTION,
            scope=_scope(quote.domain, registrar, owner.slug),
            ceiling_cents=ceiling_cents,
            currency=quote.currency,
            by=fleet.actor,
            reason=f"{quote.domain} for one year, at most {ceiling_cents / 100:.2f} {quote.currency}",
            at=now,
            expires_at=now + VALID_FOR,
        )


async def approve(fleet: Fleet, approval_id: str, *, by: str) -> Approval:
    """One person's yes. Raises Unknown, or NotAllowed when it is used, withdrawn or expired."""
    async with fleet.db.transaction() as db:
        found = await approvals.find(db, approval_id)
        if found is None or found.action != ACTION:
            raise Unknown(f"There is no purchase to approve under {approval_id}.", hint="Plan it first.")
        given = await approvals.approve(db, found.id, by=by, at=fleet.clock.now())
        if given is None:
            raise NotAllowed("This approval is not open any more.", hint="Plan the purchase again.")
        await audit.record(db, actor=by, action="approve", entity="approval", entity_id=found.id, at=fleet.clock.now())
    return given


async def buy(fleet: Fleet, name: str, *, client: str | None = None, registrar: str | None = None) -> str:
    """Registers the domain for one year and takes it in; the registrar's order reference.

    Raises NeedsApproval without an unused approval for exactly this, NotAllowed when the price is above its ceiling.
    A failed order does not give the approval back: what became of it is looked up first.
    """
    host = _registrar(fleet, registrar)
    quote = await host.quote(domains.clean_name(name))
    async with fleet.db.transaction() as db:
        owner = await clients.the_client(db, client)
        scope = _scope(quote.domain, registrar, owner.slug)
        approval = await approvals.use(db, ACTION, scope=scope, at=fleet.clock.now())
        if approval is None:
            raise NeedsApproval(
                f"Buying {quote.domain} needs an approval.",
                reasons=("none stands for this domain, registrar and client",),
                hint=f"`mailfleet domain buy {quote.domain} --ceiling AMOUNT`, then approve it.",
            )
        ceiling = approval.ceiling_cents or 0
        _affordable(quote, ceiling)
        await _intend(fleet, db, approval.id, scope)
        await domains.take_in(fleet, db, quote.domain, owner)
    return await host.buy(quote.domain, ceiling_cents=ceiling)


async def _intend(fleet: Fleet, db: Connection, approval: UUID, scope: Mapping[str, object]) -> None:
    await audit.record(
        db,
        actor=fleet.actor,
        action="buy_domain",
        entity="approval",
        entity_id=approval,
        at=fleet.clock.now(),
        reason="intended",
        detail=scope,
    )


def _affordable(quote: Quote, ceiling_cents: int) -> None:
    reasons: list[str] = []
    if not quote.available:
        reasons.append("it is taken")
    if quote.premium:
        reasons.append("it is a premium name")
    if quote.price_cents is None:
        reasons.append("the registrar named no price")
    elif quote.price_cents > ceiling_cents:
        reasons.append(f"it costs {quote.price_cents / 100:.2f} {quote.currency}, over the ceiling")
    if reasons:
        raise NotAllowed(f"{quote.domain} is not bought: {', '.join(reasons)}.", reasons=tuple(reasons))


def _scope(name: str, registrar: str | None, client: str) -> dict[str, object]:
    return {"domain": name, "registrar": registrar or "", "client": client}


def _registrar(fleet: Fleet, name: str | None) -> Registrar:
    if name:
        if found := fleet.registrars.get(name):
            return found
        raise Unknown(f"There is no registrar {name!r}.", hint=f"Set up: {', '.join(fleet.registrars) or 'none'}.")
    if not fleet.registrars:
        raise ConfigError(
            "No registrar is set up.", hint="Set NAMECHEAP_API_USER and its neighbours, or buy it by hand and add it."
        )
    return next(iter(fleet.registrars.values()))
