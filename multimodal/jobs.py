"""What is asked of a media worker and what comes back. Pure values; both sides import it."""

from __future__ import annotations

import hashlib
from typing import Literal, get_args

import msgspec

from gateway.message import Attachment
from multimodal.config import MediaConfig

JobKind = Literal["ocr", "asr", "doc", "tts"]
"""Also the names of the queues: a host may serve one of them alone."""
QUEUES: tuple[JobKind, ...] = get_args(JobKind)

VERSION = 1
"""Part of every job's id. Raised when the same file would now be read otherwise."""

TASK = "moltgate.media.read"
"""Name of the one Celery task; its argument is a `Job` as JSON text, its result a `Reading`."""

LONGEST = {"ocr": 120.0, "asr": 1800.0, "doc": 600.0, "tts": 330.0}
"""Seconds of one job before it is ended (hard; ten seconds earlier it is asked to end)."""


class Job(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One file to be read, or one text to be spoken."""

    id: str
    """Same content, tenant and settings, same id: it is also the Celery task's."""
    kind: JobKind
    tenant: str
    digest: str = ""
    """The blob; empty for ``tts``."""
    media_type: str = "application/octet-stream"
    name: str = ""
    """As claimed: a label, never a path."""
    size: int = 0
    text: str = ""
    """What is to be spoken; empty otherwise."""


class Reading(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of a job. A file that cannot be read is a reading with a `problem`, no error."""

    text: str = ""
    problem: str = ""
    """In words for the user, the beginning of a sentence in lower case, e.g. ``it is encrypted``;
    empty when all is well."""
    note: str = ""
    """For model and user: what was left out, what is doubtful. Empty when there is nothing to say.
    """
    reader: str = ""
    """Who read it, with version: ``tesseract 5.5.4 (eng)``, ``faster-whisper small (de)``."""
    language: str = ""
    confidence: float = -1.0
    """0 to 1; negative when the reader does not say."""
    picture: str = ""
    """Digest of the re-encoded, downscaled copy of a picture, for models that see."""
    digest: str = ""
    """For ``tts``: the blob of the voice message (ogg/opus)."""
    size: int = 0
    """For ``tts``: its bytes."""
    audio: float = 0.0
    """Seconds of sound heard or spoken."""
    pages: int = 0
    """Pictures and pages looked at."""
    seconds: float = 0.0
    """What the work took."""
    passing: bool = False
    """The `problem` is ours and not the file's, e.g. no model is installed: it is not remembered.
    """


class TooLate(Exception):
    """Nobody has read it in time; it may still be read."""


_json = msgspec.json.Encoder()


def encode(value: Job | Reading) -> str:
    return _json.encode(value).decode()


def decode_job(raw: str | bytes) -> Job:
    """Raises `msgspec.DecodeError`."""
    return msgspec.json.decode(raw, type=Job)


def decode_reading(raw: str | bytes) -> Reading:
    """Raises `msgspec.DecodeError`."""
    return msgspec.json.decode(raw, type=Reading)


def kind_of(attachment: Attachment) -> JobKind:
    """Which reader a file is for. Films are heard."""
    match attachment.kind:
        case "image":
            return "ocr"
        case "voice" | "audio" | "video":
            return "asr"
        case _:
            return "doc"


def to_read(attachment: Attachment, tenant: str, config: MediaConfig) -> Job:
    """The attachment must have a digest."""
    kind = kind_of(attachment)
    # The name decides what a text file is (CSV, Markdown): elsewhere it must not split the cache.
    name = attachment.name if kind == "doc" else ""
    return Job(
        id=_id(tenant, kind, attachment.digest, name, _settings(kind, config)),
        kind=kind,
        tenant=tenant,
        digest=attachment.digest,
        media_type=attachment.media_type,
        name=name,
        size=attachment.size,
    )


def to_speak(text: str, tenant: str, config: MediaConfig) -> Job:
    kind: JobKind = "tts"
    return Job(
        id=_id(tenant, kind, text, _settings(kind, config)), kind=kind, tenant=tenant, text=text
    )


def _settings(kind: JobKind, config: MediaConfig) -> str:
    """What of the settings changes a reading."""
    limits = config.limits.model_dump_json()
    match kind:
        case "ocr":
            return f"{config.documents.scanned_pages}{config.ocr.model_dump_json()}{limits}"
        case "asr":
            return config.asr.model_dump_json() + limits
        case "doc":
            return config.documents.model_dump_json() + config.ocr.model_dump_json() + limits
        case "tts":
            return config.speech.model_dump_json(include={"reader", "voice", "speed", "command"})


def _id(*pieces: str) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for piece in (str(VERSION), *pieces):
        raw = piece.encode()
        digest.update(len(raw).to_bytes(8, "big") + raw)
    return digest.hexdigest()
