"""Events that platforms bring: headers, then secret, then the body counted, then the adapter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from aiohttp import web

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
    answer = await hook.receive(headers, body)
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
)
