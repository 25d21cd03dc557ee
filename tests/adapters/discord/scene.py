"""What the Discord tests share besides fixtures."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from adapters.discord.adapter import DiscordAdapter
from gateway.errors import Unavailable
from gateway.message import Account, Outbound, Place, ReplyId, Sender, conversation_id
from tests.fakes.inbox import MemoryInbox
from tests.fakes.services import Counts
from tests.fakes.stores import MemoryBlobs, MemoryRecords

ACCOUNT = Account(kind="discord", id="default")
ADA, BOB = "70001", "70002"
Build = Callable[..., DiscordAdapter]

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00"


class HastyClock:
    """`Clock` that notes how long it was asked to sleep, and sleeps a hundredth of it; `ahead`
    is added to the time of day and to the monotonic one."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.ahead = 0.0

    def now(self) -> float:
        return time.time() + self.ahead

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(seconds / 100)


class Bench:
    """What outlives an adapter: stores, counts, the clock."""

    def __init__(self) -> None:
        self.records = MemoryRecords()
        self.blobs = MemoryBlobs()
        self.counts = Counts()
        self.clock = HastyClock()


@contextlib.asynccontextmanager
async def running(adapter: DiscordAdapter, inbox: MemoryInbox) -> AsyncIterator[asyncio.Task[None]]:
    """The adapter receives inside the block; what ended it early is raised at its end."""
    task = asyncio.create_task(adapter.run(inbox))
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def place(channel: str, *, parent: str = "") -> Place:
    if parent:
        return Place(kind="thread", chat=parent, thread=channel)
    return Place(kind="direct" if channel.startswith("9") else "group", chat=channel)


def part(text: str = "", *, channel: str, reply: str = "r1", **more: Any) -> Outbound:
    where = more.pop("place", place(channel))
    return Outbound(
        reply=ReplyId(reply),
        conversation=conversation_id(ACCOUNT, where, Sender(id=ADA)),
        account=ACCOUNT,
        place=where,
        text=text,
        **more,
    )


async def until(true: Callable[[], Any], seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.005)


class ClosedInbox(MemoryInbox):
    """Takes nothing, and says so."""

    async def accept(self, *given: Any, **more: Any) -> Any:
        raise Unavailable("the store is down")
