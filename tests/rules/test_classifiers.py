"""The classifiers on the labelled samples, at the thresholds they have to hold, and on plain cases of each kind."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mailfleet.policy.model import default_policy
from mailfleet.rules import bounces, judged, referral, replies, reply_actions, report, return_date
from mailfleet.rules.bounce_rules import text_rules

DATA = Path(__file__).parent.parent / "data"
REPLY = default_policy().reply
ON = date(2026, 3, 9)
AT = datetime(2026, 3, 9, 9, tzinfo=UTC)
LITERAL = 41
SAMPLES = ("bounces.jsonl", "bounces-held-out.jsonl", "replies.jsonl", "replies-tuning.jsonl", "replies-held-out.jsonl",
           "replies-fresh-a.jsonl", "replies-fresh-b.jsonl")  # fmt: skip
REPORT = """From: MAILER-DAEMON@mx.example
To: us@x.example
Subject: Undelivered Mail
Content-Type: multipart/report; boundary="b"

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example

Final-Recipient: rfc822; jo@corp.example
Action: {action}
Status: {status}
Diagnostic-Code: smtp; {said}

--b
Content-Type: text/rfc822-headers

Message-ID: <ours@x>

--b
Content-Type: message/rfc822

Message-ID: <ours@x>
Subject: user unknown spam

hi
--b--
"""
FOUR = {"unsubscribe": "negative", "wrong_person": "unknown", "info_request": "unknown"}


def rows(name: str) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in (DATA / name).read_bytes().splitlines() if line]


def share(hits: list[bool]) -> float:
    return sum(hits) / len(hits)


def outcome(row: dict[str, Any]) -> str:
    code = int(row["reply_code"]) if row["reply_code"] else None
    found = bounces.classify(row["text"], row["enhanced_code"], code).outcome
    return "block" if found == "account" and "account" not in row["accept"] else found


@pytest.mark.parametrize("name", ["bounces.jsonl", "bounces-held-out.jsonl"])
def test_bounces_are_read_right(name: str) -> None:
    seen = [(row, outcome(row)) for row in rows(name)]
    assert share([got in row["accept"] for row, got in seen]) >= 0.90
    assert share([got == "hard" for row, got in seen if "hard" not in row["accept"]]) <= 0.05
    assert share([got != "hard" for row, got in seen if row["accept"] == ["hard"]]) <= 0.10


def answer(row: dict[str, Any]) -> replies.Verdict:
    return replies.classify(row["text"], row["subject"], row["headers"], keywords=REPLY.auto_categories)


@pytest.mark.parametrize("name", [name for name in SAMPLES if name.startswith("replies")])
def test_replies_are_read_right(name: str) -> None:
    seen = [(row, answer(row)) for row in rows(name)]
    accepted = [v.category in {FOUR.get(a, a) for a in (row["expected"], *row["accept"])} for row, v in seen]
    assert share(accepted) >= 0.88
    refusals = [(row, v) for row, v in seen if row["expected"] in ("negative", "unsubscribe")]
    harm = [v.category in ("positive", "out_of_office") and v.category not in row["accept"] for row, v in refusals]
    assert share(harm) <= 0.01
    stopped = [v.category == "negative" for row, v in seen if row["expected"] == "unsubscribe"]
    assert share(stopped) >= 0.98


def test_no_rule_repeats_a_sample() -> None:
    rules = "".join(
        (files("mailfleet.rules") / "data" / f"{kind}_texts.tsv").read_text() for kind in ("bounce", "reply")
    )
    written = {rules[n : n + LITERAL] for n in range(len(rules) - LITERAL)}
    samples = [row["text"].lower() for name in SAMPLES for row in rows(name)]
    assert not [text for text in samples if any(text[n : n + LITERAL] in written for n in range(len(text) - LITERAL))]


def test_a_whole_report_is_read_by_its_parts() -> None:
    assert (
        bounces.judge(REPORT.format(action="failed", status="5.1.1", said="550 5.1.1 no such user")).outcome == "hard"
    )
    assert bounces.judge(REPORT.format(action="delayed", status="4.4.1", said="connection refused")).outcome == "soft"
    read = report.read(REPORT.format(action="failed", status="5.2.2", said="552 over quota"))
    assert (read.recipients, read.message_ids) == (("jo@corp.example",), ("<ours@x>",))
    feedback = REPORT.replace("message/delivery-status", "message/feedback-report")
    assert bounces.judge(feedback.format(action="x", status="x", said="x")).outcome == "complaint"


@pytest.mark.parametrize("kind", [judged.bounce, judged.reply])
@pytest.mark.parametrize(
    "line",
    ["rubbish", "[" * 100_000, "[1]", "null", '{"text": null}', '{"text": 5, "headers": "x", "subject": 1, "id": [1]}',
     '{"text": "\\ud800 \\u0000", "reply_code": 1e400}', '{"headers": [["a"], 1], "reply_code": "9999999999"}',
     '{"text": "' + "no " * 100_000 + '"}'],
)  # fmt: skip
def test_rubbish_gets_an_answer(kind: Callable[[str, int], dict[str, object]], line: str) -> None:
    assert next(iter(kind(line, 1))) == "id"


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
        ("Me interesa. ¿Podemos hablar la próxima semana? El martes me viene bien.", "positive"),
        ("Tenho interesse. Podemos falar na próxima semana?", "positive"),
        ("¿Qué precio tiene?", "info_request"),
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


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("Wrong person. Contact Jane Doe in procurement, jane@corp.example", "Jane Doe <jane@corp.example>"),
        ("Please try our IT team.", ""),
        ("Bitte wenden Sie sich an Frau Klein.", "Frau Klein"),
        ("Write to office@corp.example", "office@corp.example"),
        ("I am the wrong one, me@corp.example", ""),
    ],
)
def test_a_wrong_person_names_another(text: str, named: str) -> None:
    assert referral.find(text, "me@corp.example") == named
