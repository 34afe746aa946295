"""Planted causes: a world with one fault in it, ten of each kind, seeds that were not used in building the rule."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from mailfleet.rules.investigation import Cause, Cell, judge

USUAL_HARD, USUAL_REFUSED = 0.018, 0.006
CASES: list[tuple[Cause, int]] = [
    (cause, seed) for cause in ("message", "mailbox", "list") for seed in range(7100, 7110)
]


def world(cause: Cause, seed: int) -> tuple[list[Cell], str]:
    """Campaigns on overlapping mailboxes; the planted one bounces at 7 to 20 %. The cells and the guilty unit."""
    rng = random.Random(f"{cause}:{seed}")
    domains = [f"d{n}.example" for n in range(rng.randint(2, 4))]
    boxes = [f"m{n}@{domains[n % len(domains)]}" for n in range(rng.randint(4, 10))]
    staff = {f"c{n}": rng.sample(boxes, rng.randint(2, max(2, len(boxes) - 1))) for n in range(rng.randint(2, 5))}
    guilty_campaign, bad_step = rng.choice(sorted(staff)), rng.randint(1, 3)
    guilty_box = rng.choice([box for box in boxes if sum(box in used for used in staff.values()) >= 1])
    rate = rng.uniform(0.07, 0.20)
    cells: list[Cell] = []
    for campaign, used in staff.items():
        for box in used:
            for step in (1, 2, 3):
                for provider in ("gmail", "outlook", "other"):
                    sent = rng.randint(8, 40)
                    hard = USUAL_HARD if step == 1 else USUAL_HARD / 6
                    refused = USUAL_REFUSED
                    if cause == "list" and campaign == guilty_campaign and step == 1:
                        hard = rate
                    if cause == "message" and campaign == guilty_campaign and step == bad_step:
                        refused = rate
                    if cause == "mailbox" and box == guilty_box:
                        refused = rate
                    cells.append(
                        Cell(
                            campaign=campaign, mailbox=box, domain=box.partition("@")[2], provider=provider, step=step,
                            sent=sent, hard=drawn(rng, sent, hard), refused=drawn(rng, sent, refused),
                        )
                    )  # fmt: skip
    return cells, guilty_box if cause == "mailbox" else guilty_campaign


def drawn(rng: random.Random, count: int, rate: float) -> int:
    return sum(rng.random() < rate for _ in range(count))


def answers(cases: Sequence[tuple[Cause, int]]) -> list[tuple[bool, bool]]:
    """(right, wrong and certain) of each."""
    found: list[tuple[bool, bool]] = []
    for cause, seed in cases:
        seen = judge(world(cause, seed)[0])
        found.append((seen.cause == cause, seen.certainty == "certain" and seen.cause != cause))
    return found


def test_of_thirty_planted_causes_at_least_27_are_found_and_none_is_wrong_with_certainty() -> None:
    found = answers(CASES)
    assert sum(right for right, _ in found) >= 27
    assert not any(wrong for _, wrong in found)


def test_a_healthy_world_is_unclear() -> None:
    quiet = [judge([healthy(cell) for cell in world("list", seed)[0]]) for seed in range(50, 70)]
    assert all(seen.certainty != "certain" for seen in quiet)


def healthy(cell: Cell) -> Cell:
    rng = random.Random(f"{cell.campaign}{cell.mailbox}{cell.step}{cell.provider}{cell.sent}")
    return Cell(
        campaign=cell.campaign, mailbox=cell.mailbox, domain=cell.domain, provider=cell.provider, step=cell.step,
        sent=cell.sent, hard=drawn(rng, cell.sent, USUAL_HARD), refused=drawn(rng, cell.sent, USUAL_REFUSED),
    )  # fmt: skip


def test_a_mailbox_that_alone_sends_its_only_campaign_cannot_be_told_from_the_message() -> None:
    cells = [
        Cell(campaign="c1", mailbox="a@x.example", sent=400, refused=60),
        Cell(campaign="c2", mailbox="b@x.example", sent=400, refused=2),
    ]
    assert judge(cells).cause == "unclear"


def test_what_the_refusals_say_and_what_dns_says_count() -> None:
    cells = [
        Cell(campaign="c1", mailbox="a@x.example", sent=400, refused=60, rules={"dkim_failed": 50}),
        Cell(campaign="c2", mailbox="b@y.example", sent=400, refused=2),
    ]
    assert judge(cells, broken_dns=["x.example"]).cause == "mailbox"


@pytest.mark.parametrize(
    "cells", [[], [Cell(campaign="c", mailbox="m", sent=0)], [Cell(campaign="c", mailbox="m", sent=3)]]
)
def test_nothing_sent_is_unclear(cells: list[Cell]) -> None:
    assert judge(cells).cause == "unclear"
