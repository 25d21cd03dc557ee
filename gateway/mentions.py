"""Whether a text means a bot, by what people call it. Pure."""

from __future__ import annotations

import re
from functools import lru_cache


def called(text: str, phrases: tuple[str, ...]) -> bool:
    """Whether one of the words or phrases stands in it, whole and without regard to case."""
    return bool(phrases) and _pattern(phrases).search(text) is not None


def after_name(text: str, name: str) -> str | None:
    """What is said to somebody whose name stands first, as in ``name: ...`` or ``@name ...``."""
    found = _beginning(name).match(text)
    return None if found is None else text[found.end() :]


@lru_cache(maxsize=128)
def _pattern(phrases: tuple[str, ...]) -> re.Pattern[str]:
    words = "|".join(re.escape(each.strip()) for each in phrases)
    return re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE)


@lru_cache(maxsize=128)
def _beginning(name: str) -> re.Pattern[str]:
    name = re.escape(name)
    return re.compile(rf"(?:{name}[:,]|@{name}(?![\w-])[:,]?)\s*(?=\S)", re.IGNORECASE)
