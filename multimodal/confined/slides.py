"""PPTX and its kin: of each slide its title, what is written on it, and its notes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from pptx.opc.constants import CONTENT_TYPE
from pptx.opc.package import PartFactory
from pptx.package import Package
from pptx.parts.presentation import PresentationPart

from multimodal.confined.gathered import Gathered, plural, table
from multimodal.confined.packages import within
from multimodal.errors import Unreadable

DEEP = 8
"""Of groups in one another."""
SHAPES = 2_000

_KIN = (
    CONTENT_TYPE.PML_PRESENTATION_MAIN,
    CONTENT_TYPE.PML_PRES_MACRO_MAIN,
    CONTENT_TYPE.PML_SLIDESHOW_MAIN,
    CONTENT_TYPE.PML_TEMPLATE_MAIN,
    "application/vnd.ms-powerpoint.slideshow.macroEnabled.main+xml",
    "application/vnd.ms-powerpoint.template.macroEnabled.main+xml",
)
for _each in _KIN:
    PartFactory.part_type_for[_each] = PresentationPart


def read(content: bytes, gathered: Gathered, unpacked: int, rows: int, pages: int) -> None:
    within(content, unpacked).close()
    part = Package.open(io.BytesIO(content)).main_document_part
    if not isinstance(part, PresentationPart):
        raise Unreadable("it holds no slides")
    slides = list(part.presentation.slides)
    if len(slides) > pages:
        gathered.notes.append(f"only {plural(pages, 'slide')} of {len(slides):,} were read")
    hidden = 0
    told: dict[str, None] = {}
    width = part.presentation.slide_width or 2**62
    for number, slide in enumerate(slides[:pages], 1):
        gathered.pages += 1
        if slide.element.get("show") in ("0", "false"):
            hidden += 1
            continue
        gathered.add("\n\n".join(_slide(slide, number, rows, width, told)), "slide", number)
    if hidden:
        gathered.notes.append(f"{plural(hidden, 'hidden slide')} left out")
    gathered.notes += told


def _slide(slide: Any, number: int, rows: int, width: int, told: dict[str, None]) -> Iterator[str]:
    """`told`: what of it was not read."""
    title = slide.shapes.title
    words = "" if title is None or not title.has_text_frame else title.text_frame.text
    yield f"# Slide {number}{': ' if words else ''}{' '.join(words.split())}"
    count = 0
    for shape in _shapes(_on_it(slide.shapes, width, told), 0):
        count += 1
        if count > SHAPES:
            told["of a slide with very many shapes not all were read"] = None
            break
        if title is not None and shape.shape_id == title.shape_id:
            continue
        if getattr(shape, "has_table", False) and shape.has_table:
            lines = [[cell.text for cell in row.cells] for row in list(shape.table.rows)[:rows]]
            if len(shape.table.rows) > rows:
                told[f"only the first {rows:,} rows of a table were read"] = None
            yield table(lines)
        elif shape.has_text_frame and (text := _paragraphs(shape.text_frame)):
            yield text
    if slide.has_notes_slide:
        frame = slide.notes_slide.notes_text_frame
        if frame is not None and frame.text.strip():
            yield f"Notes: {frame.text.strip()}"


def _on_it(shapes: Any, width: int, told: dict[str, None]) -> Iterator[Any]:
    """Without what lies left or right of the slide, which nobody is shown."""
    for each in shapes:
        left = each.left or 0
        if -(each.width or 0) <= left <= width:
            yield each
        else:
            told["what lies beside its slides was left out"] = None


def _shapes(shapes: Any, depth: int) -> Iterator[Any]:
    """From top to bottom; not those that are hidden."""
    seen = [each for each in shapes if not _hidden(each)]
    for each in sorted(seen, key=lambda each: (each.top or 0, each.left or 0)):
        if hasattr(each, "shapes"):
            if depth < DEEP:
                yield from _shapes(each.shapes, depth + 1)
        else:
            yield each


def _hidden(shape: Any) -> bool:
    return any(each.get("hidden") in ("1", "true") for each in shape.element.xpath("./*/p:cNvPr"))


def _paragraphs(frame: Any) -> str:
    lines = []
    for each in frame.paragraphs:
        if text := each.text.replace("\v", "\n").strip():
            lines.append(f"{'  ' * each.level}- {text}" if each.level else text)
    return "\n".join(lines)
