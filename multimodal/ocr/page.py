"""One page of pixels to text: what a picture and a scanned page of a document have in common.

    reader = PageReader(config.ocr)
    page = reader.read_page(pixels, width, height, channels=1, seconds=60)
    page.text, page.note, page.confidence
    reader.close()

It is read once; what comes out badly is tried again turned, larger, or smaller, and the best of
these is kept.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from multimodal.config import OcrConfig
from multimodal.errors import Unreadable
from multimodal.ocr import languages, layout, prepare
from multimodal.ocr.prepare import Grey
from multimodal.ocr.tesseract import TOO_SLOW, Tesseract, Word, open_tesseract

HARD_TO_READ = "the text is hard to read and may be wrong"
NOTHING = "no text was found in it"

SURE = 88.0
"""Mean confidence with which nothing else is tried. Clean pages have 94 to 97, 10 px type 87 with
2 % of its characters wrong."""
_SURE_OF_SMALL = 93.5
_CLEAR = 65.0
"""Text that stands upright has more; turned it has 35 to 45."""
_BELIEVED = 72.0
"""Mean of what is little, or was found only after a turn. Photos of things give a few words at 40
to 67."""
_LINE = 40.0
_RUBBISH = 30.0
"""Lines and words below are dropped."""
_FEW, _MANY = 4, 40
"""Clear letters: with fewer than the first all has to be sure to be believed, with fewer than the
second to be believed."""
_SMALL, _BEST = 14, 22
"""Heights of words, in pixels: below the first they are enlarged to the second, by which 8 px type
has 1 % of its characters wrong instead of 20."""
_TINY = 1_000
"""Longest side of a picture that is enlarged though nothing at all was found in it."""
_TRUSTED = 1.5
"""Confidence of an orientation, by Tesseract's measure."""
_LEAST = 24
"""Pixels of a side below which there can be no text."""


@dataclass(frozen=True)
class Page:
    """What was read."""

    text: str
    """Empty when there is none."""
    confidence: float
    """Mean of the words, 0 to 1; 0 without text."""
    note: str
    """`HARD_TO_READ`, `NOTHING`, or empty."""
    languages: str
    """Read with, e.g. ``eng+deu``."""
    turned: float = 0.0
    """Degrees clockwise by which the picture was turned to be read."""


@dataclass(frozen=True)
class _Attempt:
    words: Sequence[Word]
    turned: float = 0.0

    @property
    def confidence(self) -> float:
        return _confidence(self.words)

    @property
    def worth(self) -> float:
        """Many characters, surely read."""
        return sum(len(word.text) * (word.confidence - _RUBBISH) for word in self.words)

    @property
    def good(self) -> bool:
        if not self.words:
            return False
        small = statistics.median(word.height for word in self.words) < _SMALL
        return self.confidence >= (_SURE_OF_SMALL if small else SURE)


class PageReader:
    """Holds Tesseract's handles: one reader for each process, for one thread at a time."""

    def __init__(self, config: OcrConfig) -> None:
        """Raises `NotSetUp`."""
        self._config = config
        self._folder = languages.folder(config.tessdata)
        self._tesseract: Tesseract = open_tesseract(config)

    @property
    def version(self) -> str:
        """As in ``tesseract 5.5.4``."""
        return f"tesseract {self._tesseract.version}"

    def read_page(
        self,
        pixels: bytes | bytearray | memoryview,
        width: int,
        height: int,
        *,
        channels: int = 1,
        seconds: float = 60.0,
    ) -> Page:
        """`pixels` are rows from the top without gaps: grey values (`channels` 1) or RGB (3).
        Raises `Unreadable` when even the first attempt takes longer than `seconds`; `ValueError`
        when the length does not fit the size."""
        shape = (height, width) if channels == 1 else (height, width, channels)
        picture = np.frombuffer(pixels, np.uint8).reshape(shape)
        until = time.monotonic() + seconds
        if min(width, height) < _LEAST:
            return Page("", 0.0, NOTHING, "+".join(self._config.languages))
        base = prepare.dark_on_light(prepare.fitting(prepare.grey(picture)))
        return self._read(base, until)

    def close(self) -> None:
        self._tesseract.close()

    def _read(self, base: Grey, until: float) -> Page:
        wanted = self._config.languages
        if self._config.detect:
            seen = self._tesseract.orientation(base, seconds=_left(until))
            if seen is not None and seen.script_confidence > 0:
                wanted = languages.written_in(seen.script, wanted, self._folder) or wanted
        search = _Search(self._tesseract, "+".join(wanted), until)
        search.run(base)
        words = search.best.words
        if not words:
            return Page("", 0.0, NOTHING, search.languages)
        confidence = _confidence(words)
        doubtful = confidence < self._config.least_confidence
        return Page(
            text=layout.to_text(words),
            confidence=round(confidence / 100, 3),
            note=HARD_TO_READ if doubtful else "",
            languages=search.languages,
            turned=search.best.turned % 360,
        )


