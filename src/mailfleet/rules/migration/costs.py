"""What the move costs and saves, from the price table, with the double cost as long as both sides are paid (M9)."""

from __future__ import annotations

from datetime import date

import msgspec

from mailfleet.policy.model import Costs


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One component, cents a month."""

    component: str
    side: str
    now_cents: int
    then_cents: int

    @property
    def year_cents(self) -> int:
        return 12 * self.then_cents


class Bill(msgspec.Struct, frozen=True, kw_only=True):
    """`run_rate_cents`: really paid a month today. The saving is claimed from the day the old side is cancelled."""

    currency: str
    as_of: str
    lines: tuple[Line, ...]
    run_rate_cents: int
    before_cents: int
    after_cents: int
    saving_month_cents: int
    saving_year_cents: int
    saving_from: date | None
    double_cents: int
    """Paid so far for having both."""
    payback: str


def bill(table: Costs, *, today: date, new_since: date | None, old_until: date | None, old_cancelled: bool) -> Bill:
    """`new_since`: the new side is paid from here. `old_until`: the last paid day of the old side."""
    old = {"InfraForge": table.infraforge, "WarmForge": table.warmforge, "Salesforge": table.salesforge}
    old_paid = not (old_cancelled and old_until and today > old_until)
    new_paid = new_since is not None and today >= new_since
    lines = [
        Line(component=name, side="old", now_cents=cents if old_paid else 0, then_cents=0)
        for name, cents in old.items()
    ]
    lines.append(
        Line(
            component="Smartlead",
            side="new",
            now_cents=table.smartlead if new_paid else 0,
            then_cents=table.smartlead,
        )
    )
    before = sum(old.values())
    saving = before - table.smartlead
    end = old_until if old_cancelled and old_until else today
    days = max(0, (min(today, end) - new_since).days) if new_since else 0
    double = round(table.smartlead * 12 / 365 * days)
    return Bill(
        currency=table.currency,
        as_of=table.as_of,
        lines=tuple(lines),
        run_rate_cents=sum(line.now_cents for line in lines),
        before_cents=before,
        after_cents=table.smartlead,
        saving_month_cents=saving,
        saving_year_cents=12 * saving,
        saving_from=old_until if old_cancelled else None,
        double_cents=double,
        payback=_payback(double, saving),
    )


def planned(table: Costs, *, both: bool) -> int:
    """Cents a month that the plan expects: both sides until the old one is cancelled."""
    old = table.infraforge + table.warmforge + table.salesforge
    return table.smartlead + (old if both else 0)


def _payback(double: int, saving: int) -> str:
    if saving <= 0:
        return "the new side saves nothing"
    return f"{double / saving:.1f} months of saving pay for the double cost so far"
