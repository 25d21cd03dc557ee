"""Where a text may be cut: after paragraphs, lines, sentences, words, in this order. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from gateway.markup.units import Measure, fit

_PLACES = (
    re.compile(r"\n\n+"),
    re.compile(r"\n"),
    re.compile(r"(?:[.!?\u2026]+[\"'\u201d\u2019)\]]*\s)|[\u3002\uff01\uff1f]"),
    re.compile(r"\s"),
)
_JOINS = ("\u200d", "\ufe0f", "\ufe0e", "\u20e3")


def candidates(text: str, tries: int) -> Iterator[int]:
    """Cuts in the text's second half, the best first; the end is none."""
    for place in _PLACES:
        found = [match.end() for match in place.finditer(text, len(text) // 2)]
        yield from reversed(found[-tries // len(_PLACES) :])


def at_spaces(text: str, limit: int, measure: Measure = len) -> list[str]:
    """Pieces of at most `limit`, cut wherever it must be when there is no better place."""
    pieces: list[str] = []
    start = 0
    while len(text) - start > limit or measure(text[start:]) > limit:
        window = text[start : start + limit + 1]
        end = fit(window, limit, measure) or 1
        cut = next(candidates(window[:end], len(_PLACES)), 0) or _between_characters(window, end)
        pieces.append(window[:cut])
        start += cut
    return [piece for piece in (*pieces, text[start:]) if piece.strip()]


def _between_characters(text: str, end: int) -> int:
    """Not before a mark or a joiner, where one is near."""
    for cut in range(min(end, len(text) - 1), max(end - 16, 0), -1):
        after, before = text[cut], text[cut - 1]
        if before not in _JOINS and after not in _JOINS and not unicodedata.combining(after):
            return cut
    return end
