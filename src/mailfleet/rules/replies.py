"""What a reply means (classification.md, S11): automatic first, the quoted original cut, opt-out before all else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Literal

import msgspec

from mailfleet.policy.model import AutoCategories
from mailfleet.rules import reply_text, return_date
from mailfleet.rules.reply_rules import hit, without

Category = Literal["positive", "negative", "out_of_office", "unknown"]
Subcategory = Literal["unsubscribe", "wrong_person", "info_request"]

AUTO_SUBJECT = re.compile(
    r"^\W*(?:(?:re|aw|sv|antw|ref)\s*:\s*)?(?:auto(?:matic|mated|matisch\w*|mātisk\w*)?[- ]?(?:reply|response|"
    r"respond\w*|antwor\w*|svar)\b|"
    r"autoreply|autosvar|out[- ]of[- ](?:the )?office|ooo\b|automatis\w+ (?:antwort|antwoord|svar)|abwesen\w*|"
    r"réponse automatique|absence|absent|respuesta automática|fuera de (?:la )?oficina|ausencia|resposta automática|"
    r"ausência|fora d[oe] escritório|risposta automatica|fuori (?:ufficio|sede)|assenza|afwezig\w*|automatická odpověď|"
    r"autoodpowiedź|automatyczna odpowiedź|автоответ|自動(?:応答|返信)|不在|自动回复|부재|vacation|away from)",
    re.IGNORECASE,
)
PAST = re.compile(
    r"\b(?:was|were|had been|have been|just (?:got )?back|back from|war|étais|estaba|estuve|estava|ero)\b.{0,30}"
)
SPOKEN_BY_PEOPLE = frozenset(
    f"unsubscribe/en-{name}"
    for name in ("angry", "legal", "stop", "stopping", "not-contact", "threat", "asks", "nomore", "no-more", "polite",
                 "keep", "rude", "do-not", "consent", "complaint", "no-want", "not-contacted", "more")
)  # fmt: skip
"""Rows that a responder's own words hit: "I stop reading mail at five", "do not reply to this message"."""
LITTLE = (
    r"(?:ok|okay|k|noted|received|got it|thanks?|thank you|thx|cheers|hm+|lol|ha(?:ha)+\w*|test(?:ing)?|merci|danke|"
    r"gracias|obrigad[oa]|grazie|bedankt|dank je|tak|tack|takk|kiitos|dziękuję|děkuji|спасибо|дякую|teşekkürler|"
    r"(?:bien )?reçu|recibido|erhalten|ricevuto|ontvangen|modtaget|mottaget|good (?:morning|day|afternoon)|hi|hello)"
)
TOO_LITTLE = re.compile(rf"^\W*{LITTLE}(?:\W+{LITTLE}){{0,2}}\W*$")
"""An answer that says it was read and no more."""
OFFERED = re.compile(
    r"\b(?:(?:couple|few) of (?:slots|times|options)|send (?:me |us |through |over )*(?:a |an |the |some )?"
    r"(?:invite|slots?|times|calendar\b)|pencil (?:it|me|you|something) in|book (?:it|me|us|something) in|"
    r"let's do it)\b"
)
"""Asks for the meeting itself: a refusal beside it is of something else."""
NEGATED = re.compile(r"\b(?:not|no|never|none|nothing|nobody|neither|nor|without|cannot|\w+n't)\b")
READ = 4000
"""Characters the rules look at: a reply says what it means at its beginning."""
LONG_REPLY = 60
"""Words; a keyword of the policy is evidence only in an answer shorter than this."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """`stripped` is what the person wrote; `proven_automatic` alone may resume a sequence; `review`: ask a person."""

    category: Category
    subcategory: Subcategory | None = None
    rule: str
    confidence: float
    stripped: str
    automatic: bool = False
    proven_automatic: bool = False
    return_date: date | None = None
    review: bool = False


def classify(
    text: str,
    subject: str = "",
    headers: Mapping[str, str] | None = None,
    sent_text: str = "",
    *,
    on: date | None = None,
    keywords: AutoCategories | None = None,
) -> Verdict:
    """The meaning of one reply.

    `sent_text` is our mail, subtracted where it is quoted; `on` the day it came, needed to read a return date;
    `keywords` the policy's lists, read last and as whole words (S11).
    """
    stripped = reply_text.strip(text, sent_text)
    plain = _evened(stripped[:READ])
    machine = is_automatic(headers or {})
    if machine or AUTO_SUBJECT.search(_evened(subject)) or _sounds_automatic(plain):
        return _automatic(stripped, plain, _evened(subject), on, proven=_proven(plain, _evened(subject), machine))
    return _human(stripped, plain, on, keywords)


def is_automatic(headers: Mapping[str, str]) -> bool:
    """Does a header prove a machine wrote it (RFC 3834)? `Precedence: bulk` and suppression hints prove nothing."""
    low = {name.lower().replace("_", "-"): value.strip().lower() for name, value in headers.items()}
    submitted = low.get("auto-submitted", "no").split(";")[0].strip()
    return (
        submitted not in ("no", "")
        or any(name in low for name in ("x-autoreply", "x-autorespond", "x-autoresponder"))
        or low.get("precedence") in ("auto_reply", "auto-reply")
    )


def _sounds_automatic(plain: str) -> bool:
    """A responder's text without a header or subject to prove it: an absence in the present, and nothing about us."""
    if AUTO_SUBJECT.search(plain[:40]) and hit("absent", plain):
        return True
    if not hit("absent", plain):
        return bool(hit("left_company", plain) and hit("responder", plain)) or _is_receipt(plain)
    past = re.search(
        r"\b(?:was|were|had been|have been|just (?:got )?back|back from|war|étais|estaba|estuve|estava|ero|"
        r"was)\b.{0,30}",
        plain,
    )
    present = not past or hit("absent", plain.replace(past.group(0), " "))
    talks = hit("positive", _without_absence(plain)) or hit("info_request", plain)
    return bool(present) and (bool(hit("responder", plain)) or not talks)


