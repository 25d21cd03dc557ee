"""Combining marks in foreign text, kept to a number that cannot stop the loop. Pure."""

from __future__ import annotations

import unicodedata

MOST = 30
"""Marks on one letter, as many as Unicode's stream-safe format has (UAX #15, section 13)."""


def thinned(text: str) -> str:
    """At most so many marks on one letter.

    Putting them in order takes time by the square of their number: 32,000 block a loop for 0.5 s.
    """
    if len(text) <= MOST or text.isascii():
        return text
    kept: list[str] = []
    marks = 0
    for letter in text:
        marks = marks + 1 if unicodedata.combining(letter) else 0
        if marks <= MOST:
            kept.append(letter)
    return text if len(kept) == len(text) else "".join(kept)
