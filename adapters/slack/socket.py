"""Socket Mode: envelopes over a WebSocket, each confirmed only after it has been stored.

slack-sdk's own Socket Mode client is not used: it goes on for ever when a token is refused, and
starts a task for whatever comes. The protocol is small.

Slack ends a connection every few hours and says so before: the next one is opened first, and the
old one is read until Slack closes it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import aiohttp
import structlog

from adapters.slack.client import WebApi
from adapters.slack.errors import CAUGHT, translate
from adapters.slack.native import Unreadable, decode
from adapters.slack.reception import Reception
from gateway.errors import BadConfig, Retryable, Unavailable
from gateway.ports import Clock

log = structlog.get_logger(__name__)

HEARTBEAT = 20.0
"""Seconds between pings of ours; a connection that does not answer is given up."""
_LONGEST = 30.0
_LEFT_OPEN = 30.0
"""Seconds for which an old connection is read after its successor was called for."""
_HELLO = 15.0
_SHORT = 10.0
"""Seconds below which a connection that ended counts as failed."""


class Socket:
    """One run of Socket Mode. Raises `BadConfig` when a token is refused or it is switched off."""

    def __init__(
        self,
        api: WebApi,
        reception: Reception,
        clock: Clock,
        count: Callable[[str], None],
    ) -> None:
        self._api = api
        self._reception = reception
        self._clock = clock
        self._count = count
        self._reachable = True
        self._open = 0
        """Connections of ours that stand."""

    async def run(self) -> None:
        """Until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._watch())
                await self._connect_again_and_again(group)
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None  # the others only followed it

    async def _watch(self) -> None:
        await asyncio.shield(self._reception.broken)

    async def _connect_again_and_again(self, group: asyncio.TaskGroup) -> None:
        failures = 0
        while True:
            over = asyncio.Event()
            try:
                stream = await self._connected()
            except Retryable as problem:
                self._note(reachable=False, reason=str(problem))
                failures += 1
                await self._pause(failures, problem.after)
                continue
            began = self._clock.monotonic()
            group.create_task(self._serve(stream, over))
            await over.wait()
            lasted = self._clock.monotonic() - began
            failures = 0 if lasted > _SHORT else failures + 1
            self._count("reconnected")
            if failures > 1:
                await self._pause(failures - 1, None)

    async def _pause(self, failures: int, after: float | None) -> None:
        wait = min(0.5 * 2.0 ** min(failures, 10), _LONGEST) * random.uniform(0.7, 1.0)
        await self._clock.sleep(max(after or 0.0, wait))

    async def _connected(self) -> aiohttp.ClientWebSocketResponse:
        """A connection over which Slack has said hello."""
        url = await self._api.open_socket()
        try:
            stream = await self._api.session.ws_connect(
                url,
                heartbeat=HEARTBEAT,
                proxy=self._api.proxy,
                timeout=aiohttp.ClientWSTimeout(ws_close=2.0),
            )
        except CAUGHT as error:
            raise translate(error, repeatable=True) from error
        try:
            async with asyncio.timeout(_HELLO):
                first = await stream.receive()
        except TimeoutError as silent:
            await stream.close()
            raise Unavailable("Slack opened a socket and said nothing") from silent
        except BaseException:
            await stream.close()
            raise
        if first.type is not aiohttp.WSMsgType.TEXT:
            await stream.close()
            raise Unavailable("Slack closed a new socket")
        self._greeted(first.data)
        return stream

    def _greeted(self, text: str) -> None:
        try:
            hello = decode(text)
        except Unreadable:
            hello = {}
        self._note(reachable=True)
        self._open += 1
        others = hello.get("num_connections")
        if isinstance(others, int) and others > self._open:
            # Slack gives each event to one of them: a second program with the app would answer.
            self._count("other_connections")
            log.warning("slack_has_other_connections", connections=others)

    async def _serve(self, stream: aiohttp.ClientWebSocketResponse, over: asyncio.Event) -> None:
        """Read until it ends. `over` is set once a successor is wanted."""
        try:
            async with asyncio.TaskGroup() as group:
                closing: asyncio.Task[None] | None = None
                async for frame in stream:
                    if frame.type is not aiohttp.WSMsgType.TEXT:
                        continue
                    told = self._read(frame.data, stream, group)
                    if told == "link_disabled":
                        raise BadConfig(
                            "adapters.slack.mode",
                            "Socket Mode was switched off for the app",
                            "switch it on again (api.slack.com/apps, Socket Mode), or use "
                            "mode: webhook",
                        )
                    if told:
                        over.set()
                        closing = closing or group.create_task(_close_later(stream))
                over.set()  # the next one need not wait for what is still on its way in
                if closing is not None:
                    closing.cancel()
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None
        finally:
            self._open -= 1
            over.set()
            await stream.close()

    def _read(
        self, text: str, stream: aiohttp.ClientWebSocketResponse, group: asyncio.TaskGroup
    ) -> str:
        """Why Slack is about to end the connection; empty when it is not."""
        try:
            envelope = decode(text)
        except Unreadable as problem:
            self._count("unreadable")
            log.error("envelope_unreadable", reason=str(problem))
            return ""
        if envelope.get("type") == "disconnect":
            reason = envelope.get("reason")
            log.info("slack_ends_the_connection", reason=reason)
            return str(reason or "unknown")
        if isinstance(envelope.get("envelope_id"), str):
            group.create_task(self._take(envelope, stream))
        return ""

    async def _take(
        self, envelope: dict[str, Any], stream: aiohttp.ClientWebSocketResponse
    ) -> None:
        kind, retry = str(envelope.get("type")), envelope.get("retry_attempt")
        if retry:
            log.info("envelope_comes_again", attempt=retry, reason=envelope.get("retry_reason"))
        if not await self._reception.take(kind, envelope.get("payload")):
            return
        try:
            await stream.send_json({"envelope_id": envelope["envelope_id"]})
        except (*CAUGHT, aiohttp.ClientConnectionResetError) as gone:
            log.info("envelope_not_confirmed", reason=type(gone).__name__)  # it comes again

    def _note(self, *, reachable: bool, reason: str = "") -> None:
        """Availability is logged when it changes."""
        if reachable and not self._reachable:
            log.info("slack_reachable")
        elif not reachable and self._reachable:
            log.warning("slack_not_reachable", reason=reason)
        self._reachable = reachable


async def _close_later(stream: aiohttp.ClientWebSocketResponse) -> None:
    await asyncio.sleep(_LEFT_OPEN)
    await stream.close()
