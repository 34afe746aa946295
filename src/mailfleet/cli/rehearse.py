"""What the rules would do: many synthetic migrations, judged by the functions that the controller calls."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from mailfleet.cli.output import Json, emit, say

USAGE = 2
Runs = Annotated[int, Parameter(name="--runs", validator=Number(gte=1), help="Worlds a row.")]
Largest = Annotated[
    float, Parameter(name="--largest", validator=Number(gt=0, lte=1), help="Part of them for the largest worlds.")
]


def rehearse(
    *,
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
    """Measures how often each rule alarms, on platforms that deserve it and on platforms that do not.

    Parameters
    ----------
    seed
        Number of the first world.
    workers
        Processes; one a core when not given.
    """
    if not suite:
        say("What is to be rehearsed? `--suite` measures the rules.")
        return USAGE
    from mailfleet.migration.suite import table

    wanted = [cell for cell in table.cells(largest=largest) if only in cell.name]
    rows = table.measure(
        wanted, runs, seed=seed, workers=workers, told=lambda row: say(f"{row.cell}: {row.runs} in {row.seconds:.0f} s")
    )
    if json:
        emit(rows)
    else:
        say("")
        sys.stdout.write(table.markdown(rows) + "\n")
    return 0
