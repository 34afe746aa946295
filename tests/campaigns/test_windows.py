"""A small part of `proofs.campaign_windows`: random campaigns, and nothing sent that was not asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from proofs.campaign_windows import story

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("seed", [1, 2])
async def test_nothing_leaves_outside_its_window_above_a_cap_or_superseded(
    database: Any, tmp_path: Path, seed: int
) -> None:
    told = await story(database, seed, tmp_path, days=4, leads=30)
    assert told["sends"] > 10
    assert not [what for what in told if what.startswith("wrong")]
