"""DOCX and its kin as Markdown, in the order of the document."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

from docx.document import Document
from docx.opc.constants import CONTENT_TYPE, RELATIONSHIP_TYPE
from docx.opc.part import PartFactory
from docx.oxml import parse_xml
from docx.oxml.ns import qn
from docx.package import Package
from docx.parts.document import DocumentPart

from multimodal.confined.gathered import Gathered, table
from multimodal.confined.packages import within
from multimodal.errors import Unreadable

DEEP = 12
"""Of tables and boxes in one another."""

_KIN = (
    CONTENT_TYPE.WML_DOCUMENT_MAIN,
    "application/vnd.ms-word.document.macroEnabled.main+xml",
    "application/vnd.ms-word.template.macroEnabledTemplate.main+xml",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.template.main+xml",
)
for _each in _KIN:
    PartFactory.part_type_for[_each] = DocumentPart

_P, _TBL, _TR, _TC, _R, _T = (qn(f"w:{name}") for name in ("p", "tbl", "tr", "tc", "r", "t"))
_VAL, _TYPE, _ID = qn("w:val"), qn("w:type"), qn("w:id")
_GONE = {qn(f"w:{name}") for name in ("del", "moveFrom", "instrText", "rPr", "pPr", "sectPr")} | {
    "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
}
_BOX, _NOTE = qn("w:txbxContent"), (qn("w:footnoteReference"), qn("w:endnoteReference"))
_SIGNS = {qn("w:tab"): "\t", qn("w:br"): "\n", qn("w:cr"): "\n", qn("w:noBreakHyphen"): "-"}
_STYLES = RELATIONSHIP_TYPE.STYLES
_HEADING = re.compile(r"heading ([1-9])$", re.IGNORECASE)


def read(content: bytes, gathered: Gathered, unpacked: int, rows: int) -> None:
    within(content, unpacked).close()
    part = Package.open(io.BytesIO(content)).main_document_part
    if not isinstance(part, DocumentPart):
        raise Unreadable("it holds no document")
    walk = _Walk(part.document, rows)
    for block in walk.blocks(part.document.element.body):
        gathered.add(block)
    for block in walk.around():
        gathered.add(block)
    for block in walk.notes():
        gathered.add(block)
    if walk.hidden:
        gathered.notes.append("hidden text was left out")
    if walk.cut:
        gathered.notes.append(f"only the first {rows:,} rows of a table were read")


class _Walk:
    def __init__(self, document: Document, rows: int) -> None:
        self._document = document
        self._rows = rows
        # Without a part for them the library takes its own from a file, which cannot be opened.
        known = any(each.reltype == _STYLES for each in document.part.rels.values())
        styles = list(document.styles) if known else []
        self._styles = {style.style_id: style.name or "" for style in styles}
        self._elements = {style.style_id: style.element for style in styles}
        self._lineages: dict[str, list[Any]] = {}
        self._usual = next(
            (style.style_id for style in styles if _is_usual(style.element)), ""
        )  # fmt: skip
        self._coloured = document.element.find(qn("w:background")) is not None
        self._kinds = _list_kinds(document)
        self._counts: dict[tuple[str, int], int] = {}
        self._boxes: list[Any] = []
        self.hidden = False
        self.cut = False

    def blocks(self, parent: Any, depth: int = 0) -> Iterator[str]:
        if depth > DEEP:
            return
        items: list[str] = []
        for child in parent.iterchildren():
            if child.tag == _P:
                text, listed = self._paragraph(child)
                if listed:
                    items.append(text)
                    text = ""
                elif items:
                    yield "\n".join(items)
                    items = []
                if text:
                    yield text
                boxes, self._boxes = self._boxes, []
                for box in boxes:
                    yield from self.blocks(box, depth + 1)
                continue
            if items:
                yield "\n".join(items)
                items = []
            if child.tag == _TBL:
                yield self._table(child, depth)
            elif child.tag not in _GONE:
                yield from self.blocks(child, depth + 1)
        if items:
            yield "\n".join(items)

    def around(self) -> Iterator[str]:
        """Headers and footers, each once."""
        told: set[str] = set()
        for section in list(self._document.sections)[:50]:
            for name, piece in (("Header", section.header), ("Footer", section.footer)):
                if piece.is_linked_to_previous:
                    continue
                text = " / ".join(self.blocks(piece._element))
                if text and text not in told:
                    told.add(text)
                    yield f"{name}: {text}"

    def notes(self) -> Iterator[str]:
        for kind in (RELATIONSHIP_TYPE.FOOTNOTES, RELATIONSHIP_TYPE.ENDNOTES):
            for relation in self._document.part.rels.values():
                if relation.reltype != kind or relation.is_external:
                    continue
                for note in parse_xml(relation.target_part.blob).iterchildren():
                    text = "" if note.get(_TYPE) else " ".join(self.blocks(note))
                    if text:
                        yield f"[^{note.get(_ID)}]: {text}"

    def _table(self, element: Any, depth: int) -> str:
        lines: list[list[str]] = []
        for row in element.iterchildren(_TR):
            if len(lines) >= self._rows:
                self.cut = True
                break
            line: list[str] = []
            for cell in row.iter(_TC):
                if next(cell.iterancestors(_TR), None) is not row:
                    continue
                span = cell.find(f"{qn('w:tcPr')}/{qn('w:gridSpan')}")
                merged = cell.find(f"{qn('w:tcPr')}/{qn('w:vMerge')}")
                goes_on = merged is not None and merged.get(_VAL) != "restart"
                line.append("" if goes_on else " ".join(self.blocks(cell, depth + 1)))
                line += [""] * (min(_number(span, 1), 64) - 1)
            lines.append(line)
        return table(lines)

    def _paragraph(self, element: Any) -> tuple[str, bool]:
        """Its text, and whether it is of a list."""
        text = "".join(self._text(element, 0)).strip()
        if not text:
            return "", False
        properties = element.find(qn("w:pPr"))
        style = "" if properties is None else _value(properties.find(qn("w:pStyle")))
        name = self._styles.get(style, "")
        if name == "Title":
            return f"# {text}", False
        if heading := _HEADING.match(name):
            return f"{'#' * min(6, int(heading[1]))} {text}", False
        numbering = None if properties is None else properties.find(qn("w:numPr"))
        if numbering is None and not name.startswith("List "):
            return text, False
        level, number = 0, ""
        if numbering is not None:
            level = min(9, _number(numbering.find(qn("w:ilvl")), 0))
            number = _value(numbering.find(qn("w:numId")))
        if number == "0":
            return text, False
        bulleted = self._kinds.get((number, level), "Number" not in name)
        return (
            f"{'  ' * level}{'-' if bulleted else self._count(number or name, level)} {text}",
            True,
        )

    def _count(self, number: str, level: int) -> str:
        for deeper in range(level + 1, 10):
            self._counts.pop((number, deeper), None)
        count = self._counts[number, level] = self._counts.get((number, level), 0) + 1
        return f"{count}."

    def _text(self, element: Any, depth: int) -> Iterator[str]:
        if depth > 60:
            return
        for child in element.iterchildren():
            tag = child.tag
            if tag == _T:
                yield child.text or ""
            elif tag in _SIGNS:
                yield _SIGNS[tag]
            elif tag in _NOTE:
                yield f"[^{child.get(_ID)}]"
            elif tag == _BOX:
                self._boxes.append(child)
            elif tag == _R and self._unseen(child):
                self.hidden = self.hidden or any(each.text for each in child.iter(_T))
            elif isinstance(tag, str) and tag not in _GONE:
                yield from self._text(child, depth + 1)

    def _unseen(self, run: Any) -> bool:
        """Hidden, too small to read, or white on nothing."""
        own = run.find(_RPR)
        paragraph = next(run.iterancestors(_P), None)
        properties = None if paragraph is None else paragraph.find(_PPR)
        named = "" if properties is None else _value(properties.find(_PSTYLE))
        by_run = "" if own is None else _value(own.find(_RSTYLE))
        styles = [*self._lineage(by_run), *self._lineage(named or self._usual)]
        looks = [
            each for each in (own, *(style.find(_RPR) for style in styles)) if each is not None
        ]

        def first(name: str) -> Any:
            return next((one for each in looks if (one := each.find(name)) is not None), None)

        if _is_on(first(_VANISH)):
            return True
        if _number(first(_SZ), 24) <= 3:  # half points
            return True
        if self._coloured or not _PALE.fullmatch(_value(first(_COLOR))):
            return False
        if first(_SHD) is not None or first(_HIGHLIGHT) is not None:
            return False
        behind = run.iterancestors(_TC, _BOX)  # which may have a colour by their style
        shaded = (each.find(_PPR) for each in (*run.iterancestors(_P), *styles))
        return next(behind, None) is None and not any(
            each is not None and each.find(_SHD) is not None for each in shaded
        )

    def _lineage(self, style: str) -> list[Any]:
        """A style, and those it is based on."""
        found = self._lineages.get(style)
        if found is None:
            found = self._lineages[style] = []
            while style in self._elements and len(found) < DEEP:
                found.append(self._elements[style])
                style = _value(found[-1].find(qn("w:basedOn")))
        return found


# Not `webHidden`, which the page numbers of each table of contents are: only the web view hides it.
_VANISH, _SZ, _COLOR, _SHD, _HIGHLIGHT, _RPR, _PPR, _RSTYLE, _PSTYLE = (
    qn(f"w:{name}") for name in "vanish sz color shd highlight rPr pPr rStyle pStyle".split()
)
_PALE = re.compile(r"[Ff][A-Fa-f0-9]" * 3)


def _is_usual(style: Any) -> bool:
    """What paragraphs without a style have."""
    return style.get(_TYPE) == "paragraph" and style.get(qn("w:default")) in ("1", "true", "on")


def _is_on(element: Any) -> bool:
    return element is not None and element.get(_VAL) not in ("0", "false", "off")


def _value(element: Any) -> str:
    return "" if element is None else element.get(_VAL) or ""


def _number(element: Any, otherwise: int) -> int:
    value = _value(element)
    return int(value) if value.isdecimal() and len(value) < 9 else otherwise


def _list_kinds(document: Document) -> dict[tuple[str, int], bool]:
    """Of each list and level, whether it has bullets."""
    found = [
        each for each in document.part.rels.values() if each.reltype == RELATIONSHIP_TYPE.NUMBERING
    ]
    if not found or found[0].is_external:
        return {}
    root = parse_xml(found[0].target_part.blob)
    abstract: dict[str, dict[int, bool]] = {}
    for each in root.iterchildren(qn("w:abstractNum")):
        abstract[each.get(qn("w:abstractNumId"), "")] = {
            int(level.get(qn("w:ilvl"), "0")): _value(level.find(qn("w:numFmt"))) == "bullet"
            for level in each.iterchildren(qn("w:lvl"))
        }
    kinds: dict[tuple[str, int], bool] = {}
    for each in root.iterchildren(qn("w:num")):
        levels = abstract.get(_value(each.find(qn("w:abstractNumId"))), {})
        kinds |= {(each.get(qn("w:numId"), ""), level): kind for level, kind in levels.items()}
    return kinds
