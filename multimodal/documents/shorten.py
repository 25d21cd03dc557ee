"""A long text is cut in its middle, and it is said what is missing. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from multimodal.confined.gathered import Part, plural

_BREAK = "\n\n"
_LINE = 160
"""Room for the line that stands for what is missing."""


@dataclass(frozen=True, slots=True)
class Shortened:
    text: str
    note: str = ""
    """What was left out; empty when nothing was."""


def shorten(parts: Sequence[Part], limit: int) -> Shortened:
    """All of it where it fits into `limit` characters; else the first three quarters of so much
    and the last quarter, cut at paragraph ends where there are any."""
    parts = [part for part in parts if part.text or part.gone]
    holes = [number for number, part in enumerate(parts) if part.gone]
    whole = _BREAK.join(part.text for part in parts)
    if not holes and len(whole) <= limit:
        return Shortened(whole)
    room = max(2, limit - _LINE)
    most = room * 3 // 4
    if holes:
        before = _BREAK.join(part.text for part in parts[: holes[0]])
        after = _BREAK.join(part.text for part in parts[holes[-1] + 1 :])
        head, tail = until(before, most), since(after, room - most)
    else:
        head = until(whole, most)
        tail = since(whole[len(head) :], room - most)
    missing = len(whole) - len(head) - len(tail) + sum(part.gone for part in parts)
    where = _where(parts, len(head), len(whole) - len(tail))
    left_out = f"{plural(missing, 'character')} left out{': ' + where if where else ''}"
    head, tail = head.strip("\n"), tail.strip("\n")
    text = _BREAK.join(piece for piece in (head, f"[… {left_out} …]", tail) if piece)
    return Shortened(text, left_out)


def until(text: str, limit: int) -> str:
    """At most so many characters of its beginning, to the end of a paragraph, line, sentence or
    word, if one ends within the last quarter of them."""
    if len(text) <= limit:
        return text
    for end in ("\n\n", "\n", ". ", " "):
        found = text.rfind(end, limit * 3 // 4, limit)
        if found > 0:
            return text[: found + len(end.rstrip())]
    return text[:limit]


def since(text: str, limit: int) -> str:
    """At most so many characters of its end, from the beginning of a paragraph and so on."""
    if len(text) <= limit:
        return text
    begin = len(text) - limit
    for end in ("\n\n", "\n", ". ", " "):
        found = text.find(end, begin, begin + limit // 4)
        if found >= 0:
            return text[found + len(end) :]
    return text[begin:]


def _where(parts: Sequence[Part], begin: int, end: int) -> str:
    """Which pages the characters from `begin` to `end` are of: ``pages 14 to 40``."""
    starts: list[int] = []
    position = 0
    for part in parts:
        starts.append(position)
        position += len(part.text) + len(_BREAK)
    first = max(0, bisect_right(starts, begin) - 1)
    cut = [
        part
        for part, start in zip(parts[first:], starts[first:], strict=True)
        if start < end and (part.gone or start + len(part.text) > begin)
    ]
    numbered = [part for part in cut if part.number]
    if not numbered:
        return ""
    label = numbered[0].label
    numbers = [part.number for part in numbered] + [part.last for part in numbered if part.last]
    low, high = min(numbers), max(numbers)
    return f"{label} {low}" if low == high else f"{label}s {low} to {high}"
