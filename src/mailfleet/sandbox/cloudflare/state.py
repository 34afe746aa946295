"""What one Cloudflare account holds, and what its operations do. No HTTP here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import cast

from mailfleet.sandbox.cloudflare.records import Problem, check_set, parse, patched
from mailfleet.sandbox.cloudflare.zone import Record, Zone
from mailfleet.sandbox.dns.fixed import CLOUDFLARE_NAMES, registrable
from mailfleet.sandbox.dns.views import delegated_to
from mailfleet.sandbox.seeds import fraction, hexes
from mailfleet.sandbox.world import World

RECORD_QUOTA = 200  # Free zones made since 2024-09-01.
BATCH_LIMIT = 200
# Magic names, by the beginning of the domain.
BANNED_PREFIX = "banned-"
ELSEWHERE_PREFIX = "elsewhere-"
# A free zone is deleted after 28 days of pending, a moved one after seven (docs "Zone status").
_PENDING_KEPT = timedelta(days=28)
_MOVED_KEPT = timedelta(days=7)
_CHECK_EVERY = timedelta(hours=1)
_SLOWEST_EDGE = timedelta(seconds=300)
_FASTEST_EDGE = timedelta(seconds=40)


@dataclass
class Account:
    """Credentials of the one account, and counters that make ids."""

    api_token: str
    account_id: str
    made: int = 0
    generations: dict[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Record changes that happen together, in this order."""

    deletes: Sequence[Mapping[str, object]] = ()
    patches: Sequence[Mapping[str, object]] = ()
    puts: Sequence[Mapping[str, object]] = ()
    posts: Sequence[Mapping[str, object]] = ()


def account(world: World) -> Account:
    """The account of this world."""
    kept = world.state.get("cloudflare")
    if kept is None:
        token = f"{hexes(world, 40, 'cloudflare', 'token')}"
        kept = world.state["cloudflare"] = Account(token, hexes(world, 32, "cloudflare", "account"))
    return cast(Account, kept)


def new_id(world: World, kind: str) -> str:
    """The next 32-digit id."""
    owner = account(world)
    owner.made += 1
    return hexes(world, 32, "cloudflare", kind, owner.made)


def create_zone(world: World, name: str) -> Zone:
    """A pending zone with its own pair of nameservers. Raises Problem."""
    _check_zone_name(world, name)
    owner = account(world)
    generation = owner.generations[name] = owner.generations.get(name, 0) + 1
    zone = Zone(
        id=new_id(world, "zone"),
        name=name,
        account_id=owner.account_id,
        nameservers=assigned_pair(world, name, generation),
        original_nameservers=delegated_to(world, name, world.now),
        created_on=world.now,
        modified_on=world.now,
    )
    world.zones[name] = zone
    world.at(world.now + _PENDING_KEPT, lambda: _forget(world, zone, "pending"))
    return zone


def _forget(world: World, zone: Zone, status: str) -> None:
    """Deletes a zone that is still in this status."""
    if world.zones.get(zone.name) is zone and settle(world, zone).status == status:
        del world.zones[zone.name]


def assigned_pair(world: World, name: str, generation: int) -> tuple[str, str]:
    """The nameservers a zone is given; a zone that is added again gets another pair."""
    count = len(CLOUDFLARE_NAMES)
    first = int(fraction(world, "pair", name) * count)
    step = 1 + int(fraction(world, "step", name) * (count - 2))
    names = sorted(
        (CLOUDFLARE_NAMES[(first + generation) % count], CLOUDFLARE_NAMES[(first + generation + step) % count])
    )
    return (f"{names[0]}.ns.cloudflare.com", f"{names[1]}.ns.cloudflare.com")


def settle(world: World, zone: Zone) -> Zone:
    """Brings a zone's status up to now by the checks Cloudflare has made by itself."""
    for moment in zone.check_times(world.now):
        check_delegation(world, zone, moment)
    return zone


