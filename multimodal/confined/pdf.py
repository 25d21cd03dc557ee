"""Text and pictures of the pages of a PDF. Runs in a confined child only.

What a page does not show is not taken from it: white on white, unprinted, tiny or beside the page.
Models would read it, and whoever sent it may have wanted just that.
"""

from __future__ import annotations

import ctypes
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import pypdfium2 as pdfium  # type: ignore[import-untyped]
import pypdfium2.raw as raw  # type: ignore[import-untyped]

from multimodal.confined.gathered import Gathered, plural
from multimodal.errors import Unreadable

OBJECTS = 50_000
"""Objects of one page that are looked at."""
ANNOTATIONS = 1_000
AREAS = 200
"""Filled ones of one page with whose colour that of the text is compared."""
PIXELS = 16_000_000
SIDE = 8_000
"""Of the picture of one page; larger ones get fewer dots per inch."""

LITTLE = 200
"""Characters; a page with fewer and a large picture is a scanned one with a stamp on it."""
LARGE = 0.5
"""Of the page's area."""
TINY = 1.5
"""Points. Nobody reads type of that size."""

_ANNOTATIONS = {raw.FPDF_ANNOT_TEXT, raw.FPDF_ANNOT_FREETEXT}
_NOT_VIEWED = raw.FPDF_ANNOT_FLAG_HIDDEN | raw.FPDF_ANNOT_FLAG_NOVIEW
_UNMAPPED = re.compile("[\ufffd\ue000-\uf8ff\x00-\x08\x0e-\x1f\ufffe\uffff]")


def warm_up() -> None:
    """Look for fonts once: there are no files later."""
    pdf = pdfium.PdfDocument.new()
    page = pdf.new_page(100, 100)
    font = raw.FPDFText_LoadStandardFont(pdf, b"Helvetica")
    shown = raw.FPDFPageObj_CreateTextObj(pdf, font, 12.0)
    letter = ctypes.create_string_buffer("a".encode("utf-16-le") + b"\0\0")
    raw.FPDFText_SetText(shown, ctypes.cast(letter, raw.FPDF_WIDESTRING))
    raw.FPDFPage_InsertObject(page, shown)
    page.gen_content()
    made = io.BytesIO()
    pdf.save(made)
    pdf.close()
    text(made.getvalue(), pages=1, keep=10)
    for _ in pictures(made.getvalue(), numbers=[1], dpi=72):
        pass


def text(content: bytes, *, pages: int, keep: int) -> dict[str, Any]:
    """The text of each page. What has to be looked at is marked as a scan."""
    gathered = Gathered()
    pdf = _opened(content)
    try:
        count = len(pdf)
        gathered.pages = min(count, pages)
        if count > pages:
            gathered.notes.append(f"only {plural(pages, 'page')} of {count:,} were read")
        hidden = behind = broken = 0
        for index in range(gathered.pages):
            try:
                found = _page(pdf, index)
            except pdfium.PdfiumError:
                broken += 1
                continue
            hidden += found.hidden
            behind += found.behind
            gathered.add(found.text, "page", index + 1, scan=found.scan)
        if broken and broken == gathered.pages:
            raise Unreadable("it is broken")
        if broken:
            gathered.notes.append(f"{plural(broken, 'page')} broken")
        if hidden:
            gathered.notes.append("text that its pages do not show was left out")
        if attached := raw.FPDFDoc_GetAttachmentCount(pdf):
            gathered.notes.append(f"{plural(attached, 'attachment')} not opened")
        if behind:
            gathered.notes.append("of scanned pages the text that came with them was taken")
    finally:
        pdf.close()
    return gathered.told(keep)


def pictures(content: bytes, *, numbers: list[int], dpi: int) -> Iterator[bytes]:
    """A grey picture of each of those pages: number, width and height of four bytes each, and a
    byte for each dot. Pages that cannot be drawn have none."""
    pdf = _opened(content)
    try:
        for number in numbers:
            try:
                yield _drawn(pdf, number, dpi)
            except pdfium.PdfiumError:
                yield b"".join(each.to_bytes(4, "big") for each in (number, 0, 0))
    finally:
        pdf.close()


