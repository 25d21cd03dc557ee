"""Text as platforms measure it. Plain characters are measured by `len`."""

from __future__ import annotations

from collections.abc import Callable

Measure = Callable[[str], int]
"""Length of a text; at least one for each character, and never less for a longer beginning."""


def utf16(text: str) -> int:
    """Length in UTF-16 code units."""
    return len(text) if text.isascii() else len(text) + sum(char > "\uffff" for char in text)


def utf8(text: str) -> int:
    """Length in bytes of UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def fit(text: str, limit: int, measure: Measure = len) -> int:
    """Characters of the longest beginning that measures at most `limit`."""
    low, high = 0, min(len(text), max(limit, 0))
    if measure(text[:high]) <= limit:
        return high
    while low < high - 1:
        middle = (low + high) // 2
        if measure(text[:middle]) <= limit:
            low = middle
        else:
            high = middle
    return low
