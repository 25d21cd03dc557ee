"""Files that came along: fetched from Discord's own servers and from nowhere else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import aiohttp
from yarl import URL

from adapters.discord.native import File
from gateway.errors import Failed
from gateway.files import Files as Fetching
from gateway.message import Attachment
from gateway.ports import Blobs

_CHUNK = 64 * 1024


class Files:
    def __init__(self, blobs: Blobs, cdn: Sequence[str], *, limit: int, timeout: float) -> None:
        self._files = Fetching(blobs, "Discord", limit=limit, timeout=timeout)
        self._servers = frozenset(URL(each).origin() for each in cdn)
        self._timeout = aiohttp.ClientTimeout(total=timeout, connect=10.0)
        self._session: aiohttp.ClientSession | None = None

    async def fetch(self, attachment: Attachment, file: File) -> Attachment:
        """The attachment with its bytes stored, or with the problem in words for the user."""
        return await self._files.fetch(attachment, self._chunks(file.url), size=file.size)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _chunks(self, address: str) -> AsyncIterator[bytes]:
        try:
            url = URL(address, encoded=True)
            known = url.origin() in self._servers and url.user is None
        except ValueError as problem:
            raise Failed("the address of a file cannot be read") from problem
        if not known:
            raise Failed(f"a file lies on {url.host}, which is not among adapters.discord.cdn")
        if self._session is None:
            self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        try:
            # A redirect could lead anywhere.
            async with self._session.get(
                url, timeout=self._timeout, allow_redirects=False
            ) as answer:
                if answer.status != 200:
                    raise Failed(f"Discord answered {answer.status} for a file")
                async for chunk in answer.content.iter_chunked(_CHUNK):
                    yield chunk
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Failed(f"a file could not be fetched: {type(error).__name__}") from error
