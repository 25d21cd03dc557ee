"""Everything that can be sent to the server by whoever means harm."""

from __future__ import annotations

import json

import aiohttp
import pytest

from adapters.web import parse
from tests.fakes.web import House, house
from tests.fakes.web_corpora import naughty_strings

WISHES = (
    {"type": "hello", "conversation": "a"},
    {"type": "send", "id": "1", "conversation": "a", "text": "hi"},
    {"type": "admin"},
)


@pytest.mark.parametrize("wish", WISHES, ids=lambda wish: wish["type"])
@pytest.mark.parametrize("scope", ["", "metrics"])
async def test_no_socket_is_opened_without_the_right_to_chat(
    wish: dict[str, str], scope: str
) -> None:
    """There is nothing to say to the server before the right is shown."""
    async with house() as home:
        headers = await home.token(scope) if scope else {}  # type: ignore[arg-type]
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with home.client.ws_connect(home.url + "/api/v1/ws", headers=headers) as ws:
                await ws.send_json(wish)
        assert refused.value.status == (403 if scope else 401)
        assert home.road.taken == []


async def test_addresses_and_forwarded_headers_are_no_credentials() -> None:
    claims = ("127.0.0.1", "::1", "localhost", "10.0.0.1, 127.0.0.1", "unknown")
    async with house() as home:
        for claim in claims:
            headers = {
                "X-Forwarded-For": claim,
                "X-Real-IP": claim,
                "Forwarded": f"for={claim};proto=https",
                "X-Forwarded-Host": "localhost",
                "X-Forwarded-User": "owner",
                "Remote-User": "owner",
            }
            for path in ("/api/v1/me", "/metrics", "/api/v1/openapi.json"):
                async with home.client.get(home.url + path, headers=headers) as response:
                    assert response.status in (401, 404), (claim, path)


async def test_fifty_provoked_errors_say_a_code_and_a_sentence() -> None:
    async with house() as home:
        good = await home.token()
        bodies = []
        for number in range(50):
            path = ("messages", "files", "login", "conversations/a/events", "ws")[number % 5]
            method = ("POST", "GET", "PUT")[number % 3]
            data = (b"", b"{", b"\xff\xfe", b"[" * 9_999, b'{"a":1}')[number // 10]
            headers = {**(good if number % 2 else {}), "Content-Type": "application/json"}
            async with home.client.request(
                method, f"{home.url}/api/v1/{path}?x={number}", data=data, headers=headers
            ) as response:
                assert 400 <= response.status < 500 or response.status in (200, 201)
                assert response.headers["Server"] == "moltgate"
                if response.status >= 400:
                    bodies.append(await response.json())
        assert len(bodies) > 30
        for body in bodies:
            assert set(body) == {"error"}
            assert set(body["error"]) == {"code", "message"}
            assert not any(sign in str(body) for sign in ("Traceback", ".py", "aiohttp", "0x"))


async def test_naughty_strings_come_back_through_the_socket() -> None:
    strings = [one for one in naughty_strings() if parse.clean(one).strip()]
    async with (
        house() as home,
        home.client.ws_connect(home.url + "/api/v1/ws", headers=await home.token()) as ws,
    ):
        for number, text in enumerate(strings):
            sent = {"type": "send", "id": f"n{number}", "conversation": "a", "text": text}
            await ws.send_str(json.dumps(sent))
            answer = await ws.receive_json(timeout=30)
            assert answer["type"] == "ack", (text, answer)
        await home.road.settled()
        assert [each.text for each in home.road.taken] == [parse.clean(one) for one in strings]


async def test_two_hundred_programs_never_see_each_others_words() -> None:
    """Each writes a canary under the same names; nobody finds another's by any name."""
    async with house() as home:
        tokens = [await home.token() for _ in range(200)]
        for number, headers in enumerate(tokens):
            await said(home, headers, f"canary-{number:03}-")
        await home.road.settled()
        ids = [each.sender.id for each in home.road.taken]
        for number, headers in enumerate(tokens):
            other = ids[(number + 1) % len(ids)]
            text = ""
            for name in ("shared", other, f"{other}_shared", "owner"):
                for path in (f"conversations/{name}/messages", "conversations", "me"):
                    async with home.client.get(
                        f"{home.url}/api/v1/{path}", headers=headers
                    ) as response:
                        text += await response.text()
            seen = {text[at + 7 : at + 10] for at in found(text, "canary-")}
            assert seen == {f"{number:03}"}


def found(text: str, word: str) -> list[int]:
    return [at for at in range(len(text)) if text.startswith(word, at)]


async def said(home: House, headers: dict[str, str], text: str) -> None:
    body = {"conversation": "shared", "id": "1", "text": text}
    async with home.client.post(
        home.url + "/api/v1/messages", json=body, headers=headers
    ) as response:
        assert response.status == 202
