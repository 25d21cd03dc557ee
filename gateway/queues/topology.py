"""Which server has which partition: one server, or the nodes of a Redis Cluster.

A partition is a hash tag: every key of a conversation's lane, outbox and history carries it, so a
script touches one slot only and works on a cluster unchanged.
"""

from __future__ import annotations

import asyncio
import binascii
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

import structlog

from gateway.errors import GatewayError, Unavailable
from gateway.queues.batches import Batches
from gateway.queues.wire import Address, Argument, Link, Moved, Reply, Script

log = structlog.get_logger(__name__)

_Answer = TypeVar("_Answer")

SLOTS = 16384
MOVED_RETRIES = 5


def slot_of(tag: str) -> int:
    """Redis Cluster's slot of a hash tag (CRC16/XMODEM modulo 16384, cluster specification)."""
    return binascii.crc_hqx(tag.encode(), 0) % SLOTS


class Store:
    """The partitions and the links to them."""

    def __init__(
        self,
        url: str,
        *,
        namespace: str = "q",
        partitions: int = 4,
        deadline: float = 2.5,
        password: str | None = None,
    ) -> None:
        self.address = Address(url, password)
        self.namespace = namespace
        self.partitions: Sequence[str] = tuple(
            f"{{{namespace}{number}}}" for number in range(partitions)
        )
        self._deadline = deadline
        self._seed = Link(self.address, deadline=deadline)
        self._links: dict[str, Link] = {}
        self._nodes: dict[tuple[str, int], Link] = {}
        self._clustered: bool | None = None
        self._reading = asyncio.Lock()
        self._batches = Batches(self._run)

    def partition_of(self, name: str) -> str:
        """The partition of a conversation: a stable hash of its id."""
        return self.partitions[zlib.crc32(name.encode()) % len(self.partitions)]

    def run(self, script: Script, partition: str, *arguments: Argument) -> Awaitable[Reply]:
        """Run a script on a partition. Raises `Unavailable`, `Busy`, `Failed` when awaited."""
        if script.batched:
            return self._batches.join(script, partition, arguments)
        return self._run(script, partition, arguments)

    async def _run(self, script: Script, partition: str, arguments: Sequence[Argument]) -> Reply:
        return await self._settled(partition, lambda link: link.run(script, partition, *arguments))

    async def call(self, partition: str, *command: Argument) -> Reply:
        """Run a plain command at the server of a partition."""
        return await self._settled(partition, lambda link: link.call(*command))

    async def _settled(self, partition: str, ask: Callable[[Link], Awaitable[Reply]]) -> Reply:
        """The reply of the server that has the partition.

        ASK is never followed: while a slot moves, its keys are in two places, and a script that
        ran at either would see half of them. The old server refuses our scripts during the move.
        """
        for _ in range(MOVED_RETRIES):
            link = self._links.get(partition) or await self._find(partition)
            try:
                return await ask(link)
            except Moved as moved:
                await self._forget(link, moved)
            except Unavailable:
                if self._clustered:
                    self._links.clear()  # a replica may have taken over
                raise
        raise Unavailable("the cluster has no owner for a partition")

    async def servers(self) -> AsyncIterator[Link]:
        """Every server that has a partition of ours, each once."""
        seen: set[int] = set()
        for partition in self.partitions:
            link = self._links.get(partition) or await self._find(partition)
            if id(link) not in seen:
                seen.add(id(link))
                yield link

    async def _forget(self, link: Link, moved: Moved) -> None:
        log.info("cluster_changed", reply=str(moved).split(" ", 1)[0])
        self._links.clear()
        if not self._clustered:
            link.reset()  # a read-only replica: the address may lead elsewhere by now
        await asyncio.sleep(0.2)

    async def _find(self, partition: str) -> Link:
        async with self._reading:
            if partition not in self._links:
                await self._read_topology()
        return self._links[partition]

    async def _read_topology(self) -> None:
        if self._clustered is None:
            info: bytes = await self._seed.call("INFO", "cluster")
            self._clustered = b"cluster_enabled:1" in info
        if not self._clustered:
            self._links = dict.fromkeys(self.partitions, self._seed)
            return
        ranges = await self._cluster_slots()
        links = {}
        for partition in self.partitions:
            slot = slot_of(partition.strip("{}"))
            for first, last, host, port in ranges:
                if first <= slot <= last:
                    links[partition] = self._node(host, port)
        if len(links) < len(self.partitions):
            raise Unavailable("the cluster does not serve all slots")
        self._links = links
        self.address.others = tuple({link.address for link in links.values()})

    async def _cluster_slots(self) -> list[tuple[int, int, str, int]]:
        for link in (self._seed, *self._nodes.values()):
            try:
                rows = await link.call("CLUSTER", "SLOTS")
            except Unavailable:
                continue
            host = self.address.host
            return [(row[0], row[1], row[2][0].decode() or host, int(row[2][1])) for row in rows]
        raise Unavailable("no node of the cluster answers")

    def _node(self, host: str, port: int) -> Link:
        if (host, port) not in self._nodes:
            self._nodes[host, port] = Link(self.address.at(host, port), deadline=self._deadline)
        return self._nodes[host, port]

    async def close(self) -> None:
        await self._batches.close()
        for link in (self._seed, *self._nodes.values()):
            await link.close()


async def gathered(
    calls: Iterable[Awaitable[_Answer]],
) -> tuple[list[_Answer], GatewayError | None]:
    """What the partitions answered, all asked at once, and the first problem among them.

    One server of a cluster that does not answer must not hold up what the others have.
    """
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    answers: list[_Answer] = []
    problem: GatewayError | None = None
    for outcome in outcomes:
        if isinstance(outcome, GatewayError):
            problem = problem or outcome
        elif isinstance(outcome, BaseException):
            raise outcome
        else:
            answers.append(outcome)
    return answers, problem
