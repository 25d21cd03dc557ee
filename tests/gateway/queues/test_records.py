"""Small durable facts and sliding windows."""

from __future__ import annotations

import asyncio

from gateway.queues.records import RedisRecords
from gateway.queues.topology import Store


async def until_gone(records: RedisRecords, key: str) -> None:
    async with asyncio.timeout(30):
        while await records.get("t", key) is not None:
            await asyncio.sleep(0.01)


async def test_a_record_is_set_read_and_removed(store: Store) -> None:
    records = RedisRecords(store)
    assert await records.get("t", "k") is None
    await records.set("t", "k", b"one")
    await records.set("t", "k", b"two\n\x00")

    assert await records.get("t", "k") == b"two\n\x00"
    assert await records.get("other", "k") is None
    assert await records.remove("t", "k")
    assert not await records.remove("t", "k")


async def test_adding_sets_only_what_is_absent_also_after_it_expired(store: Store) -> None:
    records = RedisRecords(store)
    assert await records.add("t", "k", b"1", ttl=0.05)
    assert not await records.add("t", "k", b"2")
    await until_gone(records, "k")

    assert await records.add("t", "k", b"3")
    assert await records.get("t", "k") == b"3"


async def test_of_many_adders_and_takers_one_wins(store: Store) -> None:
    records = RedisRecords(store)
    added = await asyncio.gather(*(records.add("t", "k", b"%d" % n) for n in range(20)))
    taken = await asyncio.gather(*(records.take("t", "k") for _ in range(20)))

    assert sorted(added) == [False] * 19 + [True]
    winner = b"%d" % added.index(True)
    assert [one for one in taken if one is not None] == [winner]


async def test_items_are_the_live_records_sorted_by_key(store: Store) -> None:
    records = RedisRecords(store)
    await records.set("t", "b", b"2", ttl=60)
    await records.set("t", "c", b"3", ttl=0.01)
    await records.set("t", "a", b"1")
    await until_gone(records, "c")

    assert await records.items("t") == [("a", b"1"), ("b", b"2")]
    assert await records.items("none") == []


async def test_a_record_set_again_without_expiry_stays(store: Store) -> None:
    records = RedisRecords(store)
    await records.set("t", "k", b"1", ttl=0.02)
    await records.set("t", "k", b"2")
    await records.set("t", "probe", b"", ttl=0.03)
    await until_gone(records, "probe")

    assert await records.get("t", "k") == b"2"


async def test_a_window_lets_so_many_in_and_says_when_the_next_one_fits(store: Store) -> None:
    records = RedisRecords(store)
    hits = [await records.hit("h", "k", limit=3, window=30.0) for _ in range(5)]

    assert hits[:3] == [0.0] * 3
    assert all(25 < wait <= 30 for wait in hits[3:])
    assert await records.hit("h", "other", limit=3, window=30.0) == 0.0
    assert await records.hit("h", "none", limit=0, window=30.0) == 30.0


async def test_a_refused_event_is_not_counted(store: Store) -> None:
    records = RedisRecords(store)
    assert await records.hit("h", "k", limit=1, window=0.1) == 0.0
    async with asyncio.timeout(30):
        while await records.hit("h", "k", limit=1, window=0.1):
            await asyncio.sleep(0.01)
