"""The one door to the homeserver: matrix-nio's state and cryptography, our requests and errors.

nio repeats what was cut or refused by 429, and aiohttp repeats a PUT on a connection that was
closed meanwhile. Here nothing is tried twice: whoever calls decides. Answers are taken as plain
JSON, since an event that nio cannot parse must not make us deaf.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import aiohttp
import vodozemac  # noqa: F401 - first, so that it is named where only nio was installed
from nio import (
    AsyncClient,
    AsyncClientConfig,
    ErrorResponse,
    Response,
    ShareGroupSessionResponse,
    SyncResponse,
)
from nio.store import SqliteStore
from yarl import URL

from adapters.matrix.errors import FOREIGN, Refusal, Unreadable, translate
from gateway.errors import Failed, GatewayError

# Its warnings hold ids of people and rooms; what matters is counted and logged here.
logging.getLogger("nio").setLevel(logging.CRITICAL)

API = "/_matrix/client/v3"
_CONNECT = 10.0
_CHUNK = 64 * 1024
_ANSWER_LIMIT = 256 * 2**20
"""Bytes of the longest answer that is read: the first sync of an account in very many rooms."""


def room_path(room: str, *rest: str) -> str:
    return "/".join(["/rooms", quote(room, safe=""), *(quote(one, safe="") for one in rest)])


class Door:
    """Requests to one homeserver as one device. Nothing here is tried twice."""

    def __init__(self, homeserver: str) -> None:
        self.homeserver = homeserver
        self.token = ""
        self._made: aiohttp.ClientSession | None = None

    @property
    def _session(self) -> aiohttp.ClientSession:
        if self._made is None:
            self._made = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=64, resolver=aiohttp.ThreadedResolver()),
                timeout=aiohttp.ClientTimeout(total=None, connect=_CONNECT),
                trust_env=True,
            )
            # The only switch aiohttp has against repeating a PUT by itself.
            self._made._retry_connection = False
        return self._made

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, str] | None = None,
        repeatable: bool = True,
        patience: float = 30.0,
        api: str = API,
    ) -> dict[str, Any]:
        """The answer to one request.

        Raises `Busy`, `Unavailable`, `Uncertain` (unless `repeatable`), `Failed`, `BadConfig`.
        """
        data = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        try:
            return await self.raw(method, api + path, data, query=query, patience=patience)
        except FOREIGN as error:
            raise translate(error, repeatable=repeatable) from error

    async def raw(
        self,
        method: str,
        path: str,
        data: bytes | None = None,
        *,
        query: Mapping[str, str] | None = None,
        media: str = "application/json",
        patience: float = 30.0,
    ) -> dict[str, Any]:
        """As `ask`, with whatever is raised. `path` is from the root, percent-encoded."""
        address = self.homeserver + path + (f"?{urlencode(query)}" if query else "")
        headers = {"Content-Type": media} if data is not None else {}
        async with (
            asyncio.timeout(patience),
            self._session.request(
                method,
                URL(address, encoded=True),
                data=data,
                headers={**headers, **self._authorization},
                allow_redirects=False,
            ) as answer,
        ):
            told = answer.headers.get("Retry-After", "")
            return _read(answer.status, await _content(answer), told)

    async def chunks(self, server: str, media_id: str) -> AsyncIterator[bytes]:
        """The bytes of a file, from this homeserver whoever has it. `Failed` when there are none.

        A redirect is not followed: it may lead anywhere.
        """
        path = f"/_matrix/client/v1/media/download/{quote(server, safe=':')}/{quote(media_id)}"
        try:
            async with self._session.get(
                URL(self.homeserver + path, encoded=True),
                headers=self._authorization,
                allow_redirects=False,
            ) as answer:
                if answer.status != 200:
                    raise Failed(f"the homeserver answered {answer.status} for a file")
                async for chunk in answer.content.iter_chunked(_CHUNK):
                    yield chunk
        except FOREIGN as error:
            raise Failed(f"a file could not be fetched: {type(error).__name__}") from error

    async def upload(self, content: bytes, media: str, name: str) -> str:
        """The mxc address under which the homeserver keeps the bytes."""
        query = {"filename": name} if name else None
        path = "/_matrix/media/v3/upload"
        try:
            answer = await self.raw("POST", path, content, query=query, media=media, patience=300.0)
        except FOREIGN as error:
            raise translate(error, repeatable=True) from error
        found = answer.get("content_uri")
        if not isinstance(found, str) or not found.startswith("mxc://"):
            raise Failed("the homeserver took a file and did not say where it is")
        return found

    async def close(self) -> None:
        if self._made is not None:
            await self._made.close()

    @property
    def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


async def _content(answer: aiohttp.ClientResponse) -> bytes:
    found = bytearray()
    async for chunk in answer.content.iter_chunked(_CHUNK):
        found += chunk
        if len(found) > _ANSWER_LIMIT:
            raise Unreadable("it is endless")
    return bytes(found)


def _read(status: int, raw: bytes, retry_after: str) -> dict[str, Any]:
    try:
        answer = json.loads(raw)
    except (ValueError, RecursionError):
        answer = None
    good = 200 <= status < 300
    if good and isinstance(answer, dict):
        return answer
    if good:
        raise Unreadable("not a JSON object")
    told = answer if isinstance(answer, dict) else {}
    code, words, wait = told.get("errcode"), told.get("error"), told.get("retry_after_ms")
    after = wait / 1000 if isinstance(wait, int | float) and wait >= 0 else None
    if retry_after.isdecimal():  # what servers say nowadays, and proxies
        after = max(after or 0.0, float(retry_after))
    raise Refusal(
        status,
        code if isinstance(code, str) else "",
        words if isinstance(words, str) else "",
        after,
    )


class State(AsyncClient):  # type: ignore[misc]
    """nio as what it is best at: who is in which room, and the keys. It asks through our door."""

    def __init__(self, door: Door, user: str, device: str, folder: Path | None) -> None:
        config = AsyncClientConfig(
            store=SqliteStore if folder is not None else None,
            encryption_enabled=folder is not None,
            store_sync_tokens=False,
            max_limit_exceeded=0,
            max_timeouts=0,
        )
        super().__init__(
            door.homeserver, user, device, str(folder) if folder is not None else "", config
        )
        self._door = door
        self.not_shared: GatewayError | None = None
        """Why a room key did not reach somebody: nio passes over it."""
        self.user_id = user
        self.access_token = door.token
        if folder is not None:
            self.load_store()

    async def _send(
        self,
        response_class: Any,
        method: str,
        path: str,
        data: Any = None,
        response_data: tuple[Any, ...] | None = None,
        *rest: Any,
        **more: Any,
    ) -> Response:
        split = urlsplit(path)
        query = {name: value for name, value in parse_qsl(split.query) if name != "access_token"}
        content = data.encode() if isinstance(data, str) else data
        try:
            answer = await self._door.raw(method, split.path, content, query=query)
            response = response_class.from_dict(answer, *(response_data or ()))
            if isinstance(response, ErrorResponse):
                raise Unreadable(str(response))
            await self.receive_response(response)
        except FOREIGN as error:
            problem = translate(error, repeatable=True)
            if response_class is ShareGroupSessionResponse:
                self.not_shared = problem
            raise problem from error
        return response

    async def take_sync(self, answer: Mapping[str, Any]) -> SyncResponse:
        """Rooms, members and keys of a sync. Raises whatever nio does where it cannot read it."""
        # nio takes apart what it is given.
        response = SyncResponse.from_dict(json.loads(json.dumps(answer)))
        if not isinstance(response, SyncResponse):
            raise Unreadable(str(response))
        await self.receive_response(response)
        return response

    def close_store(self) -> None:
        if self.store is not None:
            self.store.database.close()
