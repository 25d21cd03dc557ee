"""Files of pictures, from their bytes to a reading."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from PIL import Image

from multimodal import readers
from multimodal.config import DocumentsConfig, MediaConfig, OcrConfig
from multimodal.jobs import Job, Reading
from multimodal.ocr.page import HARD_TO_READ, NOTHING
from multimodal.readers import Reader, Unreadable
from tests.media import pictures, rates

LINES = pictures.sentences(4, seed=12)


@dataclass
class Kept:
    """What a reader stored."""

    blobs: list[bytes] = field(default_factory=list)

    def __call__(self, content: bytes) -> str:
        self.blobs.append(content)
        return f"digest{len(self.blobs)}"


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def reader(kept: Kept) -> Iterator[Reader]:
    made = readers.build("ocr", MediaConfig(), kept)
    yield made
    made.close()


def read(reader: Reader, content: bytes) -> Reading:
    return reader.read(Job(id="j", kind="ocr", tenant="main", digest="d"), content)


def test_a_photographed_page(reader: Reader, kept: Kept) -> None:
    photo = pictures.photographed(pictures.page(LINES, size=30), seed=1)
    reading = read(reader, pictures.as_jpeg(photo))
    assert rates.characters("\n".join(LINES), reading.text) <= 0.06
    assert reading.reader.startswith("tesseract 5")
    assert reading.reader.endswith("(eng)")
    assert reading.language == "eng"
    assert reading.confidence > 0.8
    assert (reading.pages, reading.note, reading.problem) == (1, "", "")
    assert reading.seconds > 0
    assert reading.picture == "digest1"
    assert pictures.from_bytes(kept.blobs[0]).size == photo.size


def test_the_copy_for_models_is_small(kept: Kept) -> None:
    reader = readers.build("ocr", MediaConfig(ocr=OcrConfig(picture=256)), kept)
    read(reader, pictures.as_png(pictures.page(LINES)))
    reader.close()
    assert max(pictures.from_bytes(kept.blobs[0]).size) == 256


def test_pages_of_one_file_are_told_apart(reader: Reader, kept: Kept) -> None:
    blank = Image.new("RGB", (300, 200), "white")
    content = pictures.as_tiff([pictures.page(LINES[:2]), blank, pictures.page(LINES[2:])])
    reading = read(reader, content)
    assert reading.text == "Page 1:\n" + "\n".join(LINES[:2]) + "\n\nPage 3:\n" + "\n".join(
        LINES[2:]
    )
    assert (reading.pages, reading.note) == (3, "")
    assert len(kept.blobs) == 1


def test_pages_beyond_the_limit_are_told(kept: Kept) -> None:
    config = MediaConfig(documents=DocumentsConfig(scanned_pages=2))
    reader = readers.build("ocr", config, kept)
    reading = read(
        reader, pictures.as_tiff([pictures.page([f"Page number {n}"]) for n in range(4)])
    )
    reader.close()
    assert reading.text == "Page 1:\nPage number 0\n\nPage 2:\nPage number 1"
    assert (reading.pages, reading.note) == (2, "only the first 2 of its 4 pages were read")


def test_a_photo_without_text_is_no_problem(reader: Reader) -> None:
    reading = read(reader, pictures.as_jpeg(pictures.scene(500, 400)))
    assert (reading.text, reading.note, reading.problem) == ("", NOTHING, "")
    assert reading.picture
    assert reading.confidence < 0


def test_doubtful_text_is_marked(kept: Kept) -> None:
    reader = readers.build("ocr", MediaConfig(ocr=OcrConfig(least_confidence=99)), kept)
    reading = read(reader, pictures.as_png(pictures.page(LINES)))
    reader.close()
    assert reading.text
    assert reading.note == HARD_TO_READ


def test_what_is_there_of_a_cut_picture_is_read(reader: Reader) -> None:
    whole = pictures.as_png(pictures.grainy(pictures.page([*LINES, *LINES]), 20))
    reading = read(reader, whole[: len(whole) // 2])
    assert LINES[0] in reading.text
    assert reading.note == "it is cut off or damaged; what is there was read"


def test_what_is_no_picture_is_refused_and_the_next_one_read(reader: Reader) -> None:
    with pytest.raises(Unreadable):
        read(reader, b"%PDF-1.7 and no picture")
    assert read(reader, pictures.as_png(pictures.page(LINES[:1]))).text == LINES[0]
