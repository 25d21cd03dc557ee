"""The web chat towards the gateway: repeatable both ways, and nobody sees what is not theirs."""

from __future__ import annotations

import asyncio
import json

import msgspec
import pytest

from adapters import find
from adapters.web.adapter import WebAdapter
from adapters.web.config import WebChatConfig
from gateway.errors import Refused, Unavailable
from gateway.message import Outbound, ReplyId
from gateway.ports import Adapter, Services, ShowsPartial, ShowsTyping
from tests.fakes.stores import MemoryBlobs, MemoryLog
from tests.fakes.web import ACCOUNT, House, WallClock, house


def build(log: MemoryLog) -> WebAdapter:
    services = Services(blobs=MemoryBlobs(), log=log, clock=WallClock())
    return WebAdapter(ACCOUNT, WebChatConfig(), services)


async def texts(home: House, principal: str = "owner", name: str = "a") -> list[str]:
    await home.road.settled()
    found = await home.road.adapter.entries(principal, name, after=0, limit=100)
    return [json.loads(entry.body)["text"] for entry in found]


async def test_the_spec_builds_an_adapter_with_its_abilities() -> None:
    spec = find("web")
    services = Services(blobs=MemoryBlobs(), log=MemoryLog(), clock=WallClock())

    adapter: Adapter = spec.build(ACCOUNT, spec.config(), services)

    assert isinstance(adapter, ShowsPartial)
    assert isinstance(adapter, ShowsTyping)
    assert spec.capabilities.idempotent_send


async def test_a_message_taken_twice_is_one_message_and_one_answer() -> None:
    async with house() as home:
        receive = home.road.adapter.receive
        first, seq = await receive(principal="owner", conversation="a", id="1", text="hi")
        again, same = await receive(principal="owner", conversation="a", id="1", text="hi")

        assert (first.outcome, again.outcome) == ("stored", "duplicate")
        assert seq == same
        assert len(home.road.taken) == 1
        assert await texts(home) == ["hi", "You said: hi"]


async def test_an_id_used_for_another_text_is_a_conflict() -> None:
    async with house() as home:
        receive = home.road.adapter.receive
        await receive(principal="owner", conversation="a", id="1", text="hi")

        with pytest.raises(Refused) as refused:
            await receive(principal="owner", conversation="a", id="1", text="ho")

        assert refused.value.reason == "conflict"


async def test_a_message_that_could_not_be_stored_is_sent_again_with_the_same_id() -> None:
    async with house() as home:
        home.road.failure = Unavailable("down")
        with pytest.raises(Unavailable):
            await home.road.adapter.receive(principal="owner", conversation="a", id="1", text="hi")
        home.road.failure = None

        await home.road.adapter.receive(principal="owner", conversation="a", id="1", text="hi")

        assert await texts(home) == ["hi", "You said: hi"]


async def test_a_text_of_nothing_but_control_characters_is_refused() -> None:
    async with house() as home:
        with pytest.raises(Refused):
            await home.road.adapter.receive(
                principal="owner", conversation="a", id="1", text="\x00\x1b \x07"
            )

        assert await texts(home) == []


async def test_before_it_runs_nothing_is_taken() -> None:
    adapter = build(MemoryLog())

    with pytest.raises(Unavailable):
        await adapter.receive(principal="owner", conversation="a", id="1", text="hi")


async def test_a_part_sent_twice_is_shown_once() -> None:
    log = MemoryLog()
    adapter = build(log)
    async with house() as home:
        await home.road.adapter.receive(principal="owner", conversation="a", id="1", text="hi")
        event = home.road.taken[0]
    part = Outbound(
        reply=ReplyId("r"),
        conversation=event.conversation,
        account=ACCOUNT,
        place=event.place,
        text="once",
    )

    receipts = [await adapter.send(part), await adapter.send(part)]
    other = await adapter.send(msgspec.structs.replace(part, part=1, parts=2))

    assert [receipt.native_id for receipt in (*receipts, other)] == ["1", "1", "2"]


async def test_principals_do_not_see_each_others_conversations() -> None:
    async with house() as home:
        adapter = home.road.adapter
        await adapter.receive(principal="owner", conversation="a", id="1", text="mine")
        await adapter.receive(principal="token-1", conversation="a", id="1", text="theirs")
        await adapter.receive(principal="token-1", conversation="b", id="1", text="more")

        assert (await texts(home, "owner"))[0] == "mine"
        assert (await texts(home, "token-1"))[0] == "theirs"
        assert [name for name, _, _ in await adapter.conversations("owner")] == ["a"]
        assert {name for name, _, _ in await adapter.conversations("token-1")} == {"a", "b"}
        assert list(await adapter.conversations("token-")) == []
        assert list(await adapter.conversations("token-12")) == []


async def test_readers_hear_of_entries_that_came_while_the_watch_was_down() -> None:
    log = MemoryLog()
    adapter = build(log)
    home = house()
    async with home as running:
        await running.road.adapter.receive(principal="owner", conversation="a", id="1", text="x")
        event = running.road.taken[0]
    await log.append(event.conversation, "k1", b'{"text":"before"}')

    with adapter.follow("owner", "a", after=1) as feed:
        waiting = asyncio.create_task(feed.next())
        await asyncio.sleep(0)
        await log.append(event.conversation, "k2", b'{"text":"unseen"}')
        run = asyncio.create_task(adapter.run(running.road))
        entry = await asyncio.wait_for(waiting, 30)
        run.cancel()

    assert getattr(entry, "seq", None) == 2
