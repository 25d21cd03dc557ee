"""Tesseract by two roads that give the same words: a resident handle in this process (tesserocr),
or the program, started for each page (pytesseract).

A wheel of tesserocr carries its own Tesseract and needs the language data only.
"""

from __future__ import annotations

import importlib
import math
import os
import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from multimodal.config import OcrConfig
from multimodal.errors import NotSetUp, Unreadable
from multimodal.ocr import languages

Grey = NDArray[np.uint8]
"""Rows of grey values, one byte each."""

RESOLUTION = 150
"""Told to Tesseract whatever the picture says of itself. Without one (or with the 70 to 72 that
screenshots carry) the layout step of 5.5 shreds a full page: 27 % of the characters were right."""

TOO_SLOW = "reading its text took too long"

_PAGE, _OSD = 3, 0
_SETTINGS = {"debug_file": os.devnull}
"""Otherwise it chats on stderr."""
_BLOCK, _PARAGRAPH, _LINE, _WORD = 1, 2, 3, 5


@dataclass(frozen=True)
class Word:
    """`block`, `paragraph` and `line` are Tesseract's numbers, in its order of reading."""

    text: str
    left: int
    top: int
    width: int
    height: int
    confidence: float
    """0 to 100."""
    block: int
    paragraph: int
    line: int

    @property
    def right(self) -> int:
        return self.left + self.width

    @property
    def bottom(self) -> int:
        return self.top + self.height


@dataclass(frozen=True)
class Orientation:
    """What Tesseract thinks of a page before it reads it."""

    degrees: int
    """Turn the picture so far clockwise to have its text upright: 0, 90, 180 or 270."""
    confidence: float
    """Above about 2 it may be trusted; 15 is sure."""
    script: str
    script_confidence: float


class Tesseract(Protocol):
    """One road. Not for two threads at once."""

    @property
    def version(self) -> str: ...

    def words(self, picture: Grey, wanted: str, *, seconds: float) -> list[Word]:
        """`wanted` as ``eng+deu``. Raises `Unreadable` after about so many seconds."""

    def orientation(self, picture: Grey, *, seconds: float) -> Orientation | None:
        """None where there is too little text to tell, or no data for it (``osd``)."""

    def close(self) -> None: ...


def open_tesseract(config: OcrConfig) -> Tesseract:
    """The road of the settings. Raises `NotSetUp`, also where data of a language is missing."""
    folder = languages.folder(config.tessdata)
    languages.require(config.languages, folder)
    roads: list[Callable[[Path], Tesseract]] = []
    if config.reader != "pytesseract":
        roads.append(Resident)
    if config.reader != "tesserocr":
        roads.append(Program)
    for road in roads:
        with suppress(ModuleNotFoundError):
            return road(folder)
    missing = "tesserocr or pytesseract" if len(roads) > 1 else config.reader
    raise NotSetUp(f"{missing} is not installed", "install it with: pip install 'moltgate[ocr]'")


class Resident:
    """By tesserocr: one handle for each set of languages, made at its first use."""

    def __init__(self, folder: Path) -> None:
        with _one_thread():  # read when it is loaded
            self._library: Any = importlib.import_module("tesserocr")
        # Leptonica tells stderr of every box outside its picture.
        self._library.set_leptonica_log_level(self._library.LeptLogLevel.NONE)
        self._folder = folder
        self._handles: dict[str, Any] = {}
        self.version = str(self._library.tesseract_version()).split()[1]

    def words(self, picture: Grey, wanted: str, *, seconds: float) -> list[Word]:
        handle = self._handle(wanted, _PAGE)
        _show(handle, picture)
        try:
            if not handle.Recognize(max(1, int(seconds * 1000))):
                raise Unreadable(TOO_SLOW)
            return parsed(handle.GetTSVText(0))
        finally:
            handle.Clear()

    def orientation(self, picture: Grey, *, seconds: float) -> Orientation | None:
        if not languages.has("osd", self._folder):
            return None
        handle = self._handle("osd", _OSD)
        _show(handle, picture)
        try:
            found = handle.DetectOrientationScript()
        finally:
            handle.Clear()
        if not found:
            return None
        return Orientation(
            # It says how far the page has been turned clockwise; the way back is meant here.
            degrees=-int(found["orient_deg"]) % 360,
            confidence=float(found["orient_conf"]),
            script=str(found["script_name"]),
            script_confidence=float(found["script_conf"]),
        )

    def close(self) -> None:
        while self._handles:
            self._handles.popitem()[1].End()

    def _handle(self, wanted: str, mode: int) -> Any:
        handle = self._handles.get(wanted)
        if handle is None:
            try:
                handle = self._library.PyTessBaseAPI(
                    path=str(self._folder), lang=wanted, psm=mode, variables=_SETTINGS
                )
            except RuntimeError as broken:
                raise languages.unusable(wanted, self._folder) from broken
            self._handles[wanted] = handle
        return handle