def _opened(content: bytes) -> pdfium.PdfDocument:
    try:
        pdf = pdfium.PdfDocument(content)
        if not len(pdf):
            raise Unreadable("it has no pages")
    except pdfium.PdfiumError as problem:
        code = getattr(problem, "err_code", None)
        if code == raw.FPDF_ERR_PASSWORD:
            raise Unreadable("it is encrypted") from None
        if code == raw.FPDF_ERR_SECURITY:
            raise Unreadable("it is encrypted in a way that is not known here") from None
        raise Unreadable("it is broken") from None
    return pdf


@dataclass(slots=True)
class _Found:
    text: str
    scan: bool = False
    hidden: bool = False
    behind: bool = False
    """The text lies behind a picture, as programs put it that read scanned pages."""


@dataclass(slots=True)
class _Seen:
    """What is on a page but its text."""

    pictures: float = 0.0
    """Share of the page's area."""
    drawn: int = 0
    unprinted: set[int] = field(default_factory=set)
    """Addresses of objects of text that is never painted."""
    doubtful: dict[int, Any] = field(default_factory=dict)
    """Of those that are so small or so pale, or of such a layer, that they may not be seen."""
    fills: list[tuple[tuple[int, ...], tuple[float, float, float, float]]] = field(
        default_factory=list
    )
    """Colours and places of areas large enough to have text on them."""


def _page(pdf: pdfium.PdfDocument, index: int) -> _Found:
    page = pdf[index]
    try:
        seen = _look(page)
        textpage = page.get_textpage()
        try:
            found = _text(page, textpage, seen)
        finally:
            textpage.close()
        found.text = "\n".join(piece for piece in (found.text, *_annotations(page)) if piece)
    finally:
        page.close()
    return found


def _text(page: pdfium.PdfPage, textpage: pdfium.PdfTextPage, seen: _Seen) -> _Found:
    covered = seen.pictures >= LARGE
    beside = _beside(page, textpage)
    if not seen.doubtful and not beside and (covered or not seen.unprinted):
        content, hidden = textpage.get_text_range(), False
    else:
        unseen = set() if covered else set(seen.unprinted)
        content, hidden = _visible(page, textpage, seen.doubtful, unseen)
    content = content.replace("\r\n", "\n").replace("\ufffe", "-").strip()
    marks = len("".join(content.split()))
    if not marks:
        return _Found("", scan=seen.pictures > 0.02 or seen.drawn > 100, hidden=hidden)
    garbled = len(_UNMAPPED.findall(content)) > marks * 0.3
    scan = garbled or (covered and marks < LITTLE)
    return _Found(content, scan, hidden, covered and bool(seen.unprinted) and not scan)


def _look(page: pdfium.PdfPage) -> _Seen:
    seen = _Seen()
    area = max(1.0, page.get_width() * page.get_height())
    around = (0.0, 0.0, 0.0, 0.0)
    for each in islice(page.get_objects(max_depth=8), OBJECTS):
        match each.type:
            case raw.FPDF_PAGEOBJ_TEXT:
                _look_at_text(each, seen)
            case raw.FPDF_PAGEOBJ_IMAGE:
                left, bottom, right, top = _bounds(each) if not each.level else around
                seen.pictures += abs(right - left) * abs(top - bottom) / area
            case raw.FPDF_PAGEOBJ_FORM:
                around = _bounds(each) if not each.level else around
            case _:
                seen.drawn += 1
                if each.type == raw.FPDF_PAGEOBJ_PATH and not each.level:
                    _look_at_area(each, seen)
    return seen


def _look_at_area(each: pdfium.PdfObject, seen: _Seen) -> None:
    fill, stroke = ctypes.c_int(), ctypes.c_int()
    if len(seen.fills) >= AREAS or not raw.FPDFPath_GetDrawMode(each, fill, stroke):
        return
    place = _bounds(each)
    if fill.value and place[2] - place[0] > 10 and place[3] - place[1] > 4:
        colours = tuple(ctypes.c_uint() for _ in range(4))
        if raw.FPDFPageObj_GetFillColor(each, *colours):
            seen.fills.append((tuple(colour.value for colour in colours[:3]), place))


