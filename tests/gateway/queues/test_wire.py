"""The wire to Redis under everything that happens to servers and connections."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hiredis import ReplyError

from gateway.errors import BadConfig, Busy, Failed, GatewayError, Unavailable
from gateway.message import ConversationId
from gateway.ports import LanePolicy
from gateway.queues.accounts import Owners
from gateway.queues.claims import Claims
from gateway.queues.lanes import RedisLanes
from gateway.queues.ledger import read_ledger
from gateway.queues.log import RedisEventLog
from gateway.queues.outbox import Outbox
from gateway.queues.topology import Store
from gateway.queues.wire import Address, Link, Moved, NoScript, translate
from tests.builders import ACCOUNT, answer, message
from tests.gateway.queues.redis_servers import Redis, newest, oldest, redis

EACH = LanePolicy(mode="each")


@asynccontextmanager
async def opened(url: str, **more: float) -> AsyncIterator[Store]:
    store = Store(url, partitions=2, **more)  # type: ignore[arg-type]
    yield store
    await store.close()


async def until_it_answers(store: Store) -> None:
    async with asyncio.timeout(30):
        while not await answers(store):
            await asyncio.sleep(0.01)


async def answers(store: Store) -> bool:
    try:
        await store.call(store.partitions[0], "PING")
    except Unavailable:
        return False
    return True


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        ("OOM command not allowed when used memory > 'maxmemory'.", Busy),
        ("LOADING Redis is loading the dataset in memory", Unavailable),
        ("BUSY Redis is busy running a script.", Unavailable),
        ("MISCONF Errors writing to the AOF file: No space left on device", Unavailable),
        ("MASTERDOWN Link with MASTER is down", Unavailable),
        ("NOREPLICAS Not enough good replicas to write.", Unavailable),
        ("ERR max number of clients reached", Unavailable),
        ("MOVED 3999 127.0.0.1:6381", Moved),
        ("ASK 3999 127.0.0.1:6381", Moved),
        ("TRYAGAIN Multiple keys request during rehashing of slot", Moved),
        ("CLUSTERDOWN The cluster is down", Moved),
        ("READONLY You can't write against a read only replica.", Moved),
        ("NOAUTH Authentication required.", BadConfig),
        ("WRONGPASS invalid username-password pair or user is disabled.", BadConfig),
        ("NOPERM this user has no permissions", BadConfig),
        ("DENIED Redis is running in protected mode", BadConfig),
        ("NOSCRIPT No matching script.", NoScript),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", Failed),
        ("ERR unknown command", Failed),
        (
            "ERR Error running script (call to f_0a1b): @user_script:44: @user_script: 44: "
            "-OOM command not allowed when used memory > 'maxmemory'. ",
            Busy,
        ),
        (
            "ERR Error running script (call to f_0a1b): @user_script:7: @user_script: 7: "
            "-MISCONF Redis is configured to save RDB snapshots",
            Unavailable,
        ),
        ("ERR Error running script (call to f_0a1b): @user_script:7: user_script:7: nil", Failed),
    ],
)
def test_every_error_reply_is_named_by_what_happens_next(
    reply: str, kind: type[GatewayError]
) -> None:
    assert type(translate(ReplyError(reply))) is kind


@pytest.mark.parametrize("url", ["http://x", "redis", "redis://h:notaport"])
def test_an_address_that_is_none_says_so(url: str) -> None:
    with pytest.raises(BadConfig, match=r"redis\.url"):
        Address(url)


async def test_a_frozen_server_costs_the_deadline_and_no_more(own_redis: Redis) -> None:
    async with opened(own_redis.url, deadline=0.4) as store:
        lanes = RedisLanes(store)
        await lanes.put(message("0"), EACH)
        own_redis.freeze()
        begin = time.monotonic()
        results = await asyncio.gather(
            *(lanes.put(message(str(n)), EACH) for n in range(1, 20)),
            store.call(store.partitions[0], "PING"),
            return_exceptions=True,
        )
        waited = time.monotonic() - begin
        own_redis.thaw()
        await until_it_answers(store)

        assert all(isinstance(one, Unavailable) for one in results)
        assert 0.4 <= waited < 2.5
        # What was in flight may have happened: said again, each is there once.
        again = await asyncio.gather(*(lanes.put(message(str(n)), EACH) for n in range(20)))
        assert set(again) <= {"stored", "duplicate"}
        ledger = await read_ledger(store)
        assert (ledger.accepted, ledger.waiting) == (20, 20)


async def test_a_call_that_comes_while_another_is_late_has_its_own_deadline(
    own_redis: Redis,
) -> None:
    link = Link(Address(own_redis.url), deadline=0.3)
    await link.call("PING")
    for _ in range(3):
        own_redis.freeze()
        with pytest.raises(Unavailable):
            async with asyncio.timeout(30):
                await link.call("PING")
        own_redis.thaw()
        async with asyncio.timeout(30):
            while True:
                try:
                    assert await link.call("PING") == b"PONG"
                    break
                except Unavailable:
                    continue
    await link.close()


async def test_a_restarted_server_is_taught_the_scripts_again(own_redis: Redis) -> None:
    async with opened(own_redis.url) as store:
        lanes, claims = RedisLanes(store), Claims(store)
        await lanes.put(message("1"), EACH)
        own_redis.stop()
        own_redis.start()
        await until_it_answers(store)
        own_redis.tell("SCRIPT", "FLUSH")

        stored = await asyncio.gather(
            *(lanes.put(message("1", f"w{number}"), EACH) for number in range(100))
        )
        leases = await claims.take(200)

        assert stored == ["stored"] * 100
        assert len(leases) == 101


async def test_a_dead_server_is_said_at_once_and_calls_go_on_when_it_is_back(
    own_redis: Redis,
) -> None:
    async with opened(own_redis.url) as store:
        lanes = RedisLanes(store)
        await lanes.put(message("1"), EACH)
        own_redis.kill()
        for _ in range(3):
            with pytest.raises(Unavailable):
                await lanes.put(message("2"), EACH)
        own_redis.start()

        assert await lanes.put(message("2"), EACH) == "stored"
        assert await lanes.put(message("1"), EACH) == "duplicate"


@pytest.fixture
def synced_redis() -> Iterator[Redis]:
    """With ``everysec`` a server whose disk is slow answers before it writes."""
    with redis("--appendfsync", "always") as server:
        yield server


async def test_many_calls_across_restarts_are_answered_once_or_fail_by_name(
    synced_redis: Redis,
) -> None:
    async with opened(synced_redis.url, deadline=1.0) as store:
        lanes = RedisLanes(store)
        stop = asyncio.Event()
        stored: set[str] = set()

        async def writer(name: str) -> None:
            number, unsure = 0, False
            while unsure or not stop.is_set():
                native = f"{name}.{number}"
                try:
                    await lanes.put(message(native, name), LanePolicy(depth=10**6))
                except Unavailable:
                    unsure = True  # it may have been stored all the same
                    await asyncio.sleep(0.01)
                    continue
                unsure = False
                stored.add(native)
                number += 1

        async with asyncio.TaskGroup() as group:
            for number in range(20):
                group.create_task(writer(f"w{number}"))
            for _ in range(3):
                before = len(stored)
                while len(stored) < before + 200:
                    await asyncio.sleep(0.01)
                synced_redis.kill()
                synced_redis.start()
            stop.set()

        ledger = await read_ledger(store)
        assert ledger.difference == 0
        assert ledger.waiting == len(stored)


class Scripted:
    """Something on a socket that answers each command by a function of its number."""

    def __init__(self, folder: Path, answer: Callable[[int], bytes | None]) -> None:
        self.url = f"unix://{folder / 's.sock'}"
        self._path = str(folder / "s.sock")
        self._answer = answer
        self.commands = 0

    async def __aenter__(self) -> Scripted:
        self._server = await asyncio.start_unix_server(self._serve, self._path)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readline():
            for _ in range(int(head[1:])):
                await reader.readexactly(int((await reader.readline())[1:]) + 2)
            self.commands += 1
            reply = self._answer(self.commands)
            if reply is None:
                break
            writer.write(reply)
        writer.close()


@pytest.mark.parametrize(
    "nonsense", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"+PONG\r\n+PONG\r\n+PONG\r\n", None]
)
async def test_what_does_not_speak_redis_is_not_there(
    tmp_path: Path, nonsense: bytes | None
) -> None:
    def reply(number: int) -> bytes | None:
        return b"+PONG\r\n" if number == 1 else nonsense

    async with Scripted(tmp_path, reply) as server:
        link = Link(Address(server.url), deadline=0.5)
        results = [await asyncio.gather(link.call("GET", "x"), return_exceptions=True)]
        while not isinstance(results[-1][0], Unavailable):
            results.append(await asyncio.gather(link.call("GET", "x"), return_exceptions=True))
            assert len(results) < 10
        await link.close()


@pytest.mark.parametrize(
    ("greeting", "kind"),
    [
        (b"-LOADING Redis is loading the dataset in memory\r\n", Unavailable),
        (b"-NOAUTH Authentication required.\r\n", BadConfig),
        (b"-ERR max number of clients reached\r\n", Unavailable),
    ],
)
async def test_a_server_that_does_not_let_us_in_says_why_and_no_socket_stays_open(
    tmp_path: Path, greeting: bytes, kind: type[GatewayError]
) -> None:
    async with Scripted(tmp_path, lambda _: greeting) as server:
        link = Link(Address(server.url), deadline=0.5)
        for _ in range(3):
            with pytest.raises(kind):
                await link.call("PING")
        await link.close()


async def test_a_cancelled_caller_does_not_take_the_others_along(own_redis: Redis) -> None:
    async with opened(own_redis.url) as store:
        lanes = RedisLanes(store)
        tasks = [
            asyncio.create_task(lanes.put(message("1", f"w{number}"), EACH)) for number in range(50)
        ]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)

        assert results[1::2] == ["stored"] * 25
        assert all(isinstance(one, asyncio.CancelledError) for one in results[::2])
        assert (await read_ledger(store)).difference == 0


async def test_closing_tells_those_who_wait(own_redis: Redis) -> None:
    store = Store(own_redis.url, partitions=1)
    lanes = RedisLanes(store)
    await lanes.put(message("1"), EACH)
    own_redis.freeze()
    task = asyncio.create_task(lanes.put(message("2"), EACH))
    plain = asyncio.create_task(store.call(store.partitions[0], "PING"))
    await asyncio.sleep(0.05)
    await store.close()

    for waiting in (task, plain):
        with pytest.raises(Unavailable):
            await waiting


@pytest.mark.parametrize("binary", [newest, oldest])
async def test_a_full_store_refuses_new_messages_and_lets_the_old_ones_drain(
    binary: Callable[[], Path],
) -> None:
    with redis(binary=binary()) as own_redis:
        await drain_when_full(own_redis)


async def drain_when_full(own_redis: Redis) -> None:
    async with opened(own_redis.url) as store:
        lanes, claims, outbox = RedisLanes(store), Claims(store), Outbox(store)
        shown = RedisEventLog(store)
        names = [f"w{number}" for number in range(20)]
        for name in names:
            await lanes.put(message("1", name), EACH)
        own, _ = await Owners(store).acquire(ACCOUNT)
        assert own is not None
        own_redis.tell("CONFIG", "SET", "maxmemory", "100kb")

        with pytest.raises(Busy):
            await lanes.put(message("2", names[0]), EACH)
        with pytest.raises(Busy):
            await shown.append(ConversationId("main/web/a/ada"), "question", b"{}")
        leases = await claims.take(40)
        assert len(leases) == len(names)
        await claims.beat()
        await leases[0].retry(0.0, counted=False)
        await leases[1].bury("no", [answer(leases[1].messages[0], "sorry")])
        for lease in leases[2:]:
            await lease.commit([answer(lease.messages[0])], [])
        (again,) = await claims.take(1)
        await again.commit([answer(again.messages[0])], [])
        heads, _ = await outbox.due(ACCOUNT, 100)
        for head in heads:
            assert await outbox.sending(own, head) == 1
            await shown.append(head.conversation, head.reply, b"{}", though_full=True)
            await outbox.settle(own, head, "sent", native_id="n")

        ledger = await read_ledger(store)
        assert (ledger.answered, ledger.quarantined, ledger.sent) == (19, 1, 20)
        assert ledger.difference == 0
        assert ledger.waiting == 0
        own_redis.tell("CONFIG", "SET", "maxmemory", "0")
        assert await lanes.put(message("2", names[0]), EACH) == "stored"


@pytest.mark.parametrize("binary", [newest, oldest])
async def test_a_store_that_cannot_save_is_not_there_and_comes_back(
    binary: Callable[[], Path],
) -> None:
    with redis(binary=binary()) as server:
        server.tell("CONFIG", "SET", "save", "3600 1000000")
        (server.folder / "dump.rdb").mkdir()  # where the snapshot should go
        (server.folder / "dump.rdb" / "x").touch()
        async with opened(server.url) as store, asyncio.timeout(30):
            lanes = RedisLanes(store)
            while "MISCONF" not in server.tell("SET", "probe", "x"):
                server.tell("BGSAVE")
                await asyncio.sleep(0.05)
            with pytest.raises(Unavailable, match="MISCONF"):
                await lanes.put(message("1"), EACH)
            server.tell("CONFIG", "SET", "stop-writes-on-bgsave-error", "no")
            assert await lanes.put(message("1"), EACH) == "stored"
