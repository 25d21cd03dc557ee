"""How far a reading is from what was written, in characters and in words."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np


def characters(wanted: str, got: str) -> float:
    """Edits per character wanted; runs of white space count as one blank."""
    expected = " ".join(wanted.split())
    return edits(expected, " ".join(got.split())) / max(len(expected), 1)


def words(wanted: str, got: str) -> float:
    """Edits per word wanted."""
    expected = wanted.split()
    return edits(expected, got.split()) / max(len(expected), 1)


def edits(wanted: Sequence[Hashable], got: Sequence[Hashable]) -> int:
    """Fewest insertions, deletions and replacements that make one of the other."""
    numbers: dict[Hashable, int] = {}
    first = [numbers.setdefault(one, len(numbers)) for one in wanted]
    second = np.array([numbers.setdefault(one, len(numbers)) for one in got], np.int64)
    steps = np.arange(len(second) + 1)
    row = steps.copy()
    for number, one in enumerate(first, 1):
        changed = np.minimum(row[1:] + 1, row[:-1] + (second != one))
        row = np.concatenate(([number], changed))
        row = np.minimum.accumulate(row - steps) + steps
    return int(row[-1])
