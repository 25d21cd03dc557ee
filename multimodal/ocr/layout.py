"""Words with boxes to text: lines and paragraphs in the order of reading, columns one after the
other, simple tables as Markdown tables."""

from __future__ import annotations

import re
import statistics
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from multimodal.ocr.tesseract import Word

_WIDE_SCRIPT = re.compile(r"[\u2e80-\u312f\u31a0-\u31ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef]")
"""Written without blanks between words. Korean is not among them."""

_GAP = 1.1
"""Blank between two cells, in heights of the line; between words it is about a third."""
_RUNNING = 16
"""Characters of a cell from which on it is a line of running text: columns, not a table."""
_FAR = 3.6
"""Heights from one row of a table to the next, at most."""
_RULE = re.compile(r"[|¦_\-\u2013\u2014=\[\](){}]+")
"""What Tesseract makes of ruled lines."""


@dataclass(frozen=True)
class Cell:
    words: tuple[Word, ...]

    @property
    def left(self) -> int:
        return self.words[0].left

    @property
    def right(self) -> int:
        return max(word.right for word in self.words)

    @property
    def text(self) -> str:
        return joined(self.words)


@dataclass(frozen=True)
class Row:
    """What stands side by side."""

    cells: tuple[Cell, ...]
    middle: float
    height: float


@dataclass(frozen=True)
class Table:
    rows: tuple[tuple[str, ...], ...]
    words: frozenset[Word]

    def markdown(self) -> str:
        lines = [
            "| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in self.rows
        ]
        lines.insert(1, "|" + " --- |" * len(self.rows[0]))
        return "\n".join(lines)


def to_text(words: Sequence[Word]) -> str:
    found = tables(words)
    inside = {word: table for table in found for word in table.words}
    lines = [
        list(line)
        for _, line in groupby(words, key=lambda word: (word.block, word.paragraph, word.line))
    ]
    usual = _usual_gap(lines)
    text, before, shown = "", None, set[int]()
    for line in lines:
        outside = [word for word in line if word not in inside]
        for table in {id(inside[word]): inside[word] for word in line if word in inside}.values():
            if id(table) not in shown:
                shown.add(id(table))
                text, before = f"{text.rstrip()}\n\n{table.markdown()}\n\n", None
        if outside:
            if before is not None:
                text += "\n\n" if _apart(before, outside, usual) else "\n"
            text, before = text + joined(outside), outside
    return clean(text.strip())


def _usual_gap(lines: Sequence[Sequence[Word]]) -> float:
    gaps = [_gap(above, below) for above, below in pairwise(lines)]
    near = [gap for gap in gaps if gap >= 0]
    return statistics.median(near) if near else 0.0


def _gap(above: Sequence[Word], below: Sequence[Word]) -> int:
    return min(word.top for word in below) - max(word.bottom for word in above)


def _apart(above: Sequence[Word], below: Sequence[Word], usual: float) -> bool:
    """A new paragraph: more room than usual between the lines, or the next column. Tesseract's own
    paragraphs end wherever a line is short."""
    gap = _gap(above, below)
    height = max(word.height for word in (*above, *below))
    return gap < -height or gap > max(0.9 * height, 1.5 * usual)


def joined(words: Sequence[Word]) -> str:
    """With blanks, except between characters of scripts that have none."""
    if not words:
        return ""
    text = words[0].text
    for before, after in pairwise(words):
        apart = not (_WIDE_SCRIPT.match(before.text[-1]) and _WIDE_SCRIPT.match(after.text[0]))
        text += " " * apart + after.text
    return text


def clean(text: str) -> str:
    """NFC, and no control characters but line ends."""
    normal = unicodedata.normalize("NFC", text)
    return "".join(one for one in normal if one == "\n" or unicodedata.category(one) != "Cc")


def tables(words: Sequence[Word]) -> list[Table]:
    """Rows of short cells that stand below each other."""
    found: list[Table] = []
    run: list[Row] = []
    for row in rows(words):
        if run and not _continues(run, row):
            found += _table(run)
            run = []
        if run or len(row.cells) > 1:
            run.append(row)
    found += _table(run)
    return found


def rows(words: Sequence[Word]) -> list[Row]:
    """All words by height on the page, whatever block Tesseract has put them into."""
    groups: list[list[Word]] = []
    printed = [word for word in words if not _RULE.fullmatch(word.text)]
    for word in sorted(printed, key=lambda one: one.top + one.height / 2):
        middle = word.top + word.height / 2
        last = groups[-1] if groups else []
        if last and middle < statistics.fmean(one.top + one.height * 0.9 for one in last):
            last.append(word)
        else:
            groups.append([word])
    return [_row(group) for group in groups]


def _row(words: list[Word]) -> Row:
    height = statistics.median(word.height for word in words)
    ordered = sorted(words, key=lambda word: word.left)
    cells: list[list[Word]] = []
    for word in ordered:
        if cells and word.left - max(one.right for one in cells[-1]) <= _GAP * max(height, 8):
            cells[-1].append(word)
        else:
            cells.append([word])
    middle = statistics.fmean(word.top + word.height / 2 for word in words)
    return Row(tuple(Cell(tuple(cell)) for cell in cells), middle, height)


def _continues(run: Sequence[Row], row: Row) -> bool:
    last = run[-1]
    if row.middle - last.middle > _FAR * max(row.height, last.height):
        return False
    if len(row.cells) == 1 and len(last.cells) == 1:
        return False
    columns = _columns([*run, row])
    return len(columns) > 1 and all(_fits(one, columns) for one in (*run, row))


def _columns(run: Sequence[Row]) -> list[tuple[int, int]]:
    """Stretches of the width that are written on in some row."""
    merged: list[tuple[int, int]] = []
    for left, right in sorted((cell.left, cell.right) for row in run for cell in row.cells):
        if merged and left <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], right)
        else:
            merged.append((left, right))
    return merged


def _fits(row: Row, columns: Sequence[tuple[int, int]]) -> bool:
    """No two of its cells in one column."""
    places = [_place(cell, columns) for cell in row.cells]
    return len(set(places)) == len(places)


def _place(cell: Cell, columns: Sequence[tuple[int, int]]) -> int:
    return next(number for number, (_, right) in enumerate(columns) if cell.left <= right)


def _table(run: Sequence[Row]) -> Iterator[Table]:
    run = list(run)
    while run and len(run[-1].cells) == 1:
        run.pop()  # what stands below a table, in its first column's place
    columns = _columns(run)
    if len(run) < (3 if len(columns) == 2 else 2) or len(columns) < 2:
        return
    texts = [[""] * len(columns) for _ in run]
    for number, row in enumerate(run):
        for cell in row.cells:
            texts[number][_place(cell, columns)] = cell.text
    filled = sum(bool(cell) for row in texts for cell in row)
    if filled < 0.6 * len(texts) * len(columns):
        return
    lengths = [
        statistics.median(len(cell) for cell in cells if cell) for cells in zip(*texts, strict=True)
    ]
    if min(lengths) > _RUNNING:
        return
    words = frozenset(word for row in run for cell in row.cells for word in cell.words)
    yield Table(tuple(map(tuple, texts)), words)
