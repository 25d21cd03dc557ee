"""A real Redis Cluster: three nodes, eight partitions, slots that move while messages flow."""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import aclosing, suppress
from pathlib import Path

import pytest

from gateway.errors import Retryable, Superseded, Unavailable
from gateway.ports import LanePolicy
from gateway.queues.accounts import Owners
from gateway.queues.channels import listen
from gateway.queues.claims import Claims, RedisLease
from gateway.queues.guard import check
from gateway.queues.lanes import RedisLanes
from gateway.queues.ledger import read_ledger, recount
from gateway.queues.log import RedisEventLog
from gateway.queues.outbox import Outbox, Ownership
from gateway.queues.topology import Store, slot_of
from tests.builders import ACCOUNT, answer, message
from tests.gateway.queues.redis_servers import newest

NODES = 3
EACH = LanePolicy(mode="each", depth=10**6)


class Cluster:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._binary = newest()
        self._cli = str(self._binary.with_name("redis-cli"))
        self.ports = _free_ports(NODES)
        self._nodes: dict[int, subprocess.Popen[bytes]] = {}
        self.url = f"redis://127.0.0.1:{self.ports[0]}"

    def start(self) -> None:
        for port in self.ports:
            self.start_node(port)
        addresses = [f"127.0.0.1:{port}" for port in self.ports]
        made = self.cli("--cluster", "create", *addresses, "--cluster-yes")
        assert "All 16384 slots covered" in made, made
        self.settle()

    def start_node(self, port: int) -> None:
        folder = self._folder / str(port)
        folder.mkdir(exist_ok=True)
        self._nodes[port] = subprocess.Popen(
            [
                self._binary,
                *("--port", str(port), "--cluster-port", str(port + 10000)),
                *("--bind", "127.0.0.1", "--dir", str(folder), "--save", ""),
                *("--cluster-enabled", "yes", "--cluster-node-timeout", "1500"),
                *("--cluster-require-full-coverage", "no"),
                *("--appendonly", "yes", "--appendfsync", "everysec", "--loglevel", "warning"),
                *("--logfile", str(folder / "log")),
            ]
        )
        _until(lambda: "PONG" in self.cli("-p", str(port), "PING"))

    def settle(self) -> None:
        for port in self.ports:
            _until(lambda p=port: "cluster_state:ok" in self.cli("-p", str(p), "CLUSTER", "INFO"))

    def kill_node(self, port: int) -> None:
        self._nodes[port].send_signal(signal.SIGKILL)
        self._nodes[port].wait(10)

    def stop(self) -> None:
        for node in self._nodes.values():
            node.kill()
            node.wait(10)

    def cli(self, *arguments: str) -> str:
        done = subprocess.run(
            [self._cli, *arguments], capture_output=True, text=True, timeout=30, check=False
        )
        return done.stdout + done.stderr

    def owner(self, slot: int) -> int:
        for row in self.cli("-p", str(self.ports[0]), "CLUSTER", "NODES").splitlines():
            words = row.split()
            for piece in words[8:]:
                first, _, last = piece.partition("-")
                if first.isdigit() and int(first) <= slot <= int(last or first):
                    return int(words[1].split("@")[0].split(":")[1])
        raise AssertionError(f"nobody has slot {slot}")

    def id_of(self, port: int) -> str:
        return self.cli("-p", str(port), "CLUSTER", "MYID").strip()

    def begin_move(self, slot: int, source: int, target: int) -> None:
        """From here on the slot's keys are in two places."""
        src, dst = self.id_of(source), self.id_of(target)
        self._ok(target, "CLUSTER", "SETSLOT", str(slot), "IMPORTING", src)
        self._ok(source, "CLUSTER", "SETSLOT", str(slot), "MIGRATING", dst)

    def move_keys(self, slot: int, source: int, target: int) -> None:
        while keys := self.cli(
            "-p", str(source), "CLUSTER", "GETKEYSINSLOT", str(slot), "100"
        ).split():
            self.cli(
                *("-p", str(source), "MIGRATE", "127.0.0.1", str(target), "", "0", "5000"),
                *("KEYS", *keys),
            )

    def end_move(self, slot: int, source: int, target: int) -> None:
        for port in (target, source):
            self._ok(port, "CLUSTER", "SETSLOT", str(slot), "NODE", self.id_of(target))

    def _ok(self, port: int, *command: str) -> None:
        said = self.cli("-p", str(port), *command)
        assert said.strip() == "OK", said


