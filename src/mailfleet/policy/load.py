"""The policy in force: defaults ← the workspace's TOML file ← a client's overrides; checked whole, described by key."""

from __future__ import annotations

import math
import tomllib
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, cast, get_args, get_origin, get_type_hints

import msgspec

from mailfleet.errors import PolicyError
from mailfleet.policy import checks
from mailfleet.policy.model import DECISIONS, Policy, default_policy

Sources = dict[str, str]
"""Dotted key → where its value comes from."""
OPEN = frozenset({"errors."})
"""Tables that take further members, such as another HTTP status."""


class Leaf(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of the policy, as `mailfleet config policy` shows it."""

    key: str
    value: Any
    unit: str
    source: str
    decision: str


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """A policy and where each of its changed keys comes from; what is not in `sources` is a default."""

    policy: Policy
    sources: Sources


def load(path: Path | None = None, *overrides: Mapping[str, Any]) -> Policy:
    """The policy of the file at `path` (None: none) with `overrides` on top, later ones winning.

    Raises PolicyError naming key, value and source.
    """
    layers: list[tuple[str, Mapping[str, Any]]] = [(str(path), read_file(path))] if path else []
    layers += [(f"override {n}", given) for n, given in enumerate(overrides, start=1) if given]
    return assemble(layers).policy


def assemble(layers: list[tuple[str, Mapping[str, Any]]]) -> Loaded:
    """Defaults with each named layer on top. Raises PolicyError."""
    merged = cast("dict[str, Any]", msgspec.to_builtins(default_policy()))
    sources: Sources = {}
    for source, layer in layers:
        _lay(merged, layer, source, "", sources)
    try:
        policy = msgspec.convert(merged, Policy)
    except msgspec.ValidationError as error:
        raise _wrong(error, merged, sources) from error
    for key, problem in checks.problems(policy):
        raise _error(key, _at(merged, key), problem, sources)
    return Loaded(policy=policy, sources=sources)


def for_client(workspace: Loaded, client: str, overrides: Mapping[str, Any]) -> Policy:
    """The workspace's policy with one client's overrides on top. Raises PolicyError."""
    if not overrides:
        return workspace.policy
    merged = cast("dict[str, Any]", msgspec.to_builtins(workspace.policy))
    return assemble([("the workspace's policy", merged), (f"client {client}", overrides)]).policy


def read_file(path: Path) -> dict[str, Any]:
    """The TOML file's tables. Raises PolicyError when it cannot be read."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise PolicyError(
            f"The policy file {path} cannot be read: {error.strerror or error}.",
            hint="Correct MAILFLEET_POLICY, or unset it to use the defaults.",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PolicyError(f"The policy file {path} is not TOML: {error}.", hint="Correct that line.") from error


def _lay(onto: dict[str, Any], layer: Mapping[str, Any], source: str, prefix: str, sources: Sources) -> None:
    for name, value in layer.items():
        key = f"{prefix}{name}"
        if isinstance(value, float) and not math.isfinite(value):
            raise _error(key, value, "has to be a finite number", {key: source})
        if name not in onto and prefix in OPEN:
            onto[name] = value
            sources[key] = source
        elif name not in onto:
            raise _error(key, value, f"is not a key; known here: {', '.join(sorted(onto))}", {key: source})
        elif isinstance(onto[name], dict):
            if not isinstance(value, Mapping):
                raise _error(key, value, "has to be a table", {key: source})
            _lay(onto[name], cast("Mapping[str, Any]", value), source, f"{key}.", sources)
        else:
            onto[name] = value
            sources[key] = source


def _wrong(error: msgspec.ValidationError, merged: Mapping[str, Any], sources: Sources) -> PolicyError:
    said, _, path = str(error).partition(" - at `$")
    key = path.rstrip("`").lstrip(".").split("[")[0]
    if not key or isinstance(_at(merged, key), dict):
        # msgspec names the members of a dictionary `[...]`: the changed key that lies under it is the one.
        key = next((name for name in sources if name.startswith(key)), key)
    return _error(key, _at(merged, key), said.lower(), sources)


def _error(key: str, value: object, problem: str, sources: Sources) -> PolicyError:
    source = next((sources[name] for name in sources if name == key or name.startswith(f"{key}.")), "")
    if not source:
        section = key.split(".")[0]
        beside = [f"{name} comes from {sources[name]}" for name in sources if name.split(".")[0] == section]
        source = "; ".join(["the defaults", *beside[:3]])
    return PolicyError(
        f"The policy's {key} = {value!r} ({source}) {problem}.",
        hint="Correct it there; docs/policy.md lists every key with its default, unit and meaning.",
        key=key,
        value=value,
        source=source,
    )


def _at(tree: Mapping[str, Any], key: str) -> Any:
    found: Any = tree
    for part in key.split("."):
        found = cast("dict[str, Any]", found).get(part) if isinstance(found, dict) else None
    return found


def describe(policy: Policy, sources: Mapping[str, str] | None = None) -> tuple[Leaf, ...]:
    """Every leaf of the policy, in the order of the model."""
    given = sources or {}
    units = dict(_units(Policy, ""))
    return tuple(
        Leaf(
            key=key,
            value=value,
            unit=units.get(key, ""),
            source=given.get(key, "default"),
            decision=_decision(key),
        )
        for key, value in leaves(policy)
    )


def leaves(policy: Policy) -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of every figure; lists are one leaf."""
    return _flat(cast("dict[str, Any]", msgspec.to_builtins(policy)), "")


def _flat(tree: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(cast("dict[str, Any]", value), f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _units(kind: type[msgspec.Struct], prefix: str) -> Iterator[tuple[str, str]]:
    hints = get_type_hints(kind, include_extras=True)
    for one in msgspec.structs.fields(kind):
        hint, key = hints[one.name], f"{prefix}{one.encode_name}"
        if isinstance(hint, type) and not isinstance(hint, types.GenericAlias) and issubclass(hint, msgspec.Struct):
            yield from _units(hint, f"{key}.")
        elif get_origin(hint) is Annotated:
            meta = next((m for m in get_args(hint)[1:] if isinstance(m, msgspec.Meta)), None)
            yield key, str((meta.extra or {}).get("unit", "")) if meta else ""


def _decision(key: str) -> str:
    parts = key.split(".")
    prefixes = (".".join(parts[:n]) for n in range(len(parts), 0, -1))
    return next((DECISIONS[prefix] for prefix in prefixes if prefix in DECISIONS), "")
