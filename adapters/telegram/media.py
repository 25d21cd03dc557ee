"""Files that came along: Telegram's way to hand them out, behind the gateway's limits."""

from __future__ import annotations

from collections.abc import AsyncIterator

from adapters.telegram.capabilities import DOWNLOAD_LIMIT
from adapters.telegram.client import BotApi
from adapters.telegram.native import File
from gateway.errors import Failed, Retryable
from gateway.files import Files as Fetching
from gateway.files import not_available, too_large
from gateway.message import Attachment
from gateway.ports import Blobs


class Files:
    """Fetches what a message brought into the blob store."""

    def __init__(self, api: BotApi, blobs: Blobs, *, limit: int, timeout: float) -> None:
        self._api = api
        self._files = Fetching(blobs, "Telegram", limit=limit, timeout=timeout)

    async def fetch(self, attachment: Attachment, file: File) -> Attachment:
        """The attachment with its bytes stored, or with the problem in words for the user."""
        problem = _Told()
        found = await self._files.fetch(
            attachment, self._chunks(file, problem), size=file.file_size or 0
        )
        return not_available(found, problem.words) if found.problem and problem.words else found

    async def _chunks(self, file: File, problem: _Told) -> AsyncIterator[bytes]:
        try:
            path = await self._path(file)
        except Failed as failure:
            if "too big" in str(failure).lower():
                problem.words = too_large(DOWNLOAD_LIMIT)
            raise
        if path.startswith("/"):
            problem.words = "the Bot API server keeps its files to itself"
            raise Failed("a local path instead of a file")
        async for chunk in self._api.chunks(path):
            yield chunk

    async def _path(self, file: File) -> str:
        try:
            found = await self._api.call("getFile", repeatable=True, file_id=file.file_id)
        except Retryable as later:
            raise Failed(str(later)) from later
        path = found.get("file_path") if isinstance(found, dict) else None
        if not isinstance(path, str) or not path:
            raise Failed("Telegram named no path for a file")
        return path


class _Told:
    """What Telegram says about a file that it does not hand out, in words for the user."""

    words = ""
