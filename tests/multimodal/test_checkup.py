"""What is told about a machine that reads well, and about one that lacks something."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from multimodal.checkup import Check, checks, missing, queues
from multimodal.config import MediaConfig


def media(**settings: Any) -> MediaConfig:
    return MediaConfig.model_validate(settings)


def found(name: str, **settings: Any) -> Check:
    (check,) = [each for each in checks(media(**settings)) if each.name == name]
    return check


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Modules that are not there."""

    def hide(*names: str) -> None:
        for name in names:
            monkeypatch.setitem(sys.modules, name, None)  # how Python itself says so

    return hide


def test_a_machine_with_everything_is_well() -> None:
    assert all(each.ok for each in checks(media()))
    assert "reads eng (installed:" in found("reading pictures").text
    assert found("speaking") == Check("speaking", True, "espeak-ng with the voice en-us")
    assert found("reading documents").advice == ""


def test_what_to_install_is_said_where_celery_is_missing(without: Any) -> None:
    assert missing() == ""

    without("celery")

    assert missing().endswith("celery is not installed; pip install 'moltgate[media]'")
    (check,) = checks(media())
    assert (check.ok, check.advice) == (True, "pip install 'moltgate[media]'")
    assert checks(media(read=[], speech={"mode": "off"})) == []


def test_what_is_switched_off_needs_nothing(without: Any) -> None:
    without("PIL", "tesserocr", "pytesseract", "av", "pypdfium2")

    assert checks(media(read=[], speech={"mode": "off"})) == []
    assert queues(media(read=["voice"])) == ["asr", "tts"]
    assert queues(media()) == ["ocr", "asr", "doc", "tts"]


def test_libraries_are_named_as_one_installs_them(without: Any) -> None:
    without("docx", "bs4")

    check = found("reading documents")

    assert not check.ok
    assert check.text == "not installed: python-docx, beautifulsoup4"


def test_programs_are_missed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    pictures = found("reading pictures", ocr={"reader": "pytesseract"})
    assert (pictures.ok, pictures.advice) == (False, "apt-get install tesseract-ocr")
    assert found("speaking").advice == "apt-get install espeak-ng"
    own = found("speaking", speech={"reader": "command", "command": ["piper"]})
    assert own.text == "piper is not installed"


def test_languages_without_data_are_named_with_their_package() -> None:
    check = found("reading pictures", ocr={"languages": ["eng", "bod"]})

    assert not check.ok
    assert check.text.startswith("Tesseract has no data for bod in ")
    assert check.advice.endswith("apt-get install tesseract-ocr-bod")


def test_data_for_detection_is_missed_without_alarm(tmp_path: Path) -> None:
    (tmp_path / "eng.traineddata").touch()

    check = found("reading pictures", ocr={"tessdata": tmp_path, "detect": True})

    assert check.ok
    assert "tesseract-ocr-osd" in check.advice


def test_the_built_in_recogniser_is_advised_against_unless_it_was_asked_for(
    without: Any,
) -> None:
    assert "set media.asr.model" in found("hearing").advice
    assert found("hearing", asr={"reader": "sphinx"}).advice == ""

    without("pocketsphinx")
    assert found("hearing").text == "not installed: pocketsphinx"


def test_a_model_is_looked_for(tmp_path: Path, without: Any) -> None:
    gone, empty = tmp_path / "gone", tmp_path / "empty"
    empty.mkdir()

    assert found("hearing", asr={"reader": "whisper"}).text == "media.asr.model names no model"
    assert found("hearing", asr={"reader": "whisper", "model": str(gone)}).text == (
        f"there is no folder {gone}"
    )
    fallen_back = found("hearing", asr={"model": str(empty)})
    assert not fallen_back.ok
    assert fallen_back.text.endswith(f"as {empty} holds no model.bin")

    (empty / "model.bin").touch()
    assert found("hearing", asr={"model": str(empty)}).ok
    without("faster_whisper")
    assert found("hearing", asr={"model": str(empty)}).text == "not installed: faster-whisper"


def test_looking_loads_no_heavy_library() -> None:
    looked = (
        "import sys; from multimodal.checkup import checks; from multimodal.config import "
        "MediaConfig; checks(MediaConfig()); "
        "print(*{'celery', 'PIL', 'numpy', 'av', 'ctranslate2', 'tesserocr'} & {*sys.modules})"
    )

    said = subprocess.run([sys.executable, "-c", looked], capture_output=True, check=True)

    assert said.stdout.split() == []
