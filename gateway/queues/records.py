"""Small durable facts and windowed counters: `ports.Records` on Redis."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.message import Account
from gateway.ports import Records
from gateway.queues.scripts import script
from gateway.queues.topology import Store
from gateway.queues.wire import Argument, Reply

RECORD, HIT, SPEND = map(script, ("record", "hit", "spend"))


class RedisRecords:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._partition = store.partitions[0]

    async def _run(self, verb: str, table: str, *arguments: Argument) -> Reply:
        return await self._store.run(RECORD, self._partition, verb, table, *arguments)

    async def get(self, table: str, key: str) -> bytes | None:
        found: bytes | None = await self._run("get", table, key)
        return found

    async def set(self, table: str, key: str, value: bytes, *, ttl: float | None = None) -> None:
        await self._run("set", table, key, value, _milliseconds(ttl))

    async def add(self, table: str, key: str, value: bytes, *, ttl: float | None = None) -> bool:
        return bool(await self._run("add", table, key, value, _milliseconds(ttl)))

    async def remove(self, table: str, key: str) -> bool:
        return bool(await self._run("remove", table, key))

    async def take(self, table: str, key: str) -> bytes | None:
        found: bytes | None = await self._run("take", table, key)
        return found

    async def items(self, table: str) -> Sequence[tuple[str, bytes]]:
        flat = await self._run("items", table, "")
        pairs = zip(flat[::2], flat[1::2], strict=True)
        return sorted((key.decode(), value) for key, value in pairs)

    async def hit(self, table: str, key: str, *, limit: int, window: float) -> float:
        wait = await self._store.run(HIT, self._partition, table, key, limit, int(window * 1000))
        return float(wait) / 1000

    async def spend(
        self, table: str, key: str, amount: float, *, limit: float, window: float
    ) -> float:
        wait = await self._store.run(
            SPEND, self._partition, table, key, amount, limit, int(window * 1000)
        )
        return float(wait) / 1000


class AccountKeep:
    """`ports.Keep`: the records of one account."""

    def __init__(self, records: Records, account: Account) -> None:
        self._records = records
        self._table = f"adapter/{account.key}"

    async def get(self, key: str) -> bytes | None:
        return await self._records.get(self._table, key)

    async def set(self, key: str, value: bytes, *, ttl: float | None = None) -> None:
        await self._records.set(self._table, key, value, ttl=ttl)

    async def add(self, key: str, value: bytes, *, ttl: float | None = None) -> bool:
        return await self._records.add(self._table, key, value, ttl=ttl)

    async def remove(self, key: str) -> bool:
        return await self._records.remove(self._table, key)

    async def items(self) -> Sequence[tuple[str, bytes]]:
        return await self._records.items(self._table)

    async def hit(self, key: str, *, limit: int, window: float) -> float:
        return await self._records.hit(self._table, key, limit=limit, window=window)


def _milliseconds(ttl: float | None) -> int:
    return 0 if ttl is None else max(int(ttl * 1000), 1)
