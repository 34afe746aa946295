"""The migration rehearsed: whole, on sandbox vendors, or its rules alone over many synthetic migrations."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter
from cyclopts.validators import Number

from mailfleet.cli.output import Json, emit, say, show, show_one

USAGE, FAILED = 2, 1
Runs = Annotated[int, Parameter(name="--runs", validator=Number(gte=1), help="Worlds a row.")]
Largest = Annotated[
    float, Parameter(name="--largest", validator=Number(gt=0, lte=1), help="Part of them for the largest worlds.")
]


def rehearse(
    *,
    scenario: Annotated[str, Parameter(name="--scenario", help="What goes wrong; `list` names them.")] = "",
    volume: Annotated[int, Parameter(name="--volume", validator=Number(gte=20), help="Mails a day, both sides.")] = 300,
    report: Annotated[Path | None, Parameter(name="--report", help="Where the page with the charts goes.")] = None,
    suite: Annotated[
        bool, Parameter(name="--suite", negative="", help="False alarms and detection, measured.")
    ] = False,
    runs: Runs = 1000,
    largest: Largest = 0.25,
    only: Annotated[str, Parameter(name="--only", help="Rows whose name contains this.")] = "",
    seed: int = 0,
    workers: int | None = None,
    json: Json = False,
) -> int:
    """Rehearses the whole migration on sandbox vendors, thirteen weeks in minutes; or measures its rules.

    With `--scenario`, one run of the real controller, adapters, receiver and store by a clock of its own. With
    `--suite`, how often each rule alarms, on platforms that deserve it and on platforms that do not.

    Parameters
    ----------
    seed
        Number of the world, or of the first one.
    workers
        Processes; one a core when not given.
    """
    if scenario:
        return _scenario(scenario, seed, volume, report, as_json=json)
    if not suite:
        say("What is to be rehearsed? `--scenario NAME` plays a migration, `--suite` measures the rules.")
        return USAGE
    from mailfleet.migration.suite import table

    wanted = [cell for cell in table.cells(largest=largest) if only in cell.name]
    rows = table.measure(
        wanted, runs, seed=seed, workers=workers, told=lambda row: say(f"{table.line(row)} {row.seconds:.0f} s")
    )
    if json:
        emit(rows)
    else:
        say("")
        sys.stdout.write(table.markdown(rows) + "\n")
    return 0


def _scenario(name: str, seed: int, volume: int, report: Path | None, *, as_json: bool) -> int:
    """0: it ended as its name says, with every lead accounted for."""
    from mailfleet import log
    from mailfleet.rehearsal import run, scenarios

    log.setup("error", "text")  # thirteen weeks of a product's notices are no answer

    if name == "list":
        show([{"name": each.name, "expected": each.expected} for each in scenarios.SCENARIOS], as_json=as_json)
        return 0
    wanted = scenarios.scenario(name)
    done = asyncio.run(run.rehearse(wanted, seed=seed, volume=volume, tell=lambda what: None if as_json else say(what)))
    result = done.result
    if report:
        from mailfleet.rehearsal.report import page

        report.write_text(page(done, wanted), "utf-8")
    if as_json:
        emit(result)
    else:
        show_one(msgspec.to_builtins(result), as_json=False)
    clean = result.ledger_balanced and not (result.double_sends or result.lost_leads or result.on_both_sides)
    return 0 if clean and result.outcome == wanted.outcome else FAILED
