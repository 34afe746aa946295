"""Salesforge core: what it counts, by day and in all."""

from __future__ import annotations

from datetime import date
from typing import Any

from mailfleet.sandbox.forge.http import Ask, found, said

_ANALYSED = ("opened", "clicked", "replied", "repliedPositive")


def percent(part: int, whole: int) -> float:
    """0–100 with two decimals."""
    return round(100 * part / whole, 2) if whole else 0


def _day(ask: Ask, name: str) -> date:
    given = ask.query.get(name)
    if not given:
        raise said(f"{name} is required")
    try:
        return date.fromisoformat(given)
    except ValueError:
        raise said(f"{name} must be a date like 2026-01-31") from None


def analytics(ask: Ask) -> Any:
    """Counts by day and over the span: no bounces, no steps."""
    sequence = found(ask.ws.sequences, ask.path["sequenceID"], "sequence")
    first, last = _day(ask, "from_date"), _day(ask, "to_date")
    days = {day: held for day, held in sorted(sequence.days.items()) if first <= day <= last}
    names = ("sent", "replied", "totalOpened", "uniqueOpened", "totalClicked", "uniqueClicked")
    total = {what: sum(held.get(what, 0) for held in days.values()) for what in (*names, "contacted", "positive")}
    counted = (total["uniqueOpened"], total["uniqueClicked"], total["replied"], total["positive"])
    stats: dict[str, Any] = {"contacted": total["contacted"]}
    for what, number in zip(_ANALYSED, counted, strict=True):
        stats |= {what: number, f"{what}Percent": percent(number, total["contacted"])}
    shown_days = {day.isoformat(): {name: held.get(name, 0) for name in names} for day, held in days.items()}
    return {"days": shown_days, "stats": stats}


def metrics(ask: Ask) -> Any:
    """Totals over the workspace, or over some sequences: the only place that counts bounces."""
    ws, wanted = ask.ws, ask.several("sequence_ids")
    product_id = ask.query.get("product_id")
    chosen = [
        sequence
        for sequence in ws.sequences.values()
        if (not wanted or sequence.id in wanted) and (not product_id or sequence.product_id == product_id)
    ]
    total = {name: sum(s.counts.get(name, 0) for s in chosen) for name in ("contacted", "bounced", *_ANALYSED)}
    row: dict[str, Any] = {"contacted": total["contacted"]}
    for name in (*_ANALYSED, "bounced"):
        row |= {name: total[name], f"{name}Percent": percent(total[name], total["contacted"])}
    return row
