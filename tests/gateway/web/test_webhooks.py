"""Webhooks: the secret before the body, the body counted, the answer the adapter's own."""

from __future__ import annotations

import contextlib
import hmac
from collections.abc import Mapping
from typing import Any

from gateway.errors import Unavailable
from gateway.ports import WebhookAnswer
from gateway.web.settings import Limits
from tests.fakes.web import House, house


class FakeHook:
    """A platform's webhook with a secret header."""

    max_body = 1000

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.down = False

    def admits(self, headers: Mapping[str, str]) -> bool:
        return hmac.compare_digest(headers.get("x-secret", "").encode(), b"right")

    async def receive(self, headers: Mapping[str, str], body: bytes) -> WebhookAnswer:
        if self.down:
            raise Unavailable("store")
        self.bodies.append(body)
        return WebhookAnswer(status=200, body=b'{"ok":true}')


async def deliver(
    home: House, headers: Any, body: Any = b"{}", path: str = "fake/default"
) -> tuple[int, str]:
    async with home.client.post(
        f"{home.url}/webhooks/{path}", data=body, headers=headers
    ) as response:
        return response.status, await response.text()


async def test_an_event_with_the_right_secret_is_handed_to_its_adapter() -> None:
    hook = FakeHook()
    async with house(webhooks={"fake/default": hook}) as home:
        headers = {"X-Secret": "right", "Host": "whatever.the.proxy.says"}

        assert await deliver(home, headers, b'{"update":1}') == (200, '{"ok":true}')
        assert hook.bodies == [b'{"update":1}']
        assert (await deliver(home, headers, path="fake/other"))[0] == 404
        assert (await deliver(home, headers, path="other/default"))[0] == 404


async def test_without_the_secret_the_body_is_not_even_read() -> None:
    hook, sent = FakeHook(), 0

    async def endless() -> Any:
        nonlocal sent
        for _ in range(2000):
            sent += 65536
            yield b"x" * 65536

    async with house(webhooks={"fake/default": hook}) as home:
        for headers in (
            {},
            {"X-Secret": ""},
            {"X-Secret": "wrong"},
            [("X-Secret", "right"), ("X-Secret", "right")],
        ):
            assert (await deliver(home, headers))[0] == 403
        # the server may hang up while we are still talking
        with contextlib.suppress(ConnectionError):
            assert (await deliver(home, {}, endless()))[0] == 403
        assert sent < 2000 * 65536
        assert hook.bodies == []


async def test_a_body_over_the_adapters_limit_is_refused() -> None:
    hook = FakeHook()
    async with house(webhooks={"fake/default": hook}) as home:
        assert (await deliver(home, {"X-Secret": "right"}, b"x" * 1001))[0] == 413
        assert hook.bodies == []


async def test_an_event_that_was_not_stored_is_not_confirmed() -> None:
    hook = FakeHook()
    hook.down = True
    async with house(webhooks={"fake/default": hook}) as home:
        assert (await deliver(home, {"X-Secret": "right"}))[0] == 503


async def test_guessing_the_secret_is_limited_before_it_is_looked_at() -> None:
    hook = FakeHook()
    async with house(webhooks={"fake/default": hook}, limits=Limits(guesses=4)) as home:
        statuses = [(await deliver(home, {"X-Secret": f"{n}"}))[0] for n in range(8)]
        assert statuses == [403] * 4 + [429] * 4
        assert (await deliver(home, {"X-Secret": "right"}))[0] == 429
        assert hook.bodies == []
