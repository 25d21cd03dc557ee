"""The recogniser that needs nothing fetched: pocketsphinx with its own model of US English."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import numpy as np

from multimodal.asr.recording import Recording, Samples, Segment
from multimodal.config import AsrConfig
from multimodal.confined.sound import RATE
from multimodal.errors import NotSetUp

WINDOW = 20.0
"""Seconds of one utterance; it is cut at a pause in the second half of it."""

PAUSE = 0.7
"""Seconds without a word between two segments."""

_PAD = int(0.3 * RATE)
_NOISE = 100
"""Digital silence upsets its normalisation: faint noise before, after and under the speech makes
the share of words it gets from made voices 0.8 instead of 0.3 to 0.6."""

_FRAMES = 100
"""A second."""


class Sphinx:
    note = "heard by the small built-in recogniser; it makes mistakes"

    def __init__(self, config: AsrConfig) -> None:
        """Raises `NotSetUp`."""
        if config.language not in ("", "en"):
            raise NotSetUp(
                f"the built-in recogniser hears English, not {config.language}",
                "set media.asr.model to a model of faster-whisper",
            )
        from pocketsphinx import Decoder  # type: ignore[import-untyped]

        options: dict[str, Any] = {"samprate": RATE, "loglevel": "FATAL"}
        if config.language_model is not None:
            path = config.language_model.expanduser()
            if not path.is_file():
                raise NotSetUp(
                    f"there is no language model {path}", "correct media.asr.language_model"
                )
            options["lm"] = str(path)
        try:
            self._decoder = Decoder(**options)
        except (RuntimeError, ValueError) as problem:
            if config.language_model is None:
                raise
            raise NotSetUp(
                f"{config.language_model} is no language model that can be read",
                "write it in the ARPA format, in lower case",
            ) from problem
        self.name = f"pocketsphinx {version('pocketsphinx')}"
        self.language = "en"

    def hear(self, recording: Recording) -> Iterator[Segment]:
        self.language = "en"
        while True:
            recording.fill(WINDOW)
            cut = recording.pause(WINDOW / 2)
            start = recording.start
            if cut:
                yield from self._segments(recording.take(cut), start)
            if recording.over and not len(recording.samples):
                return

    def close(self) -> None:
        del self._decoder

    def _segments(self, samples: Samples, start: float) -> Iterator[Segment]:
        decoder = self._decoder
        decoder.start_utt()
        decoder.process_raw(_padded(samples), full_utt=True)
        decoder.end_utt()
        if decoder.hyp() is None:
            return
        start -= _PAD / RATE
        words: list[tuple[float, float, str, float]] = []
        for entry in decoder.seg():
            if entry.word[0] in "<[+":  # silence, noise, filler
                continue
            begin, end = start + entry.start_frame / _FRAMES, start + entry.end_frame / _FRAMES
            if words and begin - words[-1][1] >= PAUSE:
                yield _segment(words)
                words = []
            words.append((begin, end, entry.word.partition("(")[0], entry.prob))
        if words:
            yield _segment(words)


def _segment(words: list[tuple[float, float, str, float]]) -> Segment:
    return Segment(
        start=max(0.0, words[0][0]),
        end=words[-1][1],
        text="".join(f" {word}" for _, _, word, _ in words),
        confidence=sum(probability for *_, probability in words) / len(words),
    )


def _padded(samples: Samples) -> bytes:
    padded = np.pad(samples.astype(np.int32), _PAD)
    # The same each time: the same recording reads the same.
    padded += np.random.default_rng(1).integers(-_NOISE, _NOISE + 1, len(padded), np.int32)
    return np.clip(padded, -32768, 32767).astype(np.int16).tobytes()
