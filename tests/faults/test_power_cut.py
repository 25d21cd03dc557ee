"""The power goes (F10): what was acknowledged is on the disk, or the test sees that it is not.

kill -9 alone proves nothing, for the kernel keeps what a process wrote. So a library preloaded
into redis-server notes how much of its file each completed fsync covered; the server is killed,
its file cut back to that size, and started again.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from gateway.errors import Superseded, Unavailable
from gateway.ports import LanePolicy
from gateway.queues.claims import Claims, RedisLease
from gateway.queues.lanes import RedisLanes
from gateway.queues.ledger import read_ledger, recount
from gateway.queues.topology import Store
from tests.builders import answer, message
from tests.gateway.queues.redis_servers import Redis, redis

WRITERS = 8
PER_ROUND = 150
POLICY = LanePolicy(mode="each", depth=10**6)


@pytest.fixture(scope="module")
def fsync_shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = tmp_path_factory.mktemp("shim") / "fsync_shim.so"
    source = Path(__file__).with_name("fsync_shim.c")
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-O2", "-Wall", "-o", library, source, "-ldl"], check=True
    )
    return library


class Powered:
    """A Redis whose power can be cut."""

    def __init__(self, server: Redis, note: Path) -> None:
        self.server = server
        self._note = note
        self._kept = 0

    def cut(self) -> int:
        """Power off, power on. How many bytes of the file were lost."""
        self.server.kill()
        size, inode = map(int, self._note.read_text().split())
        (file,) = self.server.folder.glob("appendonlydir/*.incr.aof")
        if file.stat().st_ino != inode:
            size = self._kept  # not one fsync of this file has ended yet
        self._kept = size
        lost = file.stat().st_size - size
        assert lost >= 0
        with file.open("r+b") as aof:
            aof.truncate(size)
        self.server.start()
        return lost


@pytest.fixture
def powered(request: pytest.FixtureRequest, fsync_shim: Path, tmp_path: Path) -> Iterator[Powered]:
    note = tmp_path / "fsynced"
    env = {"LD_PRELOAD": str(fsync_shim), "FSYNC_NOTE": str(note)}
    with redis("--appendfsync", request.param, env=env) as server:
        yield Powered(server, note)


class History:
    """What clients were told."""

    def __init__(self) -> None:
        self.stored: set[str] = set()
        self.answered: set[str] = set()

    def missing(self, there: set[str], answered: int) -> int:
        lost = self.stored - self.answered - there
        return len(lost) + max(0, len(self.answered) - answered)


async def cut_under_load(powered: Powered, store: Store, history: History, begin: int) -> int:
    """Put and answer from several tasks, and cut the power in the middle of it."""
    lanes, claims = RedisLanes(store), Claims(store, lease_seconds=0.2)
    goal = len(history.stored) + PER_ROUND
    numbers = iter(range(begin, 10**9))
    over = asyncio.Event()

    async def write(name: str) -> None:
        with suppress(Unavailable):
            while not over.is_set():
                event = message(str(next(numbers)), name)
                if await lanes.put(event, POLICY) == "stored":
                    history.stored.add(event.id)

    async def turn(lease: RedisLease) -> None:
        with suppress(Superseded):
            await lease.commit([answer(lease.messages[0])], [])
            history.answered |= {one.id for one in lease.messages}

    async def work() -> None:
        with suppress(Unavailable):
            while not over.is_set():
                leases = await claims.take(3)
                async with asyncio.TaskGroup() as turns:
                    for lease in leases:
                        turns.create_task(_quietly(turn(lease)))
                await asyncio.sleep(0.02)

    async with asyncio.TaskGroup() as group:
        group.create_task(work())
        for number in range(WRITERS):
            group.create_task(write(f"w{number}"))
        while len(history.stored) < goal:
            await asyncio.sleep(0)
        over.set()
        return powered.cut()


async def _quietly(what: Coroutine[None, None, None]) -> None:
    with suppress(Unavailable):
        await what


async def waiting(store: Store) -> set[str]:
    """Ids of the messages that wait in any lane."""
    found: set[str] = set()
    for partition in store.partitions:
        for key in await store.call(partition, "KEYS", f"{partition}:m:*"):
            elements = await store.call(partition, "LRANGE", key, 0, -1)
            found |= {element.split(b"\n", 1)[0].decode() for element in elements}
    return found


async def rounds(powered: Powered, count: int) -> tuple[int, int, int]:
    """Acknowledged, lost of these, and bytes that were cut off."""
    history, lost, cut = History(), 0, 0
    for number in range(count):
        store = Store(powered.server.url, partitions=2)
        cut += await cut_under_load(powered, store, history, number * 10**6)
        there = await waiting(store)
        ledger = await read_ledger(store)
        assert ledger.difference == 0
        assert ledger.waiting == await recount(store)
        lost += history.missing(there, ledger.answered)
        if lost:
            await store.close()
            break
        await store.close()
    return len(history.stored) + len(history.answered), lost, cut


@pytest.mark.parametrize("powered", ["always"], indirect=True)
async def test_a_power_cut_loses_nothing_that_was_acknowledged(powered: Powered) -> None:
    acknowledged, lost, _ = await rounds(powered, 3)
    assert acknowledged > 3 * PER_ROUND
    assert lost == 0


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("powered", ["always"], indirect=True)
async def test_twenty_power_cuts_lose_nothing_that_was_acknowledged(powered: Powered) -> None:
    acknowledged, lost, _ = await rounds(powered, 20)
    assert acknowledged > 20 * PER_ROUND
    assert lost == 0


@pytest.mark.parametrize("powered", ["everysec"], indirect=True)
async def test_with_everysec_the_same_power_cut_loses_messages(powered: Powered) -> None:
    """The proof that the test above can fail."""
    _, lost, cut = await rounds(powered, 5)
    assert cut > 0
    assert lost > 0
