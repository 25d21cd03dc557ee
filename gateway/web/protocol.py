"""The connection itself: how long a stranger may take, how many there may be, what errors say.

aiohttp's own handler with three changes: a connection that has not brought a whole request in time
is cut, beyond a number of connections the oldest idle one is, and what cannot be parsed gets a
generic answer.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

import structlog
from aiohttp import web

from gateway.web.problems import from_status, respond
from gateway.web.settings import Limits

log = structlog.get_logger(__name__)

SERVER = "moltgate"
"""All that the Server header says."""

_KEEPALIVE = 75.0  # longer than the usual 60 s of a reverse proxy, which must be first to close
_LINGER = 2.0  # seconds spent on reading the rest of a body that was refused


class Connections:
    """The open connections of one server, oldest first."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._open: dict[Connection, None] = {}
        self._dropped = 0
        self._next_line = 0.0

    def opened(self, connection: Connection) -> None:
        self._open[connection] = None
        if len(self._open) > self.limits.connections:
            oldest = next((each for each in self._open if each.idle), connection)
            self._note_dropped()
            oldest.cut()

    def _note_dropped(self) -> None:
        """At most a line a second: strangers decide how often this happens."""
        self._dropped += 1
        now = asyncio.get_running_loop().time()
        if now >= self._next_line:
            log.warning("connections_dropped", reason="too_many", count=self._dropped)
            self._next_line, self._dropped = now + 1.0, 0

    def closed(self, connection: Connection) -> None:
        self._open.pop(connection, None)


class Connection(web.RequestHandler):
    __slots__ = ("_connections", "_raw", "_timer")

    def __init__(self, server: web.Server, connections: Connections, **options: Any) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=_KEEPALIVE,
            lingering_time=_LINGER,
            access_log=cast(Any, None),
            auto_decompress=False,
            **options,
        )
        self._connections = connections
        self._raw: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def idle(self) -> bool:
        """Nothing is being answered."""
        return not self._request_in_progress

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._raw = cast(asyncio.Transport, transport)
        super().connection_made(transport)
        seconds = self._connections.limits.header_seconds
        self._timer = asyncio.get_running_loop().call_later(seconds, self._expire)
        self._connections.opened(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._connections.closed(self)
        super().connection_lost(exc)

    def cut(self) -> None:
        """Close without waiting for what was not read."""
        self.force_close()
        if self._raw is not None:
            self._raw.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The one place that sees what nobody expected: told in full to the log only."""
        if status >= 500:
            log.error("request_failed", path=request.path, exc_info=exc)
        else:
            log.debug("request_unreadable", problem=repr(exc))
        if request.writer.output_size > 0:
            raise ConnectionError("the response was begun already")
        response = respond(from_status(status))
        response.headers.update(HEADERS)
        response.force_close()
        return response

    def _expire(self) -> None:
        if self._request_count == 0:
            self.cut()


HEADERS = {
    "Server": SERVER,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
"""On every response that does not say otherwise."""
