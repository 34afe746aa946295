"""What becomes of a mail after it left: where it lands, what its reader does, and what the vendor notices of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from mailfleet.sandbox.bounce_texts import bounce_text, report
from mailfleet.sandbox.people import REPLIES, Person, person
from mailfleet.sandbox.people_texts import as_html, away_days, reply_subject, reply_text, with_original
from mailfleet.sandbox.providers import FILTERS, refused, temper
from mailfleet.sandbox.reputation import Box, authentication, note, placement, standing
from mailfleet.sandbox.seeds import fraction, hexes
from mailfleet.sandbox.smartlead.state import plain
from mailfleet.sandbox.world import World

# Somebody who has something to say also finds mail in the spam folder, this often.
_LOOKS_IN_SPAM = 0.5
_LOW_STANDING = 0.35
_REFUSES_LOW = 0.10
_BEARS_AT_LEAST = timedelta(seconds=20)


@dataclass(frozen=True)
class Answer:
    """A mail that came back into the mailbox."""

    at: datetime
    message_id: str
    sender: str
    to: str
    subject: str
    html: str


class Mail(Protocol):
    """A mail that left, and what the vendor that sent it does when it notices something about it."""

    @property
    def identity(self) -> str: ...

    @property
    def message_id(self) -> str: ...

    @property
    def subject(self) -> str: ...

    @property
    def body(self) -> str: ...

    @property
    def at(self) -> datetime: ...

    @property
    def links(self) -> list[str]: ...

    @property
    def to(self) -> str: ...

    @property
    def to_name(self) -> str: ...

    @property
    def step(self) -> int: ...

    @property
    def box(self) -> Box: ...

    @property
    def sender_name(self) -> str: ...

    def tracks(self, what: str) -> bool: ...
    def opened(self, world: World) -> None: ...
    def clicked(self, world: World, link: str) -> None: ...
    def replied(self, world: World, answer: Answer, meaning: str) -> None: ...
    def bounced(self, world: World, message_id: str, text: str, kind: str) -> None: ...
    def unsubscribed(self, world: World) -> None: ...
    def complained(self, world: World) -> None: ...


def react(world: World, sent: Mail) -> None:
    """Decides everything that follows from one mail and plans it."""
    who = person(world, sent.to)
    if _refused(world, sent, who):
        return
    inbox = who.sure or fraction(world, "place", sent.identity) < placement(world, sent.box, who.provider)
    moved = bool(who.fate) and not who.done and sent.step >= who.step
    seen = inbox or (moved and fraction(world, "folder", sent.identity) < _LOOKS_IN_SPAM)
    world.log.people(
        kind="delivered", email=who.address, message_id=sent.message_id, placed="inbox" if inbox else "spam"
    )
    if not seen:
        return
    if moved and who.fate == "out_of_office":
        who.done.add(who.fate)
        world.at(world.now + timedelta(seconds=5 + 90 * _share(world, sent, "away")), partial(_reply, world, sent, who))
        return
    reads = moved and who.fate in (*REPLIES, "complaint", "unsubscribe_link")
    if not reads and _share(world, sent, "opens") >= who.opens:
        return
    _read(world, sent, who, acts=reads)


def _share(world: World, sent: Mail, what: str) -> float:
    return fraction(world, what, sent.identity)


def _read(world: World, sent: Mail, who: Person, *, acts: bool) -> None:
    when = world.now + _reading_delay(world, sent, quick=who.private_opens)
    world.at(when, partial(_open, world, sent, who))
    if who.private_opens and acts:
        when += _reading_delay(world, sent, quick=False)
    if sent.links and _share(world, sent, "clicks") < who.clicks:
        world.at(
            when + timedelta(seconds=20 + 200 * _share(world, sent, "click at")), partial(_click, world, sent, who)
        )
    if acts:
        who.done.add(who.fate)
        after = timedelta(minutes=2 + 240 * _share(world, sent, "acts") ** 2)
        world.at(when + after, partial(_act, world, sent, who))


def _reading_delay(world: World, sent: Mail, *, quick: bool) -> timedelta:
    share = _share(world, sent, "reads")
    # A privacy proxy fetches the picture at once; people read within minutes to a day and a half.
    return timedelta(seconds=3 + 60 * share) if quick else timedelta(minutes=4 + 2100 * share**3)


def _refused(world: World, sent: Mail, who: Person) -> bool:
    """Plans the bounce of a mail that is not accepted; False when it is."""
    kind, authenticated = _refusal(world, sent, who)
    if not kind:
        return False
    share = _share(world, sent, "bounces")
    delay = timedelta(hours=1 + 5 * share) if kind == "soft" else _BEARS_AT_LEAST + timedelta(seconds=200 * share)
    world.at(world.now + delay, partial(_bounce, world, sent, who, kind, authenticated))
    return True


def _refusal(world: World, sent: Mail, who: Person) -> tuple[str, bool]:
    passed = authentication(world, sent.box.domain)
    vouched = (passed.spf or passed.dkim) and passed.dmarc
    if who.fate in ("hard", "block"):
        return who.fate, vouched
    if who.fate == "soft" and not who.done:
        who.done.add("soft")
        return "soft", vouched
    if who.sure:
        return "", vouched
    if temper(world, who.provider, sent.box.vendor) == 0:
        return "soft", vouched
    odd = _share(world, sent, "refused")
    if not vouched and odd < FILTERS[who.provider].refuses:
        return "block", False
    if odd < refused(world, sent.box.vendor):
        return "block", vouched
    low = standing(world, sent.box).score < _LOW_STANDING and odd < _REFUSES_LOW
    return ("block" if low else ""), vouched


def _bounce(world: World, sent: Mail, who: Person, kind: str, authenticated: bool) -> None:
    text = bounce_text(world, who.provider, kind, to=who.address, sender=sent.box.address, authenticated=authenticated)
    identity = f"<{hexes(world, 20, 'bounce', sent.identity)}@mx.{who.address.rpartition('@')[2]}>"
    world.log.people(
        kind="bounced", email=who.address, message_id=sent.message_id, category=kind, text=text, step=sent.step
    )
    note(world, sent.box, bounced=1)
    sent.bounced(world, identity, report(text, to=who.address, subject=sent.subject), kind)


def _open(world: World, sent: Mail, who: Person) -> None:
    tracked = sent.tracks("EMAIL_OPEN")
    world.log.people(
        kind="opened", email=who.address, message_id=sent.message_id, tracked=tracked, proxy=who.private_opens
    )
    if tracked:
        sent.opened(world)


def _click(world: World, sent: Mail, who: Person) -> None:
    tracked = sent.tracks("LINK_CLICK")
    link = sent.links[int(_share(world, sent, "link") * len(sent.links))]
    world.log.people(kind="clicked", email=who.address, message_id=sent.message_id, tracked=tracked, text=link)
    if tracked:
        sent.clicked(world, link)


def _act(world: World, sent: Mail, who: Person) -> None:
    if who.fate == "complaint":
        world.log.people(kind="complained", email=who.address, message_id=sent.message_id)
        note(world, sent.box, complained=1)
        sent.complained(world)
    elif who.fate == "unsubscribe_link":
        world.log.people(kind="unsubscribed", email=who.address, message_id=sent.message_id)
        sent.unsubscribed(world)
    else:
        _reply(world, sent, who)


def _reply(world: World, sent: Mail, who: Person) -> None:
    """Writes an answer; whether the vendor sees it is its own business."""
    name = sent.sender_name
    text = reply_text(world, who, who.fate, sender=name, name=sent.to_name, now=world.now)
    away = who.fate == "out_of_office"
    whole = text if away else _quoted(sent, who, text, name)
    subject = reply_subject(who, who.fate, sent.subject)
    identity = f"<{hexes(world, 20, 'reply', sent.identity)}@{who.address.rpartition('@')[2]}>"
    world.log.people(
        kind="replied",
        email=who.address,
        message_id=sent.message_id,
        reply_message_id=identity,
        category=who.fate,
        language=who.language,
        subject=subject,
        text=text,
        step=sent.step,
        back=_back(world, who) if away else None,
    )
    answer = Answer(world.now, identity, who.address, sent.box.address, subject, as_html(whole))
    sent.replied(world, answer, who.fate)


def _back(world: World, who: Person) -> str:
    return (world.now + timedelta(days=away_days(world, who))).date().isoformat()


def _quoted(sent: Mail, who: Person, text: str, name: str) -> str:
    at: datetime = sent.at
    original = plain(sent.body)
    return with_original(
        who, text, sender=name, address=sent.box.address, at=at, subject=sent.subject, original=original
    )
