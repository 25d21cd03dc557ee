"""Server-sent events: resumed by number, nothing lost, nothing doubled."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

from gateway.message import Inbound
from gateway.web.settings import Limits
from tests.fakes.web import FakeRoad, House, house


async def send(home: House, headers: dict[str, str], text: str) -> None:
    body = {"conversation": "a", "text": text}
    async with home.client.post(
        home.url + "/api/v1/messages", json=body, headers=headers
    ) as response:
        assert response.status == 202


def follow(home: House, headers: dict[str, str], after: object = "") -> Any:
    given = {**headers, "Last-Event-ID": str(after)} if after != "" else headers
    return home.client.get(home.url + "/api/v1/conversations/a/events", headers=given)


async def events(stream: aiohttp.ClientResponse) -> AsyncIterator[dict[str, str]]:
    event: dict[str, str] = {}
    async for raw in stream.content:
        line = raw.decode().rstrip("\n")
        if line:
            name, _, value = line.partition(": ")
            event[name or "comment"] = value
        elif event:
            yield event
            event = {}


async def silent(event: Inbound, road: FakeRoad) -> None:
    """Answers nothing by itself."""


async def test_entries_carry_their_number_and_are_resumed_after_it() -> None:
    async with house() as home:
        headers = await home.token()
        await send(home, headers, "one")
        await home.road.settled()
        seen = []
        async with follow(home, headers) as stream:
            assert stream.content_type == "text/event-stream"
            async for event in events(stream):
                if "id" in event:
                    seen.append(event["id"])
                if len(seen) == 2:
                    break
        await send(home, headers, "two")
        await home.road.settled()
        async with follow(home, headers, after=2) as stream:
            async for event in events(stream):
                if "id" in event:
                    seen.append(event["id"])
                    assert json.loads(event["data"])["seq"] == int(event["id"])
                if len(seen) == 4:
                    break

    assert seen == ["1", "2", "3", "4"]


async def test_live_text_has_no_number() -> None:
    async with house(silent) as home:
        headers = await home.token()
        async with follow(home, headers) as stream:
            await send(home, headers, "hi")
            (message,) = home.road.taken
            found = []
            async for event in events(stream):
                if event.get("event") == "message":
                    await home.road.begin(message)
                elif event.get("event") == "typing":
                    await home.road.grow(message, "Hel")
                elif event.get("event") == "partial":
                    found.append(event)
                    break
    assert "id" not in found[0]
    assert json.loads(found[0]["data"])["text"] == "Hel"


async def test_a_reader_cut_off_again_and_again_misses_nothing() -> None:
    async with house() as home:
        headers = await home.token()
        seen: list[int] = []
        for number in range(10):
            async with follow(home, headers, after=seen[-1] if seen else 0) as stream:
                await send(home, headers, f"m{number}")
                async for event in events(stream):
                    if "id" in event:
                        seen.append(int(event["id"]))
                        break
            await home.road.settled()
        async with follow(home, headers, after=seen[-1]) as stream:
            async for event in events(stream):
                if "id" in event:
                    seen.append(int(event["id"]))
                if seen[-1] == 20:
                    break

    assert seen == list(range(1, 21))


async def test_what_the_watch_missed_is_read_again() -> None:
    async with house() as home:
        headers = await home.token()
        async with follow(home, headers) as stream:
            home.log.paused = True
            await send(home, headers, "in the dark")
            await home.road.settled()
            home.log.resume(home.road.taken[0].conversation)
            seen = []
            async for event in events(stream):
                if "id" in event:
                    seen.append(event["id"])
                if len(seen) == 2:
                    break
    assert seen == ["1", "2"]


async def test_a_quiet_stream_shows_that_it_is_alive() -> None:
    async with (
        house(limits=Limits(heartbeat_seconds=0.02)) as home,
        follow(home, await home.token()) as stream,
    ):
        beats = 0
        async for event in events(stream):
            beats += event.get("comment") == "heartbeat"
            if beats == 3:
                break


async def test_a_stream_ends_after_its_time() -> None:
    async with (
        house(limits=Limits(stream_seconds=0.05)) as home,
        follow(home, await home.token()) as stream,
    ):
        assert await stream.content.read() == b"retry: 1000\n\n"


async def test_a_bad_number_is_refused() -> None:
    async with house() as home:
        headers = await home.token()
        for number in ("x", "-1", "1.5", "9" * 30):
            async with follow(home, headers, after=number) as response:
                assert response.status == 422


async def test_a_principal_has_a_limited_number_of_streams() -> None:
    async with house(limits=Limits(sockets_per_principal=2)) as home:
        headers, other = await home.token(), await home.token()
        async with follow(home, headers), follow(home, headers):
            async with follow(home, headers) as response:
                assert response.status == 429
            async with follow(home, other) as response:
                assert response.status == 200
        # those that are closed do not count
        statuses: list[int] = []

        async def again() -> None:
            async with follow(home, headers) as response:
                statuses.append(response.status)

        await again()
        while statuses[-1] == 429:
            await send(home, headers, "the server notices a closed stream when it writes")
            await again()
        assert statuses[-1] == 200
