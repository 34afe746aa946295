"""Why mail bounces: the *message*, the *mailbox* or the *list*. Told only as surely as the figures carry it.

Refusals about us follow a mailbox (reputation, DNS, login) or a message (content); addresses that do not exist follow a
list. Each suspect is compared with what the rest would lead one to expect of it: a mailbox with the other mailboxes of
the same campaigns, a campaign with the other campaigns of the same mailboxes. Where the two cannot be told apart,
because a mailbox sends one campaign alone, the answer is *unclear*.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

import msgspec

Cause = Literal["message", "mailbox", "list", "unclear"]
Certainty = Literal["certain", "likely", "unclear"]
LIKELY, CERTAIN, APART = 6.0, 12.0, 2.0
"""Log-likelihood gained by giving the suspect a rate of its own; and by how much it has to beat the next cause."""
BASE = (1.0, 49.0)
"""What is expected where nothing is known: 2 % of 50 (migration-control 2.2)."""
PROVEN_DNS = 10.0
LISTED = 5.0
WORDS: Mapping[str, tuple[str, ...]] = {
    "mailbox": ("auth", "dkim", "spf", "dmarc", "listed", "blocklist", "dnsbl", "reputation", "block_list", "account"),
    "message": ("content", "spam", "url", "link", "phish", "virus", "policy_content"),
}
"""What the name of the rule that read a refusal says of it."""
WORD_WEIGHT = 0.5


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """Mails that have everything in common, and those of them that came back. `rules`: how refusals were read."""

    campaign: str
    mailbox: str
    domain: str = ""
    provider: str = ""
    step: int = 1
    sent: int
    hard: int = 0
    refused: int = 0
    soft: int = 0
    rules: Mapping[str, int] = {}


class Suspect(msgspec.Struct, frozen=True, kw_only=True):
    """One unit a cause may sit in. `expected`: bounces of its mails if it were like the others."""

    cause: Cause
    unit: str
    sent: int
    bounced: int
    expected: float
    weight: float
    """Log-likelihood gained, less what looking at so many units would give by chance."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    cause: Cause
    certainty: Certainty
    unit: str
    reason: str
    suspects: tuple[Suspect, ...]
    """Strongest first, at most one for each cause and kind of unit."""


def judge(cells: Sequence[Cell], *, broken_dns: Iterable[str] = (), listed: Iterable[str] = ()) -> Finding:
    """`broken_dns`: domains whose SPF, DKIM or DMARC answer is wrong now; `listed`: domains on a blocklist."""
    suspects = sorted(_suspects(cells, set(broken_dns), set(listed)), key=lambda each: -each.weight)
    best: dict[Cause, Suspect] = {}
    for each in suspects:
        best.setdefault(each.cause, each)
    ranked = sorted(best.values(), key=lambda each: -each.weight)
    shown = tuple(ranked)
    if not ranked or ranked[0].weight < LIKELY:
        return _unclear("no unit bounces more than the others by more than chance", shown)
    first, second = ranked[0], ranked[1].weight if len(ranked) > 1 else 0.0
    if first.weight - max(0.0, second) < APART:
        return _unclear(f"{first.cause} ({first.unit}) and {ranked[1].cause} ({ranked[1].unit}) fit alike", shown)
    sure = first.weight >= CERTAIN and first.weight >= 2 * max(0.0, second)
    rate = first.bounced / first.sent if first.sent else 0.0
    usual = f"{first.expected:.1f} would be like the rest"
    told = f"{first.unit}: {first.bounced} of {first.sent} came back ({rate:.1%}), {usual}"
    return Finding(
        cause=first.cause, certainty="certain" if sure else "likely", unit=first.unit, reason=told, suspects=shown
    )


def _unclear(reason: str, suspects: tuple[Suspect, ...]) -> Finding:
    return Finding(cause="unclear", certainty="unclear", unit="", reason=reason, suspects=suspects)


