"""Files that came along: Slack's way to hand them out, behind the gateway's limits."""

from __future__ import annotations

from adapters.slack.client import WebApi
from adapters.slack.native import File
from gateway.errors import Failed, Retryable, Uncertain
from gateway.files import Files as Fetching
from gateway.files import not_available
from gateway.message import Attachment
from gateway.ports import Blobs


class Files:
    """Fetches what a message brought into the blob store."""

    def __init__(self, api: WebApi, blobs: Blobs, *, limit: int, timeout: float) -> None:
        self._api = api
        self._files = Fetching(blobs, "Slack", limit=limit, timeout=timeout)

    async def fetch(self, attachment: Attachment, file: File) -> Attachment:
        """The attachment with its bytes stored, or with the problem in words for the user."""
        if file.file_access == "check_file_info":
            file = await self._looked_up(file)
        if file.mode == "external":
            return not_available(attachment, "it is only linked to, and stands outside of Slack")
        if file.mode == "hidden_by_limit":
            return not_available(attachment, "Slack hides it: the workspace is at its limit")
        chunks = self._api.chunks(file.url, file.mimetype or "")
        return await self._files.fetch(attachment, chunks, size=file.size or 0)

    async def _looked_up(self, file: File) -> File:
        """Of a file from another workspace the message says no more than its id."""
        try:
            answer = await self._api.read("files.info", file=file.id)
        except (Failed, Retryable, Uncertain):
            return file
        found = answer.data.get("file")
        if not isinstance(found, dict):
            return file
        url = found.get("url_private_download") or found.get("url_private")
        kind, size = found.get("mimetype"), found.get("size")
        return File(
            id=file.id,
            url_private=url if isinstance(url, str) else None,
            mimetype=kind if isinstance(kind, str) else None,
            size=size if isinstance(size, int) else None,
            mode=file.mode,
        )
