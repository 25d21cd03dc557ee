"""Events that platforms bring: headers, then secret, then the body counted, then the adapter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from aiohttp import web

from gateway.ports import HasHandshake, WebhookAnswer
from gateway.web.auth import Principal
from gateway.web.bodies import read
from gateway.web.deps import DEPS
from gateway.web.guard import GUARD, Route
from gateway.web.guesses import Guesses
from gateway.web.problems import Problem, from_status

GUESSES: web.AppKey[Guesses] = web.AppKey("webhook-guesses", Guesses)


async def receive(request: web.Request, principal: Principal | None) -> web.Response:
    """The adapter's own answer. 403 for a wrong secret, 503 when the event was not stored."""
    deps = request.app[DEPS]
    hook = deps.webhooks.get(f"{request.match_info['kind']}/{request.match_info['account']}")
    if hook is None:
        raise from_status(404)
    headers = _single(request)
    address, guesses = request.app[GUARD].address(request), request.app[GUESSES]
    guesses.check("webhook", address)
    if not hook.admits(headers):
        await guesses.wrong("webhook", address)
        raise Problem(403, "forbidden", "The secret is missing or wrong.")
    body = await read(request, hook.max_body, deps.settings.limits)
    return await _answered(request, await hook.receive(headers, body))


async def shake(request: web.Request, principal: Principal | None) -> web.Response:
    """A platform's question whether this is the address it was given; 404 where none asks."""
    hook = request.app[DEPS].webhooks.get(
        f"{request.match_info['kind']}/{request.match_info['account']}"
    )
    if not isinstance(hook, HasHandshake):
        raise from_status(404)
    request.app[GUESSES].check("webhook", request.app[GUARD].address(request))
    counts = Counter(name for name, _ in request.query.items())
    query = {name: value for name, value in request.query.items() if counts[name] == 1}
    return await _answered(request, await hook.handshake(query))


async def _answered(request: web.Request, answer: WebhookAnswer) -> web.Response:
    """The adapter's answer. One that refuses a secret or a signature counts as a guess."""
    if answer.status in (401, 403):
        await request.app[GUESSES].wrong("webhook", request.app[GUARD].address(request))
    return web.Response(
        status=answer.status, body=answer.body, headers={"Content-Type": answer.content_type}
    )


def _single(request: web.Request) -> Mapping[str, str]:
    """Headers that came once: of a repeated one nobody knows which counts."""
    counts = Counter(name.lower() for name, _ in request.headers.items())
    return {
        name.lower(): value for name, value in request.headers.items() if counts[name.lower()] == 1
    }


ROUTES = (
    Route(
        method="POST",
        path="/webhooks/{kind}/{account}",
        handler=receive,
        who="verified by the adapter",
        any_host=True,
    ),
    Route(
        method="GET",
        path="/webhooks/{kind}/{account}",
        handler=shake,
        who="verified by the adapter",
        any_host=True,
    ),
)
