"""What a media worker's process has for each kind of job. Sync: each process reads one at a time.

A reader is built at the first job of its kind and stays, with its models and handles. What it
unpacks it unpacks in a confined child (`multimodal.confined`), never in its own process.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Protocol

from multimodal.config import MediaConfig
from multimodal.errors import NotSetUp, Unreadable
from multimodal.jobs import Job, JobKind, Reading

__all__ = ["READERS", "Build", "NotSetUp", "Reader", "Store", "Unreadable", "build"]

Store = Callable[[bytes], str]
"""Puts bytes into the blob store and gives their digest."""


class Reader(Protocol):
    def read(self, job: Job, content: bytes) -> Reading:
        """`content` is the blob's, empty for ``tts``. Raises `Unreadable` and `NotSetUp`; anything
        else is a fault of ours, and the job is tried again."""

    def close(self) -> None: ...


Build = Callable[[MediaConfig, Store], Reader]

READERS: dict[JobKind, str] = {
    "ocr": "multimodal.ocr.reader:PictureReader",
    "asr": "multimodal.asr.reader:SoundReader",
    "doc": "multimodal.documents.reader:DocumentReader",
    "tts": "multimodal.tts.reader:SpeechReader",
}
"""``module:class``, imported at the first job: a host that only hears loads nothing else."""


def build(
    kind: JobKind, config: MediaConfig, store: Store, table: Mapping[JobKind, str] = READERS
) -> Reader:
    """Raises `NotSetUp` when a library of the reader is not installed."""
    module, _, name = table[kind].partition(":")
    try:
        made: Build = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as missing:
        if missing.name is not None and missing.name.split(".")[0] in ("multimodal", "gateway"):
            raise
        raise NotSetUp(
            f"{missing.name} is not installed", "install it with: pip install 'moltgate[media]'"
        ) from missing
    return made(config, store)
