"""What the Telegram tests share besides fixtures."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from adapters.telegram.adapter import TelegramAdapter
from gateway.message import Account, Outbound, Place, ReplyId, Sender, conversation_id
from tests.fakes.inbox import MemoryInbox

Build = Callable[..., TelegramAdapter]

ACCOUNT = Account(kind="telegram", id="default")


class HastyClock:
    """`Clock` that notes how long it was asked to sleep, and sleeps a hundredth of it."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(seconds / 100)


@contextlib.asynccontextmanager
async def running(
    adapter: TelegramAdapter, inbox: MemoryInbox
) -> AsyncIterator[asyncio.Task[None]]:
    """The adapter receives inside the block; what ended it early is raised at its end."""
    task = asyncio.create_task(adapter.run(inbox))
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def part(text: str = "", *, chat: int = 7, thread: str = "", **more: Any) -> Outbound:
    place = Place(kind="direct" if chat > 0 else "group", chat=str(chat), thread=thread)
    return Outbound(
        reply=ReplyId("r1"),
        conversation=conversation_id(ACCOUNT, place, Sender(id="7")),
        account=ACCOUNT,
        place=place,
        text=text,
        **more,
    )
