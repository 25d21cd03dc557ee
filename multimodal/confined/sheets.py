"""XLSX and its kin: each sheet as a table, with the values that were last computed."""

from __future__ import annotations

import datetime
import io
import re

from openpyxl import load_workbook  # type: ignore[import-untyped]

from multimodal.confined.gathered import Gathered, plural, table
from multimodal.confined.packages import within

COLUMNS = 200
SHEETS = 200
ROWS = 1_100_000
"""Rows that are passed over, with blank ones: a file may well begin in the last row there is."""

_UNCOMPUTED = re.compile(
    rb"""<c(?: (?![^<>]*t="str")[^<>]*)?>(?:<f[^<>]*/>|<f[^<>]*>[^<]*</f>)(?:<v></v>|<v ?/>)?</c>"""
)
"""Office programs store what came out beside each formula; libraries do not. A text may be empty.
"""


def read(content: bytes, gathered: Gathered, unpacked: int, rows: int, keep: int) -> None:
    with within(content, unpacked) as archive:
        names = [name for name in archive.namelist() if name.startswith("xl/worksheets/sheet")]
        if any(_UNCOMPUTED.search(archive.read(name)) for name in names[:SHEETS]):
            gathered.notes.append("formulas that no program has computed yet are missing")
    book = load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
    try:
        shown = [each for each in book.worksheets if each.sheet_state == "visible"]
        hidden = len(book.worksheets) - len(shown)
        if hidden:
            gathered.notes.append(f"{plural(hidden, 'hidden sheet')} left out")
        if len(shown) > SHEETS:
            gathered.notes.append(f"only the first {SHEETS} of {len(shown):,} sheets were read")
        for number, each in enumerate(shown[:SHEETS], 1):
            each.reset_dimensions()  # which are only what the file says of itself
            lines: list[list[str]] = []
            wide = long = False
            blank: object = None  # missing rows are all the same one
            for passed, row in enumerate(each.iter_rows(values_only=True, max_col=COLUMNS + 1)):
                if passed >= ROWS:
                    long = True
                    break
                if row is blank:
                    continue
                if not any(value is not None and value != "" for value in row):
                    blank = row
                    continue
                if len(lines) >= rows:
                    long = True
                    break
                wide = wide or row[-1] is not None
                lines.append([_shown(value, keep) for value in row[:COLUMNS]])
            if long:
                gathered.notes.append(
                    f"only {plural(rows, 'row')} of “{each.title[:40]}” were read"
                )
            if wide:
                gathered.notes.append(f"only {COLUMNS} columns of “{each.title[:40]}” were read")
            if text := table(_squeezed(lines)):
                gathered.add(f"## Sheet: {each.title}\n\n{text}", "sheet", number)
    finally:
        book.close()


def _squeezed(lines: list[list[str]]) -> list[list[str]]:
    """Without the blank columns on its left."""
    left = min(
        (next(i for i, text in enumerate(line) if text) for line in lines if any(line)), default=0
    )
    return [line[left:] for line in lines] if left else lines


def _shown(value: object, keep: int) -> str:
    match value:
        case None:
            return ""
        case str():
            return value[:keep]
        case bool():
            return "TRUE" if value else "FALSE"
        case float():
            return f"{value:.15g}"
        case datetime.datetime():
            midnight = value.time() == datetime.time()
            return str(value.date()) if midnight else value.isoformat(" ", "seconds")
        case _:
            return str(value)
