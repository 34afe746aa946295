"""A migration drawn for a terminal, after the tree that rollout tools show."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

COLOURS = {"OK": "green", "THIN": "dim", "INCONCLUSIVE": "yellow", "REVIEW": "yellow"}


def draw(*parts: Group | Table | Text) -> None:
    """On standard output, as it is."""
    console = Console()
    for part in parts:
        console.print(part)


def drawn(seen: dict[str, Any]) -> Group:
    """The whole view of `migration status`."""
    lines: list[Text] = [_head(seen), _line("ROUTE", _route(seen))]
    for name, verdict in seen["verdicts"].items():
        state = verdict["state"]
        told = Text(f"{name:<10}")
        told.append(f"{state:<13}", style=COLOURS.get(state, "bold red"))
        told.append(verdict["sentence"])
        lines.append(_line("VERDICT", told))
    missing = [check for check in seen["gate"] if not check["ok"]]
    gate = "every gate holds" if not missing else "; ".join(f"{c['name']}: {c['detail']}" for c in missing)
    lines.append(_line("GATE", Text(f"{seen['next'] or 'the end'}: {gate}")))
    lines += [_line("NOTE", Text(f"{n['kind']} {n['subject']}: {n['reason']}  ({n['id']})")) for n in seen["notes"]]
    lines.append(_line("READY", Text(seen["readiness"]["sentence"])))
    lines.append(_line("COST", Text(_cost(seen["cost"]))))
    lines.append(_line("SAGA", Text(_saga(seen["saga"])), last=True))
    return Group(*lines)


def _head(seen: dict[str, Any]) -> Text:
    stop = "  STOPPED BY A PERSON" if seen["stopped"] else ""
    return Text(
        f"MIGRATION  {seen['name']}   phase {seen['number']}/{seen['phases']} {seen['phase']}  "
        f"{_share(seen['shares']['target'])}  {seen['state'].upper()}   day {seen['day']}   "
        f"freeze: {seen['freeze'] or 'no'}{stop}",
        style="bold",
    )


def _line(label: str, told: Text, *, last: bool = False) -> Text:
    return Text(f"{'`-' if last else '|-'} {label:<8} ").append_text(told)


def _route(seen: dict[str, Any]) -> Text:
    shares = seen["shares"]
    return Text(
        f"target {_share(shares['target'])}  routed {_share(shares['routed'])}  sending {_share(shares['sending'])}  "
        f"owned {_share(shares['owned'])}   waiting {seen['waiting']} campaigns"
    )


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def _cost(bill: dict[str, Any]) -> str:
    return (
        f"{_money(bill['run_rate_cents'])} {bill['currency']} a month now, {_money(bill['after_cents'])} after; "
        f"double cost so far {_money(bill['double_cents'])}; "
        f"saving claimed from {bill['saving_from'] or 'the cancelling'}"
    )


def _money(cents: int) -> str:
    return f"{cents / 100:.2f}"


def _saga(shown: dict[str, Any]) -> str:
    drill = f"last drill {shown['last_drill']}" if shown["last_drill"] else "never drilled"
    running = shown["running"]
    if not running:
        return f"none        {drill}"
    committed = f"committed at epoch {running['committed']}" if running["committed"] else f"epoch {running['epoch']}"
    return f"{running['trigger']}: {running['last']}, {committed}, since {running['since']}"


def planned(made: dict[str, Any]) -> Iterable[Table | Text]:
    """A plan, as printed before anything starts."""
    yield Text(f"{made['name']}: {made['from']} → {made['to']}", style="bold")
    phases = Table("phase", "week", "not before", "share", "people", header_style="bold")
    for step in made["phases"]:
        phases.add_row(
            step["phase"], str(step["week"]), f"{step['not_before']:%Y-%m-%d %Z}", _share(step["share"]),
            str(step["people"]),
        )  # fmt: skip
    yield phases
    seen = Table(
        "phase", "mails a day", "campaigns", "effective a week", "bounce gate", "seen in a day", "in a week",
        "reply drop in 14 d", header_style="bold",
    )  # fmt: skip
    for row in made["detectable"]:
        seen.add_row(
            row["phase"], f"{row['sends_a_day']:.0f}", str(row["campaigns"]), f"{row['effective']:.0f}",
            "on evidence" if row["gate_passes"] else "signed review only", _share(row["bounce_day"]),
            _share(row["bounce_week"]), _share(row["reply_drop"]),
        )  # fmt: skip
    yield seen
    if figures := made["operating_characteristics"]:
        yield Text(
            f"Measured near this volume ({figures['volume']:.0f} a day): a healthy platform is rolled back in "
            f"{100 * figures['false_rollback']:.1f} % and held in {100 * figures['false_hold']:.1f} % of migrations; "
            f"a 12 % bounce rate is held within a day in {100 * figures['twelve_held_in_a_day']:.0f} % of runs."
        )
    yield Text(f"Design effect ρ = {made['rho']:.3f}. Readiness: {made['readiness']}.")
    pause = made["pause"]
    yield Text(
        f"Pause: {pause['campaigns_within_5_minutes']} campaigns fit into 5 minutes; all of today's take "
        f"{pause['seconds_for_all']:.0f} s."
    )
    yield Text(_cost(made["cost"]))
