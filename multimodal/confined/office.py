"""Text of word processors, spreadsheets and slides. Runs in a confined child only.

Macros and what lies outside the file are not looked at. Neither is what its author made
invisible: models would read it, and whoever sent it may have wanted just that.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import Any

import docx
import openpyxl  # type: ignore[import-untyped]
import pptx

from multimodal.confined import odf, sheets, slides, words
from multimodal.confined.gathered import Gathered


def warm_up() -> None:
    made = io.BytesIO()
    document = docx.Document()
    document.add_heading("a")
    document.add_paragraph("b", "List Number")
    document.save(made)
    word(made.getvalue(), unpacked=10**7, rows=10, keep=100)
    made = io.BytesIO()
    book = openpyxl.Workbook()
    book.active.append(["a", 1.5])
    book.save(made)
    book.close()
    sheet(made.getvalue(), unpacked=10**7, rows=10, keep=100)
    made = io.BytesIO()
    show = pptx.Presentation()
    show.slides.add_slide(show.slide_layouts[0]).notes_slide  # noqa: B018  it is made by looking
    show.save(made)
    slide(made.getvalue(), unpacked=10**7, rows=10, pages=1, keep=100)


def word(content: bytes, *, unpacked: int, rows: int, keep: int) -> dict[str, Any]:
    """DOCX and its kin."""
    return _read(lambda gathered: words.read(content, gathered, unpacked, rows), keep)


def sheet(content: bytes, *, unpacked: int, rows: int, keep: int) -> dict[str, Any]:
    """XLSX and its kin."""
    return _read(lambda gathered: sheets.read(content, gathered, unpacked, rows, keep), keep)


def slide(content: bytes, *, unpacked: int, rows: int, pages: int, keep: int) -> dict[str, Any]:
    """PPTX and its kin."""
    return _read(lambda gathered: slides.read(content, gathered, unpacked, rows, pages), keep)


def opendocument(
    content: bytes, *, unpacked: int, rows: int, pages: int, keep: int
) -> dict[str, Any]:
    """ODT, ODS and ODP."""
    return _read(lambda gathered: odf.read(content, gathered, unpacked, rows, pages), keep)


def _read(fill: Callable[[Gathered], None], keep: int) -> dict[str, Any]:
    gathered = Gathered()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fill(gathered)
    return gathered.told(keep)
