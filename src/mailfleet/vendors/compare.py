"""Where an answer differs from what is written: from a documented example, and from an OpenAPI description."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

ROWS = "[]"


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """`against`: model, documents or description. `new` says only that there is more than is written."""

    against: str
    where: str
    what: str
    new: bool = False


DROPPED = ("password", "imap_password")
"""Fields that are taken out of every answer before anything can keep them (V13): their absence says nothing."""


def with_example(example: Any, seen: Any, where: str = "$") -> Iterator[Difference]:
    """Names and types of a documented answer that are missing or other in the one seen. Null says nothing."""
    if example is None or seen is None:
        return
    if isinstance(example, Mapping):
        if not isinstance(seen, Mapping):
            yield _differs("documents", where, "an object", seen)
            return
        for name, part in example.items():
            if _by_data(str(name)) or name in DROPPED:
                continue
            if name not in seen:
                yield Difference(against="documents", where=f"{where}.{name}", what="is documented and not there")
            else:
                yield from with_example(part, seen[name], f"{where}.{name}")
    elif isinstance(example, list):
        if not isinstance(seen, list):
            yield _differs("documents", where, "a list", seen)
        elif example:
            for row in seen:
                yield from min((list(with_example(each, row, where + ROWS)) for each in example), key=len)
    elif _kind(example) != _kind(seen):
        yield _differs("documents", where, _kind(example), seen)


def _by_data(name: str) -> bool:
    """A map's key that is data, such as an address."""
    return "@" in name


def with_schema(schema: Mapping[str, Any], seen: Any, root: Mapping[str, Any], where: str = "$") -> list[Difference]:
    """What a JSON schema (the part of it that descriptions use) does not allow, and fields that it does not name."""
    schema = _resolved(schema, root)
    for word in ("anyOf", "oneOf"):
        if choices := schema.get(word):
            tried = [with_schema(choice, seen, root, where) for choice in choices]
            return min(tried, key=lambda found: sum(not each.new for each in found))
    found = [each for part in schema.get("allOf", ()) for each in with_schema(part, seen, root, where)]
    if (told := _type_told(schema, seen)) is not None:
        return [*found, Difference(against="description", where=where, what=told)]
    if isinstance(seen, Mapping):
        return [*found, *_of_object(schema, seen, root, where)]
    if isinstance(seen, list) and isinstance(items := schema.get("items"), Mapping) and items:
        return [*found, *(each for row in seen for each in with_schema(items, row, root, where + ROWS))]
    return found


def _of_object(
    schema: Mapping[str, Any], seen: Mapping[str, Any], root: Mapping[str, Any], where: str
) -> Iterator[Difference]:
    known: Mapping[str, Any] = schema.get("properties") or {}
    for name in schema.get("required", ()):
        if name not in seen and name not in DROPPED:
            yield Difference(against="description", where=f"{where}.{name}", what="is required and not there")
    more = schema.get("additionalProperties")
    for name, value in seen.items():
        if name in known:
            yield from with_schema(known[name], value, root, f"{where}.{name}")
        elif isinstance(more, Mapping):
            yield from with_schema(more, value, root, f"{where}.*")
        elif known:
            yield Difference(
                against="description", where=f"{where}.{name}", what="is there and not described", new=True
            )


def _type_told(schema: Mapping[str, Any], seen: Any) -> str | None:
    if "const" in schema and schema["const"] != seen:
        return f"is {seen!r}, described as {schema['const']!r}"
    if "enum" in schema and seen not in schema["enum"]:
        return f"is {seen!r}, described as one of {schema['enum']}"
    wanted = schema.get("type")
    if wanted is None:
        return None
    allowed: Sequence[str] = [wanted] if isinstance(wanted, str) else wanted
    kind = _json_kind(seen)
    if kind in allowed or (kind == "integer" and "number" in allowed):
        return None
    return f"is {kind}, described as {' or '.join(allowed)}"


def _resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    while ref := schema.get("$ref"):
        found: Any = root
        for name in str(ref).removeprefix("#/").split("/"):
            found = found[name]
        schema = found
    return schema


class Description:
    """An OpenAPI document: which answers an operation may give. `prefix` is where in it the vendor's base URL leads."""

    def __init__(self, document: Mapping[str, Any], prefix: str = "") -> None:
        self.document = document
        every: Mapping[str, Any] = document.get("paths", {})
        self._paths = {
            _plain(path.removeprefix(prefix)): item for path, item in every.items() if path.startswith(prefix)
        }

    def differences(self, method: str, path: str, status: int, kind: str, data: Any) -> list[Difference]:
        """Of one answer; an operation that the description does not know is told as something new."""
        described = self._paths.get(_plain(path), {}).get(method.lower())
        if described is None:
            return [_told("the operation is not described", new=True)]
        answers: Mapping[str, Any] = described.get("responses", {})
        answer = answers.get(str(status)) or answers.get(f"{status // 100}XX") or answers.get("default")
        if answer is None:
            return [_told(f"the status {status} is not described")]
        content = _resolved(answer, self.document).get("content") or {}
        wanted = next((part for name, part in content.items() if "json" in name), None)
        if wanted is None or kind != "json":
            return [] if (wanted is None) == (kind != "json") else [_told(f"the body is {kind}, described otherwise")]
        return with_schema(wanted.get("schema") or {}, data, self.document)


def _plain(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", path).rstrip("/")


def _told(what: str, *, new: bool = False) -> Difference:
    return Difference(against="description", where="$", what=what, new=new)


def _differs(against: str, where: str, wanted: str, seen: Any) -> Difference:
    return Difference(against=against, where=where, what=f"is {_kind(seen)}, written as {wanted}")


def _kind(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(r"\d+", value):
        return "digits in a string"
    return _json_kind(value)


def _json_kind(value: Any) -> str:
    kinds: tuple[tuple[type | tuple[type, ...], str], ...] = (
        (bool, "boolean"), (int, "integer"), (float, "number"), (str, "string"), (list, "array"), (Mapping, "object"),
    )  # fmt: skip
    return next((name for kind, name in kinds if isinstance(value, kind)), "null")
