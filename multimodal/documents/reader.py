"""Reader of documents: each kind is unpacked in a confined child, scanned pages are read by OCR,
and what is too long is shortened."""

from __future__ import annotations

import importlib.metadata
import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from gateway.access.contents import label
from multimodal.config import MediaConfig
from multimodal.confined import Confined
from multimodal.confined.gathered import Gathered, Part, plural, trimmed, understood
from multimodal.documents.cleaning import cleaned
from multimodal.documents.kinds import kind_of, not_read
from multimodal.documents.shorten import shorten
from multimodal.errors import NotSetUp, Unreadable
from multimodal.jobs import LONGEST, Job, Reading
from multimodal.readers import Store

DPI = 200
_PATIENCE = LONGEST["doc"] * 0.7
"""Seconds in which a file has to be read; what is not by then is told as not read."""
_NOTE, _NOTES = 200, 8
"""Characters of one note, and notes of one file."""
_WALL = 60.0
"""Seconds for which a child is waited at least: on a busy machine it may get little CPU."""
_FAMILIES = {
    "pdf": "pypdfium2",
    "word": "python-docx",
    "sheet": "openpyxl",
    "slide": "python-pptx",
    "odf": "lxml",
    "page": "beautifulsoup4",
    "rich": "striprtf",
}
"""The library of each kind; others need none."""


@dataclass(slots=True)
class _Left:
    """What may still be spent on one file, with all the files in it."""

    pages: int
    scans: int
    until: float
    cpu: float
    readers: dict[str, None] = field(default_factory=dict)
    """Who read of it, in order."""
    looked_at: int = 0
    """Pages."""
    confidence: list[tuple[int, float]] = field(default_factory=list)
    """Of the pages that were read by OCR: length, and how sure it is."""
    languages: str = ""

    @property
    def seconds(self) -> float:
        return self.until - time.monotonic()


