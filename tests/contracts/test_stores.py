"""What every store promises, run on each implementation: Redis, folders, and the tests' fakes."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.blobs import FolderBlobs
from gateway.errors import Failed, Refused
from gateway.message import ConversationId
from gateway.ports import Blobs, EventLog, LogEntry, Records
from gateway.queues.log import RedisEventLog
from gateway.queues.records import RedisRecords
from gateway.queues.topology import Store
from tests.fakes.stores import MemoryBlobs, MemoryLog, MemoryRecords

ADA, BOB = ConversationId("main/web/a/ada"), ConversationId("main/web/b/bob")


@pytest.fixture(params=["redis", "memory"])
def records(request: pytest.FixtureRequest, store: Store) -> Records:
    return RedisRecords(store) if request.param == "redis" else MemoryRecords()


@pytest.fixture(params=["redis", "memory"])
def log(request: pytest.FixtureRequest, store: Store) -> EventLog:
    return RedisEventLog(store) if request.param == "redis" else MemoryLog()


@pytest.fixture(params=["folder", "memory"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    return FolderBlobs(tmp_path / "blobs") if request.param == "folder" else MemoryBlobs()


async def test_a_record_is_kept_until_it_is_removed(records: Records) -> None:
    assert await records.get("t", "k") is None
    await records.set("t", "k", b"\x00one")
    await records.set("t", "other", b"two")
    assert await records.get("t", "k") == b"\x00one"
    assert list(await records.items("t")) == [("k", b"\x00one"), ("other", b"two")]
    assert await records.remove("t", "k")
    assert not await records.remove("t", "k")
    assert await records.get("t", "k") is None


async def test_adding_wins_once(records: Records) -> None:
    won = await asyncio.gather(*(records.add("t", "k", str(n).encode()) for n in range(5)))
    assert sorted(won) == [False] * 4 + [True]


async def test_what_counts_once_is_taken_once(records: Records) -> None:
    await records.set("t", "code", b"x")
    taken = await asyncio.gather(*(records.take("t", "code") for _ in range(5)))
    assert sorted(taken, key=str) == sorted([b"x", None, None, None, None], key=str)


async def test_a_record_with_a_lifetime_ends(records: Records) -> None:
    await records.set("t", "k", b"x", ttl=0.05)
    async with asyncio.timeout(30):
        while await records.get("t", "k") is not None:
            await asyncio.sleep(0.01)
    assert list(await records.items("t")) == []
    assert await records.add("t", "k", b"y")


async def test_a_window_counts_what_fits_and_says_how_long_to_wait(records: Records) -> None:
    fits = [await records.hit("t", "k", limit=3, window=60) for _ in range(3)]
    wait = await records.hit("t", "k", limit=3, window=60)
    assert fits == [0, 0, 0]
    assert 0 < wait <= 60
    assert await records.hit("t", "somebody else", limit=3, window=60) == 0


async def test_an_amount_is_spent_until_the_limit_is_reached_which_the_last_may_exceed(
    records: Records,
) -> None:
    spent = [await records.spend("t", "k", 4.5, limit=8, window=60) for _ in range(2)]
    wait = await records.spend("t", "k", 1, limit=8, window=60)
    assert spent == [0, 0]
    assert 0 < wait <= 65
    assert await records.spend("t", "somebody else", 1, limit=8, window=60) == 0
    assert await records.spend("t", "k", 100, limit=0, window=60) == 0


async def test_what_was_spent_is_forgotten_after_the_window(records: Records) -> None:
    assert await records.spend("t", "k", 9, limit=8, window=0.6) == 0
    waits = [await records.spend("t", "k", 1, limit=8, window=0.6)]
    async with asyncio.timeout(30):
        while waits[-1] > 0:
            waits.append(await records.spend("t", "k", 1, limit=8, window=0.6))
            await asyncio.sleep(0.02)
    assert waits[0] > waits[-2] > 0
    assert waits == sorted(waits, reverse=True)


async def test_an_entry_is_logged_once_per_key(log: EventLog) -> None:
    assert [await log.append(ADA, key, b"{}") for key in ("a", "b", "a", "c")] == [1, 2, 1, 3]
    assert [entry.key for entry in await log.read(ADA)] == ["a", "b", "c"]


async def test_a_log_is_read_from_anywhere_and_belongs_to_its_conversation(log: EventLog) -> None:
    for number in range(5):
        await log.append(ADA, f"k{number}", b"%d" % number)
    await log.append(BOB, "k0", b"bob")

    assert [entry.seq for entry in await log.read(ADA, after=3)] == [4, 5]
    assert [entry.seq for entry in await log.read(ADA, after=1, limit=2)] == [2, 3]
    assert [entry.body for entry in await log.tail(ADA, limit=2)] == [b"3", b"4"]
    assert [entry.body for entry in await log.read(BOB)] == [b"bob"]
    assert list(await log.conversations("main/web/a/")) == [ADA]


async def test_a_watcher_sees_what_is_appended_from_now_on(log: EventLog) -> None:
    seen: list[tuple[ConversationId, LogEntry]] = []
    watching = asyncio.Event()

    async def watch() -> None:
        async for conversation, entry in log.watch():
            watching.set()
            if entry is not None:
                seen.append((conversation, entry))

    task = asyncio.create_task(watch())
    async with asyncio.timeout(30):
        number = 0
        while not seen:
            number += 1
            await log.append(ADA, f"k{number}", b'{"n": 1}')
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])

    conversation, entry = seen[0]
    assert conversation == ADA
    assert entry.body == b'{"n": 1}'


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def test_bytes_come_back_under_their_digest(blobs: Blobs) -> None:
    digest, size, head = await blobs.store(pieces(b"abc", b"", b"def"), limit=100)
    assert (digest, size, head) == (hashlib.sha256(b"abcdef").hexdigest(), 6, b"abcdef")
    assert b"".join([chunk async for chunk in blobs.read(digest)]) == b"abcdef"
    assert await blobs.size(digest) == 6
    assert (await blobs.store(pieces(b"abcdef"), limit=100))[0] == digest


async def test_too_many_bytes_are_refused_while_they_come(blobs: Blobs) -> None:
    came = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal came
        while True:
            came += 1
            yield b"x" * 1000

    with pytest.raises(Refused):
        await blobs.store(endless(), limit=5000)
    assert came <= 7


@pytest.mark.parametrize("digest", ["0" * 64, "../../etc/passwd", "", "A" * 64])
async def test_what_is_not_there_is_not_found(blobs: Blobs, digest: str) -> None:
    with pytest.raises(Failed):
        _ = [chunk async for chunk in blobs.read(digest)]
    assert await blobs.size(digest) is None
