"""What is missing is told to the operator with the command that brings it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from multimodal.config import OcrConfig
from multimodal.errors import NotSetUp
from multimodal.ocr import languages
from multimodal.ocr.page import PageReader
from multimodal.ocr.tesseract import Program, Resident, open_tesseract
from tests.media import pictures
from tests.multimodal.ocr.conftest import Road


def test_missing_languages_are_named_with_their_packages() -> None:
    with pytest.raises(NotSetUp) as raised:
        open_tesseract(OcrConfig(languages=("eng", "fra", "chi_tra")))
    assert "fra, chi_tra" in raised.value.what
    assert raised.value.remedy == (
        "install it with: apt-get install tesseract-ocr-fra tesseract-ocr-chi-tra"
    )


def test_a_folder_without_data_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotSetUp, match=r"media\.ocr\.tessdata"):
        open_tesseract(OcrConfig(tessdata=tmp_path))


def test_a_system_without_data_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TESSDATA_PREFIX", raising=False)
    monkeypatch.setattr(languages, "FOLDERS", ("/nowhere",))
    with pytest.raises(NotSetUp, match="apt-get install tesseract-ocr"):
        languages.folder(None)


def test_data_is_taken_from_where_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "eng.traineddata").touch()
    monkeypatch.setenv("TESSDATA_PREFIX", str(tmp_path))
    assert languages.folder(None) == tmp_path


def test_broken_data_is_told(road: Road, tmp_path: Path) -> None:
    (tmp_path / "deu.traineddata").write_bytes(b"cut off")
    reader = PageReader(OcrConfig(reader=road, languages=("deu",), tessdata=tmp_path))
    page = pictures.page(["One line"]).convert("L")
    with pytest.raises(NotSetUp, match="--reinstall tesseract-ocr-deu"):
        reader.read_page(page.tobytes(), *page.size)
    reader.close()


def test_a_missing_program_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotSetUp, match="apt-get install tesseract-ocr"):
        open_tesseract(OcrConfig(reader="pytesseract"))


def test_without_tesserocr_the_program_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    resident = open_tesseract(OcrConfig())
    assert isinstance(resident, Resident)
    resident.close()
    monkeypatch.setitem(sys.modules, "tesserocr", None)
    assert isinstance(open_tesseract(OcrConfig()), Program)
    with pytest.raises(NotSetUp, match=r"tesserocr is not installed.*moltgate\[ocr\]"):
        open_tesseract(OcrConfig(reader="tesserocr"))
    monkeypatch.setitem(sys.modules, "pytesseract", None)
    with pytest.raises(NotSetUp, match="tesserocr or pytesseract is not installed"):
        open_tesseract(OcrConfig())


@pytest.mark.parametrize("before", [None, "4"])
def test_others_keep_their_threads(
    before: str | None, road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    if before is None:
        monkeypatch.delenv("OMP_THREAD_LIMIT", raising=False)
    else:
        monkeypatch.setenv("OMP_THREAD_LIMIT", before)
    reader = PageReader(OcrConfig(reader=road))
    page = pictures.page(["One line"]).convert("L")
    reader.read_page(page.tobytes(), *page.size)
    reader.close()

    assert os.environ.get("OMP_THREAD_LIMIT") == before


def test_languages_of_a_script_begin_with_those_expected(tmp_path: Path) -> None:
    for name in "chi_sim deu eng fra ita nld osd rus".split():
        (tmp_path / f"{name}.traineddata").touch()
    assert languages.written_in("Latin", ["ita"], tmp_path) == ("ita", "deu", "eng", "fra")
    assert languages.written_in("Cyrillic", ["ita"], tmp_path) == ("rus",)
    assert languages.written_in("Han", [], tmp_path) == ("chi_sim",)
    assert languages.written_in("Japanese", [], tmp_path) == ("chi_sim",)
    assert languages.written_in("Greek", ["eng"], tmp_path) == ()
    assert languages.written_in("NULL", ["eng"], tmp_path) == ()