def _bounds(each: pdfium.PdfObject) -> tuple[float, float, float, float]:
    try:
        left, bottom, right, top = each.get_bounds()
    except pdfium.PdfiumError:
        return (0.0, 0.0, 0.0, 0.0)
    return left, bottom, right, top


def _look_at_text(each: pdfium.PdfObject, seen: _Seen) -> None:
    address = _address(each.raw)
    mode = raw.FPDFTextObj_GetTextRenderMode(each)
    red, green, blue, alpha = (ctypes.c_uint() for _ in range(4))
    painted = raw.FPDFPageObj_GetFillColor(each, red, green, blue, alpha)
    if mode in (raw.FPDF_TEXTRENDERMODE_INVISIBLE, raw.FPDF_TEXTRENDERMODE_CLIP) or (
        painted and alpha.value < 26
    ):
        seen.unprinted.add(address)
        return
    size = ctypes.c_float()
    matrix = raw.FS_MATRIX()
    raw.FPDFTextObj_GetFontSize(each, size)
    raw.FPDFPageObj_GetMatrix(each, matrix)
    scale = max(abs(matrix.b), abs(matrix.d))
    pale = painted and min(red.value, green.value, blue.value) > 215
    colour = (red.value, green.value, blue.value)
    if (
        pale
        or abs(size.value) * scale < TINY
        or _is_of_a_layer(each)
        or (painted and _is_on_its_colour(each, colour, seen))
    ):
        seen.doubtful[address] = each


def _is_on_its_colour(each: pdfium.PdfObject, colour: tuple[int, ...], seen: _Seen) -> bool:
    alike = [
        place
        for other, place in seen.fills
        if max(abs(one - two) for one, two in zip(colour, other, strict=True)) < 40
    ]
    if not alike or each.level:
        return False
    left, bottom, right, top = _bounds(each)
    return any(
        place[0] <= right and place[2] >= left and place[1] <= top and place[3] >= bottom
        for place in alike
    )


def _is_of_a_layer(each: pdfium.PdfObject) -> bool:
    """Which may be switched off."""
    name = ctypes.create_string_buffer(8)
    size = ctypes.c_ulong()
    for index in range(min(raw.FPDFPageObj_CountMarks(each), 8)):
        mark = raw.FPDFPageObj_GetMark(each, index)
        into = ctypes.cast(name, ctypes.POINTER(raw.FPDF_WCHAR))
        told = raw.FPDFPageObjMark_GetName(mark, into, len(name), size)
        if told and name.raw[: size.value] == "OC\0".encode("utf-16-le"):
            return True
    return False


def _address(pointer: Any) -> int:
    return ctypes.cast(pointer, ctypes.c_void_p).value or 0


def _beside(page: pdfium.PdfPage, textpage: pdfium.PdfTextPage) -> bool:
    """Whether there is text beside the page."""
    return len(textpage.get_text_bounded().split()) < len(textpage.get_text_range().split())


def _visible(
    page: pdfium.PdfPage, textpage: pdfium.PdfTextPage, doubtful: dict[int, Any], unseen: set[int]
) -> tuple[str, bool]:
    """The characters that can be seen, and whether there were others."""
    boxes: dict[int, list[tuple[float, float, float, float]]] = {}
    of: list[int] = []
    left, bottom, right, top = (ctypes.c_double() for _ in range(4))
    west, south, east, north = page.get_bbox()
    count = textpage.count_chars()
    beside: set[int] = set()
    for index in range(count):
        address = _address(raw.FPDFText_GetTextObject(textpage, index))
        of.append(address)
        if not address or address in unseen:
            continue
        raw.FPDFText_GetCharBox(textpage, index, left, right, bottom, top)
        box = (left.value, bottom.value, right.value, top.value)
        if box[2] < west or box[0] > east or box[3] < south or box[1] > north:
            beside.add(index)
        elif address in doubtful:
            boxes.setdefault(address, []).append(box)
    unseen |= _making_no_difference(page, boxes, doubtful)
    shown = [
        chr(raw.FPDFText_GetUnicode(textpage, index))
        for index in range(count)
        if of[index] not in unseen and index not in beside
    ]
    told = sum(1 for address in of if address in unseen) + len(beside)
    return "".join(shown), bool(told)


