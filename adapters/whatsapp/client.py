"""The one door to the Graph API. Nothing here is tried twice."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp
import msgspec

from adapters.whatsapp.config import WhatsAppConfig
from adapters.whatsapp.errors import translate
from gateway.errors import Failed, GatewayError, Unavailable, Uncertain

_CHUNK = 65536
_ANSWER = 2**20
"""Bytes of an answer that are read."""
_UPLOAD_PATIENCE = 120.0
_NEVER_SENT = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
    RuntimeError,  # aiohttp's word for a session that was closed
)
"""Raised before a byte of the request could reach Meta. A TLS failure is one of them."""


class GraphApi:
    def __init__(self, config: WhatsAppConfig) -> None:
        self._root = f"{config.base_url}/{config.version}"
        self._number = config.phone_number_id
        self._headers = {"Authorization": f"Bearer {config.token.get_secret_value()}"}
        self._timeout = config.timeout
        base = urlsplit(config.base_url)
        self._schemes = ("https", base.scheme)
        self._hosts = {base.netloc.lower(), *config.media_hosts}
        self._session: aiohttp.ClientSession | None = None

    async def send(self, message: Mapping[str, Any], *, repeatable: bool = False) -> Any:
        """What became of a message, a read mark or a reaction.

        Raises `Busy`, `Unavailable`, `Uncertain` (unless `repeatable`), `Failed`, `BadConfig`.
        """
        body = {"messaging_product": "whatsapp", **message}
        url = f"{self._root}/{self._number}/messages"
        return await self._ask("POST", url, repeatable=repeatable, json=body)

    async def number(self) -> Any:
        """What Meta says of our number."""
        fields = "display_phone_number,verified_name,quality_rating"
        url = f"{self._root}/{self._number}"
        return await self._ask("GET", url, repeatable=True, params={"fields": fields})

    async def upload(self, content: bytes, media_type: str, name: str) -> str:
        """The id of a file that can be sent. Nobody sees it, so it may be repeated."""
        form = aiohttp.FormData()
        form.add_field("messaging_product", "whatsapp")
        form.add_field("type", media_type)
        form.add_field("file", io.BytesIO(content), filename=name, content_type=media_type)
        url = f"{self._root}/{self._number}/media"
        answer = await self._ask("POST", url, repeatable=True, data=form, patience=_UPLOAD_PATIENCE)
        return _text(answer, "id")

    async def media(self, id: str) -> tuple[str, int]:
        """Where the bytes of a file are, for five minutes, and how many. `Failed` when its address
        is none that our token may be shown to."""
        url = f"{self._root}/{quote(id, safe='')}"
        answer = await self._ask(
            "GET", url, repeatable=True, params={"phone_number_id": self._number}
        )
        where = _text(answer, "url")
        parts = urlsplit(where)
        if parts.scheme not in self._schemes or parts.netloc.lower() not in self._hosts:
            raise Failed(f"a file lies on {parts.hostname}, which is not among media_hosts")
        size = answer.get("file_size")
        return where, size if isinstance(size, int) else 0

    async def chunks(self, url: str) -> AsyncIterator[bytes]:
        """The bytes of a file. `Failed` when they do not come."""
        try:
            async with self._http.get(url, headers=self._headers, allow_redirects=False) as answer:
                if answer.status != 200:
                    raise Failed(f"Meta answered {answer.status} for a file")
                async for chunk in answer.content.iter_chunked(_CHUNK):
                    yield chunk
        except (aiohttp.ClientError, TimeoutError, OSError) as problem:
            raise Failed(f"a file could not be fetched: {type(problem).__name__}") from problem

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _ask(
        self, method: str, url: str, *, repeatable: bool, patience: float = 0.0, **given: Any
    ) -> Any:
        timeout = aiohttp.ClientTimeout(total=max(self._timeout, patience))
        try:
            async with self._http.request(
                method,
                url,
                headers=self._headers,
                allow_redirects=False,
                timeout=timeout,
                **given,
            ) as answer:
                status, headers = answer.status, answer.headers
                raw = await _whole(answer.content)
        except (aiohttp.ClientError, TimeoutError, OSError, RuntimeError) as problem:
            raise _cut(problem, repeatable=repeatable) from problem
        found = _json(raw)
        if not 200 <= status <= 299:
            raise translate(status, found, headers, repeatable=repeatable)
        if not isinstance(found, dict):
            words = "Meta's answer is not JSON"
            raise Unavailable(words) if repeatable else Uncertain(words)
        return found

    @property
    def _http(self) -> aiohttp.ClientSession:
        """Made when it is first needed, inside the loop."""
        if self._session is None:
            self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        return self._session


async def _whole(stream: aiohttp.StreamReader) -> bytes:
    """The body, however it comes; no JSON any more when it is beyond all measure."""
    raw = bytearray()
    async for chunk in stream.iter_chunked(_CHUNK):
        raw += chunk
        if len(raw) > _ANSWER:
            break
    return bytes(raw)


def _cut(problem: Exception, *, repeatable: bool) -> GatewayError:
    if isinstance(problem, _NEVER_SENT):
        return Unavailable(f"WhatsApp cannot be reached: {type(problem).__name__}")
    words = f"the line to WhatsApp was cut: {type(problem).__name__}"
    return Unavailable(words) if repeatable else Uncertain(words)


def _json(raw: bytes) -> Any:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _text(answer: Any, name: str) -> str:
    found = answer.get(name)
    if not isinstance(found, str) or not found:
        raise Failed(f"Meta named no {name} for a file")
    return found
