"""The tutorial shows the code that runs."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "adding-an-adapter.md").read_text()
BLOCK = re.compile(r"(?:<!-- (\S+) -->\n)?```python\n(.*?)```", re.DOTALL)


def test_every_block_stands_in_the_file_that_it_names() -> None:
    blocks = BLOCK.findall(PAGE)
    assert len(blocks) > 10
    for file, code in blocks:
        assert file, f"which file is this of?\n{code}"
        rest = (ROOT / file).read_text()
        for piece in re.split(r"^\.\.\.\n", code, flags=re.MULTILINE):
            at = rest.find(piece)
            assert at >= 0, f"not in {file}, or not in this order:\n{piece}"
            rest = rest[at + len(piece) :]


def test_every_file_that_is_named_is_there() -> None:
    named = set(re.findall(r"`((?:adapters|tests|gateway|examples)/[\w./-]+[\w/])`", PAGE))
    assert {name for name in named if not (ROOT / name).exists()} == set()


def test_the_steps_build_the_whole_folder() -> None:
    shown = {file for file, _ in BLOCK.findall(PAGE)}
    there = {f"adapters/irc/{one.name}" for one in (ROOT / "adapters" / "irc").glob("*.py")}
    assert there == shown