def _making_no_difference(
    page: pdfium.PdfPage,
    boxes: dict[int, list[tuple[float, float, float, float]]],
    objects: dict[int, Any],
) -> set[int]:
    """Those of the texts without which a picture of the page looks the same."""
    if not boxes:
        return set()
    width, height, dots = _dots(page, 100)
    for each in objects.values():
        raw.FPDFPageObj_SetIsActive(each, False)
    _, _, without = _dots(page, 100)
    for each in objects.values():
        raw.FPDFPageObj_SetIsActive(each, True)
    unseen: set[int] = set()
    across, down = ctypes.c_int(), ctypes.c_int()
    for address, all_of_it in boxes.items():
        if max(top - bottom for _, bottom, _, top in all_of_it) < TINY * 0.7:
            unseen.add(address)
            continue
        corners = []
        for x, y in (
            (min(box[0] for box in all_of_it), min(box[1] for box in all_of_it)),
            (max(box[2] for box in all_of_it), max(box[3] for box in all_of_it)),
        ):
            raw.FPDF_PageToDevice(page, 0, 0, width, height, 0, x, y, across, down)
            corners.append((across.value, down.value))
        (x0, x1), (y0, y1) = (sorted(axis) for axis in zip(*corners, strict=True))
        x0, x1 = max(0, x0), min(width, x1 + 1)
        rows = [slice(y * width + x0, y * width + x1) for y in range(max(0, y0), min(height, y1))]
        inside = b"".join(dots[row] for row in rows), b"".join(without[row] for row in rows)
        changed = sum(abs(one - other) > 20 for one, other in zip(*inside, strict=True))
        if changed <= len(inside[0]) / 100:
            unseen.add(address)
    return unseen


def _annotations(page: pdfium.PdfPage) -> list[str]:
    """What was filled in and what was noted on the page."""
    lines: list[str] = []
    for index in range(min(raw.FPDFPage_GetAnnotCount(page), ANNOTATIONS)):
        annotation = raw.FPDFPage_GetAnnot(page, index)
        if not annotation:
            continue
        try:
            if raw.FPDFAnnot_GetFlags(annotation) & _NOT_VIEWED:
                continue
            kind = raw.FPDFAnnot_GetSubtype(annotation)
            if kind == raw.FPDF_ANNOT_WIDGET and (value := _said(annotation, b"V")):
                name = _said(annotation, b"TU") or _said(annotation, b"T")
                lines.append(f"{name}: {value}" if name else value)
            elif kind in _ANNOTATIONS and (value := _said(annotation, b"Contents")):
                lines.append(f"Note: {value}")
        finally:
            raw.FPDFPage_CloseAnnot(annotation)
    return lines


def _said(annotation: Any, key: bytes) -> str:
    size = raw.FPDFAnnot_GetStringValue(annotation, key, None, 0)
    if not 2 < size < 100_000:
        return ""
    buffer = ctypes.create_string_buffer(size)
    raw.FPDFAnnot_GetStringValue(
        annotation, key, ctypes.cast(buffer, ctypes.POINTER(raw.FPDF_WCHAR)), size
    )
    return buffer.raw[: size - 2].decode("utf-16-le", "replace").strip()


def _drawn(pdf: pdfium.PdfDocument, number: int, dpi: int) -> bytes:
    page = pdf[number - 1]
    try:
        width, height, dots = _dots(page, dpi)
    finally:
        page.close()
    return b"".join((*(each.to_bytes(4, "big") for each in (number, width, height)), dots))


def _dots(page: pdfium.PdfPage, dpi: int) -> tuple[int, int, bytes]:
    """Width, height, and a shade for each dot."""
    width, height = page.get_size()
    wide, high = max(0.01, width), max(0.01, height)
    scale = min(dpi / 72, SIDE / max(wide, high), (PIXELS / (wide * high)) ** 0.5)
    bitmap = page.render(scale=scale, grayscale=True, may_draw_forms=False)
    try:
        dots = bytes(bitmap.buffer)
        if bitmap.stride != bitmap.width:
            dots = b"".join(
                dots[row * bitmap.stride : row * bitmap.stride + bitmap.width]
                for row in range(bitmap.height)
            )
        return bitmap.width, bitmap.height, dots
    finally:
        bitmap.close()
