"""faster-whisper: a resident model, pieces of long recordings heard in batches."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from multimodal.asr.recording import Recording, Samples, Segment
from multimodal.config import AsrConfig
from multimodal.confined.sound import RATE
from multimodal.errors import NotSetUp

SHORT = 30.0
"""Seconds that the model hears at once; longer recordings go in pieces of at most as many."""

LEAST_WINDOW, MOST_WINDOW = 240.0, 600.0
"""Seconds of a long recording that are held, besides what is carried over: a batch at most."""

Span = dict[str, float]


class Whisper:
    note = ""

    def __init__(self, config: AsrConfig, *, window: float | None = None) -> None:
        """Raises `NotSetUp`, and `ModuleNotFoundError` without faster-whisper."""
        if not config.model:
            raise NotSetUp(
                "media.asr.model names no model",
                "name a folder in CTranslate2 format, or e.g. small with media.asr.download: true",
            )
        self._config = config
        self._window = window or min(max(LEAST_WINDOW, 1.5 * SHORT * config.batch), MOST_WINDOW)
        self._model = _load(config)
        known = self._model.supported_languages
        if config.language and config.language not in known:
            heard = "hears English only" if known == ["en"] else "does not know it"
            raise NotSetUp(
                f"the speech model {config.model} {heard}, and media.asr.language is "
                f"{config.language}",
                "correct it, or name another model in media.asr.model",
            )
        self._batched: Any = None
        name = Path(config.model).name
        self.name = f"faster-whisper {version('faster-whisper')} {name}"
        self.language = config.language

    def hear(self, recording: Recording) -> Iterator[Segment]:
        """`language` holds from the first segment on. Raises `NotSetUp`: that a library of CUDA is
        missing comes out at the first use."""
        try:
            yield from self._hear(recording)
        except RuntimeError as problem:
            if not _lacks_cuda(str(problem)):
                raise
            raise _not_set_up(self._config, problem) from problem

    def _hear(self, recording: Recording) -> Iterator[Segment]:
        self.language = self._config.language
        recording.fill(SHORT)
        recording.finish()
        if recording.over and len(recording.samples) <= SHORT * RATE:
            yield from self._one(recording.take(len(recording.samples)), 0.0)
        elif self._config.vad:
            yield from self._batches(recording)
        else:
            yield from self._windows(recording)

    def close(self) -> None:
        self._batched = None
        del self._model

    def _one(self, samples: Samples, start: float) -> Iterator[Segment]:
        """One after the other, each with what was said before it in mind."""
        segments, info = self._model.transcribe(
            _floats(samples), language=self.language or None, vad_filter=self._config.vad
        )
        if not info.duration_after_vad:
            return
        self.language = info.language
        yield from _segments(segments, start, len(samples) / RATE)

    def _windows(self, recording: Recording) -> Iterator[Segment]:
        while True:
            recording.fill(self._window)
            cut = recording.pause(SHORT)
            start = recording.start
            if cut:
                yield from self._one(recording.take(cut), start)
            if recording.over and not len(recording.samples):
                return

    def _batches(self, recording: Recording) -> Iterator[Segment]:
        """What is spoken, in pieces of up to thirty seconds, several at once. What does not fill a
        batch waits for the next window."""
        from faster_whisper import BatchedInferencePipeline  # type: ignore[import-untyped]

        if self._batched is None:
            self._batched = BatchedInferencePipeline(self._model)
        batch = self._config.batch
        while True:
            carried = len(recording.samples) / RATE
            recording.fill(self._window + carried)
            recording.finish()
            heard = _floats(recording.samples)
            spans = _spans(heard)
            if not recording.over:
                # The last one may go on, unless it ended too long ago to be joined to anything.
                ended = spans and len(heard) / RATE - spans[-1]["end"] > SHORT
                whole = len(spans) if ended else len(spans) - 1
                keep = whole % batch if whole >= batch else 0
                spans, later = spans[: whole - keep], spans[whole - keep :]
                cut = int(later[0]["start"] * RATE) if later else len(heard) - RATE
            else:
                cut = len(heard)
            start = recording.start
            recording.take(cut)
            if spans:
                yield from self._pieces(heard, spans, start)
            if recording.over:
                return

    def _pieces(
        self, heard: npt.NDArray[np.float32], spans: Sequence[Span], start: float
    ) -> Iterator[Segment]:
        segments, info = self._batched.transcribe(
            heard,
            language=self.language or None,
            clip_timestamps=list(spans),
            batch_size=self._config.batch,
        )
        self.language = info.language
        yield from _segments(segments, start, len(heard) / RATE)


def _spans(heard: npt.NDArray[np.float32]) -> list[Span]:
    """Where there is speech, joined to pieces of at most thirty seconds with their pauses."""
    from faster_whisper.vad import (  # type: ignore[import-untyped]
        VadOptions,
        get_speech_timestamps,
    )

    options = VadOptions(max_speech_duration_s=SHORT, min_silence_duration_ms=160)
    spans: list[Span] = []
    for found in get_speech_timestamps(heard, options):
        start, end = found["start"] / RATE, found["end"] / RATE
        if spans and end - spans[-1]["start"] <= SHORT:
            spans[-1]["end"] = end
        else:
            spans.append({"start": start, "end": end})
    return spans


def _segments(segments: Any, start: float, seconds: float) -> Iterator[Segment]:
    for segment in segments:
        # Models have been seen to name times after the end.
        begin = min(max(segment.start, 0.0), seconds)
        yield Segment(
            start=start + begin,
            end=start + min(max(segment.end, begin), seconds),
            text=segment.text,
            confidence=math.exp(min(segment.avg_logprob, 0.0)),
        )


def _floats(samples: Samples) -> npt.NDArray[np.float32]:
    floats = samples.astype(np.float32)
    floats /= 32768.0
    return floats


def _load(config: AsrConfig) -> Any:
    from faster_whisper import WhisperModel

    path = Path(config.model).expanduser()
    local = path.is_dir()
    if local:
        for name in ("model.bin", "tokenizer.json"):
            if not (path / name).is_file():  # without the latter it would ask the hub
                raise NotSetUp(
                    f"{path} holds no {name}",
                    "convert the model with ct2-transformers-converter --copy_files tokenizer.json "
                    "preprocessor_config.json",
                )
    try:
        return WhisperModel(
            str(path) if local else config.model,
            device=config.device,
            compute_type=config.compute_type,
            cpu_threads=config.threads,
            local_files_only=not config.download,
        )
    except (OSError, ValueError, RuntimeError) as problem:
        raise _not_set_up(config, problem) from problem


def _lacks_cuda(said: str) -> bool:
    """A lack of memory there may pass."""
    return any(word in said for word in ("CUDA", "cublas", "cudnn")) and "memory" not in said


def _not_set_up(config: AsrConfig, problem: Exception) -> NotSetUp:
    """The hub's errors are OSError (not there) and ValueError (no such name)."""
    said = str(problem).partition("\n")[0][:200]
    if _lacks_cuda(said):
        return NotSetUp(
            f"no CUDA for speech: {said}",
            "set media.asr.device: cpu, or install the CUDA libraries",
        )
    if "compute type" in said:
        return NotSetUp(said, "set media.asr.compute_type: default")
    if Path(config.model).expanduser().is_dir():
        return NotSetUp(
            f"the speech model {config.model} cannot be loaded: {said}",
            "convert it again, or name another in media.asr.model",
        )
    if not isinstance(problem, OSError):
        return NotSetUp(
            f"there is no folder or model {config.model}", "correct media.asr.model, e.g. small"
        )
    if config.download:
        return NotSetUp(
            f"the speech model {config.model} could not be fetched: {said}",
            "see that the hub can be reached, or set media.asr.model to a folder",
        )
    return NotSetUp(
        f"the speech model {config.model} is not here",
        "set media.asr.download: true to fetch it once, or media.asr.model to a folder",
    )
