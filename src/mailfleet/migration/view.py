"""Everything there is to see of a migration, in one answer; the terminal and the console draw it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from mailfleet.migration import evidence, gate, routing
from mailfleet.policy.model import SuccessMetric
from mailfleet.rules.migration import phases
from mailfleet.rules.migration.verdicts import Trigger
from mailfleet.services.context import Fleet
from mailfleet.store import migrations, sagas
from mailfleet.store.database import Connection


async def status(fleet: Fleet, name: str = "") -> dict[str, Any]:
    """Everything the terminal view shows."""
    async with fleet.db.transaction() as db:
        made = await migrations.need(db, name)
        parameters = await migrations.parameters(db, made.id, made.parameters)
        judged = await evidence.judge(fleet, db, made, parameters)
        to = phases.after(made.phase)
        checks = await gate.checklist(fleet, db, made, parameters, judged, to) if to else await gate.last(db, made)
        ready = await evidence.ready(fleet, db, made, parameters)
        history = await sagas.of_migration(db, made.id)
        now = fleet.clock.now()
        frozen = phases.frozen(parameters.freezes, now)
        return {
            "name": made.name,
            "state": made.state,
            "stopped": made.stopped,
            "phase": made.phase,
            "number": phases.PHASES.index(made.phase) + 1,
            "phases": len(phases.PHASES),
            "day": (now.date() - made.start_on).days,
            "week": phases.week_of(made.start_on, now, made.timezone),
            "next": to,
            "freeze": frozen.reason if frozen else "",
            "shares": msgspec.to_builtins(await routing.shares(fleet, db, made, parameters)),
            "waiting": len(await routing.pending(db, made)),
            "verdicts": {name: msgspec.to_builtins(each.verdict) for name, each in judged.items()},
            "metrics": success(fleet, judged),
            "gate": msgspec.to_builtins(checks),
            "readiness": msgspec.to_builtins(ready),
            "notes": msgspec.to_builtins(await migrations.notes(db, made.id, open=True)),
            "cost": msgspec.to_builtins(evidence.the_bill(fleet, made, now)),
            "saga": await _saga_shown(db, history),
            "parameters": made.parameters,
        }


async def _saga_shown(db: Connection, history: Sequence[sagas.Saga]) -> dict[str, Any]:
    running = [each for each in history if each.ended_at is None]
    drills = [each for each in history if each.kind == "drill" and each.outcome == "done"]
    shown: dict[str, Any] = {"last_drill": drills[-1].ended_at if drills else None, "running": None}
    if running:
        lines = await sagas.journal(db, running[-1].id)
        shown["running"] = {
            "id": str(running[-1].id),
            "trigger": running[-1].trigger,
            "epoch": running[-1].epoch,
            "committed": running[-1].committed,
            "last": f"{lines[-1].kind} {lines[-1].outcome}" if lines else "opened",
            "since": running[-1].opened_at,
        }
    return shown


def success(fleet: Fleet, judged: Mapping[Trigger, evidence.Judged]) -> list[dict[str, Any]]:
    """The table of spec 10 with what is seen."""
    table = fleet.policy.success_metrics
    rows: tuple[tuple[str, SuccessMetric, Trigger], ...] = (
        ("inbox_placement", table.inbox_placement, "placement"),
        ("bounce_rate", table.bounce_rate, "bounce"),
        ("reply_rate", table.reply_rate, "reply"),
        ("api_uptime", table.api_uptime, "api"),
        ("warmup_time", table.warmup_time, "warmup"),
        ("cost", table.cost, "cost"),
    )
    return [
        {
            "metric": name,
            "baseline": metric.baseline,
            "target": metric.target,
            "trigger": metric.trigger,
            "unit": metric.unit,
            "observed": judged[trigger].verdict.observed,
            "state": judged[trigger].verdict.state,
        }
        for name, metric, trigger in rows
    ]
