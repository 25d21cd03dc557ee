"""Every route says who may use it, and nobody else can."""

from __future__ import annotations

import pytest

from gateway.web.server import routes
from tests.fakes.web import House, house

PUBLIC = {
    "GET /healthz",
    "GET /readyz",
    "POST /api/v1/login",
    "POST /webhooks/{kind}/{account}",
    "GET /webhooks/{kind}/{account}",
    "GET /",
    "GET /login",
}


async def table(home: House) -> list[tuple[str, str, str]]:
    found = [(route.method, route.path, route.who) for route in routes(home.deps)]
    served = {
        (route.method, route.resource.canonical)
        for route in home.app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    assert served == {(method, path) for method, path, _ in found}, "a route without a rule"
    return found


def concrete(path: str) -> str:
    names = {"{conversation}": "a", "{digest}": "0" * 64, "{kind}": "x", "{account}": "y"}
    for name, value in names.items():
        path = path.replace(name, value)
    return path


async def test_without_credentials_only_public_routes_answer() -> None:
    async with house() as home:
        for method, path, who in await table(home):
            async with home.client.request(method, home.url + concrete(path)) as response:
                if who in ("anyone", "verified by the adapter"):
                    static = path.endswith((".js", ".css", ".svg"))
                    assert static or f"{method} {path}" in PUBLIC
                    assert response.status in (200, 403, 404)
                else:
                    assert (path, response.status) == (path, 401)
                    assert (await response.json())["error"]["code"] == "unauthenticated"


@pytest.mark.parametrize("scope", ["chat", "metrics"])
async def test_a_token_opens_its_own_scope_only(scope: str) -> None:
    async with house() as home:
        headers = await home.token(scope)  # type: ignore[arg-type]
        for method, path, who in await table(home):
            if who in ("anyone", "verified by the adapter", scope):
                continue
            async with home.client.request(
                method, home.url + concrete(path), headers=headers
            ) as response:
                assert (path, response.status) == (path, 403)


@pytest.mark.parametrize(
    "credential",
    [
        "Bearer ",
        "Bearer x",
        "Bearer mgt_000000000000_" + "A" * 43,
        "Basic b3duZXI6eA==",
        "bearer\tx",
        "Bearer " + "é" * 20,
        "Bearer mgt_" + "0" * 4000,
    ],
)
async def test_a_credential_must_be_right_not_just_there(credential: str) -> None:
    async with house() as home:
        headers = {"Authorization": credential}
        async with home.client.get(home.url + "/api/v1/me", headers=headers) as response:
            assert response.status == 401


async def test_a_token_with_another_tokens_id_is_wrong() -> None:
    async with house() as home:
        one, other = await home.token(), await home.token()
        _, identity, _ = one["Authorization"].split("_", 2)
        secret = other["Authorization"].split("_", 2)[2]
        headers = {"Authorization": f"Bearer mgt_{identity}_{secret}"}
        async with home.client.get(home.url + "/api/v1/me", headers=headers) as response:
            assert response.status == 401


async def test_unknown_places_and_methods_get_the_same_generic_answers() -> None:
    async with house() as home:
        cases = {("GET", "/nowhere"): 404, ("PUT", "/api/v1/messages"): 405, ("TRACE", "/"): 405}
        for (method, path), status in cases.items():
            async with home.client.request(method, home.url + path) as response:
                assert response.status == status
                assert set((await response.json())["error"]) == {"code", "message"}


async def test_every_answer_carries_the_strict_headers() -> None:
    async with house() as home:
        for path in ("/", "/healthz", "/api/v1/me", "/nowhere", "/app.js"):
            async with home.client.get(home.url + path) as response:
                assert response.headers["Server"] == "moltgate"
                assert response.headers["X-Content-Type-Options"] == "nosniff"
                assert response.headers["Referrer-Policy"] == "no-referrer"
                assert "default-src 'none'" in response.headers["Content-Security-Policy"]
                assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]


async def test_without_a_chat_there_is_only_health_metrics_and_webhooks() -> None:
    async with house(chat=False) as home:
        assert {path for _, path, _ in await table(home)} == {
            "/healthz",
            "/readyz",
            "/metrics",
            "/webhooks/{kind}/{account}",
        }
