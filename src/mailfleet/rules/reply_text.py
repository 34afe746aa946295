"""What the person wrote: the reply without the quoted original, the signature and the disclaimer."""

from __future__ import annotations

import functools
import html
import re

from mailparser_reply import EmailReplyParser

LONGEST = 20_000
LANGUAGES = ["en", "de", "fr", "es", "it", "nl", "da", "sv", "pl", "cs", "ja"]

QUOTE_HEADER = re.compile(
    r"^[ \t>*]*(?:"
    r"on .{4,200}(?:wrote|writes)\s*:|am .{4,200}schrieb.{0,120}:|le .{4,200}a [ée]crit.{0,80}:|"
    r"el .{4,200}escribi[óo].{0,120}:|em .{4,200}escreveu.{0,120}:|il .{4,200}ha scritto.{0,80}:|"
    r"op .{4,200}schreef.{0,120}:|(?:den|d\.|på) .{4,200}(?:skrev|skrivet).{0,120}:|dne .{4,200}napsal.{0,120}:|"
    r"(?:w dniu|dnia) .{4,200}napisa.{0,120}:|.{4,120}(?:のメール|さんは書きました|が書きました)[:：]|"
    r"\d{4}[年/-].{4,120}(?:<[^>]+@[^>]+>)\s*[:：]|.{2,80}<[^>@\s]+@[^>\s]+>\s*(?:wrote|schrieb|a écrit|escribió|"
    r"skrev)\s*:|"
    r"-{2,}\s*(?:original message|forwarded message|ursprüngliche nachricht|message d'origine|mensaje original|"
    r"mensagem original|messaggio originale|oorspronkelijk bericht|original(?:meddelelse|meddelande)).*|"
    r"begin forwarded message:|_{10,}\s*$"
    r")",
    re.IGNORECASE,
)
HEADER_LINE = re.compile(
    r"^[ \t>*]*(?:from|von|de|da|van|fra|från|差出人|od|отправитель)\s*\*?\s*[:：]\s*\*?.*(?:@|<|\[mailto)",
    re.IGNORECASE,
)
SECOND_HEADER = re.compile(
    r"^[ \t>*]*(?:sent|gesendet|envoy[ée]|enviado(?: el)?|inviato|verzonden|sendt|skickat|to|an|à|para|a|aan|til|till|"
    r"subject|betreff|objet|asunto|assunto|oggetto|onderwerp|emne|ämne|date|datum|送信日時|宛先|件名)\s*\*?\s*[:：]",
    re.IGNORECASE,
)
SIGNATURE = re.compile(
    r"^\s*(?:--\s*$|—\s*$|(?:kind|best|warm|many|with best|with kind)?\s*regards\b|(?:yours )?(?:sincerely|"
    r"faithfully|truly)\b|"
    r"cheers\b|best(?: wishes)?,|thanks,\s*$|mit (?:freundlichen|besten|vielen) gr[üu]|(?:viele|beste|liebe|"
    r"freundliche) gr[üu]|mfg\b|"
    r"cordialement|bien (?:à vous|cordialement)|salutations|(?:un )?(?:cordial )?saludos?\b|atentamente|"
    r"cordiali saluti|"
    r"distinti saluti|atenciosamente|cumprimentos|met vriendelijke groet|(?:med )?(?:venlig|vänlig)\w* hils\w*|"
    r"med venlig hilsen|med vänliga hälsningar|よろしくお願い|以上、よろしく)",
    re.IGNORECASE,
)
DEVICE = re.compile(
    r"^\s*(?:sent from (?:my|a|mail|outlook|yahoo)|get outlook for|gesendet von|von meinem .{2,20} gesendet|"
    r"envoyé (?:de|depuis)|"
    r"enviado (?:desde|do|a partir)|inviato da|verzonden vanaf|skickat från|sendt fra|iphoneから送信)",
    re.IGNORECASE,
)
DISCLAIMER = re.compile(
    r"^\W*(?:confidentiality|disclaimer|notice\b.*confidential|this (?:e-?mail|message|communication|"
    r"transmission).{0,80}"
    r"(?:confidential|intended|privileged|may contain|solely)|the (?:information|"
    r"content)s? .{0,40}(?:contained|in this)|"
    r"if you (?:are not the intended|have received this|received this)|diese (?:e-?mail|"
    r"nachricht) .{0,60}(?:vertraulich|enthält)|"
    r"ce (?:message|courriel).{0,60}(?:confidentiel|destin)|este (?:mensaje|correo|"
    r"e-?mail).{0,80}(?:confidencial|dirigid)|"
    r"esta mensagem.{0,80}confidencial|questo messaggio.{0,80}(?:riservat|confidenzial)|"
    r"dit bericht.{0,60}vertrouwelijk|"
    r"please consider the environment|\[?(?:external|caution|extern)\b.{0,60}(?:e-?mail|sender|mail))",
    re.IGNORECASE,
)


