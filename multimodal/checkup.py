"""What a reader of files needs on this machine, and what to do where it is missing.

Asked by `moltgate doctor` and by the supervisor. Looks only: no heavy library is imported.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from multimodal.config import AsrConfig, MediaConfig, OcrConfig, SpeechConfig
from multimodal.errors import NotSetUp
from multimodal.jobs import QUEUES, JobKind
from multimodal.ocr import languages

INSTALL = "pip install 'moltgate[media]'"


class Check(NamedTuple):
    name: str
    ok: bool
    text: str
    advice: str = ""
    """What to do; empty when all is well."""


_NO_CELERY = "pictures, documents and voice are not read, as celery is not installed"


def missing() -> str:
    """Why no file can be read here at all, with the remedy; empty when one can."""
    return "" if find_spec("celery") else f"{_NO_CELERY}; {INSTALL}"


def queues(config: MediaConfig) -> Sequence[JobKind]:
    """Those in which something may come."""
    spoken = ("voice", "audio", "video")
    wanted = {
        "ocr": "image" in config.read,
        "asr": any(kind in config.read for kind in spoken),
        "doc": "document" in config.read,
        "tts": config.speech.mode != "off",
    }
    return [kind for kind in QUEUES if wanted[kind]]


def checks(config: MediaConfig) -> Sequence[Check]:
    """One for everything the configured readers need. Nothing for what is switched off."""
    if missing():  # as chosen by whoever installed it, so nothing is wrong
        return [Check("reading", True, _NO_CELERY, INSTALL)] if queues(config) else []
    looks: Mapping[JobKind, Callable[[], Check]] = {
        "ocr": lambda: _pictures(config.ocr),
        "asr": lambda: _hearing(config.asr),
        "doc": _documents,
        "tts": lambda: _speaking(config.speech),
    }
    return [looks[kind]() for kind in queues(config)]


def _pictures(config: OcrConfig) -> Check:
    name = "reading pictures"
    if lacking := _lacking("PIL", "numpy"):
        return _not_installed(name, lacking)
    engines = {"tesserocr": "tesserocr", "pytesseract": "pytesseract"}
    wanted = [config.reader] if config.reader != "auto" else [*engines]
    engine = next((each for each in wanted if find_spec(each) is not None), "")
    if not engine:
        return _not_installed(name, " or ".join(wanted))
    if engine == "pytesseract" and shutil.which("tesseract") is None:
        return Check(name, False, "tesseract is not installed", "apt-get install tesseract-ocr")
    try:
        folder = languages.folder(config.tessdata)
        languages.require(config.languages, folder)
    except NotSetUp as problem:
        return Check(name, False, problem.what, problem.remedy)
    there = languages.installed(folder)
    text = f"{engine} reads {', '.join(config.languages)} (installed: {', '.join(there)})"
    if config.detect and "osd" not in there:
        advice = f"nothing can be detected without {languages.package('osd')}: apt-get install it"
        return Check(name, True, text, advice)
    return Check(name, True, text)


def _hearing(config: AsrConfig) -> Check:
    name = "hearing"
    if lacking := _lacking("av", "numpy"):
        return _not_installed(name, lacking)
    whisper, sphinx = find_spec("faster_whisper"), find_spec("pocketsphinx")
    builtin = "the built-in recogniser (English only, quiet and clear speech)"
    better = "set media.asr.model to a model of faster-whisper for real use"
    if config.reader == "sphinx" or (config.reader == "auto" and not config.model):
        if sphinx is None:
            return _not_installed(name, "pocketsphinx")
        asked = config.reader == "sphinx"
        return Check(name, True, builtin, "" if asked else better)
    if whisper is None:
        return _not_installed(name, "faster-whisper")
    if problem := _no_model(config):
        if config.reader == "auto" and sphinx is not None:
            return Check(name, False, f"{builtin}, as {problem[0]}", problem[1])
        return Check(name, False, *problem)
    return Check(name, True, f"faster-whisper with {config.model} on {config.device}")


def _no_model(config: AsrConfig) -> tuple[str, str] | None:
    """What is wrong with the model, and what to do."""
    if not config.model:
        return "media.asr.model names no model", "name one, e.g. small, with media.asr.download"
    path = Path(config.model).expanduser()
    if path.is_absolute() or path.exists():
        if not path.is_dir():
            return f"there is no folder {path}", "put the model there, or correct media.asr.model"
        if not (path / "model.bin").exists():
            return (
                f"{path} holds no model.bin",
                "convert the model with ct2-transformers-converter, or name another folder",
            )
    return None


_DOCUMENTS = (
    *("pypdfium2", "docx", "openpyxl", "pptx", "bs4", "markdownify", "charset_normalizer"),
    *("striprtf", "lxml"),
)


def _documents() -> Check:
    name = "reading documents"
    if lacking := _lacking(*_DOCUMENTS):
        return _not_installed(name, lacking)
    return Check(name, True, "PDF, office files, web pages, mails, tables and archives")


def _speaking(config: SpeechConfig) -> Check:
    name = "speaking"
    if lacking := _lacking("av", "numpy"):
        return _not_installed(name, lacking)
    if config.reader == "command":
        program = config.command[0] if config.command else ""
        if not program:
            return Check(name, False, "no program is named", "name it in media.speech.command")
        if shutil.which(program) is None:
            remedy = "install it, or correct media.speech.command"
            return Check(name, False, f"{program} is not installed", remedy)
        return Check(name, True, f"by {program}")
    if shutil.which("espeak-ng") is None:
        return Check(name, False, "espeak-ng is not installed", "apt-get install espeak-ng")
    return Check(name, True, f"espeak-ng with the voice {config.voice}")


def _lacking(*modules: str) -> str:
    return ", ".join(_names(each for each in modules if find_spec(each) is None))


def _names(modules: Iterable[str]) -> Iterable[str]:
    """As they are called where one installs them."""
    known = {"PIL": "pillow", "docx": "python-docx", "pptx": "python-pptx", "bs4": "beautifulsoup4"}
    return (known.get(each, each) for each in modules)


def _not_installed(name: str, what: str) -> Check:
    return Check(name, False, f"not installed: {what}", INSTALL)
