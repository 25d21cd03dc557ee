"""The one door to the Bot API: python-telegram-bot's transport, our errors.

Results are taken as plain JSON and not as the library's objects: a message that was sent must not
turn into an exception because its description holds something newer than the library.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx
from telegram import Bot, InputFile
from telegram.error import TelegramError
from telegram.request import BaseRequest, HTTPXRequest, RequestData

from adapters.telegram.config import TelegramConfig
from adapters.telegram.errors import Astray, Flooded, Rejected, ServerFault, translate
from gateway.errors import Failed

# Both write addresses, and the address holds the token; the library's debug log holds the texts.
logging.getLogger("httpx").setLevel(logging.WARNING)
logging.getLogger("httpcore").setLevel(logging.WARNING)
logging.getLogger("telegram").setLevel(logging.INFO)

CONNECTIONS = 64
_CHUNK = 64 * 1024
_OWN = frozenset({400, 401, 403, 404, 409})
"""Statuses for which the library has a class that says enough."""

Upload = InputFile


class Transport(HTTPXRequest):
    """The library's, with the status kept where it would be lost."""

    async def do_request(
        self,
        url: str,
        method: str,
        request_data: RequestData | None = None,
        read_timeout: Any = BaseRequest.DEFAULT_NONE,
        write_timeout: Any = BaseRequest.DEFAULT_NONE,
        connect_timeout: Any = BaseRequest.DEFAULT_NONE,
        pool_timeout: Any = BaseRequest.DEFAULT_NONE,
    ) -> tuple[int, bytes]:
        status, payload = await super().do_request(
            url, method, request_data, read_timeout, write_timeout, connect_timeout, pool_timeout
        )
        if 200 <= status <= 299 or status in _OWN:
            return status, payload
        answer = _description(payload)
        words = f"{answer.get('description') or 'no description'} ({status})"
        if status == 429:
            raise Flooded(words, _wait(answer))
        if status >= 500:
            raise ServerFault(words, status)
        raise Rejected(words) if status >= 400 else Astray(words)

    @staticmethod
    def parse_json_payload(payload: bytes) -> dict[str, Any]:
        """As the library's, but text that cannot be read is not logged."""
        try:
            answer = json.loads(payload.decode("utf-8", "replace"))
        except (ValueError, RecursionError) as problem:
            raise TelegramError("the answer is not JSON") from problem
        if not isinstance(answer, dict) or ("result" not in answer and "ok" not in answer):
            raise TelegramError("the answer is not the Bot API's")
        return answer


def _description(payload: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(payload)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _wait(answer: dict[str, Any]) -> float | None:
    parameters = answer.get("parameters")
    wait = parameters.get("retry_after") if isinstance(parameters, dict) else None
    return float(wait) if isinstance(wait, int | float) and wait >= 0 else None


class _Door(Bot):
    """The library's bot, asked for plain results."""

    async def raw(self, method: str, data: dict[str, Any], read_timeout: float) -> Any:
        # `do_api_request`, the public way, warns against methods the library knows.
        return await self._post(method, data, read_timeout=read_timeout)


class BotApi:
    """Calls to Telegram as one bot. Nothing here is tried twice."""

    def __init__(self, config: TelegramConfig) -> None:
        token = config.token.get_secret_value()
        self._requests = (
            Transport(connection_pool_size=1, connect_timeout=10.0, pool_timeout=5.0),
            Transport(
                connection_pool_size=CONNECTIONS,
                connect_timeout=10.0,
                write_timeout=15.0,
                pool_timeout=10.0,
                media_write_timeout=120.0,
            ),
        )
        self._door = _Door(
            token,
            base_url=config.base_url,
            base_file_url=config.base_file_url,
            get_updates_request=self._requests[0],
            request=self._requests[1],
        )
        self._files = httpx.AsyncClient(timeout=10.0)
        self._file_url = f"{config.base_file_url}{token}/"

    async def call(
        self, method: str, *, repeatable: bool = False, patience: float = 20.0, **data: Any
    ) -> Any:
        """The result of a method; None values are left out.

        Raises `Busy`, `Unavailable`, `Uncertain` (unless `repeatable`), `Failed`, `BadConfig`.
        `patience` is the seconds that the answer may take to begin.
        """
        try:
            return await self._door.raw(method, data, patience)
        except TelegramError as error:
            raise translate(error, repeatable=repeatable) from error
        except KeyError as error:
            problem = TelegramError("the answer has no result")
            raise translate(problem, repeatable=repeatable) from error

    async def chunks(self, path: str) -> AsyncIterator[bytes]:
        """The bytes of a file whose path `getFile` gave. `Failed` when they do not come."""
        url = self._file_url + quote(path)
        try:
            async with self._files.stream("GET", url) as answer:
                if answer.status_code != 200:
                    raise Failed(f"Telegram answered {answer.status_code} for a file")
                async for chunk in answer.aiter_bytes(_CHUNK):
                    yield chunk
        except httpx.HTTPError as error:
            raise Failed(f"a file could not be fetched: {type(error).__name__}") from error

    async def close(self) -> None:
        for request in self._requests:
            await request.shutdown()
        await self._files.aclose()
