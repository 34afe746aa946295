"""The way back as a pure state machine over its journal: what the next action is (migration-control 5.2, protocol 8).

    pause → read back → counters stand still → assess → decide → claim → snapshot → ready
    → create, fill, import, verify (an inactive staging campaign a unit, its name carries the epoch)
    → commit (compare-and-set) → exclude → activate → warm → watch → post-mortem → done

Whoever reads the same journal decides the same. An executor has no memory: it journals an intent, makes one call and
writes the outcome. One intent is open at a time; a second executor waits for it, and once its owner cannot be waiting
for an answer any more the outcome counts as unknown. What may have been done twice is never used: an unknown create or
import burns its name, and the epoch of the saga goes up with it, so that whoever decided on the old journal can neither
journal an intent nor commit. Only what the commit names is ever activated, and after the commit nothing else is done.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

Kind = Literal[
    "pause", "readback", "still", "assess", "decide", "claim", "snapshot", "ready", "create", "fill", "import",
    "verify", "burn", "commit", "exclude", "activate", "warm", "watch", "post_mortem", "done", "resume", "abort",
    "stopped",
]  # fmt: skip
Outcome = Literal["intended", "ok", "rejected", "unknown"]
REPEATABLE: frozenset[str] = frozenset({"pause", "fill", "exclude", "activate", "warm", "resume"})
"""Calls that may be made again: done twice they are done once."""
BURNING: frozenset[str] = frozenset({"create", "import"})
"""Calls whose unknown outcome makes the name unusable."""


class Entry(NamedTuple):
    """One row of the journal. `stale`: intended so long ago that nobody can still be waiting for the answer."""

    no: int
    kind: str
    target: str
    attempt: int
    epoch: int
    outcome: Outcome
    result: Mapping[str, Any] = {}
    stale: bool = False


class Unit(NamedTuple):
    """Leads of one campaign that wait for the same step: one staging campaign holding the steps from there on."""

    id: str
    batches: int


class Action(NamedTuple):
    """What to do next. `wait`: nothing now, and why."""

    kind: Kind | Literal["settle", "wait"]
    target: str = ""
    attempt: int = 1
    why: str = ""
    batch: int = 0


class View(NamedTuple):
    """All that decides. `units` is the stored snapshot, known once it is taken."""

    epoch: int
    committed: int | None
    campaigns: tuple[str, ...]
    units: tuple[Unit, ...]
    entries: tuple[Entry, ...]
    abort: bool = False


def stage(unit: str, epoch: int) -> str:
    """The name of a staging campaign within the saga: never used twice."""
    return f"{unit}#{epoch}"


class Read:
    """The journal, indexed once: the last entry and the number of entries of each kind and target."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.last: dict[tuple[str, str], Entry] = {}
        self.count: dict[tuple[str, str], int] = {}
        self.open: Entry | None = None
        self.live: dict[str, str] = {}
        """unit → its staging campaign that is not burned."""
        for entry in view.entries:
            key = (entry.kind, entry.target)
            self.last[key] = entry
            self.count[key] = self.count.get(key, 0) + 1
            if entry.outcome == "intended":
                self.open = self.open or entry
            unit = entry.target.rpartition("#")[0]
            if entry.kind == "create":
                self.live[unit] = entry.target
            elif entry.kind == "burn" and self.live.get(unit) == entry.target:
                del self.live[unit]

    def ok(self, kind: str, target: str = "*") -> bool:
        entry = self.last.get((kind, target))
        return entry is not None and entry.outcome == "ok"

    def attempt(self, kind: str, target: str = "*") -> int:
        return 1 + self.count.get((kind, target), 0)

    @property
    def decision(self) -> str:
        entry = self.last.get(("decide", "*"))
        return str(entry.result.get("decision", "")) if entry and entry.outcome == "ok" else ""


