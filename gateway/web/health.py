"""What watches us asks here: alive, ready, and the figures.

``/healthz`` says only that the process turns; it asks nothing of the store, so that a dead store
does not get the gateway killed as well.
"""

from __future__ import annotations

import msgspec
from aiohttp import web

from gateway.errors import Retryable
from gateway.web.auth import Principal
from gateway.web.deps import DEPS, OK
from gateway.web.guard import GUARD, Route
from gateway.web.problems import Problem
from gateway.web.streams import STREAMS


async def alive(request: web.Request, principal: Principal | None) -> web.Response:
    return web.Response(text="ok\n")


async def ready(request: web.Request, principal: Principal | None) -> web.Response:
    """200 or 503; what is missing is told to administrators only."""
    checks = dict(await request.app[DEPS].ready())
    checks["draining"] = "going down" if request.app[STREAMS].draining else OK
    is_ready = all(state == OK for state in checks.values())
    answer: dict[str, object] = {"ready": is_ready}
    if await _is_admin(request):
        answer["checks"] = checks
    return web.Response(
        status=200 if is_ready else 503,
        body=msgspec.json.encode(answer),
        content_type="application/json",
    )


async def metrics(request: web.Request, principal: Principal | None) -> web.Response:
    return web.Response(
        body=await request.app[DEPS].metrics(),
        headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
    )


async def _is_admin(request: web.Request) -> bool:
    try:
        principal = await request.app[GUARD].identify(request)
    except (Problem, Retryable):
        return False
    return principal is not None and "admin" in principal.scopes


ROUTES = (
    Route(method="GET", path="/healthz", handler=alive, who="anyone", any_host=True),
    Route(method="GET", path="/readyz", handler=ready, who="anyone", any_host=True),
    Route(method="GET", path="/metrics", handler=metrics, who="metrics"),
)
