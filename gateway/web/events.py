"""A conversation as server-sent events, resumed by ``Last-Event-ID``.

Entries carry their number as the event's id; live text has none, so that it is never resumed from.
"""

from __future__ import annotations

import asyncio
import contextlib

import msgspec
from aiohttp import web

from gateway.ports import Live, LogEntry
from gateway.web import wire
from gateway.web.api import surface
from gateway.web.auth import Principal
from gateway.web.deps import DEPS
from gateway.web.guard import Route
from gateway.web.queries import conversation, number, whole
from gateway.web.streams import STREAMS
from gateway.web.surface import Feed

_RETRY = b"retry: 1000\n\n"
_HEARTBEAT = b": heartbeat\n\n"


async def events(request: web.Request, principal: Principal | None) -> web.StreamResponse:
    """Entries after ``Last-Event-ID`` or ``after`` (0: all of them), then what comes."""
    assert principal is not None
    name, after = conversation(request), _after(request)
    with request.app[STREAMS].admit(principal) as stream:
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
        )
        response.force_close()  # a stream that ends by its deadline ends its connection
        with (
            surface(request.app[DEPS]).follow(principal.id, name, after=after) as feed,
            contextlib.suppress(TimeoutError, ConnectionError),
        ):
            async with stream.deadline:
                await response.prepare(request)
                await _write(request, response, _RETRY)
                await _pump(request, response, feed)
        return response


async def _pump(request: web.Request, response: web.StreamResponse, feed: Feed) -> None:
    heartbeat = request.app[DEPS].settings.limits.heartbeat_seconds
    while True:
        try:
            async with asyncio.timeout(heartbeat) as quiet:
                event = render(await feed.next())
        except TimeoutError:
            if not quiet.expired():
                raise
            event = _HEARTBEAT
        await _write(request, response, event)


async def _write(request: web.Request, response: web.StreamResponse, event: bytes) -> None:
    async with asyncio.timeout(request.app[DEPS].settings.limits.write_seconds):
        await response.write(event)


def render(found: LogEntry | Live) -> bytes:
    if isinstance(found, Live):
        data = msgspec.json.encode(wire.live_data(found))
        return b"event: %s\ndata: %s\n\n" % (wire.live_name(found).encode(), data)
    data = msgspec.json.encode(wire.entry(found))
    return b"id: %d\nevent: message\ndata: %s\n\n" % (found.seq, data)


def _after(request: web.Request) -> int:
    """Where a reconnecting reader was counts more than where its address began."""
    begin, header = number(request, "after") or 0, request.headers.get("Last-Event-ID", "")
    return whole(header, "Last-Event-ID") if header else begin


ROUTES = (
    Route(
        method="GET",
        path="/api/v1/conversations/{conversation}/events",
        handler=events,
        who="chat",
    ),
)
