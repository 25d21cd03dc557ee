"""Everything kept in Redis, opened and watched: what roles and commands stand on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

import structlog

from gateway.errors import GatewayError, Unavailable
from gateway.message import Account
from gateway.queues import embedded
from gateway.queues.dead import DeadLetters
from gateway.queues.guard import check, require
from gateway.queues.lanes import RedisLanes
from gateway.queues.ledger import Depths, Ledger, read_depths, read_ledger
from gateway.queues.log import RedisEventLog
from gateway.queues.records import RedisRecords
from gateway.queues.topology import Store
from gateway.settings import Settings

log = structlog.get_logger(__name__)

GUARD_SECONDS = 2.0
START_SECONDS = 30.0
"""How long a role waits for a store that is not there yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenStore:
    """Everything kept in Redis, for roles and commands alike."""

    store: Store
    lanes: RedisLanes
    records: RedisRecords
    dead: DeadLetters
    log: RedisEventLog

    async def ledger(self) -> Ledger:
        return await read_ledger(self.store)

    async def depths(self, accounts: Sequence[Account]) -> Depths:
        return await read_depths(self.store, tuple(accounts))

    async def stats(self, accounts: Sequence[Account] = ()) -> Mapping[str, object]:
        """The ledger and the depths as plain values."""
        ledger, depths = await self.ledger(), await self.depths(accounts)
        return {
            **{name: getattr(ledger, name) for name in ledger.__slots__},
            "difference": ledger.difference,
            "leased": depths.leased,
            "delayed": depths.delayed,
            "dead": depths.dead,
            "outbox": dict(depths.outbox),
        }

    async def processes(self) -> Mapping[str, bytes]:
        """Expositions of the worker processes alive, by name."""
        return dict(await self.records.items("metrics"))


def redis_url(settings: Settings) -> str:
    """The configured server, or the private one under the data folder."""
    return (settings.redis.url or embedded.url(settings.home)).replace("+cluster://", "://")


@contextlib.asynccontextmanager
async def open_store(settings: Settings) -> AsyncIterator[OpenStore]:
    redis = settings.redis
    store = Store(
        redis_url(settings),
        namespace=redis.namespace,
        partitions=redis.partitions,
        deadline=redis.timeout,
        password=redis.password.get_secret_value() if redis.password else None,
    )
    try:
        yield OpenStore(
            store=store,
            lanes=RedisLanes(store),
            records=RedisRecords(store),
            dead=DeadLetters(store),
            log=RedisEventLog(store),
        )
    finally:
        await store.close()


async def ready_store(settings: Settings, store: Store) -> None:
    """Wait for the store to be there, then insist on its settings. Raises `BadConfig`."""
    deadline = asyncio.get_running_loop().time() + START_SECONDS
    told = False
    while True:
        try:
            health = await require(store, fsync=settings.redis.fsync)
        except Unavailable as problem:
            if asyncio.get_running_loop().time() > deadline:
                raise
            if not told:
                log.info("store_awaited", reason=str(problem))
                told = True
            await asyncio.sleep(0.1)
        else:
            for warning in health.warnings:
                log.warning("store_setting", problem=warning)
            return


async def keep_guard(settings: Settings, opened: OpenStore) -> None:
    """Look at the store's settings and memory; stop taking messages in while it is full."""
    complained = ""
    while True:
        await asyncio.sleep(GUARD_SECONDS)
        try:
            health = await check(opened.store, fsync=settings.redis.fsync)
        except GatewayError as problem:
            log.debug("store_not_checked", reason=str(problem))
            continue
        problems = "; ".join((*health.problems, *health.warnings))
        if problems != complained:
            report = log.error if problems else log.info
            report("store_settings_changed", problems=problems or "none")
            complained = problems
        full = f"the store is {health.used_share:.0%} full" if health.full else ""
        if bool(full) != bool(opened.lanes.closed):
            log.warning("intake_paused" if full else "intake_resumed", reason=full)
        opened.lanes.closed = full
