from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from multimodal.asr.reader import SoundReader
from multimodal.config import MediaConfig
from multimodal.jobs import Job, Reading
from tests.media import arpa, whisper

HOUSE = (
    "What is the capital of France",
    "Please tell me what the weather will be tomorrow",
    "When does the next train to Berlin leave",
    "Open the door and turn on the light",
    "Stop talking and start a new conversation",
)
"""What people say here: the small language model knows these."""

Hear = Callable[[bytes], Reading]
Make = Callable[..., Hear]


@pytest.fixture(scope="session")
def language_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sphinx") / "house.arpa"
    path.write_text(arpa.bigrams(HOUSE))
    return path


@pytest.fixture(scope="session")
def whisper_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of random weights, English only."""
    return whisper.build(tmp_path_factory.mktemp("whisper") / "tiny")


@pytest.fixture(scope="session")
def many_tongues(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of random weights; it names a language, though not the right one."""
    return whisper.build(tmp_path_factory.mktemp("whisper") / "many", multilingual=True)


@pytest.fixture
def reader() -> Iterator[Make]:
    """Builds what hears, by the settings of ``media.asr`` (and of ``limits``)."""
    made: list[SoundReader] = []

    def make(*, limits: dict[str, Any] | None = None, **asr: Any) -> Hear:
        config = MediaConfig.model_validate({"asr": asr, "limits": limits or {}})
        made.append(SoundReader(config, _no_store))
        return lambda content: made[-1].read(Job(id="1", kind="asr", tenant="t"), content)

    yield make
    for each in made:
        each.close()


@pytest.fixture(scope="module")
def heard(language_model: Path) -> Iterator[Hear]:
    """The built-in recogniser that knows what is said in this house."""
    config = MediaConfig.model_validate(
        {"asr": {"reader": "sphinx", "language_model": str(language_model)}}
    )
    built = SoundReader(config, _no_store)
    yield lambda content: built.read(Job(id="1", kind="asr", tenant="t"), content)
    built.close()


def _no_store(content: bytes) -> str:
    raise AssertionError("nothing is to be stored")
