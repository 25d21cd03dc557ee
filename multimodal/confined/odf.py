"""ODT, ODS and ODP as Markdown, from their ``content.xml``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lxml import etree  # type: ignore[import-untyped]

from multimodal.confined.gathered import Gathered, plural, table
from multimodal.confined.packages import within
from multimodal.errors import Unreadable

DEEP = 60
COLUMNS = 200

_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_DRAW = "{urn:oasis:names:tc:opendocument:xmlns:drawing:1.0}"
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_SHOW = "{urn:oasis:names:tc:opendocument:xmlns:presentation:1.0}"
_STYLE = "{urn:oasis:names:tc:opendocument:xmlns:style:1.0}"
_MANIFEST = "{urn:oasis:names:tc:opendocument:xmlns:manifest:1.0}"
_GONE = {
    _TEXT + "tracked-changes",
    _TEXT + "hidden-text",
    _TEXT + "hidden-paragraph",
    _OFFICE + "annotation",
    _OFFICE + "forms",
    _TEXT + "sequence-decls",
    _TEXT + "variable-decls",
}


def read(content: bytes, gathered: Gathered, unpacked: int, rows: int, pages: int) -> None:
    with within(content, unpacked) as archive:
        names = set(archive.namelist())
        if "META-INF/manifest.xml" in names:
            manifest = _parsed(archive.read("META-INF/manifest.xml"))
            if manifest.find(f".//{_MANIFEST}encryption-data") is not None:
                raise Unreadable("it is encrypted")
        if "content.xml" not in names:
            raise Unreadable("it holds no document")
        root = _parsed(archive.read("content.xml"))
        named = _parsed(archive.read("styles.xml")) if "styles.xml" in names else None
    body = root.find(_OFFICE + "body")
    if body is None or not len(body):
        raise Unreadable("it holds no document")
    common = None if named is None else named.find(_OFFICE + "styles")
    walk = _Walk([root] if common is None else [common, root], rows)
    match etree.QName(body[0]).localname:
        case "spreadsheet":
            for number, sheet in enumerate(body[0].iterchildren(_TABLE + "table"), 1):
                if text := walk.table(sheet):
                    name = sheet.get(_TABLE + "name", "")
                    gathered.add(f"## Sheet: {name}\n\n{text}", "sheet", number)
        case "presentation":
            found = list(body[0].iterchildren(_DRAW + "page"))
            gathered.pages = min(pages, len(found))
            if len(found) > pages:
                gathered.notes.append(f"only {plural(pages, 'slide')} of {len(found):,} were read")
            hidden = 0
            for number, page in enumerate(found[:pages], 1):
                if page.get(_DRAW + "style-name") in walk.unseen:
                    hidden += 1
                    continue
                text = "\n\n".join((f"# Slide {number}", *walk.blocks(page)))
                gathered.add(text, "slide", number)
            if hidden:
                gathered.notes.append(f"{plural(hidden, 'hidden slide')} left out")
        case _:
            for block in walk.blocks(body[0]):
                gathered.add(block)
    if walk.hidden:
        gathered.notes.append("hidden text was left out")
    if walk.cut:
        gathered.notes.append(f"only the first {rows:,} rows of a table were read")


def _parsed(xml: bytes) -> Any:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    return etree.fromstring(xml, parser)


class _Walk:
    def __init__(self, roots: Sequence[Any], rows: int) -> None:
        self._rows = rows
        self.unseen: set[str] = set()
        """Names of styles."""
        for style in (each for root in roots for each in root.iter(_STYLE + "style")):
            of_all = {name: value for looks in style for name, value in looks.attrib.items()}
            shown = of_all.get(_TEXT + "display")
            if (
                shown == "none"
                or of_all.get(_TABLE + "display") == "false"
                or of_all.get(_SHOW + "visibility") == "hidden"
                # Those that others are based on come first.
                or (shown != "true" and style.get(_STYLE + "parent-style-name") in self.unseen)
            ):
                self.unseen.add(style.get(_STYLE + "name", ""))
        self.hidden = False
        self.cut = False

    def blocks(self, parent: Any, depth: int = 0) -> Iterator[str]:
        if depth > DEEP:
            return
        for child in parent.iterchildren():
            if self._is_gone(child):
                continue
            if child.tag == _TEXT + "h":
                level = child.get(_TEXT + "outline-level", "1")
                text = self._line(child)
                marks = "#" * (min(6, int(level)) if level.isdecimal() else 1)
                yield from [f"{marks} {text}"] if text else []
            elif child.tag == _TEXT + "p":
                text = self._line(child)
                yield from [text] if text else []
                for frame in child.iterdescendants(_DRAW + "text-box"):
                    yield from self.blocks(frame, depth + 1)
            elif child.tag == _TEXT + "list":
                if items := "\n".join(self._items(child, depth, 0)):
                    yield items
            elif child.tag == _TABLE + "table":
                if text := self.table(child, depth):
                    yield text
            elif child.tag == _SHOW + "notes":
                if text := "\n".join(self.blocks(child, depth + 1)):
                    yield f"Notes: {text}"
            else:
                yield from self.blocks(child, depth + 1)

    def table(self, element: Any, depth: int = 0) -> str:
        if depth > DEEP or element.get(_TABLE + "style-name") in self.unseen:
            self.hidden = True
            return ""
        lines: list[list[str]] = []
        for row in element.iter(_TABLE + "table-row"):
            if next(row.iterancestors(_TABLE + "table"), None) is not element:
                continue
            line: list[str] = []
            for cell in row:
                if not isinstance(cell.tag, str) or len(line) > COLUMNS:
                    continue
                text = " ".join(self.blocks(cell, depth + 1))
                line += [text] * min(_count(cell, _TABLE + "number-columns-repeated"), COLUMNS)
            times = _count(row, _TABLE + "number-rows-repeated") if any(line) else 0
            room = self._rows - len(lines)
            cut = times > room
            self.cut = self.cut or cut
            lines += [line[:COLUMNS]] * min(times, room)
            if cut:
                break
        return table(lines)

    def _items(self, element: Any, depth: int, level: int) -> Iterator[str]:
        if depth > DEEP:
            return
        for item in element:
            sign = f"{'  ' * level}- "
            for child in item:
                if self._is_gone(child):
                    continue
                if child.tag == _TEXT + "list":
                    yield from self._items(child, depth + 1, level + 1)
                elif child.tag in (_TEXT + "p", _TEXT + "h") and (text := self._line(child)):
                    yield sign + text
                    sign = "  " * (level + 1)

    def _line(self, element: Any) -> str:
        return "".join(self._pieces(element, 0)).strip()

    def _pieces(self, element: Any, depth: int) -> Iterator[str]:
        if depth > DEEP:
            return
        yield element.text or ""
        for child in element:
            if not self._is_gone(child) and child.tag != _DRAW + "text-box":
                if child.tag == _TEXT + "s":
                    yield " " * min(_count(child, _TEXT + "c"), 100)
                elif child.tag == _TEXT + "tab":
                    yield "\t"
                elif child.tag == _TEXT + "line-break":
                    yield "\n"
                else:
                    yield from self._pieces(child, depth + 1)
            yield child.tail or ""

    def _is_gone(self, element: Any) -> bool:
        if not isinstance(element.tag, str) or element.tag in _GONE:
            self.hidden = self.hidden or element.tag in (
                _TEXT + "hidden-text",
                _TEXT + "hidden-paragraph",
            )
            return True
        if (
            element.get(_TEXT + "style-name", "-") in self.unseen
            or element.get(_TEXT + "is-hidden") == "true"
            or (element.tag == _TEXT + "section" and element.get(_TEXT + "display") == "none")
        ):
            self.hidden = True
            return True
        return False


def _count(element: Any, name: str) -> int:
    value = element.get(name, "1")
    return int(value) if value.isdecimal() and len(value) < 9 else 1
