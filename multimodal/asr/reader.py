"""Jobs of kind ``asr``: unpacked in a confined child, heard here while it comes."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Protocol, cast

import structlog

from multimodal.asr.recording import Recording, Segment
from multimodal.asr.transcript import written
from multimodal.config import AsrConfig, MediaConfig
from multimodal.confined import Confined
from multimodal.jobs import Job, Reading
from multimodal.readers import NotSetUp, Store

log = structlog.get_logger(__name__)

TIMED = 120.0
"""Seconds of a recording from which on its paragraphs carry times."""

WALL = 300.0
"""Seconds that the child may be waited for, all in all; hearing is not counted."""


class Recogniser(Protocol):
    name: str
    language: str
    note: str

    def hear(self, recording: Recording) -> Iterator[Segment]: ...

    def close(self) -> None: ...


class SoundReader:
    """Raises `NotSetUp`, and `ModuleNotFoundError` for a library that was asked for by name."""

    def __init__(self, config: MediaConfig, store: Store) -> None:
        self._config = config
        self._recogniser = recogniser(config.asr)
        limits = config.limits
        self._unpacker = Confined(
            "multimodal.confined.sound",
            memory=limits.memory,
            # Two hours take about 14 s here; what is allowed to be long must be allowed its time.
            cpu=limits.cpu + limits.seconds / 100,
            wall=WALL,
        )

    def read(self, job: Job, content: bytes) -> Reading:
        began = time.monotonic()
        heard = self._recogniser
        pieces = self._unpacker.stream("pcm", content, seconds=self._config.limits.seconds)
        with closing(cast(Generator[bytes, None, None], pieces)):
            recording = Recording(pieces)
            segments = list(heard.hear(recording))
        seconds = recording.seconds
        text = written(segments, times=self._config.asr.timestamps and seconds > TIMED)
        weight = sum(len(segment.text) for segment in segments)
        sure = sum(segment.confidence * len(segment.text) for segment in segments)
        notes = [heard.note if text else "nothing was said", recording.note]
        return Reading(
            text=text,
            note="; ".join(note for note in notes if note),
            reader=f"{heard.name} ({heard.language})" if text else heard.name,
            language=heard.language if text else "",
            confidence=round(sure / weight, 3) if text else -1.0,
            audio=round(seconds, 2),
            seconds=round(time.monotonic() - began, 3),
        )

    def close(self) -> None:
        self._unpacker.close()
        self._recogniser.close()


def recogniser(config: AsrConfig) -> Recogniser:
    """What the settings ask for and this host has."""
    if config.reader == "sphinx" or (config.reader == "auto" and not config.model):
        return _sphinx(config)
    try:
        return _whisper(config)
    except (NotSetUp, ModuleNotFoundError) as problem:
        if config.reader == "whisper":
            raise
        log.warning("speech_model_missing", problem=str(problem), instead="pocketsphinx")
        return _sphinx(config)


def _whisper(config: AsrConfig) -> Recogniser:
    from multimodal.asr.whisper import Whisper

    return Whisper(config)


def _sphinx(config: AsrConfig) -> Recogniser:
    from multimodal.asr.sphinx import Sphinx

    return Sphinx(config)
