"""``python -m tests.faults.table FILE``: the figures that fault tests wrote, as tables."""

from __future__ import annotations

import json
import sys
from pathlib import Path

Row = dict[str, object]


def main(file: Path) -> None:
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    for test in dict.fromkeys(row["test"] for row in rows):
        print(f"\n{test}")
        mine = [figures(row) for row in rows if row["test"] == test]
        for columns in dict.fromkeys(tuple(row) for row in mine):
            show(columns, [row for row in mine if tuple(row) == columns])


def figures(row: Row) -> Row:
    return {name: value for name, value in row.items() if name != "test"}


def show(columns: tuple[str, ...], rows: list[Row]) -> None:
    lines = [columns, *(tuple(map(str, row.values())) for row in rows)]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print(" ", *cells, sep="  ")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
