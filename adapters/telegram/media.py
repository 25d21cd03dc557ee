"""Files that came along: fetched within limits, their type read from their first bytes."""

from __future__ import annotations

import asyncio
import re

import msgspec
import structlog

from adapters.telegram.capabilities import DOWNLOAD_LIMIT
from adapters.telegram.client import BotApi
from adapters.telegram.native import File
from gateway.errors import Failed, Refused, Retryable
from gateway.message import Attachment
from gateway.ports import Blobs

log = structlog.get_logger(__name__)

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (rb"\xff\xd8\xff", "image/jpeg"),
    (rb"\x89PNG\r\n\x1a\n", "image/png"),
    (rb"GIF8[79]a", "image/gif"),
    (rb"RIFF....WEBP", "image/webp"),
    (rb"RIFF....WAVE", "audio/wav"),
    (rb"OggS", "audio/ogg"),
    (rb"fLaC", "audio/flac"),
    (rb"ID3|\xff[\xfb\xf3\xf2\xfa]", "audio/mpeg"),
    (rb"\xff[\xf1\xf9]", "audio/aac"),
    (rb"#!AMR", "audio/amr"),
    (rb"....ftypM4[AB]", "audio/mp4"),
    (rb"....ftyp(?:heic|heix|mif1)", "image/heic"),
    (rb"....ftypavif", "image/avif"),
    (rb"....ftypqt", "video/quicktime"),
    (rb"....ftyp", "video/mp4"),
    (rb"\x1a\x45\xdf\xa3", "video/webm"),
    (rb"%PDF-", "application/pdf"),
    (rb"PK\x03\x04", "application/zip"),
    (rb"\x1f\x8b", "application/gzip"),
    (rb"BM....\x00\x00\x00\x00", "image/bmp"),
    (rb"II\*\x00|MM\x00\*", "image/tiff"),
)
_PATTERNS = [(re.compile(magic, re.DOTALL), name) for magic, name in _MAGIC]
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


def sniff(head: bytes) -> str:
    """The media type that the first bytes show, never the claimed one."""
    for pattern, name in _PATTERNS:
        if pattern.match(head):
            return name
    if not head or _BINARY.search(head):
        return "application/octet-stream"
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as problem:
        if problem.start < len(head) - 4:  # not merely cut inside a character
            return "application/octet-stream"
    return "text/plain"


class Files:
    """Fetches what a message brought into the blob store."""

    def __init__(self, api: BotApi, blobs: Blobs, *, limit: int, timeout: float) -> None:
        self._api = api
        self._blobs = blobs
        self._limit = limit
        self._timeout = timeout

    async def fetch(self, attachment: Attachment, file: File) -> Attachment:
        """The attachment with its bytes stored, or with the problem in words for the user.

        A platform that does not hand it out is a problem in words: the message counts more than
        its file. A blob store that cannot take it raises `Unavailable`: nothing was taken in.
        """
        if (file.file_size or 0) > self._limit:
            return _problem(attachment, _too_large(self._limit))
        try:
            async with asyncio.timeout(self._timeout):
                path = await self._path(file)
                if path.startswith("/"):
                    return _problem(attachment, "the Bot API server keeps its files to itself")
                stored = await self._blobs.store(self._api.chunks(path), limit=self._limit)
        except TimeoutError:
            return _problem(attachment, f"it could not be fetched within {self._timeout:g} seconds")
        except Refused:
            return _problem(attachment, _too_large(self._limit))
        except Failed as failure:
            if "too big" in str(failure).lower():
                return _problem(attachment, _too_large(DOWNLOAD_LIMIT))
            return self._not_fetched(attachment, failure)
        digest, size, head = stored
        return msgspec.structs.replace(attachment, digest=digest, size=size, media_type=sniff(head))

    async def _path(self, file: File) -> str:
        try:
            found = await self._api.call("getFile", repeatable=True, file_id=file.file_id)
        except Retryable as later:
            raise Failed(str(later)) from later
        path = found.get("file_path") if isinstance(found, dict) else None
        if not isinstance(path, str) or not path:
            raise Failed("Telegram named no path for a file")
        return path

    def _not_fetched(self, attachment: Attachment, failure: Exception) -> Attachment:
        log.warning("file_not_fetched", kind=attachment.kind, reason=str(failure))
        return _problem(attachment, "it could not be fetched from Telegram")


def _problem(attachment: Attachment, words: str) -> Attachment:
    return msgspec.structs.replace(attachment, digest="", problem=words)


def _too_large(limit: int) -> str:
    return f"it is larger than {limit / 2**20:g} MB"