class DocumentReader:
    """For jobs of kind ``doc``."""

    def __init__(self, config: MediaConfig, store: Store) -> None:
        self._config = config
        self._children: dict[str, Confined] = {}
        self._scans: Any = None  # a PageReader, when there was a page to look at

    def read(self, job: Job, content: bytes) -> Reading:
        began = time.monotonic()
        limits, documents = self._config.limits, self._config.documents
        if len(content) > limits.size:
            raise Unreadable(f"it is larger than {limits.size / 2**20:g} MB")
        left = _Left(documents.pages, documents.scanned_pages, began + _PATIENCE, limits.cpu)
        gathered = self._gather(content, job.name, left)
        parts = trimmed(gathered.parts, 2 * documents.max_text)
        short = shorten(
            [replace(part, text=cleaned(part.text)) for part in parts], documents.max_text
        )
        if not short.text:
            raise Unreadable(_said(["there is no text in it", *gathered.notes]))
        return Reading(
            text=short.text,
            note=_said([*gathered.notes, short.note]),
            reader=" + ".join(left.readers),
            language=left.languages,
            confidence=_mean(left.confidence),
            pages=left.looked_at,
            seconds=round(time.monotonic() - began, 3),
        )

    def close(self) -> None:
        for child in self._children.values():
            child.close()
        if self._scans is not None:
            self._scans.close()
            self._scans = None

    def _gather(
        self, content: bytes, name: str, left: _Left, *, inside: str | None = None
    ) -> Gathered:
        """`inside`: it is a file of an archive; if a ZIP itself, which kind."""
        kind: str = kind_of(content, name)
        if kind == "zip":
            kind = inside or self._child("archive", left).call("kind", content)["kind"]
        keep = 2 * self._config.documents.max_text
        rows, unpacked = self._config.documents.rows, self._config.limits.unpacked
        match kind:
            case "pdf":
                return self._pdf(content, left)
            case "archive" if inside is not None:
                raise Unreadable("an archive in an archive is not opened")
            case "archive":
                return self._archive(content, left)
            case "word" | "sheet":
                options = {"unpacked": unpacked, "rows": rows}
            case "slide" | "odf":
                options = {"unpacked": unpacked, "rows": rows, "pages": max(1, left.pages)}
            case "table" | "tabs":
                options = {"rows": rows, "tabs": kind == "tabs"}
            case "plain" | "page" | "rich" | "letter":
                options = {}
            case _:
                raise not_read(kind)
        module = "office" if kind in ("word", "sheet", "slide", "odf") else "letters"
        function = {"odf": "opendocument", "table": "separated", "tabs": "separated"}.get(
            kind, kind
        )
        told = self._child(module, left).call(function, content, keep=keep, **options)
        gathered = understood(told)
        self._reads(kind, left)
        left.pages -= gathered.pages
        left.looked_at += gathered.pages
        return gathered

    def _pdf(self, content: bytes, left: _Left) -> Gathered:
        if left.pages <= 0:
            raise Unreadable("too many pages before it")
        keep = 2 * self._config.documents.max_text
        told = self._child("pdf", left).call("text", content, pages=left.pages, keep=keep)
        gathered = understood(told)
        self._reads("pdf", left)
        left.pages -= gathered.pages
        left.looked_at += gathered.pages
        scans = [part.number for part in gathered.parts if part.scan]
        if scans:
            self._look_at(content, gathered, scans, left)
        if gathered.pages > 1:
            gathered.parts = [
                replace(part, text=f"[page {part.number}]\n{part.text}") if part.text else part
                for part in gathered.parts
            ]
        return gathered

    def _look_at(self, content: bytes, gathered: Gathered, scans: list[int], left: _Left) -> None:
        """Reads the pages that are pictures. What is not read is told."""
        wanted = scans[: max(0, left.scans)]
        read: dict[int, Any] = {}
        if wanted:
            try:
                read = self._pages(content, wanted, left)
            except NotSetUp:
                if not any(part.text for part in gathered.parts):
                    raise
                gathered.notes.append("there is no reader for scanned pages here")
                wanted = []
        if len(read) < len(scans):
            count = plural(len(scans) - len(read), "scanned page")
            gathered.notes.append(f"{count} of {len(scans):,} not read")
        doubtful = [number for number, page in read.items() if page.text and page.note]
        if doubtful:
            gathered.notes.append(f"hard to read: {_numbers(doubtful)}")
        gathered.parts = [
            replace(part, text=_fuller(part, read[part.number])) if part.number in read else part
            for part in gathered.parts
        ]

    def _pages(self, content: bytes, numbers: list[int], left: _Left) -> dict[int, Any]:
        from multimodal.ocr.page import PageReader  # numpy and Tesseract: only when there is a scan

        if self._scans is None:
            self._scans = PageReader(self._config.ocr)
        child = self._child("pdf", left)
        pictures = _pieces(child, "pictures", content, numbers=numbers, dpi=DPI)
        read: dict[int, Any] = {}
        try:
            with closing(pictures):
                for piece in pictures:
                    number, width, height = (
                        int.from_bytes(piece[at : at + 4], "big") for at in (0, 4, 8)
                    )
                    if not width or len(piece) != 12 + width * height:
                        continue
                    page = self._scans.read_page(
                        memoryview(piece)[12:], width, height, seconds=left.seconds
                    )
                    read[number] = page
                    left.scans -= 1
                    if page.text:
                        left.confidence.append((len(page.text), page.confidence))
                        left.languages = left.languages or page.languages
                    if left.seconds < 1:
                        break
        except Unreadable:
            # One page that is too much leaves those that were read.
            if not read:
                return {}
        left.readers[f"{self._scans.version} ({left.languages or self._languages})"] = None
        return read

    @property
    def _languages(self) -> str:
        return "+".join(self._config.ocr.languages)

    def _archive(self, content: bytes, left: _Left) -> Gathered:
        """Each file in it, as far as time and bytes for all of them last."""
        gathered = Gathered()
        untold: list[str] = []
        left.cpu = 2 * self._config.limits.cpu
        members = _pieces(
            self._child("archive", left),
            "members",
            content,
            most=self._config.documents.members,
            unpacked=self._config.limits.unpacked,
        )
        count = 0
        with closing(members):
            for head in members:
                name, problem, kind = msgspec.msgpack.decode(head, type=tuple[str, str, str])
                name = label(cleaned(name), 200)
                if not problem:
                    data = next(members)
                    problem = self._member(data, name, kind, gathered, count + 1, left)
                    count += not problem
                if problem:
                    untold.append(f"- {name}: {problem}" if name else f"- {problem}")
        if untold:
            gathered.add("\n".join(("Not read:", *untold)))
            gathered.notes.append(f"{plural(len(untold), 'file')} of the archive not read")
        if not count:
            first = untold[0].removeprefix("- ") if untold else "it holds no files"
            raise Unreadable(f"none of its files could be read ({first})")
        return gathered

    def _member(
        self, data: bytes, name: str, kind: str, gathered: Gathered, number: int, left: _Left
    ) -> str:
        """Why it could not be read; empty when it was."""
        if left.cpu < 0.5 or left.seconds < 0.5:
            return "not opened: the others took too long"
        began = time.monotonic()
        try:
            inner = self._gather(data, name, left, inside=kind)
        except Unreadable as unreadable:
            left.cpu -= time.monotonic() - began  # which is at least what was spent
            return unreadable.problem
        left.cpu -= inner.cpu
        if not any(part.text.strip() for part in inner.parts):
            return "there is no text in it"
        gathered.parts += [
            Part(f"## File: {name}", "file", number),
            *(replace(part, label="file", number=number, last=0) for part in inner.parts),
        ]
        gathered.notes += [f"{name}: {note}" for note in inner.notes]
        return ""

    def _child(self, module: str, left: _Left) -> Confined:
        limits = self._config.limits
        child = self._children.get(module)
        if child is None:
            child = self._children[module] = Confined(
                f"multimodal.confined.{module}",
                memory=limits.memory,
                cpu=limits.cpu,
                wall=max(_WALL, 3 * limits.cpu),
            )
        child.cpu = min(limits.cpu, max(0.5, left.cpu))
        return child

    def _reads(self, kind: str, left: _Left) -> None:
        if library := _FAMILIES.get(kind):
            left.readers[f"{library} {importlib.metadata.version(library)}"] = None
        else:
            left.readers.setdefault("text")


def _pieces(
    child: Confined, function: str, content: bytes, **options: Any
) -> Generator[bytes, None, None]:
    """A stream that can be closed before its end."""
    yield from child.stream(function, content, **options)


def _fuller(part: Part, page: Any) -> str:
    """Text that lay on the picture is in it, too."""
    read: str = page.text
    return read if len(read) >= len(part.text) else part.text


def _numbers(numbers: list[int]) -> str:
    shown = ", ".join(str(number) for number in numbers[:10])
    return f"page{'' if len(numbers) == 1 else 's'} {shown}{' …' if len(numbers) > 10 else ''}"


def _said(notes: list[str]) -> str:
    """In one line, with no more of each and all than people read."""
    told = list(dict.fromkeys(label(cleaned(each), _NOTE) for each in notes if each))
    if len(told) > _NOTES:
        told[_NOTES - 1 : -1] = [f"and {len(told) - _NOTES:,} more notes"]
    return "; ".join(told)


def _mean(confidence: list[tuple[int, float]]) -> float:
    letters = sum(length for length, _ in confidence)
    if not letters:
        return -1.0
    return round(sum(length * sure for length, sure in confidence) / letters, 3)
