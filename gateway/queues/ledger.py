"""The ledger: accepted = answered + refused + quarantined + cancelled + waiting, always."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.message import Account
from gateway.queues.topology import Store

COUNTERS = (
    "accepted",
    "answered",
    "refused",
    "quarantined",
    "cancelled",
    "waiting",
    "sent",
    "uncertain",
    "failed",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """What became of everything we said "got it" to, and of the parts of our replies."""

    accepted: int = 0
    answered: int = 0
    refused: int = 0
    quarantined: int = 0
    cancelled: int = 0
    """By its sender: deleted, or stopped by ``/stop``; or overheard, and not meant for us."""
    waiting: int = 0
    sent: int = 0
    uncertain: int = 0
    failed: int = 0

    @property
    def difference(self) -> int:
        """0, or the store has been tampered with."""
        settled = self.answered + self.refused + self.quarantined + self.cancelled
        return self.accepted - settled - self.waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class Depths:
    """How much stands where right now."""

    leased: int = 0
    delayed: int = 0
    dead: int = 0
    outbox: Mapping[str, int] = None  # type: ignore[assignment]
    """Conversations with unsent parts, per account."""


async def read_ledger(store: Store) -> Ledger:
    totals = dict.fromkeys(COUNTERS, 0)
    for partition in store.partitions:
        values = await store.call(partition, "HMGET", f"{partition}:led", *COUNTERS)
        for name, value in zip(COUNTERS, values, strict=True):
            totals[name] += int(value or 0)
    return Ledger(**totals)


async def read_depths(store: Store, accounts: tuple[Account, ...]) -> Depths:
    leased = delayed = dead = 0
    outbox = {account.key: 0 for account in accounts}
    for partition in store.partitions:
        leased += await store.call(partition, "ZCARD", f"{partition}:l")
        delayed += await store.call(partition, "ZCARD", f"{partition}:z")
        dead += await store.call(partition, "XLEN", f"{partition}:dead")
        for account in accounts:
            outbox[account.key] += await store.call(
                partition, "ZCARD", f"{partition}:out:{account.key}"
            )
    return Depths(leased=leased, delayed=delayed, dead=dead, outbox=outbox)


async def recount(store: Store) -> int:
    """Messages in all lanes, counted one by one: what `Ledger.waiting` must say. Slow."""
    total = 0
    for partition in store.partitions:
        cursor = b"0"
        while True:
            cursor, keys = await store.call(
                partition, "SCAN", cursor, "MATCH", f"{partition}:m:*", "COUNT", 1000
            )
            for key in keys:
                total += await store.call(partition, "LLEN", key)
            if cursor == b"0":
                break
    return total
