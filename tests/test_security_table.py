"""The table in docs/security.md names tests that exist, and leaves no requirement out."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
TABLE = (ROOT / "docs" / "security.md").read_text().partition("## What shows it")[2]
ROWS = [line for line in TABLE.splitlines() if re.match(r"\| S\d", line)]


@cache
def defined_in(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / "tests" / file).read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, kinds))


def test_every_test_it_names_exists() -> None:
    named = [name for row in ROWS for name in re.findall(r"`([^`]+::[^`]+)`", row)]
    assert len(named) > 80
    missing = [
        name for name in named if name.partition("::")[2] not in defined_in(name.partition("::")[0])
    ]
    assert missing == []


def test_every_requirement_stands_in_it_once() -> None:
    found: list[int] = []
    for row in ROWS:
        for first, last in re.findall(r"S(\d+)(?:–S(\d+))?", row.split("|")[1]):
            found += range(int(first), int(last or first) + 1)
    assert sorted(found) == list(range(1, 59))


def test_every_row_has_a_test_or_says_that_it_has_none() -> None:
    for row in ROWS:
        assert "::" in row or row.endswith(("| gap |", "| not in this version |")), row
