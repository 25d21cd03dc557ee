"""The page's WebSocket: resume, acknowledgement, refusal, and what a bad client gets."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from gateway.errors import Unavailable
from gateway.message import Inbound
from gateway.web.settings import Limits
from tests.fakes.web import FakeRoad, House, house, until


def connect(home: House, headers: dict[str, str]) -> Any:
    return home.client.ws_connect(home.url + "/api/v1/ws", headers=headers, autoping=True)


async def hello(
    ws: aiohttp.ClientWebSocketResponse, after: int | None = None, name: str = "a"
) -> list[Any]:
    """What is shown before the conversation is said to be ready."""
    await ws.send_json({"type": "hello", "conversation": name, "after": after})
    found = []
    while (message := await ws.receive_json())["type"] != "ready":
        found.append(message)
    return found


async def say(ws: aiohttp.ClientWebSocketResponse, text: str, name: str, **more: object) -> None:
    await ws.send_json({"type": "send", "conversation": "a", "id": name, "text": text, **more})


async def collect(ws: aiohttp.ClientWebSocketResponse, kind: str, count: int) -> list[Any]:
    found: list[Any] = []
    while len(found) < count:
        message = await ws.receive_json()
        if message["type"] == kind:
            found.append(message)
    return found


async def silent(event: Inbound, road: FakeRoad) -> None:
    """Answers nothing by itself."""


async def test_a_message_is_acknowledged_shown_and_answered() -> None:
    async with house() as home, connect(home, await home.session()) as ws:
        assert await hello(ws) == []

        await say(ws, "hi", "m1")

        messages = [await ws.receive_json() for _ in range(3)]
        (ack,) = [each for each in messages if each["type"] == "ack"]
        entries = [each for each in messages if each["type"] == "entry"]
        assert ack == {"type": "ack", "id": "m1", "seq": 1, "outcome": "stored"}
        assert [entry["seq"] for entry in entries] == [1, 2]
        assert [entry["event"]["role"] for entry in entries] == ["user", "assistant"]


async def test_after_a_cut_nothing_is_lost_or_doubled() -> None:
    async with house() as home:
        session = await home.session()
        seen: list[int] = []
        for number in range(8):
            async with connect(home, session) as ws:
                seen += [each["seq"] for each in await hello(ws, after=len(seen))]
                # sent twice, as a page does that saw no acknowledgement
                await say(ws, f"m{number}", f"id{number}")
                await say(ws, f"m{number}", f"id{number}")
                seen += [each["seq"] for each in await collect(ws, "entry", number % 3)]
        await home.road.settled()
        async with connect(home, session) as ws:
            seen += [each["seq"] for each in await hello(ws, after=len(seen))]

    assert len(home.road.taken) == 8
    assert seen == list(range(1, 17))


async def test_a_new_reader_gets_the_newest_entries_only() -> None:
    async with house() as home, connect(home, await home.session()) as ws:
        for number in range(80):
            await say(ws, f"m{number}", f"id{number}")
        await collect(ws, "ack", 80)
        await home.road.settled()

        found = await hello(ws)
        assert [each["seq"] for each in found] == list(range(61, 161))
        found = await hello(ws, after=0)
        assert [each["seq"] for each in found] == list(range(1, 161))


async def test_two_tabs_see_the_same() -> None:
    async with house() as home:
        session = await home.session()
        async with connect(home, session) as one, connect(home, session) as other:
            await hello(one)
            await hello(other)
            await say(one, "hi", "m1")

            assert await collect(one, "entry", 2) == await collect(other, "entry", 2)


async def test_another_conversation_takes_the_place_of_the_first() -> None:
    async with house() as home, connect(home, await home.session()) as ws:
        await hello(ws, name="b")
        await hello(ws)
        await home.road.adapter.receive(principal="owner", conversation="b", id="1", text="x")
        await say(ws, "here", "m1")

        found = await collect(ws, "entry", 2)
        assert {each["conversation"] for each in found} == {"a"}


async def test_live_text_grows_and_the_final_answer_follows() -> None:
    async with house(silent) as home, connect(home, await home.session()) as ws:
        await hello(ws)
        await say(ws, "hi", "m1")
        await collect(ws, "ack", 1)
        (message,) = home.road.taken
        await home.road.begin(message)
        (typing,) = await collect(ws, "typing", 1)
        for text in ("He", "Hello"):
            await home.road.grow(message, text)
            (partial,) = await collect(ws, "partial", 1)
            assert partial["text"] == text
        await home.road.answer(message, "Hello!")
        (entry,) = await collect(ws, "entry", 1)

        assert entry["event"]["reply"] == partial["reply"] == typing["reply"]


async def test_a_refusal_names_the_message_and_when_to_try_again() -> None:
    async with house() as home, connect(home, await home.session()) as ws:
        home.road.failure = Unavailable("down", after=3.0)
        await say(ws, "hi", "m1")
        assert await ws.receive_json() == {
            "type": "refused",
            "id": "m1",
            "code": "unavailable",
            "message": "Not available at the moment, please try again.",
            "retry_after": 3.0,
        }
        await say(ws, "", "m2")
        refused = await ws.receive_json()
        assert (refused["id"], refused["code"]) == ("m2", "empty")
        assert "retry_after" not in refused


@pytest.mark.parametrize(
    "message",
    [
        "",
        "{",
        "null",
        "[]",
        "{}",
        '{"type":"admin"}',
        '{"type":"hello"}',
        '{"type":"hello","conversation":"../x"}',
        '{"type":"hello","conversation":"a","after":-1}',
        '{"type":"send","conversation":"a","text":"x"}',
        '{"type":"send","conversation":"a","id":"1","text":"\\ud800"}',
        '{"type":"hello","conversation":"a","after":1e999}',
        "[" * 10000,
    ],
)
async def test_a_message_nobody_understands_is_said_and_survived(message: str) -> None:
    async with house() as home, connect(home, await home.session()) as ws:
        await ws.send_str(message)
        assert await ws.receive_json() == {"type": "error", "code": "invalid"}
        await say(ws, "hi", "m1")
        assert (await ws.receive_json())["type"] == "ack"


async def test_a_client_that_talks_only_nonsense_is_let_go() -> None:
    async with house() as home, connect(home, await home.session()) as ws:
        for _ in range(20):
            await ws.send_bytes(b"\x00")
        async for message in ws:
            assert message.json()["type"] == "error"
        assert ws.close_code == 1008


async def test_a_message_over_the_limit_ends_the_connection() -> None:
    async with (
        house(limits=Limits(json_body=10_000)) as home,
        connect(home, await home.session()) as ws,
    ):
        await ws.send_str("x" * 20_000)
        await ws.receive()
        assert ws.close_code == 1009


async def test_a_reader_that_does_not_read_holds_nobody_up_and_resumes() -> None:
    async with house(silent, limits=Limits(write_seconds=0.05)) as home:
        session = await home.session()
        async with connect(home, session) as lazy, connect(home, session) as eager:
            await hello(lazy)
            await hello(eager)
            transport = lazy._response.connection.transport
            transport.pause_reading()
            for number in range(200):
                await say(eager, "x" * 60_000, f"m{number}")
                await collect(eager, "ack", 1)
            assert len(home.road.taken) == 200
            transport.resume_reading()
        async with connect(home, session) as again:
            found = await hello(again, after=0)
            assert [each["seq"] for each in found] == list(range(1, 201))


async def test_a_server_that_goes_down_says_so_and_ends_quickly() -> None:
    closed: list[int | None] = []

    async def read(ws: aiohttp.ClientWebSocketResponse) -> None:
        async for _ in ws:
            pass
        closed.append(ws.close_code)

    async with house() as home:
        ws = await connect(home, await home.session())
        await hello(ws)
        reading = asyncio.create_task(read(ws))
    await until(reading.done)
    assert closed == [1012]


async def test_a_plain_request_is_told_to_upgrade() -> None:
    async with (
        house() as home,
        home.client.get(home.url + "/api/v1/ws", headers=await home.session()) as response,
    ):
        assert response.status == 426
