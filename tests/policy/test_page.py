from __future__ import annotations

import runpy
from pathlib import Path

HERE = Path(__file__).parent


def test_the_page_shows_the_figures_as_they_are() -> None:
    page = runpy.run_path(str(HERE / "page.py"))
    text = page["PAGE"].read_text("utf-8")
    assert page["renewed"](text) == text, "run `python tests/policy/page.py`"
