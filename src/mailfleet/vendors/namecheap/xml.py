"""Namecheap's XML, read safely and without regard to case: its pages and its answers differ in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from xml.etree.ElementTree import Element, ParseError

import msgspec
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """An element: its name and attributes in lower case, without namespace."""

    name: str
    attributes: Mapping[str, str]
    text: str
    children: tuple[Node, ...] = ()

    def find(self, name: str) -> Node | None:
        """The first of this name, at any depth."""
        return next(self.all(name), None)

    def all(self, name: str) -> Iterator[Node]:
        for child in self.children:
            if child.name == name.lower():
                yield child
            yield from child.all(name)

    def get(self, attribute: str, default: str = "") -> str:
        return self.attributes.get(attribute.lower(), default)

    def yes(self, attribute: str) -> bool:
        return self.get(attribute).lower() == "true"


def parse(text: str) -> Node | None:
    """None for what is no XML, or uses what could harm the reader (entities, external references)."""
    try:
        return _node(fromstring(text))
    except (ParseError, DefusedXmlException, ValueError):
        return None


def _node(element: Element) -> Node:
    return Node(
        name=element.tag.rpartition("}")[2].lower(),
        attributes={name.rpartition("}")[2].lower(): value for name, value in element.attrib.items()},
        text=(element.text or "").strip(),
        children=tuple(_node(child) for child in element),
    )
