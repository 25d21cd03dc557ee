"""What long forms are told, and where they write their figures."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

Report = Callable[..., None]


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Report:
    """Takes figures by name; `scripts/faults` prints them as a table."""

    def write(**figures: object) -> None:
        row = {"test": request.node.name, **figures}
        if target := os.environ.get("MOLTGATE_FAULT_REPORT"):
            with Path(target).open("a") as file:
                file.write(json.dumps(row) + "\n")

    return write


@pytest.fixture
def seed() -> int:
    return int(os.environ.get("MOLTGATE_FAULT_SEED", "1"))


@pytest.fixture
def times() -> int:
    """Rounds of each fail point in the long form."""
    return int(os.environ.get("MOLTGATE_FAULT_ROUNDS", "20"))


@pytest.fixture
def duration() -> float:
    """Seconds of the nemesis in its long form."""
    return float(os.environ.get("MOLTGATE_FAULT_SECONDS", "300"))
