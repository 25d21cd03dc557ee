"""Text as Telegram measures it: offsets and lengths are UTF-16 code units."""

from __future__ import annotations


def units(text: str) -> int:
    """Length in UTF-16 code units."""
    return len(text) if text.isascii() else len(text) + sum(char > "\uffff" for char in text)


def cut(text: str, offset: int, length: int) -> str:
    """What an entity covers. Offsets inside a pair or past the end give what is there."""
    encoded = text.encode("utf-16-le", "surrogatepass")
    start, end = max(offset, 0) * 2, max(offset + length, 0) * 2
    return encoded[start:end].decode("utf-16-le", "replace")


def fit(text: str, limit: int) -> int:
    """Characters of the longest beginning within `limit` units."""
    if units(text) <= limit:
        return len(text)
    used = 0
    for index, char in enumerate(text):
        used += 2 if char > "\uffff" else 1
        if used > limit:
            return index
    return len(text)
