"""The three clocks of a request: until the first token, between tokens, for the whole answer.

A server that hangs keeps its connection open and its health check green, so nothing but our own
clocks ends the wait. Only progress of the answer winds them; bytes alone do not.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from engine.config import Timeouts
from engine.translation import Saturated, TimedOut


class Deadlines:
    """Started when built. `patient` waits for the first token as long as for the whole answer."""

    def __init__(self, engine: str, timeouts: Timeouts, *, patient: bool = False) -> None:
        self._engine = engine
        self._timeouts = timeouts
        self._loop = asyncio.get_running_loop()
        now = self._loop.time()
        self._total_at = now + timeouts.total
        self._begun = False
        self.next_at = (
            self._total_at if patient else min(now + timeouts.first_token, self._total_at)
        )
        """When the wait for the next piece is over, by the loop's clock."""

    def progressed(self) -> None:
        """The answer has grown: the wait for the next piece starts now."""
        self._begun = True
        self.next_at = min(self._loop.time() + self._timeouts.between_tokens, self._total_at)

    def check(self) -> None:
        """For loops that do not wait. Raises `TimedOut`."""
        if self._loop.time() >= self.next_at:
            raise self.expired()

    @asynccontextmanager
    async def waiting(self) -> AsyncGenerator[None]:
        """Raises `TimedOut` in what waits inside when the next piece is overdue."""
        limit = asyncio.timeout_at(self.next_at)
        try:
            async with limit:
                yield
                return
        except TimeoutError:
            if not limit.expired():
                raise
        raise self.expired()

    async def acquire(self, slots: asyncio.Semaphore) -> None:
        """A place among the engine's requests. Raises `Saturated` when none is free in time."""
        if not slots.locked():
            await slots.acquire()  # at once, so no clock is needed
            return
        try:
            async with self.waiting():
                await slots.acquire()
                return
        except TimedOut:
            pass
        raise Saturated(f"engine {self._engine} is at its max_concurrency", after=1.0)

    @asynccontextmanager
    async def watched(self, alive: Callable[[], Awaitable[bool]]) -> AsyncGenerator[None]:
        """For an answer in one piece, which shows no progress: the total, and a look beside it.

        Once a first token would have been due, `alive` is asked; when it says no, it is over.
        """
        limit = asyncio.timeout_at(self._total_at)
        looks: list[asyncio.Task[None]] = []
        hung = False

        async def look() -> None:
            nonlocal hung
            if not await alive():
                hung = True
                limit.reschedule(self._loop.time())

        due = self._loop.call_later(
            self._timeouts.first_token, lambda: looks.append(self._loop.create_task(look()))
        )
        try:
            async with limit:
                try:
                    yield
                    return
                finally:
                    due.cancel()
                    for task in looks:
                        task.cancel()
        except TimeoutError:
            if not limit.expired():
                raise
        if hung:
            raise TimedOut(f"engine {self._engine} hangs: it gives no token", hung=True)
        raise self.expired()

    def expired(self) -> TimedOut:
        """The error to raise when `next_at` has passed."""
        if self._loop.time() >= self._total_at:
            clock, seconds = "no complete answer", self._timeouts.total
        elif self._begun:
            clock, seconds = "nothing more", self._timeouts.between_tokens
        else:
            clock, seconds = "no first token", self._timeouts.first_token
        return TimedOut(f"engine {self._engine}: {clock} within {seconds:g} s")
