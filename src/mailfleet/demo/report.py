"""What the demonstration tells at its end: one object for machines, tables for people. The same seed, the same object:
no identifiers, ports or wall-clock times are in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from mailfleet.demo.evidence import Check, Claims, Witness
from mailfleet.demo.scenario import Played

# The specification's keys of each flow's result, with those that count up added over the runs.
KEYS: Mapping[str, tuple[str, ...]] = {
    "smartlead_domain_setup": (
        "success", "domain", "mailboxes_created", "dns_configured", "warmup_enabled", "estimated_ready_date",
    ),
    "smartlead_mailbox_provisioning": (
        "action", "mailboxes_total", "warming", "production", "retired", "graduated_this_run",
    ),
    "smartlead_campaign": ("success", "action", "status", "leads_added", "leads_refused", "stats", "reason"),
    "smartlead_lead_sync": ("pushed", "pulled_events", "replies_processed", "bounces_processed", "sequence_exits"),
}  # fmt: skip
_ADDED = {"graduated_this_run", *KEYS["smartlead_lead_sync"]}
_ROWS_NAMED = 6


def document(
    seed: int, played: Played, claims: Claims, witness: Witness, checks: Sequence[Check], seconds: float
) -> dict[str, Any]:
    """Everything as one JSON object. `seconds` is the one thing that differs between two runs of one seed."""
    return {
        "seed": seed,
        "from": "2026-03-02",
        "until": f"{played.until:%Y-%m-%d}",
        "ok": all(check.ok for check in checks),
        "checks": [{"name": check.name, "ok": check.ok, "detail": check.detail} for check in checks],
        "import": _import(played, claims),
        "domains": dict(sorted(claims.domains.items())),
        "mailboxes": dict(sorted(claims.mailboxes.items())),
        "leads": _leads(claims),
        "mail": dict(sorted(Counter(send.kind for send in witness.sends).items())),
        "events": dict(sorted(Counter(event.kind for event in claims.events).items())),
        "replies": dict(sorted(Counter(category for _, category in claims.replies).items())),
        "suppressions": dict(sorted(Counter(reason for reason, _ in claims.suppressed.values()).items())),
        "alerts": dict(sorted(Counter(f"{alert.severity} {alert.kind}" for alert in claims.alerts).items())),
        "flows": {flow: _flow(flow, results) for flow, results in played.flows.items()},
        "seconds": round(seconds, 1),
    }


def draw(console: Console, told: Mapping[str, Any]) -> None:
    """The same as tables."""
    for part in _tables(told):
        console.print(part)
        console.print()
    failed = [check["name"] for check in told["checks"] if not check["ok"]]
    verdict = f"[bold red]Failed: {', '.join(failed)}[/]" if failed else "[bold green]Every check holds.[/]"
    console.print(f"{verdict} Seed {told['seed']}, {told['seconds']} s.")


def _tables(told: Mapping[str, Any]) -> list[RenderableType]:
    taken = told["import"]
    refused = [
        (rule, part["rows"], ", ".join(map(str, part["row_numbers"])) + (" …" if part["more"] else ""))
        for rule, part in taken["refused_by_rule"].items()
    ]
    return [
        _table(f"Leads: {taken['rows']} rows, {taken['taken']} taken", ("refused because", "rows", "which"), refused),
        _table("Leads taken", ("became", "leads"), told["leads"].items()),
        *(_flow_table(flow, part) for flow, part in told["flows"].items()),
        Group(
            _table("Domains", ("domain", "state"), told["domains"].items()),
            _table("Mailboxes", ("mailbox", "state"), told["mailboxes"].items()),
        ),
        _table("Mail that left, as the sandbox saw it", ("kind", "mails"), told["mail"].items()),
        _table("Events", ("kind", "events"), told["events"].items()),
        _table("Replies", ("category", "replies"), told["replies"].items()),
        _table("Suppressed addresses", ("reason", "addresses"), told["suppressions"].items()),
        _table("Told to people", ("alert", "times"), told["alerts"].items()),
        _table(
            "Checked against the sandbox's own logs",
            ("check", "", "seen"),
            [(c["name"], "[green]holds[/]" if c["ok"] else "[red]FAILS[/]", c["detail"]) for c in told["checks"]],
        ),
    ]


def _import(played: Played, claims: Claims) -> dict[str, Any]:
    by_rule: dict[str, list[int]] = {}
    for row, rule in sorted(claims.refused.items()):
        by_rule.setdefault(rule, []).append(row)
    return {
        "rows": played.imported.rows,
        "taken": played.imported.taken,
        "refused": played.imported.refused,
        "refused_by_rule": {
            rule: {"rows": len(rows), "row_numbers": rows[:_ROWS_NAMED], "more": len(rows) > _ROWS_NAMED}
            for rule, rows in sorted(by_rule.items(), key=lambda item: (-len(item[1]), item[0]))
        },
        "suppression_list": {"rows": played.suppressed.rows, "new": played.suppressed.new},
    }


def _leads(claims: Claims) -> dict[str, int]:
    """Pushed leads by what they are now; the others by the rule that keeps them."""
    counted: Counter[str] = Counter()
    for lead in claims.leads:
        kept = lead.excluded_by or lead.status
        counted[f"pushed: {lead.status}" if lead.pushed else f"not pushed: {kept}"] += 1
    return dict(sorted(counted.items()))


def _flow(flow: str, results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The last result under the specified keys, what counts up being the sum; a domain set-up keeps each."""
    keys = KEYS.get(flow, tuple(results[-1]))
    if flow == "smartlead_domain_setup":
        return {"runs": len(results), "results": [{key: result.get(key) for key in keys} for result in results]}
    last = {key: results[-1].get(key) for key in keys}
    sums = {key: sum(int(result.get(key) or 0) for result in results) for key in keys if key in _ADDED}
    return {"runs": len(results), "results": [{**last, **sums}]}


def _flow_table(flow: str, part: Mapping[str, Any]) -> Group:
    results: Sequence[Mapping[str, Any]] = part["results"]
    runs = "1 run" if part["runs"] == 1 else f"{part['runs']} runs"
    rows = [(key, *(result[key] for result in results)) for key in results[0]]
    return _table(f"{flow} · {runs}", ("returned", *("" for _ in results)), rows)


def _table(title: str, columns: Sequence[str], rows: Any) -> Group:
    """The title stands above: within a table it would wrap at the table's own width."""
    table = Table(*columns, header_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(_shown(each)) for each in row))
    return Group(Text(title, style="bold"), table)


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_shown(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_shown, value)) or "none"
    return "yes" if value is True else "no" if value is False else "" if value is None else str(value)