class _Search:
    """For the version of one page that can be read best."""

    def __init__(self, tesseract: Tesseract, wanted: str, until: float) -> None:
        self.languages = wanted
        self.best = _Attempt(())
        self._tesseract = tesseract
        self._until = until

    def run(self, base: Grey) -> None:
        found = prepare.sheet(base)
        ready, turned = _made_ready(base if found is None else prepare.spread_flat(base, found))
        words = self._read(ready, turned)
        with suppress(Unreadable):  # too slow: what was read first stays
            if not self.best.good:
                ready, turned, words = self._upright(ready, turned, words)
            if not self.best.good:
                self._clearer(ready, turned, words)
            if not self.best.good and found is not None:
                self._read(*_made_ready(base))

    def _read(self, picture: Grey, turned: float, least: float = 0.0) -> Sequence[Word]:
        words = self._tesseract.words(picture, self.languages, seconds=_left(self._until))
        attempt = _Attempt(printed(words), turned)
        if attempt.confidence >= least and attempt.worth > self.best.worth:
            self.best = attempt
        return words

    def _upright(
        self, ready: Grey, turned: float, words: Sequence[Word]
    ) -> tuple[Grey, float, Sequence[Word]]:
        """Quarter turns: as Tesseract's detection says, or by trying where it says nothing and
        there is something that looks like words."""
        seen = self._tesseract.orientation(ready, seconds=_left(self._until))
        if seen is not None and seen.confidence >= _TRUSTED:
            turns = [seen.degrees] if seen.degrees else []
        else:
            turns = [180, 90, 270] if words and self.best.confidence < _CLEAR else []
        found = ready, turned, words
        for turn in turns:
            other, was = prepare.quarter_turned(ready, turn), self.best
            read = self._read(other, turned + turn, _BELIEVED)
            if self.best is not was:
                found = other, turned + turn, read
            if self.best.confidence >= _CLEAR:
                break
        return found

    def _clearer(self, ready: Grey, turned: float, words: Sequence[Word]) -> None:
        """Small type enlarged, other type sharpened."""
        if words:
            height = statistics.median(word.height for word in words)
            if height < _SMALL:
                other = prepare.scaled(ready, min(3.0, _BEST / height))
            else:
                other = prepare.sharpened(ready, height / 10)
        elif max(ready.shape) < _TINY:
            other = prepare.scaled(ready, 2.0)
        else:
            return
        if max(other.shape) <= 1.5 * prepare.LARGEST:
            self._read(other, turned)


def _made_ready(picture: Grey) -> tuple[Grey, float]:
    """Lit evenly, without specks, its lines level; and the degrees it was turned for that."""
    picture = prepare.without_specks(prepare.evenly_lit(picture))
    run = prepare.lines(picture)
    quarter = 90 if run.on_side else 0
    if quarter:
        picture = prepare.quarter_turned(picture, quarter)
    return prepare.turned(picture, run.angle), quarter + run.angle


def printed(words: Sequence[Word]) -> list[Word]:
    """Without what is made of leaves and fur: doubtful words, lines of such, and what is left of a
    picture when that is next to nothing."""
    kept: list[Word] = []
    for _, group in groupby(words, key=lambda word: (word.block, word.paragraph, word.line)):
        line = list(group)
        if _confidence(line) < _CLEAR:  # else a word misread among others is worth more than a gap
            line = [word for word in line if word.confidence >= _RUBBISH]
        if line and _confidence(line) >= _LINE:
            kept += line
    clear = sum(_letters(word) for word in kept if word.confidence >= _CLEAR)
    confidence = _confidence(kept)
    if clear >= _MANY:
        return kept if confidence >= _LINE else []
    if clear >= _FEW:
        return kept if confidence >= _BELIEVED else []
    return kept if confidence >= SURE and any(map(str.isalnum, _all(kept))) else []


def _letters(word: Word) -> int:
    """Of words: what looks like one or two letters may be anything, but for Chinese."""
    count = sum(map(str.isalnum, word.text))
    return count if count > 2 or max(word.text) > "\u2e80" else 0


def _all(words: Sequence[Word]) -> str:
    return "".join(word.text for word in words)


def _confidence(words: Sequence[Word]) -> float:
    """Mean, long words counting more."""
    letters = sum(len(word.text) for word in words)
    return sum(len(word.text) * word.confidence for word in words) / letters if letters else 0.0


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise Unreadable(TOO_SLOW)
    return left
