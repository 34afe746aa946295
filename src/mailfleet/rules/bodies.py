"""Bodies of mails: written as plain text or HTML, sent as HTML, as a platform folds the line breaks of plain text."""

from __future__ import annotations

import html
import re

_MARKUP = re.compile(r"<(?:a|b|br|div|em|html|i|img|li|ol|p|span|strong|table|u|ul)\b[^<>]*>", re.IGNORECASE)
_LINK = re.compile(r"https?://[^\s<>\"']*[^\s<>\"'.,;:!?)\]]")
_PARAGRAPHS = re.compile(r"\n[ \t]*\n\s*")


def is_html(body: str) -> bool:
    """Is it written in HTML? A lone `<` in plain text is none."""
    return _MARKUP.search(body) is not None


def to_html(body: str) -> str:
    """The body as HTML: as it stands when it is HTML already, else escaped, in paragraphs, its addresses as links.

    Merge fields (`{{first_name}}`) pass through unchanged.
    """
    if is_html(body):
        return body
    text = body.replace("\r\n", "\n").strip()
    return "".join(f"<p>{_lines(paragraph)}</p>" for paragraph in _PARAGRAPHS.split(text) if paragraph)


def _lines(paragraph: str) -> str:
    return "<br>".join(_linked(line.strip()) for line in paragraph.split("\n"))


def _linked(line: str) -> str:
    parts: list[str] = []
    end = 0
    for found in _LINK.finditer(line):
        address = html.escape(found[0])
        parts += [html.escape(line[end : found.start()], quote=False), f'<a href="{address}">{address}</a>']
        end = found.end()
    return "".join([*parts, html.escape(line[end:], quote=False)])
