"""Text as Telegram measures it: offsets and lengths are UTF-16 code units."""

from __future__ import annotations

from gateway.markup import units as measures

units = measures.utf16


def cut(text: str, offset: int, length: int) -> str:
    """What an entity covers. Offsets inside a pair or past the end give what is there."""
    encoded = text.encode("utf-16-le", "surrogatepass")
    start, end = max(offset, 0) * 2, max(offset + length, 0) * 2
    return encoded[start:end].decode("utf-16-le", "replace")


def fit(text: str, limit: int) -> int:
    """Characters of the longest beginning within `limit` units."""
    return measures.fit(text, limit, units)
