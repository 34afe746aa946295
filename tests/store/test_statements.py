"""Every statement of the store is understood by the migrated schema: names, types, functions.

The modules are read as source, so no statement escapes for lack of a test that runs it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

import mailfleet.store

FOLDER = Path(mailfleet.store.__file__).parent
NOT_OURS = {"migrate.py", "embedded.py", "keeper.py", "database.py"}
MODULES = sorted(path for path in FOLDER.glob("*.py") if path.name not in NOT_OURS)
STARTS = re.compile(r"\s*(select|insert|update|delete|with)\b", re.IGNORECASE)


def statements(path: Path) -> Iterator[tuple[int, str]]:
    """Line and text of every string (or sum of strings and constants) that begins like SQL."""
    tree = ast.parse(path.read_text())
    names = dict(constants(tree))
    seen: set[ast.AST] = set()
    for node in ast.walk(tree):
        if node in seen or not isinstance(node, ast.BinOp | ast.Constant | ast.JoinedStr):
            continue
        text = folded(node, names)
        seen.update(ast.walk(node))
        # A name in braces is composed from an operator's file: tests/leads/test_lead_source.py runs those.
        if text and STARTS.match(text) and "mailfleet." in text and not re.search(r"\{[a-z]", text):
            yield node.lineno, text


def constants(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in tree.body:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=value)
            ):
                text = folded(value, {}) if value else None
            case _:
                continue
        if text:
            yield name, text


def folded(node: ast.expr, names: dict[str, str]) -> str | None:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Name(id=name):
            return names.get(name)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            one, two = folded(left, names), folded(right, names)
            return one + two if one is not None and two is not None else None
        case _:
            return None


def temporary() -> Iterator[str]:
    """Tables that statements make for their own transaction."""
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Constant(value=str(text)) if text.startswith("create temp table"):
                    yield text.replace(" on commit drop", "")
                case _:
                    continue


def numbered(text: str) -> str:
    """psycopg's placeholders as Postgres' own."""
    named: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        if found[0] == "%%":
            return "%"
        name = found[1] or f"#{len(named)}"
        return f"${named.setdefault(name, len(named) + 1)}"

    return re.sub(r"%(?:\((\w+)\))?s|%%", number, text)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_every_statement_is_understood_by_the_schema(dsn: str, path: Path) -> None:
    with psycopg.connect(dsn, autocommit=True) as db:
        for table in temporary():
            db.execute(table.encode())
        for line, text in statements(path):
            try:
                db.execute(b"prepare s as " + numbered(text).encode())
            except psycopg.errors.IndeterminateDatatype:
                continue  # psycopg names the type of what it binds; Postgres alone cannot know it here
            except psycopg.Error as error:
                pytest.fail(f"{path.name}:{line}: {error}\n{text}")
            db.execute("deallocate s")


def test_the_walk_finds_the_statements() -> None:
    found = [text for path in MODULES for _, text in statements(path)]
    assert len(found) > 80
    assert any("api_take" in text for text in found)
