"""The application and its life: routes behind the guard, generic errors, headers, listening."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog
from aiohttp import web

from gateway.errors import GatewayError
from gateway.web import api, events, files, health, login, openapi, page, socket, webhooks
from gateway.web.deps import DEPS, WebDeps
from gateway.web.guard import GUARD, Guard, Route
from gateway.web.guesses import Guesses
from gateway.web.problems import Problem, from_error, from_status, respond
from gateway.web.protocol import HEADERS, SERVER, Connection, Connections
from gateway.web.streams import STREAMS, Streams, streams_context

log = structlog.get_logger(__name__)

_LAST_WORDS = 2.0
"""Seconds that requests in progress have to end at shutdown."""


def routes(deps: WebDeps) -> tuple[Route, ...]:
    """Everything the server answers to, each with who may use it."""
    always = (*health.ROUTES, *webhooks.ROUTES)
    if deps.chat is None:
        return always
    chat = (*login.ROUTES, *api.ROUTES, *events.ROUTES, *socket.ROUTES, *files.ROUTES)
    return (*always, *page.routes(deps.chat.page), *chat, *openapi.ROUTES)


def build_app(deps: WebDeps) -> web.Application:
    limits = deps.settings.limits
    app = web.Application(middlewares=[_explain])
    guard = Guard(deps.settings, deps.records)
    app[DEPS] = deps
    app[GUARD] = guard
    app[_COMPLAINTS] = _Complaints()
    app[STREAMS] = Streams(deps.records, limits)
    app[webhooks.GUESSES] = Guesses(deps.records, limit=limits.guesses, window=limits.guess_window)
    for route in routes(deps):
        app.router.add_route(route.method, route.path, guard.wrap(route))
    app.on_response_prepare.append(_headers)
    app.cleanup_ctx.append(streams_context)
    return app


@asynccontextmanager
async def serve(app: web.Application, host: str, port: int) -> AsyncIterator[int]:
    """Listen for as long as the context is open; gives the port, which 0 leaves to the system.

    On leaving, streams are ended first, then requests in progress get a moment.
    """
    runner = web.AppRunner(app, shutdown_timeout=_LAST_WORDS)
    await runner.setup()
    try:
        site = _Site(runner, Connections(app[DEPS].settings.limits), host, port)
        await site.start()
        log.info("http_server_started", host=host, port=site.port)
        yield site.port
        app[STREAMS].drain()
    finally:
        await runner.cleanup()


class _Site(web.BaseSite):
    """A TCP site whose connections are `Connection`."""

    __slots__ = ("_connections", "_host", "_port")

    def __init__(
        self, runner: web.AppRunner, connections: Connections, host: str, port: int
    ) -> None:
        super().__init__(runner)
        self._connections = connections
        self._host = host
        self._port = port

    @property
    def name(self) -> str:
        return f"http://{self._host}:{self.port}"

    @property
    def port(self) -> int:
        return self._port

    async def start(self) -> None:
        await super().start()
        server = self._runner.server
        assert server is not None
        listening = await asyncio.get_running_loop().create_server(
            lambda: Connection(server, self._connections), self._host, self._port
        )
        self._server = listening
        self._port = listening.sockets[0].getsockname()[1]


class _Complaints:
    """What could not be served, at most one line a second: a dead store must not fill the log."""

    def __init__(self) -> None:
        self._next = 0.0
        self._unsaid = 0

    def note(self, path: str, problem: str) -> None:
        now = asyncio.get_running_loop().time()
        if now < self._next:
            self._unsaid += 1
            return
        log.warning("request_not_served", path=path, problem=problem, unsaid=self._unsaid)
        self._next, self._unsaid = now + 1.0, 0


_COMPLAINTS = web.AppKey("complaints", _Complaints)

Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def _explain(request: web.Request, handler: Handle) -> web.StreamResponse:
    """Refusals in our one form. What nobody expected travels on to `Connection.handle_error`."""
    try:
        return await handler(request)
    except Problem as problem:
        return respond(problem)
    except GatewayError as error:
        refused = from_error(error)
        if refused.status >= 500:
            request.app[_COMPLAINTS].note(request.path, repr(error))
        return respond(refused)
    except web.HTTPException as refusal:
        response = respond(from_status(refusal.status))
        if "Allow" in refusal.headers:
            response.headers["Allow"] = refusal.headers["Allow"]
        return response


async def _headers(request: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = SERVER  # aiohttp has put its own there
