"""A platform's rates, kept by waiting: being refused costs more than the wait that avoids it.

What an adapter needs for `ports.Paces`. What the platform itself says, by a 429, stays the truth.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiolimiter import AsyncLimiter

from gateway.errors import Busy

CHATS = 4096
"""Chats whose pace is remembered; one that was forgotten begins with a burst."""
BURST = 0.2
"""Share of a rate that may go at once, two where the rate is at least four: a preview, and room for
the final text. What leaks out during a whole period is the rest, so that
no period sees more than the rate, whenever it is taken to begin."""
LINE_SECONDS = 20.0
"""Length of a chat's line from which on nobody joins it. The gateway has room for so many that
wait, and one busy group must not take it from all other chats."""
LONGEST_SECONDS = 60.0
"""Longest that somebody is sent away for."""


class Pace:
    """Finals wait in line; previews get what is to spare and never make a final wait."""

    def __init__(self, overall: Limit | None, of: Callable[[str], Limit | None]) -> None:
        """`overall` holds for all chats together, what `of` makes for one; None is no limit."""
        self._overall = overall
        self._make = of
        self._chats: dict[str, Limit] = {}
        """Least recently used first."""

    def __len__(self) -> int:
        """Chats that are remembered."""
        return len(self._chats)

    async def wait(self, chat: str) -> None:
        """Return when a message may go into the chat. Raises `Busy` when its line is long."""
        if (own := self._of(chat)) is not None and (line := own.line) >= LINE_SECONDS:
            raise Busy("many wait to write into this chat", after=min(line, LONGEST_SECONDS))
        # The chat's line first: who waits for a slow group holds nobody else up.
        for limit in self._limits(chat):
            await limit.take()

    async def spare(self, chat: str) -> bool:
        """Whether there is room beyond what finals need; if so, it is taken. Never waits."""
        limits = self._limits(chat)
        if not all(limit.spare for limit in limits):
            return False
        for limit in limits:
            await limit.take()  # there is room, so none of these gives way to another task
        return True

    def _limits(self, chat: str) -> list[Limit]:
        limits = [self._of(chat), self._overall]
        return [limit for limit in limits if limit is not None]

    def _of(self, chat: str) -> Limit | None:
        limit = self._chats.pop(chat, None) or self._make(chat)
        if limit is not None:
            self._chats[chat] = limit
            self._forget(chat)
        return limit

    def _forget(self, chat: str) -> None:
        if len(self._chats) <= CHATS:
            return
        idle = (name for name, limit in self._chats.items() if not limit.waiting and name != chat)
        if (oldest := next(idle, None)) is not None:
            del self._chats[oldest]


class Limit:
    """A bucket that takes `burst` messages at once and leaks `rate` of them a second. Made inside
    the loop that uses it."""

    __slots__ = ("_bucket", "_line", "_rate", "_wanted", "waiting")

    def __init__(self, burst: float, rate: float) -> None:
        self._bucket = AsyncLimiter(burst, burst / rate)
        self._line = asyncio.Lock()  # the bucket lets whoever comes just then go first
        self._wanted = max(2.0, (1.0 + burst) / 2)
        self._rate = rate
        self.waiting = 0

    @property
    def line(self) -> float:
        """Seconds until all who wait are through."""
        return self.waiting / self._rate

    @property
    def spare(self) -> bool:
        """Whether nobody waits, and half of the burst, one at least, is left for who comes next.
        A rate that is too low for that has no previews."""
        return not self.waiting and self._bucket.has_capacity(self._wanted)

    async def take(self) -> None:
        self.waiting += 1
        try:
            async with self._line:
                await self._bucket.acquire()
        finally:
            self.waiting -= 1


def within(most: float, seconds: float) -> Limit:
    """At most so many in any such period."""
    burst = max(1.0, most * BURST, min(2.0, most / 2))
    return Limit(burst, max(most - burst, most / 2) / seconds)
