"""Exports and archives: everything a platform gives, encrypted before it leaves, and back again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import msgspec
from cyclopts import App, Parameter

from mailfleet.cli.forge import ATTENTION, Review, answers_of, row_of
from mailfleet.cli.output import Json, Limit, Yes, emit, say, show, show_one
from mailfleet.cli.session import opened, started
from mailfleet.errors import ConfigError
from mailfleet.platforms.archive import ExportSource, Shelf
from mailfleet.rules import mapping
from mailfleet.services import archives, export, moves, reimport, restored
from mailfleet.services.context import Fleet
from mailfleet.services.lead_rows import Options
from mailfleet.services.sealing import Opener, Seal, key_file, new_key
from mailfleet.store import exports
from mailfleet.wiring import shelves

app = App(name="export", help="Export a platform, encrypted; check, restore and prune archives.")
Key = Annotated[Path, Parameter(name="--key", help="age key file (AGE-SECRET-KEY-1…) of one of the recipients.")]
Place = Annotated[str, Parameter(name="--place", help="`folder` or `bucket`; by default the first that is set.")]
FAULTS = 1


@app.command
def forge(*, anew: bool = False, json: Json = False) -> None:
    """Export Salesforge, Warmforge and Infraforge to every place that is set; goes on with one that stopped.

    Parameters
    ----------
    anew
        Begin another export although one is unfinished.
    """
    emit_one(asyncio.run(_export("forge", anew)), json)


@app.command
def again(archive: str, *, json: Json = False) -> None:
    """Export an archive that was restored here once more, to the recipients and places that are set now.

    Parameters
    ----------
    archive
        Its id or its name.
    """
    emit_one(asyncio.run(_again(archive)), json)


@app.command
def key(file: Path, *, json: Json = False) -> None:
    """Make an age key in a new file and print its public part, for EXPORT_RECIPIENTS. Nothing replaces the file.

    Parameters
    ----------
    file
        Where to put the secret key; it must not exist.
    """
    emit_one({"recipient": new_key(file), "key_file": str(file)}, json)


@app.command(name="list")
def list_(*, limit: Limit = 100, place: Place = "", json: Json = False) -> None:
    """Archives in the index, newest first; with --place those that are finished there, without asking the database."""
    if place:
        names = asyncio.run(archives.at(_shelf(shelves(started()), place)))
        show([{"archive": name} for name in names], as_json=json)
    else:
        show(asyncio.run(_known(limit)), as_json=json, columns=_COLUMNS)


@app.command
def verify(archive: str, *, key: Key | None = None, place: Place = "", json: Json = False) -> int:
    """Read an archive back from every place and compare it with the index; with --key also open and count everything.

    Parameters
    ----------
    archive
        Its id or its name.
    """
    checked = asyncio.run(_verify(archive, key_file(key) if key else None, place))
    show(checked, as_json=json, columns=("place", "files", "bytes", "rows", "opened", "faults"))
    return FAULTS if any(each["faults"] for each in checked) else 0


@app.command
def restore(archive: str, *, key: Key, place: Place = "", yes: Yes = False, json: Json = False) -> None:
    """Read an archive into this database, secrets encrypted with its own key. Needs the place and the key alone.

    Parameters
    ----------
    archive
        Its name, as `export list --place` shows it.
    """
    told = asyncio.run(_restore(archive, key_file(key), place, yes))
    emit_one(told if json else {name: value for name, value in told.items() if name != "digests"}, json)
    if not yes:
        say("Nothing was changed. With --yes it is restored.")


@app.command(name="import")
def import_(
    archive: str, *, review: Review = None, country: str = "", source: str = "", yes: Yes = False, json: Json = False
) -> int:
    """Bring an archive that was restored here into the platform campaigns are made on. Without --yes it is counted.

    Its campaigns become drafts, whom nobody wrote to become leads, its refusals and contacts count here. Nobody is
    begun in the middle of a sequence. Exit code 3 while something is asked or differs from ours.

    Parameters
    ----------
    archive
        Its id or its name.
    country
        For leads that name none, which the archive's usually do not: the law they are judged by.
    source
        Where the leads came from, for the record that the law asks for.
    """
    answers = answers_of(review)
    made = asyncio.run(_import(archive, answers, Options(country=country, source=source), yes))
    if review:
        told = [(each, mapping.mapped(each, answers.get(each.ref, {}))) for each in made.sources]
        review.write_text(mapping.review(told, answers))
    rows = [_imported(each) for each in made.campaigns]
    if json:
        emit({"campaigns": rows, "refusals": made.refusals, "new": made.new, "contacted": made.contacted})
    else:
        show(rows, as_json=False, columns=("name", "action", "taken", "in_the_middle", "over", "refused", "asked"))
        say(f"Refusals in the archive: {dict(made.refusals) or 'none'}, new here: {made.new}.")
    if not yes:
        say("Nothing was changed. With --yes it is imported.")
    return ATTENTION if any(each["action"] in ("asks", "bad", "differs") for each in rows) else 0


@app.command
def prune(*, json: Json = False) -> None:
    """Remove archives whose retention is over: 90 days from the end of the last migration; none while one runs."""
    show(asyncio.run(_prune()), as_json=json, columns=("prefix", "finished_at"))


_COLUMNS = ("id", "source", "state", "started_at", "finished_at", "verified_at", "prefix", "error")


async def _export(source: str, anew: bool) -> Mapping[str, Any]:
    async with opened() as fleet:
        return await _run(fleet, fleet.sources[source], anew)


async def _again(archive: str) -> Mapping[str, Any]:
    async with opened() as fleet:
        return await _run(fleet, await restored.find(fleet, archive), anew=False)


async def _run(fleet: Fleet, source: ExportSource, anew: bool) -> Mapping[str, Any]:
    made = await export.run(fleet, source, fleet.shelves, Seal(fleet.export_recipients), anew=anew)
    async with fleet.db.connection() as db:
        rows = await exports.rows_by_dataset(db, made.id)
    return {"archive": made.prefix, "id": made.id, "places": made.places, "recipients": made.recipients, "rows": rows}


async def _known(limit: int) -> list[dict[str, Any]]:
    async with opened() as fleet, fleet.db.connection() as db:
        return [msgspec.to_builtins(each) for each in await exports.known(db, limit=limit)]


async def _verify(archive: str, opener: Opener | None, place: str) -> list[dict[str, Any]]:
    async with opened() as fleet:
        found = await _find(fleet, archive)
        wanted = [_shelf(fleet.shelves, place)] if place else [s for s in fleet.shelves if s.name in found.places]
        checked = [
            await archives.verify_opened(shelf, found.prefix, opener)
            if opener
            else await archives.verify_stored(fleet, found, shelf)
            for shelf in wanted
        ]
        if checked and not any(each.faults for each in checked):
            await archives.note_verified(fleet, found)
    return [msgspec.to_builtins(each) for each in checked]


async def _find(fleet: Fleet, archive: str) -> exports.Export:
    async with fleet.db.connection() as db:
        for each in await exports.known(db, limit=10_000):
            if archive in (str(each.id), each.prefix):
                return each
    try:
        return await export.need(fleet, UUID(archive))
    except ValueError:
        raise ConfigError(f"There is no archive {archive!r} in the index.", hint="`mailfleet export list`.") from None


async def _restore(archive: str, opener: Opener, place: str, yes: bool) -> dict[str, Any]:
    async with opened() as fleet:
        shelf = _shelf(fleet.shelves, place)
        prefix = archive.strip("/")
        found = await (
            archives.restore(fleet, shelf, prefix, opener) if yes else archives.manifest(shelf, prefix, opener)
        )
    return {
        "archive": str(found.archive), "source": found.source, "exported": found.started_at, "restored": yes,
        "rows": {name: dataset.rows for name, dataset in found.datasets.items()},
        "digests": {name: dataset.digest for name, dataset in found.datasets.items()},
        "incomplete": sorted(name for name, dataset in found.datasets.items() if not dataset.complete),
    }  # fmt: skip


async def _import(
    archive: str, answers: Mapping[str, Mapping[str, Any]], options: Options, yes: bool
) -> reimport.Report:
    async with opened() as fleet:
        return await reimport.run(fleet, await restored.find(fleet, archive), answers, options, apply=yes)


def _imported(each: reimport.Campaign) -> dict[str, Any]:
    counts = {"taken": each.taken, "in_the_middle": each.in_the_middle, "over": each.over, "refused": each.refused}
    return {**row_of(each.planned), **counts}


async def _prune() -> list[dict[str, Any]]:
    async with opened() as fleet:
        moving, ended = await moves.last(fleet)
        gone = await archives.prune(fleet, fleet.shelves, moves_end=ended, moving=moving)
    return [msgspec.to_builtins(each) for each in gone]


def _shelf(found: Sequence[Shelf], name: str) -> Shelf:
    for shelf in found:
        if name in ("", shelf.name):
            return shelf
    raise ConfigError(
        f"No {name or 'place'} is set for exports.", hint="Set EXPORT_FOLDER or EXPORT_BUCKET, and name one of them."
    )


def emit_one(told: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        emit(told)
    else:
        show_one(told)
