"""Voice messages that are commands or not meant for us: settled once, whoever finds out first."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from gateway.access.config import AccessConfig, AccountRules
from gateway.access.pairing import Approvals
from gateway.errors import Superseded, Unavailable
from gateway.heard import Early, Heard, is_spoken
from gateway.message import Attachment, Inbound, Outbound, decode_outbound
from gateway.ports import LanePolicy
from gateway.queues.claims import Claims, RedisLease
from gateway.queues.lanes import RedisLanes
from gateway.queues.ledger import read_ledger
from gateway.queues.records import RedisRecords
from gateway.queues.topology import Store
from gateway.sessions.commands import Commands
from gateway.sessions.config import SessionConfig
from tests.builders import answer
from tests.fakes.clock import MovedClock
from tests.fakes.crash import Crash, Fuse
from tests.fakes.events import BOT, event

ROOM: dict[str, Any] = {"place": "group", "chat": "room"}
EACH = LanePolicy(mode="each")


def voice(native: str, words: str, **more: Any) -> Inbound:
    """A voice message. What is said in it stands in its name, for `Ears` to hear."""
    return event(native, "", attachments=(Attachment(kind="voice", name=words),), **more)


class Ears:
    """`Enricher` that hears what a name says; nothing while it is away."""

    def __init__(self) -> None:
        self.heard: list[Inbound] = []
        self.open = asyncio.Event()
        self.open.set()
        self.away = False
        self.left: list[str] = []
        """Of which messages it was called off."""

    async def enrich(self, inbound: Inbound) -> Inbound:
        self.heard.append(inbound)
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.left.append(inbound.native_id)
            raise
        if self.away:
            raise Unavailable("nobody is there")
        return read(inbound)


def read(inbound: Inbound) -> Inbound:
    files = tuple(msgspec.structs.replace(one, text=one.name) for one in inbound.attachments)
    return msgspec.structs.replace(inbound, attachments=files)


class House:
    """Two processes' `Heard` on one real store; either may die."""

    def __init__(self, store: Store, **access: Any) -> None:
        self.store = store
        self.clock = MovedClock()
        self.lanes = RedisLanes(store, aside_seconds=0.02)
        self.records = RedisRecords(store)
        self.claims = Claims(store)
        self.rules = AccountRules(
            account=BOT, access=AccessConfig(**access), policy=EACH, heard_as=("Molly",)
        )

    def start(self, fuse: Fuse | None = None) -> Heard:
        fuse = fuse or Fuse(0)
        lanes, records = fuse.guard(self.lanes), fuse.guard(self.records)
        return Heard(
            lanes,
            Commands(lanes, records, self.clock, models=lambda: ("home",), version="1.0"),
            {BOT.key: self.rules},
            Approvals(records, self.clock),
            lambda whole: (whole,),
            stop_words=SessionConfig().stop_words,
        )

    async def said(self, one: Inbound) -> list[Outbound]:
        partition = self.store.partition_of(one.conversation)
        raw = await self.store.call(
            partition, "LRANGE", f"{partition}:ob:{one.conversation}", 0, -1
        )
        return [decode_outbound(part.split(b"\n", 2)[2]) for part in raw]

    async def notices(self, one: Inbound) -> list[str]:
        return [part.text for part in await self.said(one) if part.kind == "notice"]

    async def running(self, first: Inbound) -> RedisLease:
        await self.lanes.put(first, EACH)
        (lease,) = await self.claims.take(1)
        return lease

    async def work(self, heard: Heard) -> Sequence[str]:
        """As a worker does, until nothing waits: the texts that reached a model."""
        asked: list[str] = []
        async with asyncio.timeout(30):
            while (await read_ledger(self.store)).waiting:
                for lease in await self.claims.take(5):
                    (one,) = lease.messages
                    if not await heard.settle(read(one)):
                        asked.append(one.text)
                        await lease.commit([answer(one)], [])
                await asyncio.sleep(0.005)
        return asked

    async def check(self, **expected: int) -> None:
        ledger = await read_ledger(self.store)
        assert ledger.difference == 0
        assert {name: getattr(ledger, name) for name in expected} == expected


@pytest.fixture
def house(store: Store) -> House:
    return House(store)


