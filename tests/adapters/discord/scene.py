"""What the Discord tests share besides fixtures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from adapters.discord.adapter import DiscordAdapter
from gateway.errors import Unavailable
from gateway.message import Account, Outbound, Place, ReplyId, Sender, conversation_id
from tests.fakes.clock import HastyClock
from tests.fakes.inbox import MemoryInbox
from tests.fakes.services import Counts
from tests.fakes.stores import MemoryBlobs, MemoryRecords

ACCOUNT = Account(kind="discord", id="default")
ADA, BOB = "70001", "70002"
Build = Callable[..., DiscordAdapter]

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00"


class Bench:
    """What outlives an adapter: stores, counts, the clock."""

    def __init__(self) -> None:
        self.records = MemoryRecords()
        self.blobs = MemoryBlobs()
        self.counts = Counts()
        self.clock = HastyClock()


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


class ClosedInbox(MemoryInbox):
    """Takes nothing, and says so."""

    async def accept(self, *given: Any, **more: Any) -> Any:
        raise Unavailable("the store is down")