def _suspects(cells: Sequence[Cell], broken: set[str], listed: set[str]) -> list[Suspect]:
    hard, refused = (lambda cell: cell.hard), (lambda cell: cell.refused)
    by_mailbox, by_campaign = (lambda cell: cell.mailbox), (lambda cell: cell.campaign)
    by_step = lambda cell: f"{cell.campaign} step {cell.step}"  # noqa: E731 - one of a row of keys
    by_domain = lambda cell: cell.domain or cell.mailbox.partition("@")[2]  # noqa: E731
    found = _of(cells, "list", hard, by_campaign, by_mailbox)
    found += [_hinted(each, cells, by_campaign) for each in _of(cells, "message", refused, by_campaign, by_mailbox)]
    found += [_hinted(each, cells, by_step) for each in _of(cells, "message", refused, by_step, by_mailbox)]
    found += [_hinted(each, cells, by_mailbox) for each in _of(cells, "mailbox", refused, by_mailbox, by_step)]
    domains = [_hinted(each, cells, by_domain) for each in _of(cells, "mailbox", refused, by_domain, by_step)]
    return found + [_with_names(each, broken, listed) for each in domains]


Key = Callable[[Cell], str]
Count = Callable[[Cell], int]


def _of(cells: Sequence[Cell], cause: Cause, bounced: Count, unit: Key, beside: Key) -> list[Suspect]:
    """Every unit against what its mails would have brought had they only been of their `beside` group."""
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    groups: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    cross: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for cell in cells:
        for place in (sums[unit(cell)], groups[beside(cell)], cross[unit(cell), beside(cell)]):
            place[0] += cell.sent
            place[1] += bounced(cell)
    prior = _overall(sums)
    chance = math.log(max(1, len(sums)))
    parts: dict[str, list[tuple[str, list[int]]]] = defaultdict(list)
    for (name, group), counts in cross.items():
        parts[name].append((group, counts))
    return [
        _suspect(cause, name, counts, _expected(parts[name], groups, prior), chance) for name, counts in sums.items()
    ]


def _overall(sums: Mapping[str, Sequence[int]]) -> float:
    """The usual rate: of the middle unit, so that one bad unit does not make badness usual."""
    rates = sorted((bounced + BASE[0]) / (sent + sum(BASE)) for sent, bounced in sums.values() if sent)
    return rates[(len(rates) - 1) // 2] if rates else BASE[0] / sum(BASE)


def _expected(parts: Sequence[tuple[str, Sequence[int]]], groups: Mapping[str, Sequence[int]], prior: float) -> float:
    total = 0.0
    for group, (sent, bounced) in parts:
        others_sent, others_bounced = groups[group][0] - sent, groups[group][1] - bounced
        weight = sum(BASE)
        total += sent * (others_bounced + prior * weight) / (others_sent + weight)
    return total


def _suspect(cause: Cause, name: str, counts: Sequence[int], expected: float, chance: float) -> Suspect:
    sent, bounced = counts
    return Suspect(
        cause=cause, unit=name, sent=sent, bounced=bounced, expected=expected,
        weight=_gain(sent, bounced, expected) - chance,
    )  # fmt: skip


def _gain(sent: int, bounced: int, expected: float) -> float:
    """How much more likely the unit's own rate makes what was seen; 0 where it bounces no more than expected."""
    if sent == 0 or bounced <= expected:
        return 0.0
    own, usual = bounced / sent, max(1e-6, min(0.99, expected / sent))
    rest = sent - bounced
    return bounced * math.log(own / usual) + (rest * math.log((1 - own) / (1 - usual)) if rest else 0.0)


def _hinted(suspect: Suspect, cells: Sequence[Cell], unit: Key) -> Suspect:
    """What the refusals themselves say speaks for one cause and against the other."""
    if suspect.weight <= 0:
        return suspect
    said = dict.fromkeys(WORDS, 0)
    for cell in cells:
        if unit(cell) == suspect.unit:
            for rule, count in cell.rules.items():
                for cause, words in WORDS.items():
                    said[cause] += count if any(word in rule.lower() for word in words) else 0
    other = "message" if suspect.cause == "mailbox" else "mailbox"
    lean = WORD_WEIGHT * (said[suspect.cause] - said[other])
    return msgspec.structs.replace(suspect, weight=suspect.weight + max(-4.0, min(4.0, lean)))


def _with_names(suspect: Suspect, broken: set[str], listed: set[str]) -> Suspect:
    if suspect.weight <= 0:
        return suspect
    more = PROVEN_DNS * (suspect.unit in broken) + LISTED * (suspect.unit in listed)
    return msgspec.structs.replace(suspect, weight=suspect.weight + more)