@pytest.mark.parametrize(
    ("given", "so"),
    [
        (voice("1", "stop"), True),
        (event("1", "stop"), False),
        (msgspec.structs.replace(voice("1", "stop"), text="a caption"), False),
        (event("1", "", attachments=(Attachment(kind="audio"),)), False),
        (msgspec.structs.replace(voice("1", "x"), text="caption", overheard=True), True),
    ],
)
def test_only_what_is_spoken_alone_may_be_a_command(given: Inbound, so: bool) -> None:
    assert is_spoken(given) is so


async def test_a_spoken_stop_ends_the_turn_that_runs_at_once(house: House) -> None:
    lease = await house.running(event("1", "a long story"))
    stop = voice("2", "Stop.")
    await house.lanes.put(stop, EACH)
    assert await house.start().settle(read(stop))
    with pytest.raises(Superseded):
        await lease.commit([answer(event("1"))], [])
    assert await house.notices(stop) == ["Stopped."]
    await house.check(accepted=2, cancelled=1, answered=1, waiting=0)


@pytest.mark.parametrize("words", ["stop", "slash new"])
async def test_what_was_sent_after_a_spoken_stop_is_answered(house: House, words: str) -> None:
    """Reading it takes a while, and people go on meanwhile."""
    lease = await house.running(event("1", "a long story"))
    stop = voice("3", words)
    for one in (event("2", "and then"), stop, event("4", "what is tea"), event("5", "and mate")):
        await house.lanes.put(one, EACH)
    heard = house.start()
    assert await heard.settle(read(stop))
    with pytest.raises(Superseded):
        await lease.commit([answer(event("1"))], [])
    assert await house.work(heard) == ["what is tea", "and mate"]
    await house.check(accepted=5, cancelled=2, answered=3, waiting=0)


async def test_a_question_is_left_to_its_turn(house: House) -> None:
    question = voice("1", "what is tea")
    await house.lanes.put(question, EACH)
    assert not await house.start().settle(read(question))
    await house.check(accepted=1, waiting=1)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("stop", ["Stopped."]),
        ("slash new", ["A new conversation"]),
        ("slash model home", ["From now on `home`"]),
        ("slash status", ["- Now"]),
    ],
)
async def test_a_crash_anywhere_leaves_exactly_one_answer_to_a_spoken_command(
    store: Store, words: str, says: list[str]
) -> None:
    point = 0
    while True:
        point += 1
        who = f"ada{point}"
        space = House(store)
        before = await read_ledger(store)
        first, command = event("1", "a long story", sender=who), voice("2", words, sender=who)
        lease = await space.running(first)
        await space.lanes.put(command, EACH)
        try:
            await space.start(Fuse(point)).settle(read(command))
        except Crash:
            done = False
        else:
            done = True
        with contextlib.suppress(Superseded):
            await lease.commit([answer(first)], [])
        await space.work(space.start())
        assert await space.start().settle(read(command))  # whoever comes later changes nothing
        (text,) = await space.notices(command)
        assert text.startswith((*says, "There was nothing to stop"))
        ledger = await read_ledger(store)
        assert (ledger.difference, ledger.waiting) == (0, 0)
        assert ledger.answered + ledger.cancelled - before.answered - before.cancelled == 2
        if done:
            break
    assert point > 4


async def test_a_question_behind_a_spoken_command_is_asked_in_writing_once(store: Store) -> None:
    point = 0
    while True:
        point += 1
        who = f"ada{point}"
        space = House(store)
        command = voice("1", "Slash new. What is tea?", sender=who)
        await space.lanes.put(command, EACH)
        try:
            await space.start(Fuse(point)).settle(read(command))
        except Crash:
            done = False
        else:
            done = True
        assert await space.work(space.start()) == ["What is tea?"]
        assert await space.notices(command) == []
        assert (await space.lanes.view(command.conversation)).session.generation >= 1
        if done:
            break
    assert point > 4


async def test_two_who_find_out_at_once_answer_once(house: House) -> None:
    await house.running(event("1"))
    stop = voice("2", "stop")
    await house.lanes.put(stop, EACH)
    await asyncio.gather(*(house.start().settle(read(stop)) for _ in range(5)))
    assert len(await house.notices(stop)) == 1
    await house.check(accepted=2, waiting=0)


