"""The event log: gapless, idempotent, bounded, watched by other processes."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from gateway.message import ConversationId
from gateway.queues.log import RedisEventLog
from gateway.queues.topology import Store

ADA, BOB = ConversationId("main/web/one/direct/ada"), ConversationId("main/web/one/direct/bob")


async def test_numbers_have_no_gaps_and_a_key_counts_once(store: Store) -> None:
    log = RedisEventLog(store)
    first = await asyncio.gather(*(log.append(ADA, f"k{n}", b"%d" % n) for n in range(50)))
    again = await asyncio.gather(*(log.append(ADA, f"k{n}", b"other") for n in range(50)))

    assert sorted(first) == list(range(1, 51))
    assert again == first
    assert await log.append(BOB, "k0", b"x") == 1
    entries = await log.read(ADA)
    assert [entry.seq for entry in entries] == list(range(1, 51))
    assert {entry.key: int(entry.body) for entry in entries} == {f"k{n}": n for n in range(50)}


async def test_reading_resumes_behind_a_number_and_tails_from_the_end(store: Store) -> None:
    log = RedisEventLog(store)
    for number in range(1, 11):
        await log.append(ADA, str(number), b"")

    assert [one.seq for one in await log.read(ADA, after=7)] == [8, 9, 10]
    assert [one.seq for one in await log.read(ADA, after=2, limit=3)] == [3, 4, 5]
    assert [one.seq for one in await log.tail(ADA, limit=2)] == [9, 10]
    assert await log.read(ADA, after=10) == ()
    assert await log.read(BOB) == ()


async def test_the_oldest_entries_make_room(store: Store) -> None:
    log = RedisEventLog(store, entries=5)
    for number in range(1, 13):
        assert await log.append(ADA, str(number), b"") == number

    assert [one.seq for one in await log.read(ADA)] == [8, 9, 10, 11, 12]


async def test_conversations_are_listed_by_prefix_the_latest_first(store: Store) -> None:
    log = RedisEventLog(store)
    for name in ("a/1", "a/2", "b/1", "a/3"):
        await log.append(ConversationId(name), "k", b"")
        await asyncio.sleep(0.002)
    await log.append(ConversationId("a/1"), "k2", b"")

    assert await log.conversations("a/") == ("a/1", "a/3", "a/2")
    assert await log.conversations("c/") == ()


async def test_a_log_that_has_expired_is_not_listed_for_ever(store: Store) -> None:
    log = RedisEventLog(store, seconds=0.02)
    partition = store.partition_of(ADA)
    same = next(
        ConversationId(name)
        for name in (f"other{number}" for number in range(100))
        if store.partition_of(name) == partition
    )
    await log.append(ADA, "k", b"")
    async with asyncio.timeout(30):
        while ADA in await log.conversations(""):
            await asyncio.sleep(0.01)
            await log.append(same, str(asyncio.get_running_loop().time()), b"")


async def test_other_processes_see_every_entry_as_it_is_appended(
    store: Store, redis_url: str
) -> None:
    other = Store(redis_url, namespace=store.namespace, partitions=len(store.partitions))
    log, elsewhere = RedisEventLog(store), RedisEventLog(other)
    bodies = [b"one", b"two\nlines", b"\xff\x00"]
    async with asyncio.timeout(30), aclosing(log.watch()) as watched:
        assert (await anext(watched))[1] is None
        seen = []
        for number, body in enumerate(bodies):
            await elsewhere.append(ADA if number else BOB, f"k{number}", body)
        async for conversation, entry in watched:
            assert entry is not None
            seen.append((conversation, entry.seq, entry.key, entry.body))
            if len(seen) == 3:
                break
    await other.close()

    assert sorted(seen) == sorted(
        [(BOB, 1, "k0", bodies[0]), (ADA, 1, "k1", bodies[1]), (ADA, 2, "k2", bodies[2])]
    )
