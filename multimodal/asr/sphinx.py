"""The recogniser that needs nothing fetched: pocketsphinx with its own model of US English."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from itertools import dropwhile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import structlog

from multimodal.asr.recording import Recording, Samples, Segment
from multimodal.config import AsrConfig
from multimodal.confined.sound import RATE
from multimodal.errors import NotSetUp

log = structlog.get_logger(__name__)

WINDOW = 20.0
"""Seconds of one utterance; it is cut at a pause in the second half of it."""

PAUSE = 0.7
"""Seconds without a word between two segments."""

_PAD = int(0.3 * RATE)
_NOISE = 100
"""Digital silence upsets its normalisation: faint noise before, after and under the speech makes
the share of words it gets from made voices 0.8 instead of 0.3 to 0.6."""

_PEAK = 20_000
_GAIN = 20.0
"""Quiet recordings are made louder, as far as their loudest place allows."""

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
        from pocketsphinx import Decoder, Vad  # type: ignore[import-untyped]

        with TemporaryDirectory(prefix="moltgate-") as folder:
            options: dict[str, Any] = {"samprate": RATE, "loglevel": "FATAL"}
            if config.language_model is not None:
                model = config.language_model.expanduser()
                # With the words of the whole language the same model loads for twelve seconds.
                options |= {"lm": str(model), "dict": str(_dictionary(model, Path(folder)))}
            try:
                self._decoder = Decoder(**options)
            except (RuntimeError, ValueError) as problem:
                if config.language_model is None:
                    raise
                raise _no_language_model(config.language_model) from problem
        self._activity = Vad()
        self.name = f"pocketsphinx {version('pocketsphinx')}"
        self.language = "en"

    def hear(self, recording: Recording) -> Iterator[Segment]:
        self.language = "en"
        while True:
            recording.fill(WINDOW)
            cut = recording.pause(WINDOW / 2)
            start = recording.start
            if cut:
                spoken, before = self._spoken(recording.take(cut))
                if len(spoken):
                    yield from self._segments(spoken, start + before)
            if recording.over and not len(recording.samples):
                return

    def close(self) -> None:
        del self._decoder

    def _spoken(self, samples: Samples) -> tuple[Samples, float]:
        """Without the silence around it, which costs more than speech; and its seconds before."""
        size = self._activity.frame_bytes // 2
        frames = [
            at
            for at in range(0, len(samples) - size + 1, size)
            if self._activity.is_speech(samples[at : at + size].tobytes())
        ]
        if not frames:
            return samples[:0], 0.0
        first = max(0, frames[0] - _PAD)
        return samples[first : frames[-1] + size + _PAD], first / RATE

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


def _dictionary(model: Path, folder: Path) -> Path:
    """How the words of a language model are spoken. Raises `NotSetUp`."""
    from pocketsphinx import get_model_path

    try:
        lines = model.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as problem:
        raise NotSetUp(
            f"the language model {model} cannot be read", "correct media.asr.language_model"
        ) from problem
    words = set()
    for line in dropwhile(lambda line: line.strip() != "\\1-grams:", lines):
        if line.startswith("\\2-grams:"):
            break
        words.update(line.split()[1:2])
    spoken = []
    known = set()
    with Path(get_model_path("en-us/cmudict-en-us.dict")).open() as dictionary:
        for line in dictionary:
            word = line.partition(" ")[0].partition("(")[0]
            if word in words:
                spoken.append(line)
                known.add(word)
    if not known:
        raise _no_language_model(model)
    unknown = sorted(word for word in words - known if word[0] != "<")
    if unknown:
        log.warning("words_without_pronunciation", words=unknown[:20], number=len(unknown))
    path = folder / "words.dict"
    path.write_text("".join(spoken))
    return path


def _no_language_model(path: Path) -> NotSetUp:
    return NotSetUp(
        f"{path} is no language model that can be read",
        "write it in the ARPA format, with English words in lower case",
    )


def _segment(words: list[tuple[float, float, str, float]]) -> Segment:
    return Segment(
        start=max(0.0, words[0][0]),
        end=words[-1][1],
        text="".join(f" {word}" for _, _, word, _ in words),
        confidence=sum(probability for *_, probability in words) / len(words),
    )


def _padded(samples: Samples) -> bytes:
    loudest = max(1, int(np.abs(samples.astype(np.int32)).max()))
    louder = samples * max(1.0, min(_PEAK / loudest, _GAIN))
    padded = np.pad(louder.astype(np.int32), _PAD)
    # The same each time: the same recording reads the same.
    padded += np.random.default_rng(1).integers(-_NOISE, _NOISE + 1, len(padded), np.int32)
    return np.clip(padded, -32768, 32767).astype(np.int16).tobytes()
