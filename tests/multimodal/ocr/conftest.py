"""Both roads to Tesseract, opened once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import pytest

from multimodal.config import OcrConfig
from multimodal.ocr.page import PageReader

Road = Literal["tesserocr", "pytesseract"]
ROADS: tuple[Road, ...] = ("tesserocr", "pytesseract")


@pytest.fixture(scope="session", params=ROADS)
def road(request: pytest.FixtureRequest) -> Road:
    found: Road = request.param
    return found


@pytest.fixture(scope="session", params=ROADS)
def english(request: pytest.FixtureRequest) -> Iterator[PageReader]:
    reader = PageReader(OcrConfig(reader=request.param))
    yield reader
    reader.close()
