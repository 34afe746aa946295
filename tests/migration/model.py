"""Every state that a way back can reach: vendors, a network that delays and loses, executors that die and come twice.

Two leads of one campaign wait for the same step on the new platform and have to end, once, on the old one. A vendor
carries out what reaches it whenever it reaches it; an active campaign sends whenever it likes; a pause takes its time;
what a vendor answers to a reading is what is so. The protocol under test decides what an executor does next.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from mailfleet.rules.migration.saga import Action, Entry, Unit, View, next_action

LEADS = (0, 1)


class Camp(NamedTuple):
    """A campaign at the old vendor."""

    name: str
    active: bool
    holds: tuple[int, int] = (0, 0)
    sent: tuple[int, int] = (0, 0)


class Call(NamedTuple):
    kind: str
    name: str
    lead: int
    attempt: int
    target: str = ""

    @property
    def key(self) -> tuple[str, str, int]:
        return self.kind, self.target, self.attempt


class World(NamedTuple):
    new: str
    """on | pausing | off."""
    new_sent: tuple[int, int]
    camps: tuple[Camp, ...]
    net: tuple[Call, ...]
    ledger: tuple[object, ...]
    workers: tuple[object, ...]
    crashes: int
    losses: int
    doubts: int
    """Times that an executor may give up on a call that is still under way."""


Step = tuple[str, World]


def put(values: tuple[int, int], lead: int, value: int) -> tuple[int, int]:
    return (value, values[1]) if lead == 0 else (values[0], value)


def camp(world: World, name: str) -> Camp | None:
    return next((each for each in world.camps if each.name == name), None)


def changed(world: World, new: Camp) -> World:
    rest = tuple(each for each in world.camps if each.name != new.name)
    return world._replace(camps=tuple(sorted((*rest, new))))


def carried_out(world: World, call: Call, *, staging: bool = True) -> World:
    """What the vendor does with a call that reached it."""
    there = camp(world, call.name)
    if call.kind == "pause":
        return world._replace(new="pausing" if world.new == "on" else world.new)
    if call.kind == "create" and there is None:
        return changed(world, Camp(call.name, not staging))
    if there and call.kind == "import":
        return changed(world, there._replace(holds=put(there.holds, call.lead, min(2, there.holds[call.lead] + 1))))
    if there and call.kind == "activate":
        return changed(world, there._replace(active=True))
    return world


def outside(world: World, *, staging: bool = True) -> Iterator[Step]:
    """What happens without us."""
    for lead in LEADS:
        if world.new != "off" and not world.new_sent[lead]:
            yield f"new sends {lead}", world._replace(new_sent=put(world.new_sent, lead, 1))
    if world.new == "pausing":
        yield "new stands still", world._replace(new="off")
    for each in world.camps:
        for lead in LEADS:
            if each.active and each.sent[lead] < each.holds[lead]:
                sent = each._replace(sent=put(each.sent, lead, each.sent[lead] + 1))
                yield f"{each.name} sends {lead}", changed(world, sent)
    for i, call in enumerate(world.net):
        rest = world._replace(net=world.net[:i] + world.net[i + 1 :])
        yield f"{call.kind} {call.name}/{call.lead} arrives", carried_out(rest, call, staging=staging)
        if world.losses:
            yield f"{call.kind} is lost", rest._replace(losses=world.losses - 1)


def sent(world: World, lead: int) -> int:
    return world.new_sent[lead] + sum(each.sent[lead] for each in world.camps)


def reachable(world: World, lead: int) -> bool:
    """May somebody still send to this lead, or is a call under way that makes it so?"""
    if world.new == "on" and not world.new_sent[lead]:
        return True
    waiting = any(each.active and each.sent[lead] < each.holds[lead] for each in world.camps)
    return waiting or any(call.kind == "import" and call.lead == lead for call in world.net)


class Found(NamedTuple):
    states: int
    wrong: dict[str, list[str]]
    stuck: int


def search(protocol: Protocol, *, limit: int = 3_000_000) -> Found:
    """Breadth first over everything. `wrong`: the shortest way to each kind of fault."""
    first = protocol.start()
    came: dict[World, tuple[World, str] | None] = {first: None}
    before: dict[World, list[World]] = {}
    queue, ends = deque([first]), list[World]()
    wrong: dict[str, list[str]] = {}
    while queue:
        world = queue.popleft()
        fault = protocol.fault(world)
        if fault:
            wrong.setdefault(fault, _way(came, world))
            continue
        if protocol.ended(world):
            ends.append(world)
        for told, then in protocol.steps(world):
            before.setdefault(then, []).append(world)
            if then not in came:
                came[then] = (world, told)
                queue.append(then)
        assert len(came) < limit, "more states than expected"
    return Found(len(came), wrong, 0 if wrong else _stuck(came, before, ends, protocol))


def _way(came: dict[World, tuple[World, str] | None], world: World) -> list[str]:
    told: list[str] = []
    while step := came[world]:
        world, text = step
        told.append(text)
    return told[::-1]


def _stuck(came: dict[World, object], before: dict[World, list[World]], ends: list[World], protocol: Protocol) -> int:
    fine, left = set(ends), list(ends)
    while left:
        for earlier in before.get(left.pop(), ()):
            if earlier not in fine:
                fine.add(earlier)
                left.append(earlier)
    return sum(world not in fine and not protocol.spent(world) for world in came)


class Protocol:
    """How executors act. The fault is the same for all: a step twice, or somebody lost at the end."""

    def start(self) -> World:
        raise NotImplementedError

    def steps(self, world: World) -> Iterator[Step]:
        raise NotImplementedError

    def ended(self, world: World) -> bool:
        raise NotImplementedError

    def spent(self, world: World) -> bool:
        """Has the model run out of what it hands out, names say? Then being stuck is no finding."""
        return False

    def fault(self, world: World) -> str:
        if any(sent(world, lead) > 1 for lead in LEADS):
            return "DOUBLE"
        if self.ended(world) and any(not sent(world, lead) and not reachable(world, lead) for lead in LEADS):
            return "LOST"
        return ""


LAST = ("watch", "post_mortem", "done")


def key(entry: Entry) -> tuple[str, str, int]:
    return entry.kind, entry.target, entry.attempt


class Ours(Protocol):
    """The product's own `next_action`, with a journal that takes one intent at a time and a commit that compares.

    `local` steps touch no vendor and are one with the step before. An executor is `idle`, or waits for the answer to
    the entry it journaled, or is dead.
    """

    LOCAL = ("assess", "decide", "claim", "ready", "fill", "exclude", "warm", "watch", "post_mortem", "still")

    def __init__(self, *, workers: int = 1, crashes: int = 1, losses: int = 1, doubts: int = 1) -> None:
        self.given = (workers, crashes, losses, doubts)
        self.compare = self.readback = True

    def start(self) -> World:
        workers, crashes, losses, doubts = self.given
        idle = ("idle",)
        world = World("on", (0, 0), (), (), (1, None, (), ()), (idle,) * workers, crashes, losses, doubts)
        return self.settled(world)

    def ended(self, world: World) -> bool:
        return any(entry.kind == "done" for entry in world.ledger[3])

    def view(self, world: World, *, stale: bool) -> View:
        epoch, committed, units, entries = world.ledger
        marked = tuple(entry._replace(stale=stale and entry.outcome == "intended") for entry in entries)
        return View(epoch, committed, ("new",), units, marked)

    def settled(self, world: World) -> World:
        """Carries out what touches no vendor."""
        while (action := next_action(self.view(world, stale=False))).kind in (*self.LOCAL, "burn", "done"):
            if action.kind == "done":
                return self.noted(world, action, "ok")
            world = self.burned(world, action) if action.kind == "burn" else self.local(world, action)
        return world

    def local(self, world: World, action: Action) -> World:
        return self.noted(world, action, "ok", {"decision": "proceed"} if action.kind == "decide" else {})

    def burned(self, world: World, action: Action) -> World:
        world = self.noted(world, action, "ok")
        epoch, committed, units, entries = world.ledger
        return world._replace(ledger=(epoch + 1, committed, units, entries))

    def noted(self, world: World, action: Action, outcome: str, result: object = None) -> World:
        epoch, committed, units, entries = world.ledger
        no = entries[-1].no + 1 if entries else 1
        entry = Entry(no, action.kind, action.target, action.attempt, epoch, outcome, Results(result or {}))
        return world._replace(ledger=(epoch, committed, units, (*entries, entry)))

    def outcome(self, world: World, call: tuple[str, str, int], outcome: str) -> World:
        """Compare-and-set: only an intent that is still open gets its outcome."""
        epoch, committed, units, entries = world.ledger
        new = tuple(
            entry._replace(outcome=outcome) if entry.outcome == "intended" and key(entry) == call else entry
            for entry in entries
        )
        return world._replace(ledger=(epoch, committed, units, new))

    def forgotten(self, world: World) -> World:
        """Without what decides nothing any more: two ways to the same future are one state."""
        epoch, committed, units, entries = world.ledger
        kinds = {entry.kind for entry in entries if entry.outcome == "ok"}
        burned = {entry.target for entry in entries if entry.kind == "burn"}
        kept = [entry for entry in entries if entry.target.split("/")[0] not in burned]
        if "commit" in kinds:
            kept = [entry for entry in kept if entry.kind in ("commit", "exclude", "activate", "warm", *LAST)]
        elif "still" in kinds:
            kept = [entry for entry in kept if entry.kind not in ("pause", "readback")]
        last = {(entry.kind, entry.target): entry for entry in kept}
        kept = [entry for entry in kept if last[entry.kind, entry.target] is entry]
        renumbered = tuple(entry._replace(no=i) for i, entry in enumerate(kept, 1))
        return world._replace(
            ledger=(epoch, committed, units, renumbered),
            camps=tuple(each for each in world.camps if each.name not in burned),
            net=tuple(call for call in world.net if call.name not in burned),
        )

    def steps(self, world: World) -> Iterator[Step]:
        yield from outside(world)
        if self.ended(world):
            return
        for who, state in enumerate(world.workers):
            for told, then in self.works(world, who, state):
                yield told, self.forgotten(then)

    def works(self, world: World, who: int, state: tuple[object, ...]) -> Iterator[Step]:
        def become(then: World, new: tuple[object, ...]) -> World:
            return then._replace(workers=(*then.workers[:who], new, *then.workers[who + 1 :]))

        if world.crashes and state[0] != "dead" and who == 0:
            yield f"{who} dies", become(world, ("dead",))._replace(crashes=world.crashes - 1)
        if state[0] == "dead":
            yield f"{who} starts again", become(world, ("idle",))
        elif state[0] == "waits":
            yield from self.answered(world, state[1], become)
        else:
            for told, then in self.acts(world):
                yield f"{who}: {told}", become(then[0], then[1])

    def answered(self, world: World, call: Call, become: object) -> Iterator[Step]:
        done = call not in world.net and self.arrived(world, call)
        if done:
            yield f"{call.kind} is acknowledged", become(self.settled(self.outcome(world, call.key, "ok")), ("idle",))
        doubt = done or call in world.net
        if not doubt or world.doubts:
            then = self.settled(self.outcome(world, call.key, "unknown"))
            yield f"no answer to {call.kind}", become(then._replace(doubts=world.doubts - doubt), ("idle",))

    def arrived(self, world: World, call: Call) -> bool:
        there = camp(world, call.name)
        return {
            "pause": world.new != "on",
            "create": there is not None,
            "import": there is not None and there.holds[call.lead] > 0,
            "activate": there is not None and there.active,
        }[call.kind]

    def acts(self, world: World) -> Iterator[tuple[str, tuple[World, tuple[object, ...]]]]:
        idle = ("idle",)
        action = next_action(self.view(world, stale=False))
        if action.kind == "wait":
            yield from self.taken_over(world)
        elif action.kind == "readback":
            if world.new == "off" or not any(call.kind == "pause" for call in world.net):
                states = {"new": "paused" if world.new == "off" else "running"}
                if world.new != "pausing":
                    yield "reads back", (self.settled(self.noted(world, action, "ok", {"states": states})), idle)
        elif action.kind == "snapshot":
            epoch, committed, _, entries = world.ledger
            units = (Unit("u", 2),)
            then = world._replace(ledger=(epoch, committed, units, entries))
            pending = tuple(lead for lead in LEADS if not world.new_sent[lead])
            yield "snapshot", (self.settled(self.noted(then, action, "ok", {"leads": pending})), idle)
        elif action.kind == "verify":
            there = camp(world, action.target)
            wanted = self.pending(world)
            fits = there is not None and all(there.holds[lead] == (lead in wanted) for lead in LEADS)
            yield "verifies", (self.settled(self.noted(world, action, "ok" if fits else "rejected")), idle)
        elif action.kind == "commit":
            yield "commits", (self.committed(world, action), idle)
        elif action.kind == "import" and action.batch not in self.pending(world):
            yield "empty batch", (self.settled(self.noted(world, action, "ok")), idle)
        elif len(world.net) < 3:
            then = self.noted(world, action, "intended")
            name = action.target.split("/")[0]
            call = Call(action.kind, name, action.batch, action.attempt, action.target)
            yield f"calls {action.kind}", (then._replace(net=tuple(sorted((*then.net, call)))), ("waits", call))

    def taken_over(self, world: World) -> Iterator[tuple[str, tuple[World, tuple[object, ...]]]]:
        """Another's intent, or one of a process that died: unknown once it is old enough."""
        entry = next(each for each in world.ledger[3] if each.outcome == "intended")
        alive = any(state[0] == "waits" and state[1].key == key(entry) for state in world.workers)
        if not alive or world.doubts:
            then = self.settled(self.outcome(world, key(entry), "unknown"))
            yield f"settles {entry.kind}", (then._replace(doubts=world.doubts - alive), ("idle",))

    def pending(self, world: World) -> tuple[int, ...]:
        return next(entry.result["leads"] for entry in world.ledger[3] if entry.kind == "snapshot")

    def committed(self, world: World, action: Action) -> World:
        epoch, _, units, entries = world.ledger
        names = tuple(
            entry.target for entry in entries if entry.kind == "create"
            and not any(other.kind == "burn" and other.target == entry.target for other in entries)
        )  # fmt: skip
        then = self.noted(world, action, "ok", {"stages": names})
        return self.settled(then._replace(ledger=(epoch, epoch, units, then.ledger[3])))


