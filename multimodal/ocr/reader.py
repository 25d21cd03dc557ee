"""Reader of pictures: unpacked in the confined child, read by Tesseract page by page, and a smaller
copy kept for models that see."""

from __future__ import annotations

import re
import time
from typing import Any

from multimodal.config import MediaConfig
from multimodal.confined import Confined
from multimodal.jobs import LONGEST, Job, Reading
from multimodal.ocr import prepare
from multimodal.ocr.page import HARD_TO_READ, NOTHING, Page, PageReader
from multimodal.readers import Store, Unreadable

_PATIENCE = LONGEST["ocr"] * 0.75
"""Seconds for all pages of a picture. The rest of a job's time is for unpacking and storing."""
_UNPACKING = LONGEST["ocr"] * 0.25


class PictureReader:
    """For jobs of kind ``ocr``."""

    def __init__(self, config: MediaConfig, store: Store) -> None:
        """Raises `NotSetUp`."""
        self._config = config
        self._store = store
        self._pages = PageReader(config.ocr)
        self._unpacker = Confined(
            "multimodal.confined.pictures",
            memory=config.limits.memory,
            cpu=config.limits.cpu,
            wall=min(_UNPACKING, 3 * config.limits.cpu),
        )

    def read(self, job: Job, content: bytes) -> Reading:
        began = time.monotonic()
        seen = self._look(content, 0)
        picture = self._store(seen["picture"]) if seen["picture"] else ""
        notes = [_phrase(one) for one in re.split(r"(?<=\.) ", seen["note"])]
        pages: list[Page] = []
        most = max(1, self._config.documents.scanned_pages)
        count = seen["pages"]
        try:
            pages.append(self._read_page(seen, began))
            for number in range(1, min(count, most)):
                pages.append(self._read_page(self._look(content, number), began))
        except Unreadable as stopped:
            if not pages:
                notes.append(stopped.problem)  # models that see still have the picture
        if pages and len(pages) < count:
            notes.append(f"only the first {len(pages)} of its {count} pages were read")
        written = [page for page in pages if page.text]
        if any(page.note == HARD_TO_READ for page in pages):
            notes.append(HARD_TO_READ)
        elif pages and not written:
            notes.append(NOTHING)
        return Reading(
            text=_text(pages),
            note="; ".join(filter(None, notes)),
            reader=self._name(pages),
            language=written[0].languages if written else "",
            confidence=_confidence(written),
            picture=picture,
            pages=max(1, len(pages)),
            seconds=round(time.monotonic() - began, 3),
        )

    def close(self) -> None:
        self._pages.close()
        self._unpacker.close()

    def _look(self, content: bytes, page: int) -> dict[str, Any]:
        seen: dict[str, Any] = self._unpacker.call(
            "look",
            content,
            pixels=self._config.limits.pixels,
            side=0 if page else self._config.ocr.picture,
            reading=prepare.LARGEST,
            page=page,
        )
        return seen

    def _read_page(self, seen: dict[str, Any], began: float) -> Page:
        width, height = seen["size"]
        return self._pages.read_page(
            seen["raw"],
            width,
            height,
            channels=3 if seen["mode"] == "RGB" else 1,
            seconds=_PATIENCE - (time.monotonic() - began),
        )

    def _name(self, pages: list[Page]) -> str:
        read_with = dict.fromkeys(page.languages for page in pages)
        return f"{self._pages.version} ({', '.join(read_with)})" if pages else self._pages.version


def _phrase(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:].removesuffix(".")


def _text(pages: list[Page]) -> str:
    """Pages of one file are told apart; a single one stands for itself."""
    if len(pages) == 1:
        return pages[0].text
    return "\n\n".join(
        f"Page {number}:\n{page.text}" for number, page in enumerate(pages, 1) if page.text
    )


def _confidence(pages: list[Page]) -> float:
    letters = sum(len(page.text) for page in pages)
    if not letters:
        return -1.0
    return round(sum(len(page.text) * page.confidence for page in pages) / letters, 3)
