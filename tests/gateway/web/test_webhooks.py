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


class SignedHook(FakeHook):
    """A platform that signs bodies, and asks whether the address is the right one."""

    async def receive(self, headers: Mapping[str, str], body: bytes) -> WebhookAnswer:
        if not hmac.compare_digest(headers.get("x-signature", ""), f"signed {len(body)}"):
            return WebhookAnswer(status=401)
        return await super().receive(headers, body)

    async def handshake(self, query: Mapping[str, str]) -> WebhookAnswer:
        if query.get("token") != "right":
            return WebhookAnswer(status=403)
        challenge = query.get("challenge", "")
        return WebhookAnswer(status=200, body=challenge.encode(), content_type="text/plain")


async def ask(home: House, query: str, path: str = "fake/default") -> tuple[int, str, str]:
    async with home.client.get(f"{home.url}/webhooks/{path}?{query}") as response:
        return response.status, await response.text(), response.headers["Content-Type"]


async def test_a_wrong_signature_counts_as_a_guess_although_the_body_was_read() -> None:
    hook = SignedHook()
    async with house(webhooks={"fake/default": hook}, limits=Limits(guesses=3)) as home:
        good = {"X-Secret": "right", "X-Signature": "signed 2"}
        assert (await deliver(home, good))[0] == 200
        bad = {"X-Secret": "right", "X-Signature": "signed 3"}
        assert [(await deliver(home, bad))[0] for _ in range(5)] == [401] * 3 + [429] * 2
        assert (await deliver(home, good))[0] == 429
        assert hook.bodies == [b"{}"]


async def test_a_handshake_is_the_adapters_own_answer() -> None:
    async with house(webhooks={"fake/default": SignedHook()}) as home:
        status, body, kind = await ask(home, "token=right&challenge=123")
        assert (status, body) == (200, "123")
        assert kind.startswith("text/plain")
        assert (await ask(home, "token=wrong&challenge=123"))[0] == 403
        assert (await ask(home, ""))[0] == 403
        assert (await ask(home, "token=right", path="fake/other"))[0] == 404


async def test_a_parameter_that_came_twice_is_left_out() -> None:
    async with house(webhooks={"fake/default": SignedHook()}) as home:
        assert (await ask(home, "token=right&token=right"))[0] == 403
        status, body, _ = await ask(home, "token=right&challenge=1&challenge=2")
        assert (status, body) == (200, "")


async def test_a_webhook_that_asks_nothing_has_no_handshake() -> None:
    async with house(webhooks={"fake/default": FakeHook()}) as home:
        assert (await ask(home, "token=right"))[0] == 404


async def test_guessing_the_handshakes_token_is_limited() -> None:
    async with house(webhooks={"fake/default": SignedHook()}, limits=Limits(guesses=3)) as home:
        statuses = [(await ask(home, f"token={n}"))[0] for n in range(5)]
        assert statuses == [403] * 3 + [429] * 2
        assert (await ask(home, "token=right"))[0] == 429
        assert (await deliver(home, {"X-Secret": "right", "X-Signature": "signed 2"}))[0] == 429