class Results(dict[str, object]):
    """A result that can stand in a set of states."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(sorted((key, str(value)) for key, value in self.items())))


class NoBurn(Ours):
    """Mutant: an unknown import is simply made again."""

    def outcome(self, world: World, call: tuple[str, str, int], outcome: str) -> World:
        again = call[0] == "import" and outcome == "unknown"
        return super().outcome(world, call, "rejected" if again else outcome)


class Blind(Ours):
    """Mutant: the pause is believed, not read back."""

    def acts(self, world: World) -> Iterator[tuple[str, tuple[World, tuple[object, ...]]]]:
        action = next_action(self.view(world, stale=False))
        if action.kind == "readback":
            told = self.noted(world, action, "ok", {"states": {"new": "paused"}})
            yield "believes", (self.settled(told), ("idle",))
        else:
            yield from super().acts(world)


class Program(Protocol):
    """The simpler protocols: steps in a row, kept in the executor's head or noted after each."""

    def __init__(
        self, *steps: str, readback: bool = True, noted: bool = False, look: bool = False, staging: bool = False,
        named: bool = False, burn: bool = False,
    ) -> None:  # fmt: skip
        self.order = (*steps, "done")
        self.readback, self.noted, self.look, self.staging = readback, noted, look, staging
        self.named, self.burn = named, burn

    def start(self) -> World:
        camps = () if self.staging else (Camp("old", True),)
        # ledger: epoch, snapshot, how far it was noted. An executor: place, epoch, lead, waiting.
        return World("on", (0, 0), camps, (), (0, None, 0), ((0, 0, 0, False),), 1, 1, 0)

    def ended(self, world: World) -> bool:
        state = world.workers[0]
        return state != ("dead",) and self.order[state[0]] == "done"

    def spent(self, world: World) -> bool:
        return world.ledger[0] >= 3

    def steps(self, world: World) -> Iterator[Step]:
        yield from outside(world, staging=self.staging)
        state = world.workers[0]
        if state == ("dead",):
            at = world.ledger[2] if self.noted else 0
            yield "starts again", world._replace(workers=((at, world.ledger[0], 0, False),))
            return
        if self.ended(world):
            return
        if world.crashes:
            yield "dies", world._replace(workers=(("dead",),), crashes=world.crashes - 1)
        yield from getattr(self, "do_" + self.order[state[0]])(world, state)

    def name(self, state: tuple[int, int, int, bool]) -> str:
        return f"old{state[1]}" if self.named else ("stage" if self.staging else "old")

    def on(self, world: World, state: tuple[int, int, int, bool]) -> World:
        epoch, snapshot, far = world.ledger
        return world._replace(
            workers=((state[0] + 1, state[1], 0, False),), ledger=(epoch, snapshot, max(far, state[0] + 1))
        )

    def called(self, world: World, state: tuple[int, int, int, bool], kind: str, lead: int = 0) -> Iterator[Step]:
        if len(world.net) < 3:
            call = Call(kind, "" if kind == "pause" else self.name(state), lead, 0)
            net = tuple(sorted((*world.net, call)))
            yield f"calls {kind} {lead}", world._replace(net=net, workers=((*state[:3], True),))

    def under_way(self, world: World, state: tuple[int, int, int, bool], kind: str, lead: int = 0) -> bool:
        return Call(kind, "" if kind == "pause" else self.name(state), lead, 0) in world.net

    def do_claim(self, world: World, state: tuple[int, int, int, bool]) -> Iterator[Step]:
        epoch, snapshot, far = world.ledger
        if epoch < 3:
            claimed = world._replace(ledger=(epoch + 1, snapshot, far))
            yield f"claims {epoch + 1}", self.on(claimed, (state[0], epoch + 1, 0, False))

    def do_pause(self, world: World, state: tuple[int, int, int, bool]) -> Iterator[Step]:
        if not self.readback and state[3]:
            yield "believes the pause", self.on(world, state)
        elif self.readback and world.new == "off":
            yield "reads the pause back", self.on(world, state)
        elif not self.under_way(world, state, "pause"):
            yield from self.called(world, state, "pause")

    def do_export(self, world: World, state: tuple[int, int, int, bool]) -> Iterator[Step]:
        epoch, snapshot, far = world.ledger
        if snapshot is None or not (self.noted or self.named):
            snapshot = tuple(lead for lead in LEADS if not world.new_sent[lead])
        yield "exports", self.on(world._replace(ledger=(epoch, snapshot, far)), state)

    def do_create(self, world: World, state: tuple[int, int, int, bool]) -> Iterator[Step]:
        if camp(world, self.name(state)):
            yield "is there", self.on(world, state)
        elif not self.under_way(world, state, "create"):
            yield from self.called(world, state, "create")

    def do_import(self, world: World, state: tuple[int, int, int, bool]) -> Iterator[Step]:
        snapshot = world.ledger[1]
        place, epoch, done, waiting = state
        if done >= len(snapshot):
            yield "has imported", self.on(world, state)
            return
        lead = snapshot[done]
        there = camp(world, self.name(state))
        holds = there is not None and there.holds[lead] > 0
        if not waiting:
            if self.look and holds:
                yield "looks: is there", world._replace(workers=((place, epoch, done + 1, False),))
            else:
                yield from self.called(world, state, "import", lead)
            return
        if holds and not self.under_way(world, state, "import", lead):
            yield "acknowledged", world._replace(workers=((place, epoch, done + 1, False),))
        if self.burn:
            yield "unknown: another name", world._replace(workers=((0, epoch, 0, False),))
        else:
            yield "no answer: again", world._replace(workers=((place, epoch, done, False),))

    def do_verify(self, world: World, state: tuple[int, int, int, bool]) -> Iterator[Step]:
        there = camp(world, self.name(state))
        if there and all(there.holds[lead] == 1 for lead in world.ledger[1]):
            yield "verified", self.on(world, state)
        elif there and any(there.holds[lead] == 0 for lead in world.ledger[1]):
            yield "missing", world._replace(workers=((self.order.index("import"), *state[1:3], False),))
        elif self.burn:
            yield "twice: another name", world._replace(workers=((0, state[1], 0, False),))

    def do_activate(self, world: World, state: tuple[int, int, int, bool]) -> Iterator[Step]:
        there = camp(world, self.name(state))
        if there and there.active:
            yield "is active", self.on(world, state)
        elif not self.under_way(world, state, "activate"):
            yield from self.called(world, state, "activate")


STAGED = ("pause", "export", "create", "import", "verify", "activate")
SIMPLER = {
    "1 import first, pause afterwards": Program("export", "import", "pause"),
    "2 pause without reading back": Program("pause", "export", "import", readback=False),
    "3 pause read back, noted after each step": Program("pause", "export", "import", noted=True),
    "4 look before every import": Program("pause", "export", "import", noted=True, look=True),
    "5 an inactive staging campaign": Program(*STAGED, noted=True, look=True, staging=True),
    "6 a name per attempt": Program("claim", *STAGED, look=True, staging=True, named=True),
    "7 an unknown import burns the name": Program("claim", *STAGED, look=True, staging=True, named=True, burn=True),
}
