"""Lead files as text."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

HEADER = ("email", "first_name", "last_name", "company", "country", "source")


def row(
    email: str, first: str = "Bo", last: str = "Ek", company: str = "", country: str = "DE", source: str = "fair"
) -> str:
    return ",".join((email, first, last, company, country, source))


def people(count: int, *, start: int = 0) -> list[str]:
    """Different people at different companies."""
    return [row(f"p{n}@firm{n}-mfdemo.com", company=f"Firm {n} works") for n in range(start, start + count)]


def write(folder: Path, rows: Iterable[str], name: str = "leads.csv") -> Path:
    path = folder / name
    path.write_text("\n".join((",".join(HEADER), *rows)) + "\n", "utf-8")
    return path
