"""Whom a wrong person names instead: an address, a name, or both."""

from __future__ import annotations

import re

ADDRESS = re.compile(r"[\w.+'-]+@[\w-]+(?:\.[\w-]+)+")
NAME = (
    r"(?P<name>(?:(?:Dr|Mr|Mrs|Ms|Mme|M|Herrn?|Frau|Sr|Sra|Sig)\.? )?"
    r"[^\W\d_a-z][\w'’-]+(?: [^\W\d_a-z][\w'’-]+){0,2})"
)
LEADS_TO = re.compile(
    r"(?:(?:[Cc]ontact|[Tt]ry|[Aa]sk(?: for)?|[Ee]-?mail|[Tt]alk to|[Ss]peak (?:to|with)|[Ww]rite to|"
    r"[Rr]each(?: out)? to|[Pp]ing|(?:CC|cc|Cc)'?(?:ing|ed)?|[Ll]oop(?:ing|ed)? in|[Aa]dding|"
    r"passing (?:this|you|it) (?:on )?to|forwarded? (?:this|it|you) to|over to|[Ww]enden Sie sich (?:bitte )?an|"
    r"[Cc]ontactez|[Vv]oyez avec|[Aa]dressez-vous à|(?:[Hh]abla|[Hh]able|[Cc]ontacte?) con|[Ff]ale com(?: [oa])?|"
    r"(?:[Cc]ontatti|[Ss]enta|[Ss]criva a)|[Nn]eem contact op met|[Kk]ontakta?|proszę o kontakt z)[ :]+)" + NAME
)
FIRST_WORDS = frozenset({"The", "Our", "My", "You", "Your", "Me", "Us", "I", "HR", "IT", "Procurement", "Please"})


def find(text: str, lead: str) -> str:
    """`Name <address>` as far as the text tells, or nothing. The lead's own address is nobody else's."""
    addresses = [each for each in ADDRESS.findall(text) if each.lower() != lead.lower()]
    named = next((found for found in LEADS_TO.finditer(text) if found["name"].split()[0] not in FIRST_WORDS), None)
    name = named["name"] if named else ""
    address = addresses[0] if addresses else ""
    return f"{name} <{address}>" if name and address else name or address
