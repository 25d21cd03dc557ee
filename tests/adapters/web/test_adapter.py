"""The web chat towards the gateway: repeatable both ways, and nobody sees what is not theirs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from adapters import find
from adapters.web.adapter import WebAdapter
from adapters.web.config import WebChatConfig
from gateway.access.config import AccessConfig, AccountRules, authenticated
from gateway.errors import Refused, Unavailable
from gateway.intake import Intake
from gateway.message import Outbound, ReplyId
from gateway.ports import Adapter, LanePolicy, ShowsPartial, ShowsTyping
from gateway.sessions.commands import Commands
from tests.fakes.clock import MovedClock
from tests.fakes.lanes import MemoryLanes
from tests.fakes.services import services
from tests.fakes.stores import MemoryLog, MemoryRecords
from tests.fakes.web import ACCOUNT, House, house, until


class Gated:
    """A web chat behind the gate that the gateway has."""

    def __init__(self, depth: int, **access: Any) -> None:
        self.clock, self.log, self.lanes = MovedClock(), MemoryLog(), MemoryLanes()
        given = services(ACCOUNT, log=self.log, clock=self.clock)
        self.adapter = WebAdapter(ACCOUNT, WebChatConfig(), given)
        rules = AccountRules(
            account=ACCOUNT,
            access=authenticated(AccessConfig(**access)),
            policy=LanePolicy(depth=depth),
        )
        records = MemoryRecords(self.clock.now)
        commands = Commands(self.lanes, records, self.clock, models=lambda: (), version="1")
        self.intake = Intake(
            self.lanes,
            records,
            {ACCOUNT.key: rules},
            self.clock,
            lambda whole: (whole,),
            commands=commands,
        )

    async def send(self, id: str, text: str, name: str = "a") -> str:
        """What came of it: the outcome with the entry's number, or the reason it was refused."""
        try:
            accepted, seq = await self.adapter.receive(
                principal="token-1", conversation=name, id=id, text=text
            )
        except Refused as refusal:
            return refusal.reason
        return f"{accepted.outcome} {seq}"

    async def shown(self, name: str = "a") -> list[str]:
        found = await self.adapter.entries("token-1", name, after=0, limit=5000)
        return [json.loads(entry.body)["text"] for entry in found]


@asynccontextmanager
async def gated(*, depth: int = 100, **access: Any) -> AsyncIterator[Gated]:
    home = Gated(depth, **access)
    task = asyncio.create_task(home.adapter.run(home.intake))
    await until(lambda: home.log.watchers > 0)
    yield home
    task.cancel()


def build(log: MemoryLog) -> WebAdapter:
    given = services(ACCOUNT, log=log)
    return WebAdapter(ACCOUNT, WebChatConfig(), given)


async def texts(home: House, principal: str = "owner", name: str = "a") -> list[str]:
    await home.road.settled()
    found = await home.road.adapter.entries(principal, name, after=0, limit=100)
    return [json.loads(entry.body)["text"] for entry in found]


async def test_the_spec_builds_an_adapter_with_its_abilities() -> None:
    spec = find("web")
    given = services(ACCOUNT)

    adapter: Adapter = spec.build(ACCOUNT, spec.config(), given)

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


async def test_a_flood_leaves_one_refused_message_and_no_other_entry() -> None:
    async with gated() as home:
        for number in range(20):
            assert await home.send(f"{number}", f"m{number}") == f"stored {number + 1}"
        assert await home.send("20", "m20") == "refused 21"
        for number in range(21, 300):
            assert await home.send(f"{number}", "x" * 1000) == "rate_limit"
            assert await home.send(f"{number}", "x" * 1000, name=f"n{number}") == "rate_limit"

        assert await home.shown() == [f"m{number}" for number in range(21)]
        assert len(await home.adapter.conversations("token-1")) == 1
        assert [part.reply_to for part in home.lanes.outbox] == ["20"]

        home.clock.advance(61)
        assert await home.send("299", "x" * 1000) == "stored 22"


async def test_a_refused_message_is_shown_once_and_its_id_stays_taken() -> None:
    async with gated(per_sender=1) as home:
        await home.send("1", "first")
        assert await home.send("2", "second") == "refused 2"
        assert await home.send("2", "second") == "duplicate 2"
        assert await home.send("2", "another text") == "conflict"
        assert await home.send("1", "another text") == "conflict"
        home.clock.advance(61)
        assert await home.send("2", "second") == "duplicate 2"
        assert await home.shown() == ["first", "second"]
        assert len(home.lanes.outbox) == 1


async def test_what_is_refused_for_its_size_and_what_is_a_command_stand_above_their_answers() -> (
    None
):
    async with gated(max_text=10) as home:
        assert await home.send("1", "x" * 11) == "refused 1"
        assert await home.send("2", "/status") == "answered 2"
        assert await home.shown() == ["x" * 11, "/status"]
        assert [part.reply_to for part in home.lanes.outbox] == ["1", "2"]


async def test_a_full_lane_is_told_to_who_sends_and_the_id_can_be_used_later() -> None:
    async with gated(depth=1) as home:
        assert await home.send("1", "fits") == "stored 1"
        assert await home.send("2", "too much") == "refused 2"
        assert await home.send("3", "still too much") == "full"
        home.lanes.waiting.clear()
        assert await home.send("3", "still too much") == "stored 3"
        assert await home.shown() == ["fits", "too much", "still too much"]


async def test_when_the_store_is_away_a_message_is_shown_once_it_is_back() -> None:
    async with gated(per_sender=1) as home:
        home.log.down = True
        for _ in range(3):
            with pytest.raises(Unavailable):
                await home.send("1", "hi")
        assert home.lanes.calls == {}
        home.log.down = False
        home.lanes.down = True
        with pytest.raises(Unavailable):
            await home.send("1", "hi")
        home.lanes.down = False
        assert await home.send("1", "hi") == "stored 1"
        home.log.down = True
        with pytest.raises(Unavailable):
            await home.send("2", "too fast")
        home.log.down = False
        assert await home.send("2", "too fast") == "refused 2"
        assert await home.shown() == ["hi", "too fast"]


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