def _free_ports(count: int) -> list[int]:
    """Ports that are free together with their bus port, ten thousand above."""
    ports: list[int] = []
    for port in range(21000 + time.time_ns() % 9000, 45000):
        with socket.socket() as one, socket.socket() as bus:
            try:
                one.bind(("127.0.0.1", port))
                bus.bind(("127.0.0.1", port + 10000))
            except OSError:
                continue
        ports.append(port)
        if len(ports) == count:
            return ports
    raise AssertionError("no free ports")


def _until(true: object) -> None:
    deadline = time.monotonic() + 20
    while not true():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    folder = Path(tempfile.mkdtemp(prefix="mg-cluster-"))
    made = Cluster(folder)
    try:
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)


class Traffic:
    """Writers, a worker and a sender that keep going until everything is answered and sent."""

    def __init__(self, store: Store, own: Ownership, people: int, each: int) -> None:
        self.store = store
        self._own = own
        self._lanes = RedisLanes(store)
        self._claims = Claims(store, lease_seconds=1.0)
        self._outbox = Outbox(store)
        self._people = people
        self._each = each
        self.sent: dict[str, list[int]] = defaultdict(list)
        self.troubles = 0

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            loops = [group.create_task(self._work()), group.create_task(self._send())]
            writers = [group.create_task(self._write(f"p{n}")) for n in range(self._people)]
            await asyncio.gather(*writers)
            while sum(map(len, self.sent.values())) < self._people * self._each:
                await asyncio.sleep(0.02)
            for task in loops:
                task.cancel()

    def seen(self) -> int:
        return sum(map(len, self.sent.values()))

    async def _write(self, who: str) -> None:
        for number in range(self._each):
            while True:
                try:
                    await self._lanes.put(message(str(number), who), EACH)
                    break
                except Retryable:
                    self.troubles += 1
                    await asyncio.sleep(0.05)

    async def _work(self) -> None:
        while True:
            try:
                leases = await self._claims.take(50)
                await asyncio.gather(*(self._turn(lease) for lease in leases))
            except Retryable:
                self.troubles += 1
            await asyncio.sleep(0.005)

    async def _turn(self, lease: RedisLease) -> None:
        with suppress(Superseded):
            await lease.commit([answer(lease.messages[0])], [])

    async def _send(self) -> None:
        while True:
            with suppress(Retryable):
                for head in (await self._outbox.due(ACCOUNT, 50))[0]:
                    assert head.outbound is not None
                    number = int(head.outbound.reply_to)
                    shown = self.sent[head.conversation]
                    if number not in shown:
                        shown.append(number)  # the platform honours the key
                    await self._outbox.settle(self._own, head, "sent", native_id="x")
            await asyncio.sleep(0.005)


async def opened(cluster: Cluster, name: str) -> tuple[Store, Ownership]:
    store = Store(cluster.url, namespace=name, partitions=8, deadline=1.0)
    own, _ = await Owners(store, lease_seconds=60).acquire(ACCOUNT)
    assert own is not None
    return store, own


async def all_is_well(traffic: Traffic, people: int, each: int) -> None:
    assert len(traffic.sent) == people
    assert all(numbers == list(range(each)) for numbers in traffic.sent.values())
    ledger = await read_ledger(traffic.store)
    assert (ledger.accepted, ledger.answered, ledger.sent) == (people * each,) * 3
    assert (ledger.waiting, ledger.difference) == (0, 0)
    assert await recount(traffic.store) == 0


async def test_messages_live_on_all_nodes_in_order(cluster: Cluster) -> None:
    store, own = await opened(cluster, "life")
    nodes = {cluster.owner(slot_of(one.strip("{}"))) for one in store.partitions}
    assert len(nodes) == NODES
    traffic = Traffic(store, own, people=40, each=10)

    await traffic.run()

    await all_is_well(traffic, 40, 10)
    assert (await check(store, fsync="everysec")).problems == ()
    await store.close()


async def test_a_dead_workers_lanes_are_taken_over_on_every_node(cluster: Cluster) -> None:
    store, _ = await opened(cluster, "over")
    lanes, dead, alive = RedisLanes(store), Claims(store, lease_seconds=0.05), Claims(store)
    for number in range(24):
        await lanes.put(message("1", f"p{number}"), EACH)
    held = await dead.take(100)
    assert len(held) == 24
    taken: list[RedisLease] = []
    async with asyncio.timeout(30):
        while len(taken) < 24:
            taken += await alive.take(100)

    with pytest.raises(Superseded):
        await held[0].commit([], [])
    for lease in taken:
        await lease.commit([], [])
    assert (await read_ledger(store)).answered == 24
    await store.close()


