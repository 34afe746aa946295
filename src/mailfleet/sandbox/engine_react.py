"""What becomes of a mail after it left: where it lands, what its reader does, and what the vendor notices of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

from mailfleet.sandbox.bounce_texts import bounce_text, report
from mailfleet.sandbox.engine_exit import (
    bounced,
    clicked,
    complained,
    opened,
    replied,
    unsubscribed,
)
from mailfleet.sandbox.people import REPLIES, Person, person
from mailfleet.sandbox.people_texts import as_html, away_days, reply_subject, reply_text, with_original
from mailfleet.sandbox.reputation import authentication, note, placement, standing
from mailfleet.sandbox.seeds import fraction, hexes
from mailfleet.sandbox.smartlead_state import Message, Sent, plain
from mailfleet.sandbox.webhook_payloads import name_of
from mailfleet.sandbox.world import World

# Somebody who has something to say also finds mail in the spam folder, this often.
_LOOKS_IN_SPAM = 0.5
# Receivers that refuse mail nobody vouches for (Gmail's and Microsoft's rules for senders).
_REFUSES_UNSIGNED = {"google": 0.5, "microsoft": 0.3, "yahoo": 0.5}
_LOW_STANDING = 0.35
_REFUSES_LOW = 0.10
_BEARS_AT_LEAST = timedelta(seconds=20)


def react(world: World, sent: Sent) -> None:
    """Decides everything that follows from one mail and plans it."""
    who = person(world, sent.lead_map.lead.email)
    if _refused(world, sent, who):
        return
    inbox = who.sure or fraction(world, "place", sent.stats_id) < placement(world, sent.mailbox)
    moved = bool(who.fate) and not who.done and sent.step.number >= who.step
    seen = inbox or (moved and fraction(world, "folder", sent.stats_id) < _LOOKS_IN_SPAM)
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


def _share(world: World, sent: Sent, what: str) -> float:
    return fraction(world, what, sent.stats_id)


def _read(world: World, sent: Sent, who: Person, *, acts: bool) -> None:
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


def _reading_delay(world: World, sent: Sent, *, quick: bool) -> timedelta:
    share = _share(world, sent, "reads")
    # A privacy proxy fetches the picture at once; people read within minutes to a day and a half.
    return timedelta(seconds=3 + 60 * share) if quick else timedelta(minutes=4 + 2100 * share**3)


def _refused(world: World, sent: Sent, who: Person) -> bool:
    """Plans the bounce of a mail that is not accepted; False when it is."""
    kind, authenticated = _refusal(world, sent, who)
    if not kind:
        return False
    share = _share(world, sent, "bounces")
    delay = timedelta(hours=1 + 5 * share) if kind == "soft" else _BEARS_AT_LEAST + timedelta(seconds=200 * share)
    world.at(world.now + delay, partial(_bounce, world, sent, who, kind, authenticated))
    return True


def _refusal(world: World, sent: Sent, who: Person) -> tuple[str, bool]:
    passed = authentication(world, sent.mailbox.domain)
    vouched = (passed.spf or passed.dkim) and passed.dmarc
    if who.fate in ("hard", "block"):
        return who.fate, vouched
    if who.fate == "soft" and not who.done:
        who.done.add("soft")
        return "soft", vouched
    if who.sure:
        return "", vouched
    odd = _share(world, sent, "refused")
    if not vouched and odd < _REFUSES_UNSIGNED.get(who.provider, 0.0):
        return "block", False
    low = standing(world, sent.mailbox).score < _LOW_STANDING and odd < _REFUSES_LOW
    return ("block" if low else ""), vouched


def _bounce(world: World, sent: Sent, who: Person, kind: str, authenticated: bool) -> None:
    text = bounce_text(
        world, who.provider, kind, to=who.address, sender=sent.mailbox.address, authenticated=authenticated
    )
    identity = f"<{hexes(world, 20, 'bounce', sent.stats_id)}@mx.{who.address.rpartition('@')[2]}>"
    world.log.people(
        kind="bounced", email=who.address, message_id=sent.message_id, category=kind, text=text, step=sent.step.number
    )
    note(world, sent.mailbox, bounced=1)
    bounced(world, sent, identity, report(text, to=who.address, subject=sent.subject), kind)


def _open(world: World, sent: Sent, who: Person) -> None:
    tracked = sent.lead_map.campaign.tracks("EMAIL_OPEN")
    world.log.people(
        kind="opened", email=who.address, message_id=sent.message_id, tracked=tracked, proxy=who.private_opens
    )
    if tracked:
        opened(world, sent)


def _click(world: World, sent: Sent, who: Person) -> None:
    tracked = sent.lead_map.campaign.tracks("LINK_CLICK")
    link = sent.links[int(_share(world, sent, "link") * len(sent.links))]
    world.log.people(kind="clicked", email=who.address, message_id=sent.message_id, tracked=tracked, text=link)
    if tracked:
        clicked(world, sent, link)


def _act(world: World, sent: Sent, who: Person) -> None:
    if who.fate == "complaint":
        world.log.people(kind="complained", email=who.address, message_id=sent.message_id)
        note(world, sent.mailbox, complained=1)
        complained(world, sent)
    elif who.fate == "unsubscribe_link":
        world.log.people(kind="unsubscribed", email=who.address, message_id=sent.message_id)
        unsubscribed(world, sent.lead_map, sent)
    else:
        _reply(world, sent, who)


def _reply(world: World, sent: Sent, who: Person) -> None:
    """Writes an answer; whether the vendor sees it is its own business."""
    box, lead = sent.mailbox, sent.lead_map.lead
    name = str(box.fields["from_name"])
    text = reply_text(world, who, who.fate, sender=name, name=name_of(lead), now=world.now)
    away = who.fate == "out_of_office"
    whole = text if away else _quoted(sent, who, text, name)
    subject = reply_subject(who, who.fate, sent.subject)
    identity = f"<{hexes(world, 20, 'reply', sent.stats_id)}@{who.address.rpartition('@')[2]}>"
    world.log.people(
        kind="replied",
        email=who.address,
        message_id=sent.message_id,
        reply_message_id=identity,
        category=who.fate,
        language=who.language,
        subject=subject,
        text=text,
        step=sent.step.number,
        back=_back(world, who) if away else None,
    )
    reply = Message("REPLY", world.now, identity, sent.stats_id, who.address, box.address, subject, as_html(whole))
    replied(world, sent, reply, who.fate)


def _back(world: World, who: Person) -> str:
    return (world.now + timedelta(days=away_days(world, who))).date().isoformat()


def _quoted(sent: Sent, who: Person, text: str, name: str) -> str:
    at: datetime = sent.at
    original = plain(sent.body)
    return with_original(
        who, text, sender=name, address=sent.mailbox.address, at=at, subject=sent.subject, original=original
    )
