"""How each vendor has been answering: availability, circuit, pace, and what was noticed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec

from mailfleet.services.context import Fleet
from mailfleet.store import calls, circuits, vendor_notes

SHOWN = timedelta(days=30)


class VendorStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Shares are of the calls that were answered and not with 5xx; None where there were none (I10)."""

    vendor: str
    circuit: str = "closed"
    last_error: str = ""
    share_1h: float | None = None
    share_24h: float | None = None
    share_30d: float | None = None
    calls_1h: int = 0
    calls_24h: int = 0
    calls_30d: int = 0
    ms_mean_24h: float | None = None
    ms_max_24h: int | None = None
    batch: float = 1.0
    deadline: float | None = None
    page: str = ""
    drift: tuple[str, ...] = ()


async def read(fleet: Fleet) -> list[VendorStatus]:
    """Every vendor that was ever called, by name."""
    now = fleet.clock.now()
    async with fleet.db.connection() as db:
        spans = await calls.availability(db, now=now)
        open_ = {each.vendor: each for each in await circuits.listed(db)}
        notes = await vendor_notes.listed(db, since=now - SHOWN)
    found: dict[str, dict[str, Any]] = {each.vendor: {} for each in spans}
    for each in spans:
        span = {1: "1h", 24: "24h", 720: "30d"}[each.hours]
        found[each.vendor] |= {f"share_{span}": each.share, f"calls_{span}": each.calls}
        if span == "24h":
            found[each.vendor] |= {"ms_mean_24h": each.ms_mean, "ms_max_24h": each.ms_max}
    for vendor, circuit in open_.items():
        found.setdefault(vendor, {}).update(circuit=circuit.state, last_error=circuit.last_error)
    for note in notes:
        found.setdefault(note.vendor, {}).update(_noted(note, found.get(note.vendor, {})))
    return [VendorStatus(vendor=vendor, **fields) for vendor, fields in sorted(found.items())]


async def notes(fleet: Fleet, vendor: str = "", since: datetime | None = None) -> list[vendor_notes.Note]:
    """What was noticed, the latest first, with the answers that did not fit (redacted)."""
    async with fleet.db.connection() as db:
        listed = await vendor_notes.listed(db, since=since or fleet.clock.now() - SHOWN)
    return [each for each in listed if vendor in ("", each.vendor)]


def _noted(note: vendor_notes.Note, known: dict[str, Any]) -> dict[str, Any]:
    detail = note.detail
    if note.what == "batch":
        return {"batch": float(detail["factor"])}
    if note.what == "deadline":
        return {"deadline": float(detail["seconds"])}
    if note.what == "status_page":
        return {"page": f"{detail['indicator']} {detail['description']}".strip()}
    return {"drift": (*known.get("drift", ()), note.subject)}