async def test_who_listens_at_one_node_is_woken_by_all(cluster: Cluster) -> None:
    store, _ = await opened(cluster, "wake")
    lanes, log = RedisLanes(store), RedisEventLog(store)
    channels = [f"{one}:{what}" for one in store.partitions for what in ("wake", "log")]
    async with asyncio.timeout(30), aclosing(listen(store.address, channels)) as heard:
        assert await anext(heard) is None
        missing = set(channels)
        for number in range(100):
            event = message("1", f"p{number}")
            await lanes.put(event, EACH)
            assert await log.append(event.conversation, "k", b"x") == 1
        while missing:
            item = await anext(heard)
            assert item is not None
            missing.discard(item[0])
    assert len(await log.conversations("")) == 100
    await store.close()


async def test_slots_move_under_load_and_nothing_is_lost_doubled_or_overtaken(
    cluster: Cluster,
) -> None:
    store, own = await opened(cluster, "move")
    traffic = Traffic(store, own, people=24, each=25)
    partition = store.partitions[0]
    slot = slot_of(partition.strip("{}"))
    source = cluster.owner(slot)
    target = next(port for port in cluster.ports if port != source)
    async with asyncio.timeout(40), asyncio.TaskGroup() as group:
        group.create_task(traffic.run())
        while traffic.seen() < 50:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(cluster.begin_move, slot, source, target)
        await asyncio.sleep(0.3)  # scripts meet a slot whose keys are in two places
        await asyncio.to_thread(cluster.move_keys, slot, source, target)
        await asyncio.to_thread(cluster.end_move, slot, source, target)

    await all_is_well(traffic, 24, 25)
    assert cluster.owner(slot) == target
    await store.close()


async def test_a_node_that_is_killed_and_comes_back_loses_nothing(cluster: Cluster) -> None:
    store, own = await opened(cluster, "kill")
    traffic = Traffic(store, own, people=24, each=25)
    victim = cluster.ports[1]
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(traffic.run())
        while traffic.seen() < 50:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(cluster.kill_node, victim)
        while not traffic.troubles:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(cluster.start_node, victim)
        await asyncio.to_thread(cluster.settle)

    await all_is_well(traffic, 24, 25)
    await store.close()


async def test_while_a_node_is_down_the_others_go_on(cluster: Cluster) -> None:
    store, _ = await opened(cluster, "down")
    lanes, claims, outbox = RedisLanes(store), Claims(store), Outbox(store)
    for number in range(60):
        await lanes.put(message("1", f"p{number}"), EACH)
    victim = cluster.owner(slot_of(store.partitions[1].strip("{}")))
    there = sum(
        cluster.owner(slot_of(store.partition_of(message("1", f"p{n}").conversation).strip("{}")))
        != victim
        for n in range(60)
    )
    assert 0 < there < 60
    cluster.kill_node(victim)
    try:
        leases = await claims.take(400)
        assert len(leases) == claims.held == there
        for lease in leases:
            await lease.commit([answer(lease.messages[0])], [])
        heads, _ = await outbox.due(ACCOUNT, 100)
        assert len(heads) == there
        with pytest.raises(Unavailable):
            await claims.take(400)
    finally:
        await asyncio.to_thread(cluster.start_node, victim)
        await asyncio.to_thread(cluster.settle)
    async with asyncio.timeout(30):
        while (await read_ledger(store)).waiting:
            with suppress(Retryable):
                for lease in await claims.take(400):
                    await lease.commit([], [])
    assert (await read_ledger(store)).answered == 60
    await store.close()


async def test_who_listens_at_a_node_that_dies_goes_on_at_another(cluster: Cluster) -> None:
    store, _ = await opened(cluster, "ears")
    seed = cluster.ports[0]
    name = next(one for one in store.partitions if cluster.owner(slot_of(one.strip("{}"))) != seed)
    async with asyncio.timeout(30), aclosing(listen(store.address, [name])) as heard:
        assert await anext(heard) is None
        cluster.kill_node(seed)
        try:
            assert await anext(heard) is None  # subscribed anew
            await store.call(name, "PUBLISH", name, "still here")
            assert await anext(heard) == (name, b"still here")
        finally:
            await asyncio.to_thread(cluster.start_node, seed)
            await asyncio.to_thread(cluster.settle)
    await store.close()
