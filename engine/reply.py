"""A response of a server, read piece by piece, in one piece, or refused for what it is."""

from __future__ import annotations

import asyncio

import aiohttp

from engine.completion import Answer, Malformed
from engine.deadlines import Deadlines
from engine.sse import Event, EventStream

STREAM, WHOLE = "text/event-stream", "application/json"

_WHOLE_LIMIT = 8 * 2**20
"""Bytes of a response that comes in one piece and has to be held in memory."""
_AFTER_DONE = 0.25
"""Seconds to wait for the end of a response that said it is done, to reuse its connection."""


class Reply:
    """One response with status 200. Raises what `engine.translation.DOOR` names."""

    def __init__(
        self, response: aiohttp.ClientResponse, answer: Answer, deadlines: Deadlines, limit: int
    ) -> None:
        self.answer = answer
        self._response = response
        self._deadlines = deadlines
        self._limit = limit
        self._stream = EventStream()
        self._grown = False
        self._loaded = ""
        self._is_whole = _check_kind(response) == WHOLE
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._waiting = False
        self._overdue = False

    async def next(self) -> str:
        """The next piece of text; empty when the answer has ended cleanly."""
        if self._loaded:
            text, self._loaded = self._loaded, ""
            return text
        if self._grown:  # on return, so that the clock does not run while the caller is busy
            self._grown = False
            self._progressed()
        if self._is_whole:
            return "" if self.answer.done else await self._whole()
        answer, beats = self.answer, self.answer.beats
        while not answer.done:
            data = await self._more()
            if not data:
                self._end()
                break
            if text := "".join([answer.feed(event) for event in self._stream.feed(data)]):
                self._grown = True
                return text
            if answer.beats != beats:
                beats = answer.beats
                self._progressed()
        else:
            await self._drain()
        return ""

    async def load(self) -> None:
        """Read all of it now, for `next` to give in one piece."""
        pieces = []
        while piece := await self.next():
            pieces.append(piece)
        self._loaded = "".join(pieces)

    def close(self) -> None:
        """Give the connection back when everything was read, else cut it: the server stops."""
        if self._timer is not None:
            self._timer.cancel()
        self._response.close()

    async def _more(self) -> bytes:
        content = self._response.content
        data = content.read_nowait()
        if data:
            self._deadlines.check()
        elif not content.at_eof():
            data = await self._wait(content)
        self._limit -= len(data)
        if self._limit < 0:
            raise Malformed("the response does not come to an end")
        return data

    async def _wait(self, content: aiohttp.StreamReader) -> bytes:
        if self._timer is None:
            self._timer = self._loop.call_at(self._deadlines.next_at, self._look)
        self._waiting = True
        try:
            return await content.readany()
        except aiohttp.ClientError:
            if not self._overdue:
                raise
        finally:
            self._waiting = False
        raise self._deadlines.expired()

    def _look(self) -> None:
        """One timer for the whole response: winding one for each piece costs more than the rest.

        Closing the response wakes the reader with an error.
        """
        self._timer = None
        if not self._waiting:
            return
        if self._loop.time() < self._deadlines.next_at:
            self._timer = self._loop.call_at(self._deadlines.next_at, self._look)
            return
        self._overdue = True
        self._response.close()

    def _progressed(self) -> None:
        self._deadlines.progressed()
        if self._timer is not None and self._timer.when() > self._deadlines.next_at:
            self._timer.cancel()
            self._timer = None

    async def _whole(self) -> str:
        self._limit = min(self._limit, _WHOLE_LIMIT)
        body = bytearray()
        while data := await self._more():
            body += data
        return self.answer.whole(bytes(body))

    def _end(self) -> None:
        rest = self._stream.pending()
        if rest == b"[DONE]":
            self.answer.feed(Event(rest))
        elif rest:
            raise Malformed("it ended in the middle of an event")

    async def _drain(self) -> None:
        content = self._response.content
        if content.at_eof():
            return
        try:
            async with asyncio.timeout(_AFTER_DONE):
                await content.readany()
        except (TimeoutError, aiohttp.ClientError):
            self._response.close()


async def start_of(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """The first bytes of a body, for what is not read further."""
    body = bytearray()
    while len(body) < limit and (data := await response.content.readany()):
        body += data
    return bytes(body[:limit])


def _check_kind(response: aiohttp.ClientResponse) -> str:
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise Malformed("compressed, which was not asked for")
    kind = response.content_type
    if kind not in (STREAM, WHOLE):
        raise Malformed("neither a stream of events nor JSON")
    return kind