def next_action(view: View) -> Action:
    """One action; the same for everybody who reads the same journal."""
    read = Read(view)
    if read.ok("done") or read.ok("stopped"):
        return Action("wait", why="ended")
    if entry := read.open:
        if entry.stale:
            return Action("settle", entry.target, entry.attempt, why=entry.kind)
        return Action("wait", why=f"{entry.kind} {entry.target} is under way")
    if view.committed is not None:
        return _forward(read)
    if view.abort or read.decision == "resume":
        return _back(read)
    return _pausing(read) or _assessing(read) or _staging(read)


def stands(state: str) -> bool:
    """Does a campaign in this state send nothing? Drafts and finished ones do not either."""
    return state in ("paused", "stopped", "completed", "draft", "archived")


def _pausing(read: Read) -> Action | None:
    """Commands first, all of them; then one reading of all; then the counters, until they stand still."""
    if read.ok("still"):
        return None
    seen = read.last.get(("readback", "*"))
    states: Mapping[str, str] = seen.result.get("states", {}) if seen else {}
    newest = 0
    for campaign in read.view.campaigns:
        told = read.last.get(("pause", campaign))
        newest = max(newest, told.no if told else 0)
        again = told is not None and seen is not None and told.no < seen.no and not stands(states.get(campaign, ""))
        if told is None or told.outcome != "ok" or (again and seen is not None and seen.outcome == "ok"):
            return Action("pause", campaign, read.attempt("pause", campaign))
    if seen is None or seen.outcome != "ok" or seen.no < newest:
        return Action("readback", "*", read.attempt("readback"))
    return Action("still", "*", read.attempt("still"))


def _assessing(read: Read) -> Action | None:
    if not read.ok("assess"):
        return Action("assess", "*")
    return None if read.decision else Action("decide", "*", read.attempt("decide"))


def _staging(read: Read) -> Action:
    for kind in ("claim", "snapshot", "ready"):
        if not read.ok(kind):
            return Action(kind, "*", read.attempt(kind))
    for unit in read.view.units:
        if found := _unit(read, unit):
            return found
    return Action("commit", "*", read.attempt("commit"))


def _unit(read: Read, unit: Unit) -> Action | None:
    name = read.live.get(unit.id)
    if name is None:
        return Action("create", stage(unit.id, read.view.epoch))
    if not read.ok("create", name):
        # A refused create is certain to have made nothing, yet a fresh name costs nothing either.
        return Action("burn", name, why=f"create {read.last['create', name].outcome}")
    batches = [f"{name}/{batch}" for batch in range(unit.batches)]
    for target in batches:
        if (entry := read.last.get(("import", target))) and entry.outcome == "unknown":
            return Action("burn", name, why="import unknown")
    if not read.ok("fill", name):
        return Action("fill", name, read.attempt("fill", name))
    for batch, target in enumerate(batches):
        if not read.ok("import", target):
            return Action("import", target, read.attempt("import", target), batch=batch)
    seen = read.last.get(("verify", name))
    if seen is None:
        return Action("verify", name)
    return Action("burn", name, why="not what was imported") if seen.outcome == "rejected" else None


def _forward(read: Read) -> Action:
    """After the commit: what it names, and nothing else."""
    committed = read.last.get(("commit", "*"))
    names: list[str] = list(committed.result.get("stages", ())) if committed else []
    if not read.ok("exclude"):
        return Action("exclude", "*", read.attempt("exclude"))
    for name in names:
        if not read.ok("activate", name):
            return Action("activate", name, read.attempt("activate", name))
    for kind in ("warm", "watch", "post_mortem"):
        if not read.ok(kind):
            return Action(kind, "*", read.attempt(kind))
    return Action("done", "*")


def _back(read: Read) -> Action:
    """Before the commit: what was paused for this goes on; the staging campaigns stay inactive for ever."""
    if not read.ok("abort"):
        return Action("abort", "*")
    for campaign in read.view.campaigns:
        if ("pause", campaign) in read.last and not read.ok("resume", campaign):
            return Action("resume", campaign, read.attempt("resume", campaign))
    return Action("stopped", "*")
