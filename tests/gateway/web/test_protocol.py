"""Strangers at the socket: slow ones, many of them, and those who speak no proper HTTP."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from structlog.testing import capture_logs

from gateway.web.settings import Limits
from tests.fakes.web import House, house

HEAD = b"POST /api/v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"

AMBIGUOUS = {
    "two lengths": HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x",
    "length list": HEAD + b"Content-Length: 2, 3\r\n\r\n{}x",
    "length and chunked": HEAD
    + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked not last": HEAD + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "chunked twice": HEAD + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "odd chunked": HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "signed length": HEAD + b"Content-Length: +2\r\n\r\n{}",
    "negative length": HEAD + b"Content-Length: -2\r\n\r\n{}",
    "hex length": HEAD + b"Content-Length: 0x2\r\n\r\n{}",
    "space before colon": HEAD + b"Content-Length : 2\r\n\r\n{}",
    "folded header": HEAD + b"X-A: 1\r\n 2\r\nContent-Length: 2\r\n\r\n{}",
    "bare line feed": HEAD.replace(b"\r\n", b"\n") + b"Content-Length: 2\n\n{}",
    "bare carriage return": HEAD + b"X-A: 1\rContent-Length: 2\r\n\r\n{}",
    "nul in header": HEAD + b"X-A: a\0b\r\nContent-Length: 2\r\n\r\n{}",
    "chunk size sign": HEAD + b"Transfer-Encoding: chunked\r\n\r\n+2\r\n{}\r\n0\r\n\r\n",
    "chunk size hex mark": HEAD + b"Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n",
    "chunk bare line feed": HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\n{}\n0\n\n",
    "no version": b"GET /healthz\r\nHost: localhost\r\n\r\n",
    "odd version": b"GET /healthz HTTP/9.9\r\nHost: localhost\r\n\r\n",
    "space in target": b"GET /healthz x HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "not http": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 4 + b"\r\n\r\n",
    "long line": b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "long header": b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: " + b"a" * 20_000 + b"\r\n\r\n",
    "many headers": b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X-A: 1\r\n" * 500 + b"\r\n",
}


NEXT = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
"""What must not be found behind a request whose end is unclear."""


async def talk(home: House, raw: bytes) -> bytes:
    """All that comes back until the server hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", home.port)
    writer.write(raw)
    try:
        return await asyncio.wait_for(reader.read(), 30)
    except ConnectionError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize("name", AMBIGUOUS)
async def test_ambiguous_requests_are_refused_once_and_the_connection_ends(name: str) -> None:
    async with house(limits=Limits(stall_seconds=0.2)) as home:
        answer = await talk(home, AMBIGUOUS[name] + NEXT)

        assert answer.startswith(b"HTTP/1.0 400 ")
        assert b"200 OK" not in answer
        assert b"aiohttp" not in answer
        assert b"Python" not in answer
        assert home.road.taken == []


async def test_what_cannot_be_parsed_gets_a_generic_answer() -> None:
    async with house() as home:
        answer = await talk(home, AMBIGUOUS["two lengths"])

        assert b"Server: moltgate\r\n" in answer
        assert answer.endswith(
            b'{"error":{"code":"bad_request","message":"The request could not be read."}}'
        )


@pytest.mark.parametrize("begun", [b"", b"GET /healthz HTTP/1.1\r\nHost: loc"])
async def test_who_brings_no_whole_request_in_time_is_cut(begun: bytes) -> None:
    async with house(limits=Limits(header_seconds=0.05)) as home:
        reader, writer = await asyncio.open_connection("127.0.0.1", home.port)
        writer.write(begun)
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), 30) == b""
        writer.close()


async def test_a_body_that_stalls_is_given_up() -> None:
    async with house(limits=Limits(stall_seconds=0.05)) as home:
        token = (await home.token())["Authorization"].encode()
        head = HEAD + b"Authorization: " + token + b"\r\nContent-Length: 100\r\n\r\n{"
        reader, writer = await asyncio.open_connection("127.0.0.1", home.port)
        writer.write(head)
        answer = await asyncio.wait_for(reader.read(), 30)
        assert answer.startswith(b"HTTP/1.1 408 ")
        writer.close()


async def test_thousands_of_idle_connections_do_not_keep_others_out() -> None:
    async with house(limits=Limits(connections=50)) as home:
        idle = [await asyncio.open_connection("127.0.0.1", home.port) for _ in range(300)]
        async with home.client.get(home.url + "/healthz") as response:
            assert response.status == 200
        for _, writer in idle:
            writer.close()


async def test_strangers_do_not_decide_how_much_is_logged() -> None:
    with capture_logs() as lines:
        async with house(limits=Limits(connections=10)) as home:
            idle = [await asyncio.open_connection("127.0.0.1", home.port) for _ in range(500)]
            async with home.client.get(home.url + "/healthz") as response:
                assert response.status == 200
            for _, writer in idle:
                writer.close()

    told = [line for line in lines if line["event"] == "connections_dropped"]
    assert 0 < len(told) < 50


async def test_open_sockets_are_not_the_idle_ones() -> None:
    async with (
        house(limits=Limits(connections=20)) as home,
        home.client.ws_connect(home.url + "/api/v1/ws", headers=await home.session()) as ws,
    ):
        idle = [await asyncio.open_connection("127.0.0.1", home.port) for _ in range(60)]
        await ws.send_json({"type": "hello", "conversation": "a"})
        assert (await ws.receive_json())["type"] == "ready"
        for _, writer in idle:
            writer.close()


async def test_an_unexpected_error_is_told_to_nobody() -> None:
    async with house() as home:
        home.road.failure = ZeroDivisionError("/home/secret/path")  # type: ignore[assignment]
        async with home.client.post(
            home.url + "/api/v1/messages",
            json={"conversation": "a", "text": "x"},
            headers=await home.token(),
        ) as response:
            assert response.status == 500
            assert response.headers["Server"] == "moltgate"
            text = await response.text()
        assert text == '{"error":{"code":"internal","message":"Something went wrong on our side."}}'
