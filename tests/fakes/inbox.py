"""An inbox in memory: forgets nothing, knows copies by their id, can be out of order or slow."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from gateway.errors import Failed, Unavailable
from gateway.message import Inbound
from gateway.ports import Accepted, Adapter, Inbox, Prepare, Show


class MemoryInbox:
    """`Inbox`. When it is down, that shows where a store is first asked: at the very end."""

    def __init__(self) -> None:
        self.events: list[Inbound] = []
        """What was stored, in order, each once."""
        self.offered: list[Inbound] = []
        """Every call, copies and refusals included."""
        self.down = False
        self.ignores: Callable[[Inbound], bool] = lambda event: False
        """Events that are not let in."""
        self.rejects: Callable[[Inbound], bool] = lambda event: False
        self.breaks: Callable[[Inbound], bool] = lambda event: False
        """Events that meet a bug of ours."""
        self.open = asyncio.Event()
        """While it is not set, `accept` waits."""
        self.open.set()

    async def accept(
        self, event: Inbound, prepare: Prepare | None = None, show: Show | None = None
    ) -> Accepted:
        self.offered.append(event)
        await self.open.wait()
        if self.ignores(event):
            return Accepted(outcome="ignored", id=event.id, reason="stranger")
        if self.breaks(event):
            raise ZeroDivisionError("a bug of ours")
        if self.rejects(event):
            raise Failed("never")
        if prepare is not None:
            event = await prepare(event)
        if show is not None:
            await show(event)
        if self.down:
            raise Unavailable("the store is down")
        if any(known.id == event.id for known in self.events):
            return Accepted(outcome="duplicate", id=event.id)
        self.events.append(event)
        return Accepted(outcome="stored", id=event.id)

    @property
    def texts(self) -> list[str]:
        return [event.text for event in self.events]


@contextlib.asynccontextmanager
async def running(adapter: Adapter, inbox: Inbox) -> AsyncIterator[asyncio.Task[None]]:
    """The adapter receives inside the block; what ended it early is raised at its end."""
    task = asyncio.create_task(adapter.run(inbox))
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