def strip(text: str, sent_text: str = "") -> str:
    """The person's own words. `sent_text` is our stored mail, subtracted line by line wherever it comes back."""
    lines = _plain(text).replace("\r\n", "\n").replace("\r", "\n")[:LONGEST].split("\n")
    cut = _above_quote(lines)
    if len(cut) == len(lines) and len(lines) > 6 and re.search(r"\S+@\S+", text):
        cut = _by_library("\n".join(lines)).split("\n")
    ours = _known(sent_text)
    kept = [line for line in cut if not line.lstrip().startswith(">") and _bare(line) not in ours]
    return "\n".join(_without_signature(kept)).strip()


def _plain(text: str) -> str:
    """The text of an HTML body, quotes left out; anything else as it is."""
    if not re.search(r"</?(?:html|body|div|p|br|span|blockquote)\b[^>]*>", text, re.IGNORECASE):
        return text
    bare = re.sub(r"<(blockquote|style|script|head)\b.*?(?:</\1\s*>|$)", "", text, flags=re.IGNORECASE | re.DOTALL)
    bare = re.sub(r"<br\s*/?>|</(?:p|div|li|tr|h\d)\s*>", "\n", bare, flags=re.IGNORECASE)
    return html.unescape(re.sub(r"<[^>\n]*>", "", bare)).replace("\xa0", " ")


def _above_quote(lines: list[str]) -> list[str]:
    for n, line in enumerate(lines):
        # A header may be broken over two or three lines.
        joined = " ".join(part.strip() for part in lines[n : n + 3])
        if QUOTE_HEADER.match(line) or (_opens(line) and QUOTE_HEADER.match(joined)) or _header_block(lines, n):
            return lines[:n] if any(part.strip() for part in lines[:n]) else _after_quote(lines, n)
    return lines


def _opens(line: str) -> bool:
    return bool(
        re.match(r"^[ \t>*]*(?:on|am|le|el|em|il|op|den)\b.*\d", line, re.IGNORECASE)
    ) and not line.rstrip().endswith(".")


def _header_block(lines: list[str], n: int) -> bool:
    return bool(HEADER_LINE.match(lines[n])) and any(SECOND_HEADER.match(after) for after in lines[n + 1 : n + 5])


def _after_quote(lines: list[str], n: int) -> list[str]:
    """An answer written below or between the quotes: what is not quoted."""
    rest = [line for line in lines[n + 1 :] if not line.lstrip().startswith(">") and not SECOND_HEADER.match(line)]
    return rest if any(line.lstrip().startswith(">") for line in lines) else []


def _by_library(text: str) -> str:
    found = _parser().read(text).replies
    return found[0].body if found else text


@functools.cache
def _parser() -> EmailReplyParser:
    return EmailReplyParser(languages=LANGUAGES)


def _known(sent_text: str) -> frozenset[str]:
    return frozenset(bare for line in sent_text.splitlines() if len(bare := _bare(line)) >= 8 or " " in bare)


def _bare(line: str) -> str:
    return re.sub(r"\W+", " ", line.lstrip("> \t")).strip().casefold()


def _without_signature(lines: list[str]) -> list[str]:
    while lines and not lines[0].strip():
        lines = lines[1:]
    kept: list[str] = []
    for n, line in enumerate(lines):
        if DISCLAIMER.match(line) and not n:
            continue
        if DEVICE.match(line) or DISCLAIMER.match(line) or (kept and SIGNATURE.match(line) and len(line) < 60):
            break
        kept.append(line)
    return kept
