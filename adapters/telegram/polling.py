"""Long polling: an update is confirmed to Telegram only after it has been stored.

Updates of one chat are taken in one after the other, those of different chats side by side, so
that a slow file keeps nobody else waiting. While the inbox takes nothing, nothing more is asked
for: what waits stays with Telegram.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import deque
from typing import Any

import structlog

from adapters.telegram.client import BotApi
from adapters.telegram.native import ALLOWED_UPDATES, Update, update_id
from adapters.telegram.progress import Progress
from adapters.telegram.reception import Reception
from gateway.errors import Retryable
from gateway.ports import Clock

log = structlog.get_logger(__name__)

BATCH = 100
SETTLE = 0.25
"""Seconds a batch is waited for before Telegram is asked for what came after it."""
_LONGEST = 30.0
_GRACE = 10.0
"""Seconds beyond the poll's own time after which its connection counts as dead."""


class Polling:
    """One run of polling. Raises `BadConfig` when somebody else polls or the token is refused."""

    def __init__(self, api: BotApi, reception: Reception, clock: Clock, timeout: float) -> None:
        self._api = api
        self._reception = reception
        self._clock = clock
        self._timeout = timeout
        self._progress = Progress()
        self._lanes: dict[str, deque[Update]] = {}
        self._held: set[str] = set()
        """Lanes whose next event the inbox did not take."""
        self._changed = asyncio.Event()
        self._reachable = True

    async def run(self) -> None:
        """Until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    self._dispatch(await self._poll(), group)
                    await self._settle()
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None  # the others only followed it

    async def _poll(self) -> list[Any]:
        wait = 1.0
        while True:
            offset = self._progress.offset
            try:
                updates = await self._api.call(
                    "getUpdates",
                    repeatable=True,
                    patience=self._timeout + _GRACE,
                    offset=offset,
                    limit=BATCH,
                    timeout=int(self._timeout),
                    allowed_updates=ALLOWED_UPDATES,
                )
            except Retryable as problem:
                self._note(reachable=False, reason=str(problem))
                await self._clock.sleep(max(problem.after or 0.0, wait * random.uniform(0.7, 1.0)))
                wait = min(wait * 2, _LONGEST)
                continue
            self._note(reachable=True)
            if offset is not None:
                self._progress.confirmed(offset)
            return updates if isinstance(updates, list) else []

    def _dispatch(self, updates: list[Any], group: asyncio.TaskGroup) -> None:
        for raw in updates:
            number = update_id(raw)
            if number is None:
                self._reception.skip(None, "no update id")
            elif self._progress.begin(number):
                update = self._reception.read(raw)
                if update is None:
                    self._progress.end(number)
                else:
                    self._queue(update, group)

    def _queue(self, update: Update, group: asyncio.TaskGroup) -> None:
        lane = self._lanes.get(update.lane)
        if lane is None:
            lane = self._lanes[update.lane] = deque()
            group.create_task(self._drain(update.lane, lane))
        lane.append(update)

    async def _drain(self, name: str, lane: deque[Update]) -> None:
        """Take in what came for one chat, in order."""
        while lane:
            await self._take(name, lane[0])
            self._progress.end(lane.popleft().update_id)
            self._changed.set()
        del self._lanes[name]

    async def _take(self, name: str, update: Update) -> None:
        wait, arrival = 0.5, None
        while True:
            try:
                arrival = arrival or self._reception.meet(update)
                if arrival is not None:
                    await self._reception.hand_in(arrival)
            except Retryable as later:
                if not self._held:
                    log.warning("updates_wait", reason=str(later))
                self._held.add(name)
                await self._clock.sleep(max(later.after or 0.0, wait * random.uniform(0.7, 1.0)))
                wait = min(wait * 2, _LONGEST)
            except Exception as problem:  # noqa: BLE001 - one update must not make the bot deaf
                if self._reception.gives_up_on(update, problem):
                    self._held.discard(name)
                    return
                await self._clock.sleep(wait)
            else:
                self._held.discard(name)
                return

    async def _settle(self) -> None:
        """Let the batch end; a slow one for a moment only, one that is not taken for as long as
        it needs."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLE):
                while self._progress.waiting:
                    await self._next_change()
        while self._held:
            await self._next_change()

    async def _next_change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _note(self, *, reachable: bool, reason: str = "") -> None:
        """Availability is logged when it changes."""
        if reachable and not self._reachable:
            log.info("telegram_reachable")
        elif not reachable and self._reachable:
            log.warning("telegram_not_reachable", reason=reason)
        self._reachable = reachable