class Program:
    """By pytesseract: the program ``tesseract``, started for each page."""

    def __init__(self, folder: Path) -> None:
        self._library: Any = importlib.import_module("pytesseract")
        if shutil.which(self._library.pytesseract.tesseract_cmd) is None:
            raise NotSetUp(
                "the program tesseract is not installed",
                "install it with: apt-get install tesseract-ocr",
            )
        self._folder = folder
        self.version = str(self._library.get_tesseract_version())

    def words(self, picture: Grey, wanted: str, *, seconds: float) -> list[Word]:
        return parsed(self._run(picture, wanted, "tsv", _PAGE, seconds))

    def orientation(self, picture: Grey, *, seconds: float) -> Orientation | None:
        if not languages.has("osd", self._folder):
            return None
        try:
            said = self._run(picture, "osd", "osd", _OSD, seconds)
        except self._library.TesseractError:
            return None  # "Too few characters": it ends with status 1
        facts = dict(line.split(": ", 1) for line in said.splitlines() if ": " in line)
        return Orientation(
            degrees=int(facts["Rotate"]),
            confidence=float(facts["Orientation confidence"]),
            script=facts["Script"],
            script_confidence=float(facts["Script confidence"]),
        )

    def close(self) -> None:
        pass

    def _run(self, picture: Grey, wanted: str, form: str, mode: int, seconds: float) -> str:
        from PIL import Image

        image = Image.fromarray(picture)
        image.format = "PPM"  # the file between us: packing it as PNG takes longer than writing
        wishes = _SETTINGS | ({"tessedit_create_tsv": "1"} if form == "tsv" else {})
        settings = "".join(f" -c {name}={value}" for name, value in wishes.items())
        folder = shlex.quote(str(self._folder))
        config = f"--psm {mode} --dpi {RESOLUTION} --tessdata-dir {folder}{settings}"
        run = self._library.pytesseract.run_and_get_output
        try:
            with _one_thread():
                return str(run(image, form, wanted, config, 0, math.ceil(max(1.0, seconds))))
        except self._library.TesseractError as failed:
            if "Failed loading language" in failed.message:
                raise languages.unusable(wanted, self._folder) from failed
            raise
        except RuntimeError as late:
            if "timeout" in str(late):
                raise Unreadable(TOO_SLOW) from late
            raise


@contextmanager
def _one_thread() -> Iterator[None]:
    """Its threads only get in each other's way. Others in this process may want theirs: a speech
    model that is loaded later reads the same variable."""
    before = os.environ.get("OMP_THREAD_LIMIT")
    os.environ["OMP_THREAD_LIMIT"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["OMP_THREAD_LIMIT"]
        else:
            os.environ["OMP_THREAD_LIMIT"] = before


def parsed(table: str) -> list[Word]:
    """Words of Tesseract's TSV. Rows of blocks, paragraphs and lines say nothing that the words do
    not."""
    found = []
    for row in table.splitlines():
        cells = row.split("\t")
        if len(cells) != 12 or cells[0] != str(_WORD) or not cells[11].strip():
            continue
        left, top, width, height = map(int, cells[6:10])
        found.append(
            Word(
                text=cells[11].strip(),
                left=left,
                top=top,
                width=width,
                height=height,
                confidence=max(0.0, float(cells[10])),
                block=int(cells[2]),
                paragraph=int(cells[3]),
                line=int(cells[4]),
            )
        )
    return found


def _show(handle: Any, picture: Grey) -> None:
    height, width = picture.shape
    handle.SetImageBytes(picture.tobytes(), width, height, 1, width)
    handle.SetSourceResolution(RESOLUTION)
