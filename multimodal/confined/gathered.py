"""What the readers of documents find, in the order of the document. Pure; both sides import it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import astuple, dataclass, field, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Part:
    """One page, sheet, slide or file, or a piece of one."""

    text: str
    label: str = ""
    """What it is, in the singular: page, slide, sheet."""
    number: int = 0
    last: int = 0
    """With `gone`: the last one of those that were left out here."""
    gone: int = 0
    """Characters that were left out in this place; there is no text then."""
    scan: bool = False
    """A page that has to be looked at: its text, if any, is not all there is."""


@dataclass(slots=True)
class Gathered:
    parts: list[Part] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What was not read, in few words for the user."""
    pages: int = 0
    cpu: float = field(default_factory=time.process_time)
    """Seconds it took; until `told`, when they began."""

    def add(self, text: str, label: str = "", number: int = 0, *, scan: bool = False) -> None:
        if text or scan:
            self.parts.append(Part(text, label, number, scan=scan))

    def told(self, keep: int) -> dict[str, Any]:
        """For the way across the border: of a long text only both ends, `keep` characters each."""
        parts = trimmed(self.parts, keep)
        return {
            "parts": [list(astuple(part)) for part in parts],
            "notes": self.notes,
            "pages": self.pages,
            "cpu": time.process_time() - self.cpu,
        }


def understood(told: dict[str, Any]) -> Gathered:
    """The other end of `told`."""
    return Gathered(
        [Part(*part) for part in told["parts"]], told["notes"], told["pages"], told["cpu"]
    )


def trimmed(parts: Iterable[Part], keep: int) -> list[Part]:
    """The first and the last `keep` characters or more, and between them what is gone."""
    parts = list(parts)
    if sum(len(part.text) for part in parts) <= 2 * keep + 1_000:
        return parts
    head, middle = _taken(parts, keep)
    tail, middle = _taken([_reversed(part) for part in reversed(middle)], keep)
    gone = sum(len(part.text) for part in middle)
    numbers = [part.number for part in middle if part.number]
    label = next((part.label for part in middle if part.label), "")
    hole = Part(
        "", label, min(numbers, default=0), max(numbers, default=0), gone=gone
    )  # fmt: skip
    return [*head, hole, *(_reversed(part) for part in reversed(tail))]


def _taken(parts: list[Part], keep: int) -> tuple[list[Part], list[Part]]:
    """Parts of `keep` characters, and those after them; one may be in both."""
    taken: list[Part] = []
    for number, part in enumerate(parts):
        if len(part.text) >= keep:
            first, rest = replace(part, text=part.text[:keep]), replace(part, text=part.text[keep:])
            return [*taken, first], [rest, *parts[number + 1 :]]
        taken.append(part)
        keep -= len(part.text)
    return taken, []


def _reversed(part: Part) -> Part:
    return replace(part, text=part.text[::-1])


def plural(count: int, noun: str) -> str:
    """``1 page``, ``2,000 pages``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def table(rows: list[list[str]]) -> str:
    """A Markdown table; its first row is the header. Very wide ones become lines of cells."""
    while rows and not any(rows[-1]):
        rows = rows[:-1]
    width = max((_filled(row) for row in rows), default=0)
    if not width:
        return ""
    rows = [[_cell(text) for text in row[:width]] for row in rows]
    if width > WIDE:
        return "\n".join(" | ".join(row[: max(1, _filled(row))]) for row in rows)
    rows = [row + [""] * (width - len(row)) for row in rows]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    lines.insert(1, f"|{' --- |' * width}")
    return "\n".join(lines)


WIDE = 24


def _filled(row: list[str]) -> int:
    return next((number for number in range(len(row), 0, -1) if row[number - 1]), 0)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|") if text else ""
