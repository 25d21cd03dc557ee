"""Work of one channel is done one after the other, that of different channels side by side."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable

import structlog

from gateway.errors import BadConfig, GatewayError, Retryable
from gateway.ports import Clock

log = structlog.get_logger(__name__)

TRIES = 3
"""How often a piece of work is tried that makes us fail in a way nobody foresaw."""
_LONGEST = 30.0

Work = Callable[[], Awaitable[None]]
Done = Callable[[], None]


class Lanes:
    """Repeats what cannot be done now, and passes over what never can: it blocks nothing."""

    def __init__(
        self, group: asyncio.TaskGroup, clock: Clock, count: Callable[[str], None]
    ) -> None:
        self._group = group
        self._clock = clock
        self._count = count
        self._lanes: dict[str, deque[tuple[str, Work, Done]]] = {}
        self._held = 0

    def put(self, lane: str, name: str, work: Work, done: Done) -> None:
        """`name` is for the log. `done` is called at the end, whatever the end is."""
        found = self._lanes.get(lane)
        if found is None:
            found = self._lanes[lane] = deque()
            self._group.create_task(self._drain(lane, found))
        found.append((name, work, done))

    async def _drain(self, lane: str, waiting: deque[tuple[str, Work, Done]]) -> None:
        while waiting:
            name, work, done = waiting[0]
            await self._do(name, work)
            waiting.popleft()
            done()
        del self._lanes[lane]

    async def _do(self, name: str, work: Work) -> None:
        wait, tries = 0.5, 0
        while True:
            try:
                return await work()
            except BadConfig:
                raise
            except Retryable as later:
                seconds = max(later.after or 0.0, wait * random.uniform(0.7, 1.0))
                await self._hold(seconds, str(later))
                wait = min(wait * 2, _LONGEST)
            except GatewayError as problem:
                self._count("rejected")
                log.error("event_rejected", event_kind=name, reason=str(problem))
                return None
            except Exception as problem:
                tries += 1
                log.error("event_broke_us", event_kind=name, tries=tries, exc_info=problem)
                if tries == TRIES:
                    self._count("rejected")
                    return None
                await self._clock.sleep(wait)

    async def _hold(self, seconds: float, reason: str) -> None:
        if not self._held:
            log.warning("events_wait", reason=reason)
        self._held += 1
        try:
            await self._clock.sleep(seconds)
        finally:
            self._held -= 1
