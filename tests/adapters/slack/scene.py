"""What the Slack tests share besides fixtures."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from adapters.slack.adapter import SlackAdapter
from gateway.message import Account, Outbound, Place, PlaceKind, ReplyId, Sender, conversation_id
from gateway.ports import Inbox

Build = Callable[..., SlackAdapter]

ACCOUNT = Account(kind="slack", id="default")
DM, CHANNEL = "D7", "C5"
ADA = "U7"


class HastyClock:
    """`Clock` that notes how long it was asked to sleep, and sleeps a hundredth of it."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.ahead = 0.0
        """Seconds by which it is fast."""

    def now(self) -> float:
        return time.time() + self.ahead

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(seconds / 100)


@contextlib.asynccontextmanager
async def running(adapter: SlackAdapter, inbox: Inbox) -> AsyncIterator[asyncio.Task[None]]:
    """The adapter receives inside the block; what ended it early is raised at its end."""
    task = asyncio.create_task(adapter.run(inbox))
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def part(text: str = "", *, chat: str = DM, thread: str = "", **more: Any) -> Outbound:
    kind: PlaceKind = "direct" if chat.startswith("D") else "thread" if thread else "group"
    place = Place(kind=kind, chat=chat, thread=thread)
    return Outbound(
        reply=ReplyId(more.pop("reply", "r1")),
        conversation=conversation_id(ACCOUNT, place, Sender(id=f"T01/{ADA}")),
        account=ACCOUNT,
        place=place,
        text=text,
        **more,
    )
