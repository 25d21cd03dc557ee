"""Events that platforms bring: headers, then secret, then the body counted, then the adapter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from aiohttp import web

from gateway.ports import HasHandshake, HasWebhook, WebhookAnswer
from gateway.web.auth import Principal
from gateway.web.bodies import read
from gateway.web.deps import DEPS
from gateway.web.guard import GUARD, Route
from gateway.web.guesses import Guesses
from gateway.web.problems import Problem, from_status

GUESSES: web.AppKey[Guesses] = web.AppKey("webhook-guesses", Guesses)


async def receive(request: web.Request, principal: Principal | None) -> web.Response:
    """The adapter's own answer. 403 for a wrong secret, 503 when the event was not stored."""
    hook = _hook(request)
    if hook is None:
        raise from_status(404)
    headers = _single((name.lower(), value) for name, value in request.headers.items())
    address, guesses = request.app[GUARD].address(request), request.app[GUESSES]
    guesses.check("webhook", address)
    if not hook.admits(headers):
        await guesses.wrong("webhook", address)
        raise Problem(403, "forbidden", "The secret is missing or wrong.")
    body = await read(request, hook.max_body, request.app[DEPS].settings.limits)
    return await _answered(request, await hook.receive(headers, body))


async def shake(request: web.Request, principal: Principal | None) -> web.Response:
    """A platform's question whether this is the address it was given; 404 where none asks."""
    hook = _hook(request)
    if not isinstance(hook, HasHandshake):
        raise from_status(404)
    request.app[GUESSES].check("webhook", request.app[GUARD].address(request))
    return await _answered(request, await hook.handshake(_single(request.query.items())))


def _hook(request: web.Request) -> HasWebhook | None:
    where = request.match_info
    return request.app[DEPS].webhooks.get(f"{where['kind']}/{where['account']}")


async def _answered(request: web.Request, answer: WebhookAnswer) -> web.Response:
    """The adapter's answer. One that refuses a secret or a signature counts as a guess."""
    if answer.status in (401, 403):
        await request.app[GUESSES].wrong("webhook", request.app[GUARD].address(request))
    return web.Response(
        status=answer.status, body=answer.body, headers={"Content-Type": answer.content_type}
    )


def _single(pairs: Iterable[tuple[str, str]]) -> Mapping[str, str]:
    """What came once: of a repeated name nobody knows which value counts."""
    every = list(pairs)
    counts = Counter(name for name, _ in every)
    return {name: value for name, value in every if counts[name] == 1}


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
