"""Files go to the server's upload service (XEP-0363), and come from hosts in the settings."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import aiohttp
from slixmpp.exceptions import IqError, IqTimeout

from adapters.xmpp.capabilities import UPLOAD_LIMIT
from gateway.errors import Failed, Unavailable
from gateway.message import Attachment
from gateway.ports import Blobs

if TYPE_CHECKING:
    from adapters.xmpp.config import XmppConfig
    from adapters.xmpp.session import Session

_UPLOAD = "{urn:xmpp:http:upload:0}"
_HEADERS = {"authorization", "cookie", "expires"}
"""Those that a service may ask for; others could be used to smuggle."""


class Uploads:
    def __init__(self, config: XmppConfig) -> None:
        self._patience = config.file_timeout
        self._ca_file = config.ca_file

    async def put(self, session: Session, file: Attachment, blobs: Blobs) -> str:
        """The address at which others find it. `Failed` when it will never be there."""
        if not file.digest:
            raise Failed(f"there are no bytes to send ({file.problem or 'no digest'})")
        content = b"".join([chunk async for chunk in blobs.read(file.digest)])
        if not 0 < len(content) <= UPLOAD_LIMIT:
            raise Failed(f"a file of {len(content)} bytes cannot be uploaded")
        slot = await self._slot(session, file, len(content))
        to, at = slot.find(f"{_UPLOAD}put"), slot.find(f"{_UPLOAD}get")
        put_url = to.get("url", "") if to is not None else ""
        get_url = at.get("url", "") if at is not None else ""
        if not (put_url.startswith("https://") and get_url.startswith("https://")):
            raise Failed("the upload service gives no https address")
        headers = {
            each.get("name", ""): (each.text or "").replace("\n", "")
            for each in to.iterfind(f"{_UPLOAD}header")
            if each.get("name", "").lower() in _HEADERS
        }
        headers["Content-Type"] = file.media_type
        try:
            async with (
                self._http() as http,
                http.put(put_url, data=content, headers=headers, allow_redirects=False) as done,
            ):
                if done.status >= 500:
                    raise Unavailable(f"the upload service answers {done.status}")
                if done.status >= 300:
                    raise Failed(f"the upload service answers {done.status}")
        except (aiohttp.ClientError, TimeoutError) as problem:
            raise Unavailable(f"the upload service cannot be reached: {problem}") from problem
        return get_url

    async def get(self, url: str) -> AsyncIterator[bytes]:
        """Chunks of a file on a host that may be asked. Nobody leads us anywhere else."""
        try:
            async with self._http() as http, http.get(url, allow_redirects=False) as found:
                if found.status != 200:
                    raise Failed(f"the upload service answers {found.status}")
                async for chunk in found.content.iter_chunked(65_536):
                    yield chunk
        except (aiohttp.ClientError, TimeoutError) as problem:
            raise Unavailable(f"the upload service cannot be reached: {problem}") from problem

    async def _slot(self, session: Session, file: Attachment, size: int) -> Any:
        plugin = session.client.plugin["xep_0363"]
        try:
            service = await plugin.find_upload_service(timeout=self._patience)
        except (IqError, IqTimeout) as refused:
            raise Unavailable(f"the upload service is not found: {refused}") from refused
        if service is None:
            raise Failed("the server has no upload service (XEP-0363)")
        iq = session.client.make_iq_get(ito=service["from"])
        request = iq["http_upload_request"]
        request["filename"] = _name(file)
        request["size"] = str(size)
        request["content-type"] = file.media_type
        answer = await session.ask(iq)
        slot = answer.xml.find(f"{_UPLOAD}slot")
        if slot is None:
            raise Failed("the upload service gives no slot")
        return slot

    def _http(self) -> aiohttp.ClientSession:
        context = ssl.create_default_context(cafile=self._ca_file)
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context),
            timeout=aiohttp.ClientTimeout(total=self._patience),
        )


def _name(file: Attachment) -> str:
    label = "".join(char for char in file.name if char.isalnum() or char in " ._-()")[-100:]
    return label.strip(". ") or file.kind
