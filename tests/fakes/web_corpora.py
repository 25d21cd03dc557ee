"""Bad inputs that stand beside the project, read in place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

CORPORA = Path(__file__).parents[2].parent / "shared" / "corpora"


def xss_payloads() -> list[str]:
    found = _read("xss/dompurify-expect.json")
    return [str(case["payload"]) for case in found]


def naughty_strings() -> list[str]:
    return [str(each) for each in _read("unicode/blns.json")]


def _read(name: str) -> list:  # type: ignore[type-arg]
    path = CORPORA / name
    if not path.exists():
        pytest.fail(f"the corpus {name} is missing; it belongs beside the project, in {CORPORA}")
    found: list = json.loads(path.read_text())  # type: ignore[type-arg]
    return found
