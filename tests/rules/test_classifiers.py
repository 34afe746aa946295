"""The classifiers on the labelled samples, at the thresholds they have to hold, and on plain cases of each kind."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mailfleet.policy.model import default_policy
from mailfleet.rules import bounces, replies, reply_actions, return_date
from mailfleet.rules.bounce_rules import text_rules

DATA = Path(__file__).parent.parent / "data"
REPLY = default_policy().reply
ON = date(2026, 3, 9)
AT = datetime(2026, 3, 9, 9, tzinfo=UTC)
FOUR = {"unsubscribe": "negative", "wrong_person": "unknown", "info_request": "unknown"}


def rows(name: str) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in (DATA / name).read_bytes().splitlines() if line]


def share(hits: list[bool]) -> float:
    return sum(hits) / len(hits)


def outcome(row: dict[str, Any]) -> str:
    code = int(row["reply_code"]) if row["reply_code"] else None
    found = bounces.classify(row["text"], row["enhanced_code"], code).outcome
    return "block" if found == "account" else found


def test_bounces_are_read_right() -> None:
    seen = [(row, outcome(row)) for row in rows("bounces.jsonl")]
    assert share([got in row["accept"] for row, got in seen]) >= 0.90
    assert share([got == "hard" for row, got in seen if "hard" not in row["accept"]]) <= 0.05
    assert share([got != "hard" for row, got in seen if row["accept"] == ["hard"]]) <= 0.10


def answer(row: dict[str, Any]) -> replies.Verdict:
    return replies.classify(row["text"], row["subject"], row["headers"], keywords=REPLY.auto_categories)


def test_replies_are_read_right() -> None:
    seen = [(row, answer(row)) for row in rows("replies.jsonl")]
    accepted = [v.category in {FOUR.get(a, a) for a in (row["expected"], *row["accept"])} for row, v in seen]
    assert share(accepted) >= 0.88
    refusals = [(row, v) for row, v in seen if row["expected"] in ("negative", "unsubscribe")]
    harm = [v.category in ("positive", "out_of_office") and v.category not in row["accept"] for row, v in refusals]
    assert share(harm) <= 0.01
    stopped = [v.category == "negative" for row, v in seen if row["expected"] == "unsubscribe"]
    assert share(stopped) >= 0.98


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("550 5.1.1 <bob@x.com>: Recipient address rejected: User unknown in virtual mailbox table", "hard"),
        ("550 5.1.0 <me@x.com>: Sender address rejected: User unknown in virtual mailbox table", "block"),
        ("452 4.2.2 The email account that you tried to reach is over quota", "soft"),
        ("550 5.4.1 Recipient address rejected: Access denied. AS(201806281)", "hard"),
        ("550 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org", "block"),
        ("450 4.2.0 <x@y.com>: Recipient address rejected: Greylisted", "soft"),
        ("550 5.4.5 Daily user sending limit exceeded", "account"),
        ("535 5.7.8 Username and Password not accepted", "account"),
        ("Feedback-Type: abuse", "complaint"),
        ("Auto-Submitted: auto-replied", "auto_reply"),
        ("connect to mx.x.com[192.0.2.1]:25: Connection timed out", "soft"),
        ("", "other"),
    ],
)
def test_a_bounce_line(text: str, expected: str) -> None:
    assert bounces.classify(text).outcome == expected


def test_a_delivery_report_is_read_by_its_diagnostic() -> None:
    report = "Your message could not be delivered.\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 no such user here"
    assert bounces.classify(report).outcome == "hard"


def test_a_bare_550_never_condemns_an_address() -> None:
    assert bounces.classify("550").outcome != "hard"


def test_every_wording_names_its_source_and_is_unique() -> None:
    names = [row.name for row in text_rules()]
    assert len(set(names)) == len(names)
    assert all(row.source for row in text_rules())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Yes, sounds good. Can we talk on Thursday?", "positive"),
        ("Klingt spannend, lassen Sie uns telefonieren.", "positive"),
        ("Sorry for the late reply, I was out of office last week. This sounds interesting, let's talk.", "positive"),
        ("Unfortunately Tuesday doesn't suit me, but Wednesday works. Call me then.", "positive"),
        ("Not interested, thanks.", "negative"),
        ("Non merci, nous ne sommes pas intéressés.", "negative"),
        ("Please remove me from your mailing list.", "unsubscribe"),
        ("STOP", "unsubscribe"),
        ("Unsubscribe\n\nJo Smith", "unsubscribe"),
        ("Ich lese keine E-Mails im Urlaub, klingt aber interessant.", "positive"),
        ("Pouvez-vous m'envoyer plus d'informations et vos tarifs ?", "info_request"),
        ("ok", "unknown"),
        ("Bitte nehmen Sie mich aus dem Verteiler.", "unsubscribe"),
        ("no me escriban más", "unsubscribe"),
        ("今後メールを送らないでください", "unsubscribe"),
        ("I'm not the right person, please contact Jane in procurement", "wrong_person"),
        ("How much does it cost?", "info_request"),
        ("Can our users unsubscribe from the newsletters with one click?", "info_request"),
        ("", "unknown"),
    ],
)
def test_a_reply(text: str, expected: str) -> None:
    found = replies.classify(text)
    assert (found.subcategory or found.category) == expected


def test_our_own_words_coming_back_are_not_the_persons() -> None:
    sent = "Hi Jane,\nAre you interested in a meeting next week?\nReply with 'stop' to unsubscribe."
    found = replies.classify(f"We have a supplier already.\n\n{sent}", sent_text=sent)
    assert found.stripped == "We have a supplier already."
    assert found.category == "negative"


def test_an_html_reply_is_read_without_its_quote() -> None:
    body = "<div>Yes, let's talk.</div><blockquote>Click to unsubscribe</blockquote>"
    assert replies.classify(body).category == "positive"


def test_an_out_of_office_resumes_the_day_after_the_return() -> None:
    text = "I am out of the office until 16 March with limited access to email. For urgent matters contact bob@x.com"
    found = replies.classify(text, "Automatic reply: hello", {}, on=ON)
    made = reply_actions.plan(REPLY, found, AT)
    assert (found.return_date, made.exit_sequence, made.status) == (date(2026, 3, 16), False, "paused_ooo")
    assert made.resume_at == datetime(2026, 3, 17, tzinfo=UTC)
    assert not made.sets_replied


def test_an_out_of_office_without_a_date_resumes_after_seven_days() -> None:
    found = replies.classify("I am on annual leave.", "Out of office", {"Auto-Submitted": "auto-replied"}, on=ON)
    assert reply_actions.plan(REPLY, found, AT).resume_at == datetime(2026, 3, 16, 9, tzinfo=UTC)


def test_an_absence_that_is_not_proven_stops_the_sequence() -> None:
    found = replies.classify("Away until the 18th", "Re: hi", {}, on=ON)
    made = reply_actions.plan(REPLY, found, AT)
    assert (found.category, made.exit_sequence, made.status) == ("out_of_office", True, "needs_review")


def test_headers_that_prove_nothing_prove_nothing() -> None:
    assert not replies.is_automatic({"Precedence": "bulk", "X-Auto-Response-Suppress": "All", "Auto-Submitted": "no"})
    assert replies.is_automatic({"auto_submitted": "auto-generated"})


@pytest.mark.parametrize(
    ("text", "exits", "status", "suppress", "task"),
    [
        ("Yes, call me", True, "lead_hot", False, "follow_up_call"),
        ("Not interested", True, "rejected", True, ""),
        ("unsubscribe", True, "rejected", True, ""),
        ("I'm not the right person", True, "needs_review", False, "review_reply"),
        ("How much is it?", True, "needs_review", False, "review_reply"),
        ("hmm", True, "needs_review", False, "review_reply"),
    ],
)
def test_every_human_reply_stops_the_sequence(text: str, exits: bool, status: str, suppress: bool, task: str) -> None:
    made = reply_actions.plan(REPLY, replies.classify(text), AT)
    assert (made.exit_sequence, made.status, made.suppress, made.task) == (exits, status, suppress, task)
    assert made.resume_at is None


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("back on 2026-03-20", date(2026, 3, 20)),
        ("bis zum 20.03.2026", date(2026, 3, 20)),
        ("from 10 March until 24th March", date(2026, 3, 24)),
        ("until Monday, March 23rd", date(2026, 3, 23)),
        ("jusqu'au 25 mars inclus", date(2026, 3, 25)),
        ("hasta el 2 de abril", date(2026, 4, 2)),
        ("fino al 28 marzo", date(2026, 3, 28)),
        ("3月20日まで不在", date(2026, 3, 20)),
        ("back on the 5th", date(2026, 4, 5)),
        ("back next Friday", date(2026, 3, 13)),
        ("back 5 January", date(2027, 1, 5)),
        ("we may je reply", None),
        ("until 2031-01-01", None),
        ("until 31/02/2026", None),
    ],
)
def test_a_return_date(text: str, day: date | None) -> None:
    assert return_date.find(text, ON) == day
