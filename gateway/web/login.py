"""Logging in by a one-time code, seeing who one is, and logging out."""

from __future__ import annotations

import msgspec
from aiohttp import hdrs, web

from gateway.web import auth
from gateway.web.auth import Principal
from gateway.web.bodies import LOGIN, read_json
from gateway.web.deps import DEPS
from gateway.web.guard import GUARD, Route
from gateway.web.problems import Problem
from gateway.web.streams import STREAMS


async def log_in(request: web.Request, principal: Principal | None) -> web.Response:
    """204 with the session's cookie. The code came in the link's fragment and works once."""
    if hdrs.ORIGIN not in request.headers:
        raise Problem(403, "origin", "A browser session needs an Origin header.")
    limits, guard = request.app[DEPS].settings.limits, request.app[GUARD]
    body = await read_json(request, LOGIN, limits)
    secret = await guard.log_in(request, body.code)
    response = web.Response(status=204)
    response.set_cookie(
        guard.cookie(request),
        secret,
        max_age=int(limits.session_seconds),
        path="/",
        httponly=True,
        samesite="Strict",
        secure=guard.secure(request),
    )
    return response


async def log_out(request: web.Request, principal: Principal | None) -> web.Response:
    assert principal is not None
    await auth.end_session(request.app[DEPS].records, principal)
    if principal.via == "session":
        request.app[STREAMS].revoked(principal)
    response = web.Response(status=204)
    guard = request.app[GUARD]
    response.del_cookie(
        guard.cookie(request), path="/", secure=guard.secure(request), samesite="Strict"
    )
    return response


async def me(request: web.Request, principal: Principal | None) -> web.Response:
    assert principal is not None
    chat = request.app[DEPS].chat
    answer = {
        "principal": principal.id,
        "scopes": sorted(principal.scopes),
        "title": chat.title if chat else "",
        "upload_limit": request.app[DEPS].settings.limits.upload,
    }
    return web.Response(body=msgspec.json.encode(answer), content_type="application/json")


ROUTES = (
    Route(method="POST", path="/api/v1/login", handler=log_in, who="anyone"),
    Route(method="POST", path="/api/v1/logout", handler=log_out, who="chat"),
    Route(method="GET", path="/api/v1/me", handler=me, who="chat"),
)
