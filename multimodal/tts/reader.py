"""Jobs of kind ``tts``: text to a voice message, ogg/opus."""

from __future__ import annotations

import time
import unicodedata
from typing import Protocol

from multimodal.config import MediaConfig, SpeechConfig
from multimodal.confined import sound
from multimodal.jobs import Job, Reading
from multimodal.readers import Store, Unreadable
from multimodal.tts.command import Command
from multimodal.tts.espeak import Espeak

LONGEST = 1800.0
"""Seconds of one voice message."""

_WAV = 2 * 48_000
"""Most bytes a second of what a program writes."""


class Voice(Protocol):
    name: str

    def speak(self, text: str, *, most: int) -> bytes: ...


class SpeechReader:
    """Raises `NotSetUp`."""

    def __init__(self, config: MediaConfig, store: Store) -> None:
        self._store = store
        self._voice = _voice(config.speech)

    def read(self, job: Job, content: bytes) -> Reading:
        began = time.monotonic()
        text = _speakable(job.text)
        if not text:
            raise Unreadable("there is nothing to say")
        # The slowest voice takes a sixth of a second for a letter; a digit may be a word.
        longest = min(LONGEST, 10.0 + len(text))
        made = self._voice.speak(text, most=int(longest * _WAV))
        spoken, seconds = sound.opus(made, seconds=longest)
        return Reading(
            digest=self._store(spoken),
            size=len(spoken),
            audio=round(seconds, 2),
            reader=self._voice.name,
            seconds=round(time.monotonic() - began, 3),
        )

    def close(self) -> None:
        """Nothing stays open between two answers."""


def _voice(config: SpeechConfig) -> Voice:
    return Command(config) if config.reader == "command" else Espeak(config)


def _speakable(text: str) -> str:
    """Without control characters; programs read lines, and some end at a NUL. Empty when there is
    no letter or digit in it."""
    clean = "".join(
        each if each in "\n\t" or unicodedata.category(each)[0] != "C" else " " for each in text
    ).strip()
    return clean if any(each.isalnum() for each in clean) else ""
