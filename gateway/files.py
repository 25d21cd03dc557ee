"""Files that came along with a message: fetched within limits, their type read from their bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import structlog

from gateway import sniff
from gateway.errors import Failed, Refused, Retryable, Uncertain
from gateway.message import Attachment
from gateway.ports import Blobs

log = structlog.get_logger(__name__)


class Files:
    """Puts what a message brought into the blob store.

    A platform that does not hand a file out is a problem in words: the message counts more than
    its file. A blob store that takes nothing is not: `Unavailable` comes out, and nothing was
    taken in.
    """

    def __init__(self, blobs: Blobs, platform: str, *, limit: int, timeout: float) -> None:
        """`platform` as people call it, `limit` in bytes, `timeout` in seconds for one file."""
        self._blobs = blobs
        self._title = platform
        self._limit = limit
        self._timeout = timeout

    async def fetch(
        self, attachment: Attachment, chunks: AsyncIterator[bytes], *, size: int = 0
    ) -> Attachment:
        """The attachment with its bytes stored and its type sniffed, or with the problem in words
        for the user.

        `chunks` comes from the platform and raises what `gateway.errors` knows; `size` is what the
        platform claims, 0 for unknown. A document turns into a picture, a recording or a film by
        its content; what was sent as voice stays voice.
        """
        if size > self._limit:
            return not_available(attachment, too_large(self._limit))
        platform = _Platform(chunks)
        try:
            async with asyncio.timeout(self._timeout):
                digest, stored, head = await self._blobs.store(platform.chunks(), limit=self._limit)
        except TimeoutError:
            words = f"it could not be fetched within {self._timeout:g} seconds"
            return not_available(attachment, words)
        except Refused:
            return not_available(attachment, too_large(self._limit))
        except (Failed, Retryable, Uncertain) as failure:
            if platform.failure is None:
                raise
            log.warning("file_not_fetched", kind=attachment.kind, reason=str(failure))
            return not_available(attachment, f"it could not be fetched from {self._title}")
        media = sniff.media_type(head)
        kind = attachment.kind
        if kind == "document":
            kind = sniff.kind(media)
        return msgspec.structs.replace(
            attachment, digest=digest, size=stored, media_type=media, kind=kind
        )


class _Platform:
    """Tells the platform's failures from the blob store's."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self.failure: Exception | None = None

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._chunks:
                yield chunk
        except (Failed, Retryable, Uncertain) as failure:
            self.failure = failure
            raise


def not_available(attachment: Attachment, words: str) -> Attachment:
    """The attachment without its bytes; `words` are for the user."""
    return msgspec.structs.replace(attachment, digest="", problem=words)


def too_large(limit: int) -> str:
    return f"it is larger than {limit / 2**20:g} MB"
