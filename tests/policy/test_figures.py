"""Every leaf of the ten named constants against our own transcription of the specification."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mailfleet.policy.model import CONSTANTS, DECISIONS, default_policy

sys.path.insert(0, str(Path(__file__).parent))
from spec_figures import AUTO_PAUSE, COSTS, FIGURES, READINGS, SUCCESS_METRICS

POLICY = msgspec.json.decode(msgspec.json.encode(default_policy()))


def leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def ours(path: str) -> Any:
    constant, *rest = path.split(".")
    found: Any = POLICY[CONSTANTS[constant]]
    for part in rest:
        found = found[part]
    return found


@pytest.mark.parametrize(("path", "figure"), list(leaves(FIGURES)))
def test_figure_is_the_specifications(path: str, figure: Any) -> None:
    value = ours(path)
    if path in READINGS:
        decision, reading = READINGS[path]
        assert decision in DECISIONS.values()
        assert [(row["threshold"], row["for_hours"]) for row in value] == reading
        value = [row["text"] for row in value]
    assert value == figure


def test_all_ten_constants_are_there() -> None:
    assert set(CONSTANTS) == set(FIGURES)


@pytest.mark.parametrize(("name", "row"), SUCCESS_METRICS.items())
def test_success_metric(name: str, row: tuple[float, float, float | None]) -> None:
    metric = POLICY["success_metrics"][name]
    assert (metric["baseline"], metric["target"], metric["trigger"]) == row


def test_auto_pause_and_costs() -> None:
    assert {key: POLICY["auto_pause"][key] for key in AUTO_PAUSE} == AUTO_PAUSE
    assert {key: POLICY["costs"][key] for key in COSTS} == COSTS
    old = COSTS["infraforge"] + COSTS["warmforge"] + COSTS["salesforge"]
    assert (old, old - COSTS["smartlead"], 12 * (old - COSTS["smartlead"])) == (11110, 3610, 43320)
