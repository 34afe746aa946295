"""Request bodies as the vendor checks them: Joi rules, Joi texts, one problem per answer, unknown keys refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Kind = Literal["string", "number", "integer", "boolean", "array", "object", "any"]


class Refusal(Exception):
    """An answer that is not a success: its status and its body."""

    def __init__(self, status: int, body: Mapping[str, object]) -> None:
        super().__init__(str(body))
        self.status = status
        self.body = body


def said(text: str, status: int = 400) -> Refusal:
    """Shape B: `{"message": …}`."""
    return Refusal(status, {"message": text})


def failed(text: str, status: int = 400) -> Refusal:
    """Shape A: `{"error": …}`."""
    return Refusal(status, {"error": text})


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What one key may hold."""

    kind: Kind = "any"
    required: bool = False
    nullable: bool = True
    low: float | None = None
    high: float | None = None
    options: tuple[object, ...] = ()
    keys: Mapping[str, Rule] = field(default_factory=dict[str, "Rule"])
    items: Rule | None = None
    most: int | None = None


def text(*, required: bool = False, options: tuple[object, ...] = ()) -> Rule:
    """A string."""
    return Rule(kind="string", required=required, options=options, nullable=not required)


def number(*, required: bool = False, low: float | None = None, high: float | None = None) -> Rule:
    """A number; Joi takes a string of digits too."""
    return Rule(kind="integer", required=required, low=low, high=high, nullable=not required)


def flag(*, required: bool = False) -> Rule:
    """A boolean."""
    return Rule(kind="boolean", required=required, nullable=not required)


def many(items: Rule, *, required: bool = False, most: int | None = None) -> Rule:
    """An array."""
    return Rule(kind="array", required=required, items=items, most=most, nullable=False)


def group(keys: Mapping[str, Rule], *, required: bool = False) -> Rule:
    """An object with these keys and no others."""
    return Rule(kind="object", required=required, keys=keys, nullable=not required)


def check(body: object, keys: Mapping[str, Rule], at: str = "") -> dict[str, Any]:
    """The body with its values converted. Raises Refusal with the first problem, in the order Joi finds them."""
    if not isinstance(body, dict):
        raise said(f'"{at or "value"}" must be of type object')
    done: dict[str, Any] = {}
    for key, rule in keys.items():
        label = f"{at}.{key}" if at else key
        if key in body:
            done[key] = _value(body[key], rule, label)
        elif rule.required:
            raise said(f'"{label}" is required')
    for key in body:
        if key not in keys:
            raise said(f'"{f"{at}.{key}" if at else key}" is not allowed')
    return done


def _value(value: object, rule: Rule, label: str) -> Any:
    if value is None and rule.nullable:
        return None
    if rule.kind == "any":
        return value
    if rule.kind == "object":
        return check(value, rule.keys, label) if rule.keys else _plain_object(value, label)
    if rule.kind == "array":
        return _array(value, rule, label)
    if rule.kind == "string":
        return _string(value, rule, label)
    if rule.kind == "boolean":
        return _boolean(value, label)
    return _number(value, rule, label)


def _plain_object(value: object, label: str) -> object:
    if not isinstance(value, dict):
        raise said(f'"{label}" must be of type object')
    return value


def _array(value: object, rule: Rule, label: str) -> list[Any]:
    if not isinstance(value, list):
        raise said(f'"{label}" must be an array')
    if rule.most is not None and len(value) > rule.most:
        raise said(f'"{label}" must contain less than or equal to {rule.most} items')
    # Joi: an array holds no null unless it is said to.
    items = replace(rule.items or Rule(), nullable=False)
    return [_value(entry, items, f"{label}[{position}]") for position, entry in enumerate(value)]


def _string(value: object, rule: Rule, label: str) -> str:
    if not isinstance(value, str):
        raise said(f'"{label}" must be a string')
    if rule.required and not value:
        raise said(f'"{label}" is not allowed to be empty')
    if rule.options and value not in rule.options:
        raise said(f'"{label}" must be one of [{", ".join(str(option) for option in rule.options)}]')
    return value


def _boolean(value: object, label: str) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return value == "true"
    raise said(f'"{label}" must be a boolean')


def _number(value: object, rule: Rule, label: str) -> float:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise said(f'"{label}" must be a number') from None
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value or abs(value) > 2**53:
        raise said(f'"{label}" must be a number')
    if rule.kind == "integer":
        if value != int(value):
            raise said(f'"{label}" must be an integer')
        value = int(value)
    if rule.low is not None and value < rule.low:
        raise said(f'"{label}" must be greater than or equal to {rule.low:g}')
    if rule.high is not None and value > rule.high:
        raise said(f'"{label}" must be less than or equal to {rule.high:g}')
    return value
