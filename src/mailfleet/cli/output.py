"""How commands answer: a table on a terminal, tab-separated lines when piped, JSON alone with `--json`."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mailfleet.errors import BadFile, Forbidden, Unauthorized

Json = Annotated[bool, Parameter(name="--json", negative="", help="Print only JSON on standard output.")]
Yes = Annotated[bool, Parameter(name="--yes", negative="", help="Do it; without this the plan is shown.")]
Limit = Annotated[int, Parameter(name="--limit", validator=Number(gte=1), help="How many at most.")]
FAILED, ATTENTION = 1, 3
_CODED = re.compile(r": [A-Z]\d{3} ")
Row = Mapping[str, Any]


def emit(value: object) -> None:
    """One JSON document on standard output and nothing else."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value, enc_hook=_plain), indent=2).decode() + "\n")
    sys.stdout.flush()


def emit_to(file: Path, value: object) -> None:
    """The same into a file that only its owner may read. Raises BadFile."""
    try:
        file.touch(mode=0o600)
        file.write_bytes(msgspec.json.format(msgspec.json.encode(value, enc_hook=_plain), indent=2))
    except OSError as error:
        raise BadFile(f"{file} cannot be written: {error.strerror or error}.", hint="Choose another place.") from error


@contextmanager
def bar(what: str) -> Generator[Callable[[int, int], None] | None]:
    """A progress bar on a terminal's standard error, called with how many are done and how many there are."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    parts = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*parts, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(what, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)


def show(rows: Iterable[Row], *, as_json: bool = False, columns: Sequence[str] = (), title: str = "") -> None:
    """A list of things. `columns` chooses and orders what the table shows; JSON always carries everything."""
    listed = list(rows)
    if as_json:
        emit(listed)
        return
    names = list(columns) or (list(listed[0]) if listed else [])
    if not sys.stdout.isatty():
        _tsv(names, listed)
        return
    if not listed:
        say("Nothing.")
        return
    Console().print(table(names, listed, title))


def show_one(thing: Row, *, as_json: bool = False) -> None:
    """One thing, a line per key."""
    if as_json:
        emit(thing)
    elif sys.stdout.isatty():
        grid = Table.grid(padding=(0, 2))
        for name, value in thing.items():
            grid.add_row(Text(name, style="bold"), Text(cell(value)))
        Console().print(grid)
    else:
        for name, value in thing.items():
            sys.stdout.write(f"{name}\t{cell(value)}\n")


def table(names: Sequence[str], rows: Iterable[Row], title: str = "") -> Table:
    # Names and texts of others stand in the cells: brackets in them are no markup.
    drawn = Table(*names, title=Text(title) if title else None, title_justify="left", header_style="bold")
    for row in rows:
        drawn.add_row(*(Text(cell(row.get(name))) for name in names))
    return drawn


def say(text: str) -> None:
    """Talk: to standard error, so that it never mixes with data."""
    Console(stderr=True, soft_wrap=True).print(text, highlight=False, markup=False)


def cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}" if abs(value) < 1e6 else str(value)
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {cell(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(cell(item) for item in value)
    return str(value)


def exit_of(errors: Sequence[str]) -> int:
    """The exit code for what went wrong on the way: authentication, a failure with a code, or a person's part."""
    text = "\n".join(errors)
    if any(f": {kind.code} " in text for kind in (Unauthorized, Forbidden)):
        return Unauthorized.exit_code
    return FAILED if _CODED.search(text) else ATTENTION


def _tsv(names: Sequence[str], rows: Iterable[Row]) -> None:
    sys.stdout.write("\t".join(names) + "\n" if names else "")
    for row in rows:
        sys.stdout.write("\t".join(cell(row.get(name)).replace("\t", " ").replace("\n", " ") for name in names) + "\n")


def _plain(value: object) -> object:
    return list(value) if isinstance(value, set | frozenset) else str(value)
