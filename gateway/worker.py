"""The worker role's loop: claim up to capacity, keep the leases alive, give all back at the end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import structlog

from gateway.errors import GatewayError
from gateway.message import ConversationId
from gateway.queues.claims import Claims, RedisLease
from gateway.seldom import Seldom
from gateway.turn import Turns

log = structlog.get_logger(__name__)
seldom = Seldom(log)

IDLE_SECONDS = 1.0
"""Longest nap without looking: covers a lost wake-up and finds the lanes of the dead."""

CLAIM_SECONDS = 1.0
"""How long a claim under way may hold up going down."""

Wakes = AsyncIterator[tuple[str, bytes] | None]


class Worker:
    """Claims leases and has them answered, `concurrency` at once."""

    def __init__(self, claims: Claims, turns: Turns, wakes: Wakes, *, concurrency: int) -> None:
        self._claims = claims
        self._turns = turns
        self._wakes = wakes
        self._concurrency = concurrency
        self._running: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._draining = False
        self._claimed = asyncio.Event()
        """Set while no claim is on its way."""
        self._claimed.set()

    async def run(self) -> None:
        """Until cancelled or drained."""
        async with asyncio.TaskGroup() as group:
            keep = [group.create_task(self._listen()), group.create_task(self._beat())]
            await self._claim()
            while self._running:  # while they are drained their leases are kept
                await asyncio.wait(self._running)
            for task in keep:
                task.cancel()

    async def drain(self, seconds: float) -> None:
        """Claim no more, let running turns end for so long, give the rest back to the queue."""
        self._draining = True
        self._wake.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLAIM_SECONDS):
                await self._claimed.wait()
        if self._running:
            await asyncio.wait(self._running, timeout=seconds)
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running, timeout=2.0)

    @property
    def busy(self) -> int:
        return len(self._running)

    async def _claim(self) -> None:
        while not self._draining:
            self._wake.clear()
            free = self._concurrency - len(self._running)
            self._claimed.clear()
            leases = await self._taken(free) if free > 0 else []
            self._claimed.set()
            for lease in leases:
                self._start(lease)
            if not leases:
                await self._nap()

    async def _taken(self, free: int) -> list[RedisLease]:
        try:
            return await self._claims.take(free)
        except GatewayError as problem:
            seldom.warning("claim_failed", reason=str(problem))
            await asyncio.sleep(0.5)
            return []

    async def _nap(self) -> None:
        due = self._claims.next_due
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(due, IDLE_SECONDS) if due else IDLE_SECONDS):
                await self._wake.wait()

    def _start(self, lease: RedisLease) -> None:
        unwanted = lease.lost or self._draining
        task = asyncio.create_task(_given_back(lease) if unwanted else self._turns.answer(lease))
        lease.when_gone(task.cancel)
        self._running.add(task)
        task.add_done_callback(lambda done: self._ended(lease, done))

    def _ended(self, lease: RedisLease, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._claims.forget(lease)  # if it is not settled it must run out
        if not task.cancelled() and (problem := task.exception()) is not None:
            log.error("turn_broke", exc_info=problem)
        self._wake.set()

    async def _listen(self) -> None:
        async for item in self._wakes:
            if item is not None and item[1]:
                self._claims.interrupt(ConversationId(item[1].decode()))
            self._wake.set()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._claims.lease_seconds / 3)
            try:
                await self._claims.beat()
            except GatewayError as problem:
                seldom.warning("heartbeat_failed", reason=str(problem))


async def _given_back(lease: RedisLease) -> None:
    """It was claimed too late, or called off before it began."""
    with contextlib.suppress(GatewayError):
        await lease.retry(0.0, counted=False)