def _is_receipt(plain: str) -> bool:
    return bool(re.search(r"^\W*(?:thank you for (?:contacting|your)|we have received)", plain)) and bool(
        hit("acknowledgement", plain)
    )


def _without_absence(plain: str) -> str:
    return re.sub(r"\b(?:call|contact|in case of|for urgent|back|return\w*|until)\b[^.!?]*", " ", plain)


def _proven(plain: str, subject: str, machine: bool) -> bool:
    # The platform gives no headers: a responder's subject, or an absence told in a responder's own formulas.
    return machine or bool(AUTO_SUBJECT.search(subject)) or bool(hit("absent", plain) and hit("responder", plain))


def _automatic(stripped: str, plain: str, subject: str, on: date | None, *, proven: bool) -> Verdict:
    if (rule := _opt_out(plain)) and rule not in SPOKEN_BY_PEOPLE:
        return _made("negative", "unsubscribe", rule, 0.8, stripped, automatic=True, review=True)
    if rule := hit("left_company", plain):
        return _made("unknown", "wrong_person", rule, 0.9, stripped, automatic=True)
    absent = hit("absent", plain) or hit("absent", subject) or hit("absent_more", plain)
    if not absent and hit("acknowledgement", plain):
        return _made("unknown", None, hit("acknowledgement", plain), 0.8, stripped, automatic=True)
    if absent:
        back = return_date.find(stripped, on) if on else None
        return _made(
            "out_of_office", None, absent, 0.95 if proven else 0.7, stripped, automatic=True, proven=proven, back=back,
            review=not proven,
        )  # fmt: skip
    # A machine that says none of the rest is most often a responder; without words of absence it resumes nothing.
    return _made("out_of_office", None, "automatic", 0.5, stripped, automatic=True, review=True)


def _human(stripped: str, plain: str, on: date | None, keywords: AutoCategories | None) -> Verdict:
    if not re.search(r"\w|👍|✅", plain):
        return _made("unknown", None, "empty", 0.5, stripped, review=True)
    if TOO_LITTLE.match(plain):
        return _made("unknown", None, "too little", 0.6, stripped, review=True)
    # One word and a name below it is an opt-out too: the first line is read by itself as well.
    if rule := _opt_out(plain) or _opt_out(_evened(stripped.split("\n", 1)[0])):
        return _made("negative", "unsubscribe", rule, 0.9, stripped)
    if rule := hit("handover", plain):
        return _made("positive", None, rule, 0.8, stripped)
    for meaning in ("left_company", "wrong_person"):
        if rule := hit(meaning, plain):
            return _made("unknown", "wrong_person", rule, 0.8, stripped)
    return _intent(stripped, plain) or _keyword(stripped, plain, keywords) or _nothing(stripped)


