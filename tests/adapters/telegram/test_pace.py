"""Answers go out as fast as Telegram takes them, and no faster."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from adapters.telegram.adapter import TelegramAdapter
from adapters.telegram.capabilities import CAPABILITIES
from adapters.telegram.config import RateConfig
from adapters.telegram.pace import pace as telegram_pace
from adapters.telegram.split import split
from gateway.clock import SystemClock
from gateway.delivery import MOST_AT_ONCE, Delivery, DeliveryConfig
from gateway.drafts import Drafts
from gateway.errors import Busy
from gateway.message import ReplyId
from gateway.metrics import Metrics
from gateway.pace import CHATS
from gateway.ports import Paces
from gateway.queues.accounts import Owners
from gateway.queues.lanes import RedisLanes
from gateway.queues.ledger import read_ledger
from gateway.queues.outbox import Outbox
from gateway.queues.topology import Store
from tests.adapters.telegram.scene import ACCOUNT, Build, part
from tests.fakes.telegram import FakeTelegram, Rates

SLOW = 0.1
"""So slow that nothing leaks while a test runs."""


async def at_once(doing: Coroutine[Any, Any, Any]) -> bool:
    """Whether it ends without waiting; it is cancelled otherwise."""
    task = asyncio.ensure_future(doing)
    for _ in range(5):
        await asyncio.sleep(0)
    ended = task.done()
    task.cancel()
    await asyncio.wait([task])
    return ended


@asynccontextmanager
async def delivering(store: Store, adapter: TelegramAdapter) -> AsyncIterator[Delivery]:
    outbox = Outbox(store)
    own, _ = await Owners(store, lease_seconds=170).acquire(ACCOUNT)
    assert own is not None
    delivery = Delivery(
        own,
        adapter,
        CAPABILITIES,
        outbox,
        Drafts(own, adapter, CAPABILITIES, outbox, split),
        SystemClock(),
        Metrics(),
        DeliveryConfig(),
    )
    running = asyncio.create_task(delivery.run())
    try:
        yield delivery
    finally:
        running.cancel()
        await asyncio.wait([running])


async def test_sixty_answers_to_sixty_chats_meet_no_flood_wait(
    store: Store, telegram: FakeTelegram, build: Build
) -> None:
    telegram.world.rates = Rates()
    chats = range(1, 61)
    for chat in chats:
        telegram.say(chat, chat, "hello")
    parts = [part(f"to {chat}", chat=chat) for chat in chats]
    parts = [
        msgspec.structs.replace(one, reply=ReplyId(f"r{n}"), conversation=f"{one.conversation}{n}")
        for n, one in enumerate(parts)
    ]
    await RedisLanes(store).tell(parts)
    async with delivering(store, build()), asyncio.timeout(120):
        while (await read_ledger(store)).sent < len(parts):
            await asyncio.sleep(0.05)

    assert [telegram.texts(chat) for chat in chats] == [[f"to {chat}"] for chat in chats]
    assert [call.status for call in telegram.calls("sendMessage")] == [200] * len(parts)


async def test_a_group_in_which_very_many_wait_holds_up_no_other_chat(
    store: Store, telegram: FakeTelegram, build: Build
) -> None:
    """Each topic of a group is a conversation, and all of them share its rate."""
    topics = [part("hi", chat=-100, thread=str(n)) for n in range(MOST_AT_ONCE + 100)]
    topics = [msgspec.structs.replace(one, reply=ReplyId(f"r{one.place.thread}")) for one in topics]
    telegram.say(7, 7, "hello")
    await RedisLanes(store).tell(topics)
    adapter = build(rate={"group": SLOW})
    async with delivering(store, adapter) as delivery:
        for topic in topics:
            delivery.notice(topic.conversation)
        other = part("to 7", chat=7)
        await RedisLanes(store).tell([msgspec.structs.replace(other, reply=ReplyId("other"))])
        async with asyncio.timeout(60):
            while telegram.texts(7) != ["to 7"]:
                await asyncio.sleep(0.05)


async def test_who_comes_to_a_long_line_is_told_when_to_come_again() -> None:
    pace = telegram_pace(RateConfig(overall=0, group=20))
    line = [asyncio.create_task(pace.wait("-100")) for _ in range(100)]
    await asyncio.sleep(0)
    sent_away = [task.exception() for task in line if task.done()]
    told = [problem for problem in sent_away if isinstance(problem, Busy)]

    assert len(told) > 80
    assert all(15 <= (problem.after or 0) <= 60 for problem in told)
    assert await at_once(pace.wait("-200"))
    for task in line:
        task.cancel()
    await asyncio.wait(line)


def test_the_gateway_is_told_of_the_pace(build: Build) -> None:
    assert isinstance(build(), Paces)


async def test_a_chat_that_waits_holds_up_no_other() -> None:
    pace = telegram_pace(RateConfig(overall=0, group=SLOW, direct=SLOW))

    assert await at_once(pace.wait("-100"))
    assert not await at_once(pace.wait("-100"))
    assert await at_once(pace.wait("-200"))
    assert not await at_once(pace.wait("-200"))
    assert [await at_once(pace.wait("7")) for _ in range(4)] == [True, True, True, False]
    assert await at_once(pace.wait("8"))
    assert await at_once(pace.wait("@channel"))
    assert not await at_once(pace.wait("@channel"))


async def test_all_chats_together_have_a_rate_too() -> None:
    pace = telegram_pace(RateConfig(overall=SLOW))

    assert await at_once(pace.wait("1"))
    assert not await at_once(pace.wait("2"))


async def test_previews_leave_room_for_final_texts() -> None:
    pace = telegram_pace(RateConfig(direct=SLOW))

    assert [await pace.spare("7") for _ in range(3)] == [True, True, False]
    assert await at_once(pace.wait("7"))
    assert not await at_once(pace.wait("7"))
    assert not await pace.spare("7")


@pytest.mark.parametrize("most", [1, 3, 4, 5, 9, 10, 20])
async def test_a_preview_leaves_room_however_low_the_rate(most: float) -> None:
    pace = telegram_pace(RateConfig(overall=0, group=most))
    shown = 0
    while await pace.spare("-100"):
        shown += 1

    assert (shown > 0) == (most >= 4)
    assert await at_once(pace.wait("-100"))


async def test_no_preview_is_shown_while_a_final_text_waits() -> None:
    """Not even in the moment in which there is room for both."""
    pace = telegram_pace(RateConfig(overall=10, direct=0))
    waiting = [asyncio.create_task(pace.wait(str(n))) for n in range(6)]
    await asyncio.sleep(0)
    shown = 0
    while not all(task.done() for task in waiting):
        time.sleep(0.3)  # the loop stands still: the bucket empties before who waits can see it
        shown += await pace.spare("1000")
        await asyncio.sleep(0)

    assert shown == 0


async def test_final_texts_go_in_the_order_in_which_they_came() -> None:
    pace = telegram_pace(RateConfig(overall=100))
    went: list[int] = []

    async def one(number: int) -> None:
        await pace.wait(str(number))
        went.append(number)

    async with asyncio.timeout(60):
        await asyncio.gather(*(one(number) for number in range(60)))

    assert went == list(range(60))


async def test_who_leaves_the_line_does_not_hold_it_up() -> None:
    pace = telegram_pace(RateConfig(overall=100))
    waiting = [asyncio.create_task(pace.wait(str(n))) for n in range(60)]
    await asyncio.sleep(0)
    for task in waiting[::2]:
        task.cancel()
    async with asyncio.timeout(60):
        await asyncio.gather(*waiting[1::2])

    assert all(task.done() for task in waiting)
    assert await at_once(telegram_pace(RateConfig(overall=100)).wait("1"))


async def test_a_rate_can_be_switched_off() -> None:
    pace = telegram_pace(RateConfig(overall=0, group=None, direct=0))

    assert all([await at_once(pace.wait(chat)) for chat in ("7", "-100") * 200])
    assert await pace.spare("7")
    assert len(pace) == 0


async def test_only_so_many_chats_are_remembered() -> None:
    pace = telegram_pace(RateConfig(overall=0, group=SLOW))
    await pace.wait("-1")
    waiting = asyncio.create_task(pace.wait("-1"))
    await asyncio.sleep(0)
    for chat in range(2, CHATS + 100):
        await pace.wait(f"-{chat}")

    assert len(pace) == CHATS
    with pytest.raises(Busy):
        await pace.wait("-1")  # somebody waits there, so it is not forgotten
    assert not await at_once(pace.wait(f"-{CHATS}"))
    assert await at_once(pace.wait("-2"))
    waiting.cancel()
