"""Answers go out as fast as Telegram takes them, and no faster."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import msgspec

from adapters.telegram.capabilities import CAPABILITIES
from adapters.telegram.config import RateConfig
from adapters.telegram.pace import CHATS, Pace
from adapters.telegram.split import split
from gateway.clock import SystemClock
from gateway.delivery import Delivery, DeliveryConfig
from gateway.drafts import Drafts
from gateway.message import ReplyId
from gateway.metrics import Metrics
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
    adapter, outbox = build(), Outbox(store)
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
    await RedisLanes(store).tell(parts)
    running = asyncio.create_task(delivery.run())
    async with asyncio.timeout(120):
        while (await read_ledger(store)).sent < len(parts):
            await asyncio.sleep(0.05)
    running.cancel()
    await asyncio.wait([running])

    assert [telegram.texts(chat) for chat in chats] == [[f"to {chat}"] for chat in chats]
    assert [call.status for call in telegram.calls("sendMessage")] == [200] * len(parts)


def test_the_gateway_is_told_of_the_pace(build: Build) -> None:
    assert isinstance(build(), Paces)


async def test_a_chat_that_waits_holds_up_no_other() -> None:
    pace = Pace(RateConfig(overall=0, group=SLOW, direct=SLOW))

    assert await at_once(pace.wait("-100"))
    assert not await at_once(pace.wait("-100"))
    assert await at_once(pace.wait("-200"))
    assert not await at_once(pace.wait("-200"))
    assert [await at_once(pace.wait("7")) for _ in range(4)] == [True, True, True, False]
    assert await at_once(pace.wait("8"))
    assert await at_once(pace.wait("@channel"))
    assert not await at_once(pace.wait("@channel"))


async def test_all_chats_together_have_a_rate_too() -> None:
    pace = Pace(RateConfig(overall=SLOW))

    assert await at_once(pace.wait("1"))
    assert not await at_once(pace.wait("2"))


async def test_previews_leave_room_for_final_texts() -> None:
    pace = Pace(RateConfig(direct=SLOW))

    assert [await pace.spare("7") for _ in range(3)] == [True, True, False]
    assert await at_once(pace.wait("7"))
    assert not await at_once(pace.wait("7"))
    assert not await pace.spare("7")


async def test_no_preview_is_shown_while_a_final_text_waits() -> None:
    """Not even in the moment in which there is room for the one that waits."""
    pace = Pace(RateConfig(overall=5, direct=0))
    waiting = [asyncio.create_task(pace.wait(str(n))) for n in range(6)]
    await asyncio.sleep(0)
    shown = 0
    while not all(task.done() for task in waiting):
        shown += await pace.spare("1000")
        await asyncio.sleep(0)

    assert shown == 0


async def test_final_texts_go_in_the_order_in_which_they_came() -> None:
    pace = Pace(RateConfig(overall=100))
    went: list[int] = []

    async def one(number: int) -> None:
        await pace.wait(str(number))
        went.append(number)

    async with asyncio.timeout(60):
        await asyncio.gather(*(one(number) for number in range(60)))

    assert went == list(range(60))


async def test_who_leaves_the_line_does_not_hold_it_up() -> None:
    pace = Pace(RateConfig(overall=100))
    waiting = [asyncio.create_task(pace.wait(str(n))) for n in range(60)]
    await asyncio.sleep(0)
    for task in waiting[::2]:
        task.cancel()
    async with asyncio.timeout(60):
        await asyncio.gather(*waiting[1::2])

    assert all(task.done() for task in waiting)
    assert await at_once(Pace(RateConfig(overall=100)).wait("1"))


async def test_a_rate_can_be_switched_off() -> None:
    pace = Pace(RateConfig(overall=0, group=None, direct=0))

    assert all([await at_once(pace.wait(chat)) for chat in ("7", "-100") * 200])
    assert await pace.spare("7")
    assert len(pace) == 0


async def test_only_so_many_chats_are_remembered() -> None:
    pace = Pace(RateConfig(overall=0, group=SLOW))
    await pace.wait("-1")
    waiting = asyncio.create_task(pace.wait("-1"))
    await asyncio.sleep(0)
    for chat in range(2, CHATS + 100):
        await pace.wait(f"-{chat}")

    assert len(pace) == CHATS
    assert not await at_once(pace.wait("-1")), "somebody waits there, so it is not forgotten"
    assert not await at_once(pace.wait(f"-{CHATS}"))
    assert await at_once(pace.wait("-2"))
    waiting.cancel()