def _opt_out(plain: str) -> str:
    """The rule that reads an opt-out, or nothing. Talk about unsubscribing in general is not one."""
    if not (rule := hit("unsubscribe", plain)):
        return ""
    spare = hit("not_opt_out", plain)
    if not spare:
        return rule
    # Judge again without the sentence that only talks about it: what stays has to be a request of its own.
    rest = " ".join(part for part in re.split(r"(?<=[.!?\n])\s*", plain) if not hit("not_opt_out", part))
    return hit("unsubscribe", rest)


def _intent(stripped: str, plain: str) -> Verdict | None:
    plain = without("spare", plain)
    no, yes, ask = hit("negative", plain), hit("positive", plain), hit("info_request", plain)
    if no and yes and (_turns(plain) or OFFERED.search(plain)):
        return _made("positive", None, yes, 0.6, stripped, review=True)
    if no:
        return _made("negative", None, no, 0.85 if not yes else 0.6, stripped, review=bool(yes))
    if ask and not _proposes(plain):
        return _made("unknown", "info_request", ask, 0.8, stripped)
    if yes:
        return _made("positive", None, yes, 0.85, stripped, review=bool(hit("weak_negative", plain)))
    if re.search(r"[?？]\s*$", plain):
        return _made("unknown", "info_request", "question", 0.5, stripped, review=True)
    if weak := hit("weak_negative", plain):
        return _made("negative", None, weak, 0.4, stripped, review=True)
    # What says no to something, and nothing else that is understood, is most often a refusal: a person looks at it.
    if NEGATED.search(plain) and len(plain.split()) > 2:
        return _made("negative", None, "negated", 0.35, stripped, review=True)
    return None


def _turns(plain: str) -> bool:
    """A refusal of one thing and a yes to another: what follows the turn decides."""
    turned = re.search(r"\b(?:but|however|aber|mais|pero|mas|ma|maar|men)\b(.*)$", plain)
    return bool(turned and hit("positive", turned.group(1)) and not hit("negative", turned.group(1)))


def _proposes(plain: str) -> bool:
    """Asks for a meeting or says yes outright, so that its question is how, not whether."""
    return bool(
        re.search(
            r"\b(?:proceed|next steps?|when suits|hear more|conversation|set up a time|slots?|"
            r"your week|kick|get started|"
            r"(?:mon|tues|wednes|thurs|fri)day|availability|available|present|show us|keen|"
            r"demo|call|meet\w*|chat|talk|calendar|book|schedule|termin|rendez-vous|llamada|reunión|reunião|"
            r"afspraak|"
            r"møde|möte|dinsdag bellen|interested|interessant|intéress|打ち合わせ)\b",
            plain,
        )
    ) and bool(hit("positive", plain))


def _keyword(stripped: str, plain: str, keywords: AutoCategories | None) -> Verdict | None:
    if keywords is None or len(plain.split()) > LONG_REPLY:
        return None
    rows: tuple[tuple[Category, tuple[str, ...]], ...] = (
        ("negative", keywords.negative),
        ("out_of_office", keywords.out_of_office),
        ("positive", keywords.positive),
    )
    for category, words in rows:
        for word in words:
            if re.search(rf"(?<!\w){re.escape(word.lower())}(?!\w)", plain):
                return _made(category, None, f"keyword {word}", 0.4, stripped, review=True)
    return None


def _nothing(stripped: str) -> Verdict:
    return _made("unknown", None, "none", 0.3, stripped, review=True)


def _made(
    category: Category,
    subcategory: Subcategory | None,
    rule: str,
    confidence: float,
    stripped: str,
    *,
    automatic: bool = False,
    proven: bool = False,
    back: date | None = None,
    review: bool = False,
) -> Verdict:
    return Verdict(
        category=category,
        subcategory=subcategory,
        rule=rule,
        confidence=confidence,
        stripped=stripped,
        automatic=automatic,
        proven_automatic=proven,
        return_date=back,
        review=review,
    )


def _evened(text: str) -> str:
    """Lower case, straight quotes, single spaces: what the patterns are written against."""
    low = text.lower().replace("’", "'").replace("‘", "'").replace("´", "'").replace("“", '"').replace("”", '"')
    return re.sub(r"\s+", " ", low).strip()