@pytest.mark.parametrize(
    "words", ["stop", "slash new", "slash new what is tea", "slash model home"]
)
async def test_a_command_that_waits_no_more_does_nothing(house: House, words: str) -> None:
    """It was being read when it was stopped by a typed word, or deleted."""
    command = voice("1", words)
    await house.lanes.put(command, EACH)
    await house.lanes.stop(command.conversation)
    lease = await house.running(event("2", "a newer question"))
    assert await house.start().settle(read(command))
    await lease.commit([answer(event("2"))], [])
    assert await house.notices(command) == []
    session = (await house.lanes.view(command.conversation)).session
    assert (session.generation, session.overrides) == (0, {})
    await house.check(accepted=2, cancelled=1, answered=1, waiting=0)


async def test_settings_of_a_group_stay_its_owners_when_spoken(house: House) -> None:
    command = voice("1", "slash model home", **ROOM)
    await house.lanes.put(command, EACH)
    assert await house.start().settle(read(command))
    (text,) = await house.notices(command)
    assert "owners" in text
    assert (await house.lanes.view(command.conversation)).session.overrides == {}


# --- overheard ----------------------------------------------------------------------------------


def overheard(native: str, words: str) -> Inbound:
    return msgspec.structs.replace(voice(native, words, **ROOM), addressed=False, overheard=True)


@pytest.mark.parametrize("words", ["nice weather", "stop", "slash new", ""])
async def test_what_is_not_meant_for_us_is_dropped_without_a_word(house: House, words: str) -> None:
    talk = overheard("1", words)
    await house.lanes.put(talk, EACH)
    assert await house.start().settle(read(talk))
    assert await house.said(talk) == []
    view = await house.lanes.view(talk.conversation)
    assert (view.turns, view.waiting, view.session.active_at) == (0, 0, 0)
    await house.check(accepted=1, cancelled=1, waiting=0)


async def test_who_names_us_is_meant(house: House) -> None:
    question, command = overheard("1", "Molly, what is tea?"), overheard("2", "Molly, stop!")
    await house.lanes.put(question, EACH)
    await house.lanes.put(command, EACH)
    heard = house.start()
    assert not await heard.settle(read(question))
    assert await heard.settle(read(command))
    assert await house.notices(command) == ["Stopped."]


# --- early --------------------------------------------------------------------------------------


async def test_a_voice_message_is_read_before_its_turn(house: House) -> None:
    await house.running(event("1"))
    stop = voice("2", "stop")
    await house.lanes.put(stop, EACH)
    ears = Ears()
    early = Early(ears, house.start())
    early.begin(stop)
    early.begin(event("3", "stop is only written"))
    async with asyncio.timeout(30):
        while not await house.notices(stop):
            await asyncio.sleep(0.01)
    assert ears.heard == [stop]
    await early.close()


async def test_only_so_many_are_read_early_and_failures_are_left_to_the_turn(house: House) -> None:
    ears = Ears()
    ears.open.clear()
    early = Early(ears, house.start(), most=2)
    for native in "123":
        early.begin(voice(native, "stop"))
    async with asyncio.timeout(30):
        while len(ears.heard) < 2:
            await asyncio.sleep(0)
    ears.away = True
    ears.open.set()
    async with asyncio.timeout(30):
        while len(ears.heard) == 2:
            early.begin(voice("4", "stop"))
            await asyncio.sleep(0)
    assert [one.native_id for one in ears.heard] == ["1", "2", "4"]
    await early.close()


async def test_what_was_stopped_is_read_no_further(house: House) -> None:
    ears = Ears()
    ears.open.clear()
    early = Early(ears, house.start(), most=2)
    ada, bob = voice("1", "stop"), voice("2", "stop", sender="bob")
    for one in (ada, bob):
        early.begin(one)
    async with asyncio.timeout(30):
        while len(ears.heard) < 2:
            await asyncio.sleep(0)
        early.drop(ada.conversation)
        while ears.left != ["1"]:
            await asyncio.sleep(0)
        while len(ears.heard) < 3:  # there is room again
            early.begin(voice("3", "stop"))
            await asyncio.sleep(0)
    await early.close()
    assert sorted(ears.left) == ["1", "2", "3"]


async def test_closing_ends_what_is_being_read(house: House) -> None:
    ears = Ears()
    ears.open.clear()
    early = Early(ears, house.start())
    early.begin(voice("1", "stop"))
    async with asyncio.timeout(30):
        while not ears.heard:
            await asyncio.sleep(0)
        await early.close()
