"""Recipients: where their mail lives, what language they write, and what each of them will do.

Traits belong to the address. What happens to somebody (a bounce, a reply, a complaint) is dealt from shuffled decks in
the order in which people are first written to, so that every stretch of a list holds a natural mix of everything.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from functools import lru_cache
from typing import cast

from mailfleet.sandbox.providers import receivers
from mailfleet.sandbox.seeds import fraction
from mailfleet.sandbox.world import World

REPLIES = ("positive", "negative", "out_of_office", "unsubscribe", "wrong_person", "info_request", "unknown")
DECK = 150
# People out of a deck, at least and at most; with the complaint of every third deck about 2 % bounce and 9 % reply.
_DEALT = {
    "positive": (2, 4),
    "negative": (2, 5),
    "out_of_office": (3, 5),
    "unsubscribe": (1, 2),
    "wrong_person": (1, 2),
    "info_request": (1, 2),
    "unknown": (1, 2),
    "unsubscribe_link": (1, 2),
}
_BOUNCES = (("hard",), ("soft",), ("hard", "soft", ""))
# Magic names: the local part begins with one of these.
MAGIC = {
    "hard-bounce": "hard",
    "soft-bounce": "soft",
    "block-bounce": "block",
    "complains": "complaint",
    "unsubscribes": "unsubscribe_link",
    "replies-positive": "positive",
    "replies-negative": "negative",
    "replies-ooo": "out_of_office",
    "replies-unsubscribe": "unsubscribe",
    "replies-wrong-person": "wrong_person",
    "replies-info": "info_request",
    "replies-unknown": "unknown",
    "opens": "opens",
    "clicks": "clicks",
    "silent": "silent",
}
# Magic domains: their mail lives at this provider.
MAGIC_HOSTS = {f"at-{name}": name for name in ("google", "microsoft", "yahoo", "apple", "postfix")}
_FREE_MAIL = {
    "gmail.com": "google", "googlemail.com": "google", "outlook.com": "microsoft", "hotmail.com": "microsoft",
    "live.com": "microsoft", "yahoo.com": "yahoo", "yahoo.com.au": "yahoo", "ymail.com": "yahoo", "icloud.com": "apple",
    "me.com": "apple", "aol.com": "yahoo",
}  # fmt: skip
_BY_SUFFIX = {"de": "de", "at": "de", "fr": "fr", "es": "es", "nl": "nl", "it": "it"}
_OTHER_LANGUAGES = ("de", "fr", "es", "nl", "it")


@dataclass
class Person:
    """One recipient."""

    address: str
    provider: str
    language: str
    fate: str
    # The first step that moves them to what they will do.
    step: int
    opens: float
    clicks: float
    private_opens: bool
    # Named by magic: what they do never depends on chance.
    sure: bool
    done: set[str] = field(default_factory=set[str])


def person(world: World, address: str) -> Person:
    """The recipient behind an address, made when first written to."""
    people = cast("dict[str, Person]", world.state.setdefault("people", {}))
    address = address.lower()
    found = people.get(address)
    if found is None:
        found = people[address] = _made(world, address, _fate(world, address))
    return found


def _made(world: World, address: str, fate: str) -> Person:
    provider = provider_of(world, address.rpartition("@")[2])
    turn = fraction(world, "turn", address)
    sure = address.startswith(tuple(MAGIC))
    return Person(
        address,
        provider,
        _language(world, address),
        fate,
        step=1 if sure or turn < 0.78 or fate in ("out_of_office", "complaint") else 2 if turn < 0.94 else 3,
        opens={"opens": 1.0, "clicks": 1.0, "silent": 0.0}.get(fate, 0.2 + 0.5 * fraction(world, "opens", address)),
        clicks=1.0 if fate == "clicks" else 0.08,
        private_opens=provider == "apple" or fraction(world, "private", address) < 0.08,
        sure=sure,
    )


def _fate(world: World, address: str) -> str:
    local = address.partition("@")[0]
    for name, fate in MAGIC.items():
        if local.startswith(name):
            return fate
    listed = _on_a_bad_list(world, address)
    if listed:
        return listed
    number = world.state["dealt"] = world.state.get("dealt", 0) + 1
    deck, position = divmod(number - 1, DECK)
    return deck_of(world.seed, deck)[position]


def _on_a_bad_list(world: World, address: str) -> str:
    odd = fraction(world, "bad list", address)
    for bad in receivers(world).bad_lists:
        if bad.contains in address and odd < bad.bounces + bad.complaints:
            return "hard" if odd < bad.bounces else "complaint"
    return ""


@lru_cache(maxsize=64)
def deck_of(seed: int, number: int) -> tuple[str, ...]:
    """The fates of the people written to from `number` × 150 on, in order."""
    rng = random.Random(f"deck:{seed}:{number}")
    places = [""] * DECK
    # One bounce in each third at most, so that none of them comes in a heap.
    for third, choices in enumerate(rng.sample(_BOUNCES, len(_BOUNCES))):
        places[third * 50 + rng.randrange(6, 48)] = rng.choice(choices)
    cards = [fate for fate, (least, most) in _DEALT.items() for _ in range(rng.randint(least, most))]
    if number % 3 == 0:
        cards.append("complaint")
    # Everything shows early in the first deck, so that a short campaign meets it too.
    free = [place for place in range(6, 100 if number == 0 else DECK) if not places[place]]
    for place, card in zip(rng.sample(free, len(cards)), cards, strict=True):
        places[place] = card
    return tuple(places)


def provider_of(world: World, domain: str) -> str:
    """Who takes a domain's mail."""
    if domain in _FREE_MAIL:
        return _FREE_MAIL[domain]
    for name, provider in MAGIC_HOSTS.items():
        if domain.startswith(name):
            return provider
    share = fraction(world, "provider", domain)
    return "google" if share < 0.42 else "microsoft" if share < 0.82 else "postfix"


def _language(world: World, address: str) -> str:
    own = _BY_SUFFIX.get(address.rpartition(".")[2])
    share = fraction(world, "language", address)
    if own:
        return own if share < 0.7 else "en"
    return "en" if share < 0.86 else _OTHER_LANGUAGES[int((share - 0.86) / 0.14 * len(_OTHER_LANGUAGES)) % 5]