def check_delegation(world: World, zone: Zone, moment: datetime) -> None:
    """Compares the parent's delegation with the assigned pair: pending to active, active to moved and back."""
    matches = set(delegated_to(world, zone.name, moment)) == set(zone.nameservers)
    status = "active" if matches else ("pending" if zone.status == "pending" else "moved")
    if status == zone.status:
        return
    zone.status, zone.modified_on = status, moment
    if status == "active":
        zone.activated_on = moment
    elif status == "moved":
        world.at(moment + _MOVED_KEPT, lambda: _forget(world, zone, "moved"))


def ask_check(world: World, zone: Zone) -> None:
    """The check that the owner asks for: once an hour on a free zone."""
    if zone.asked_check is not None and world.now - zone.asked_check < _CHECK_EVERY:
        raise Problem(1224, "You may only perform this action once per hour.", status=429)  # (K)
    zone.asked_check = world.now
    check_delegation(world, zone, world.now)


def find_zone(world: World, zone_id: str) -> Zone:
    """A zone of this account by id. Raises Problem."""
    for zone in world.zones.values():
        if zone.id == zone_id:
            return settle(world, zone)
    raise Problem(7003, f"Could not route to /zones/{zone_id}, perhaps your object identifier is invalid?", status=404)


def change(world: World, zone: Zone, batch: Batch) -> dict[str, list[Record]]:
    """Applies all of a batch or nothing. Raises Problem with the first error."""
    records = dict(zone.records)
    done: dict[str, list[Record]] = {"deletes": [], "patches": [], "puts": [], "posts": []}
    for entry in batch.deletes:
        done["deletes"].append(records.pop(_known(records, entry).id))
    for entry in batch.patches:
        old = _known(records, entry)
        done["patches"].append(patched(old, entry, zone=zone.name, now=world.now))
        records[old.id] = done["patches"][-1]
    for entry in batch.puts:
        old = _known(records, entry)
        new = parse(entry, zone=zone.name, record_id=old.id, now=world.now)
        records[old.id] = replace(new, created_on=old.created_on)
        done["puts"].append(records[old.id])
    for entry in batch.posts:
        new = parse(entry, zone=zone.name, record_id=new_id(world, "record"), now=world.now)
        records[new.id] = new
        done["posts"].append(new)
    _check_records(zone, records)
    _publish(world, zone, records)
    return done


def _check_records(zone: Zone, records: Mapping[str, Record]) -> None:
    if len(records) > max(RECORD_QUOTA, len(zone.records)):
        raise Problem(81045, "Record quota exceeded.")
    check_set(list(records.values()), zone.name)


def _publish(world: World, zone: Zone, records: dict[str, Record]) -> None:
    span = _SLOWEST_EDGE - _FASTEST_EDGE
    number = zone.changes

    def visible_from(record_id: str) -> datetime:
        share = fraction(world, "edge", zone.name, number, len(record_id), record_id)
        return world.now + _FASTEST_EDGE + span * share

    zone.replace_records(records, visible_from)
    zone.modified_on = world.now


def _known(records: Mapping[str, Record], entry: Mapping[str, object]) -> Record:
    found = records.get(str(entry.get("id", "")))
    if found is None:
        raise Problem(81044, "Record does not exist.", status=404)
    return found


def _check_zone_name(world: World, name: str) -> None:
    if registrable(name) != name:
        text = "Please ensure you are providing the root domain and not any subdomains (e.g., example.com)."
        raise Problem(1116, text)  # (K)
    if name.startswith(BANNED_PREFIX):
        raise Problem(1097, "This zone has been banned. Please visit the support page for more information.")
    if name in world.zones or name.startswith(ELSEWHERE_PREFIX):
        raise Problem(1061, f"{name} already exists.")
    if not delegated_to(world, name, world.now):
        raise Problem(1049, f"{name} is not a registered domain.")
