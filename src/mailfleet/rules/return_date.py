"""When an absent person is back, read from an out-of-office text: never later than a year from the day it was read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta

HORIZON = timedelta(days=365)
MONTHS = (
    "jan|genn|ene|janv|ledna|stycz",
    "feb|fév|fev|únor|luteg",
    "mar|mär|mrt|maa|břez",
    "apr|avr|abr|dubn|kwie",
    "may|mai|maggio|maj|mei|mayo|maio|květ",
    "jun|juin|giug|červn|czerw",
    "jul|juil|lugl|červenc|lipca",
    "aug|août|aout|ago|srpn|sierp",
    "sep|sett|setem|září|wrześ",
    "oct|okt|outub|ott|říjn|paźdz",
    "nov|listop",
    "dec|dez|déc|dic|desem|prosin|grud",
)
DAYS = (
    "monday|montag|lundi|lunes|lunedì|maandag|mandag|måndag|segunda",
    "tuesday|dienstag|mardi|martes|martedì|dinsdag|tirsdag|tisdag|terça",
    "wednesday|mittwoch|mercredi|miércoles|mercoledì|woensdag|onsdag|quarta",
    "thursday|donnerstag|jeudi|jueves|giovedì|donderdag|torsdag|quinta",
    "friday|freitag|vendredi|viernes|venerdì|vrijdag|fredag|sexta",
    "saturday|samstag|samedi|sábado|sabato|zaterdag|lørdag|lördag",
    "sunday|sonntag|dimanche|domingo|domenica|zondag|søndag|söndag",
)
WORD = r"[^\W\d_]{3,12}\.?"
ISO = re.compile(r"\b(20\d\d)-(\d{1,2})-(\d{1,2})\b")
NUMERIC = re.compile(r"\b(\d{1,2})(?:[./](\d{1,2})(?:[./](20\d\d|\d\d)?)?|-(\d{1,2})-(20\d\d))(?!\d)")
DAY_MONTH = re.compile(
    rf"\b(\d{{1,2}})(?:st|nd|rd|th|er|º|\.)?\s+(?:of\s+|de\s+|d'\s*)?({WORD})(?:,?\s+(?:de\s+)?(20\d\d))?",
    re.IGNORECASE,
)
MONTH_DAY = re.compile(rf"\b({WORD})\s+(\d{{1,2}})(?:st|nd|rd|th)?\b(?:,?\s+(20\d\d))?", re.IGNORECASE)
JAPANESE = re.compile(r"(?:(20\d\d)年)?(\d{1,2})月(\d{1,2})日")
ORDINAL = re.compile(r"\bthe (\d{1,2})(?:st|nd|rd|th)\b(?!\s+of)", re.IGNORECASE)
SINCE = re.compile(
    r"\b(?:from|since|seit|vom|ab|depuis|du|desde|dal|van(?:af)?|fra|från)\s*(?:the\s*)?$",
    re.IGNORECASE,
)


def find(text: str, on: date) -> date | None:
    """The latest date in `text` from `on` to a year later; None when the text names none that can be believed.

    Dates that begin an absence ("from 3 March") count only when nothing else is named.
    """
    ends: list[date] = []
    starts: list[date] = []
    for at, day in _dates(text[:2000], on):
        if on <= day <= on + HORIZON:
            (starts if SINCE.search(text[max(0, at - 14) : at]) else ends).append(day)
    return max(ends or starts, default=None)


def _dates(text: str, on: date) -> Iterator[tuple[int, date]]:
    for match in ISO.finditer(text):
        yield from _made(match.start(), int(match[1]), int(match[2]), int(match[3]), on)
    for match in NUMERIC.finditer(text):
        # Day first, as most of the world writes it, unless that cannot be.
        day, month = int(match[1]), int(match[2] or match[4])
        day, month = (month, day) if month > 12 >= day else (day, month)
        yield from _made(match.start(), _year(match[3] or match[5]), month, day, on)
    for match in DAY_MONTH.finditer(text):
        yield from _made(match.start(), _year(match[3]), _month(match[2]), int(match[1]), on)
    for match in MONTH_DAY.finditer(text):
        yield from _made(match.start(), _year(match[3]), _month(match[1]), int(match[2]), on)
    for match in JAPANESE.finditer(text):
        yield from _made(match.start(), _year(match[1]), int(match[2]), int(match[3]), on)
    for match in ORDINAL.finditer(text):
        yield from _in_month(match.start(), int(match[1]), on)
    yield from _weekdays(text, on)


def _weekdays(text: str, on: date) -> Iterator[tuple[int, date]]:
    low = text.lower()
    for index, names in enumerate(DAYS):
        # A weekday that stands with a date ("Monday, July 7") is said by the date.
        for match in re.finditer(rf"\b(?:{names})\b(?!,?\s*(?:the\s+)?(?:\d|[^\W\d_]+\s+\d))", low):
            yield match.start(), on + timedelta(days=(index - on.weekday() - 1) % 7 + 1)
    if match := re.search(r"\btomorrow\b|\bmorgen\b|\bdemain\b|\bmañana\b|\bdomani\b", low):
        yield match.start(), on + timedelta(days=1)
    if match := re.search(
        r"\bnext week\b|nächste(?:r|n)? woche|semaine prochaine|próxima semana|prossima settimana|volgende week", low
    ):
        yield match.start(), on + timedelta(days=7 - on.weekday())


def _year(given: str | None) -> int | None:
    if not given:
        return None
    return int(given) if len(given) == 4 else 2000 + int(given)


def _month(word: str) -> int:
    low = word.lower().rstrip(".")
    for number, names in enumerate(MONTHS, start=1):
        if any(low.startswith(name) for name in names.split("|")):
            return number
    return 0


def _made(at: int, year: int | None, month: int, day: int, on: date) -> Iterator[tuple[int, date]]:
    try:
        found = date(year or on.year, month, day)
    except ValueError:
        return
    # Without a year the next such day is meant; one long past is next year's.
    if year is None and found < on - timedelta(days=30):
        found = date(found.year + 1, found.month, min(found.day, 28) if found.month == 2 else found.day)
    yield at, found


def _in_month(at: int, day: int, on: date) -> Iterator[tuple[int, date]]:
    first = on.replace(day=1)
    for _ in range(2):
        try:
            found = first.replace(day=day)
        except ValueError:
            return
        if found >= on:
            yield at, found
            return
        first = (first + timedelta(days=32)).replace(day=1)
