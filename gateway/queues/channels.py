"""Publish and subscribe: what wakes the sleeping and shows the growing. Never relied on."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from itertools import count

import structlog

from gateway.errors import GatewayError, Unavailable
from gateway.queues.topology import Store
from gateway.queues.wire import Address, Connection, Link, Reply

log = structlog.get_logger(__name__)

RECONNECT_SECONDS = 0.5
SILENCE_SECONDS = 10.0


async def listen(
    address: Address, channels: Sequence[str], *, backlog: int = 10_000
) -> AsyncGenerator[tuple[str, bytes] | None]:
    """(channel, payload) of everything published from now on; None when some may be missing.

    Comes back after a lost connection by itself, on a cluster at the next node. A listener slower
    than `backlog` messages loses the oldest and is told by a None.
    """
    for turn in count():
        nodes = (address, *address.others)
        try:
            async with aclosing(_session(nodes[turn % len(nodes)], channels, backlog)) as session:
                async for item in session:
                    yield item
        except Unavailable as problem:
            log.debug("subscription_lost", reason=str(problem))
        await asyncio.sleep(RECONNECT_SECONDS)


async def _session(
    address: Address, channels: Sequence[str], backlog: int
) -> AsyncGenerator[tuple[str, bytes] | None]:
    """Of one connection. The first None comes when the server has taken all subscriptions: who
    reads the state then misses nothing."""
    inbox: asyncio.Queue[tuple[str, bytes] | _Closed | None] = asyncio.Queue()
    heard = asyncio.Event()

    def push(reply: Reply) -> None:
        heard.set()
        if isinstance(reply, Exception):
            inbox.put_nowait(_Closed())
        elif reply[0] == b"subscribe" and reply[2] == len(channels):
            inbox.put_nowait(None)
        elif reply[0] == b"message":
            if inbox.qsize() >= backlog:
                while not inbox.empty():
                    inbox.get_nowait()
                inbox.put_nowait(None)
            inbox.put_nowait((reply[1].decode(), reply[2]))

    connection = await address.connect(on_push=push)
    connection.closed.add_done_callback(lambda _: inbox.put_nowait(_Closed()))
    try:
        connection.send("SUBSCRIBE", *channels)
        while True:
            try:
                async with asyncio.timeout(SILENCE_SECONDS):
                    item = await inbox.get()
            except TimeoutError:
                heard.clear()
                connection.send("PING")
                if not await _within(heard, RECONNECT_SECONDS * 4):
                    return
                continue
            if isinstance(item, _Closed):
                return
            yield item
    finally:
        connection.abort()


class _Closed:
    """The end of a subscription's connection."""


async def _within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


async def publish(store: Store, channel: str, payload: bytes) -> None:
    """Tell whoever listens. On a cluster any node passes it on to all."""
    await store.call(store.partitions[0], "PUBLISH", channel, payload)


class Subscriptions:
    """`ports.Notices`: one connection for everybody of this process, opened by the first follower
    and closed some time after the last.

    Args:
        deadline: seconds that a `value` may take.
        backlog: notices kept for one follower; a slower one loses them all and is told by a None.
        linger: seconds that the connection stays without a follower.
    """

    def __init__(
        self,
        address: Address,
        *,
        deadline: float = 2.5,
        backlog: int = 1000,
        linger: float = 30.0,
    ) -> None:
        self._address = address
        self._link = Link(address, deadline=deadline)
        self._backlog = backlog
        self._linger = linger
        self._followers: dict[str, set[_Followed]] = {}
        self._asked: dict[str, int] = {}
        """SUBSCRIBEs of this connection that the server has not confirmed yet, by channel."""
        self._confirmed: set[str] = set()
        self._connection: Connection | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        """Set with every follower that comes or goes."""

    @asynccontextmanager
    async def follow(self, channel: str) -> AsyncGenerator[AsyncIterator[bytes | None]]:
        """See `Notices.follow`. A None comes as soon as the connection is lost, too, so that its
        reader notices a store that stays away."""
        inbox = _Followed(self._backlog)
        self._join(channel, inbox)
        try:
            yield inbox
        finally:
            self._leave(channel, inbox)

    async def value(self, key: str) -> bytes | None:
        found: bytes | None = await self._link.call("GET", key)
        return found

    async def mark(self, key: str, seconds: int) -> None:
        """Set a flag that goes away by itself."""
        await self._link.call("SET", key, 1, "EX", seconds)

    async def unmark(self, *keys: str) -> None:
        await self._link.call("DEL", *keys)

    async def queue(self, key: str) -> tuple[int, bytes | None]:
        """Length of a list of theirs, and its last element: the oldest of a Celery queue."""
        length, last = await asyncio.gather(
            self._link.call("LLEN", key), self._link.call("LINDEX", key, -1)
        )
        return int(length), last

    async def close(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        await self._link.close()

    @property
    def open(self) -> bool:
        """Whether there is a connection at the moment."""
        return self._connection is not None

    def _join(self, channel: str, inbox: _Followed) -> None:
        first = channel not in self._followers
        self._followers.setdefault(channel, set()).add(inbox)
        self._changed.set()
        if self._keeper is None or self._keeper.done():
            self._keeper = asyncio.create_task(self._keep(), name="notices")
        elif first:
            self._subscribe(channel)
        elif channel in self._confirmed:
            inbox.put(None)

    def _leave(self, channel: str, inbox: _Followed) -> None:
        followers = self._followers[channel]
        followers.discard(inbox)
        self._changed.set()
        if followers:
            return
        del self._followers[channel]
        self._confirmed.discard(channel)
        if self._connection is not None:
            self._connection.send("UNSUBSCRIBE", channel)

    def _subscribe(self, *channels: str) -> None:
        if self._connection is not None and channels:
            for channel in channels:
                self._asked[channel] = self._asked.get(channel, 0) + 1
            self._connection.send("SUBSCRIBE", *channels)

    async def _keep(self) -> None:
        """Hold the connection while anybody follows, and a while longer."""
        for turn in count():
            nodes = (self._address, *self._address.others)
            try:
                if await self._session(nodes[turn % len(nodes)]):
                    return
            except Unavailable as problem:
                log.debug("subscription_lost", reason=str(problem))
            except GatewayError as problem:
                self._tell_all(problem)  # the address itself is at fault
                return
            finally:
                self._connection = None
            self._tell_all(None)
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _session(self, address: Address) -> bool:
        """Of one connection; true when nobody needs it any more."""
        heard = asyncio.Event()

        def push(reply: Reply) -> None:
            heard.set()
            self._take_in(reply)

        connection = await address.connect(on_push=push)
        connection.closed.add_done_callback(lambda _: heard.set())
        try:
            self._asked.clear()
            self._confirmed.clear()
            self._connection = connection
            self._subscribe(*self._followers)
            while not connection.closed.done():
                heard.clear()
                self._changed.clear()
                if not self._followers:
                    await _within(self._changed, self._linger)
                    if not self._followers:
                        return True
                elif not await _within(heard, SILENCE_SECONDS):
                    connection.send("PING")
                    if not await _within(heard, RECONNECT_SECONDS * 4):
                        return False
            return False
        finally:
            connection.abort()

    def _take_in(self, reply: Reply) -> None:
        if not isinstance(reply, list):
            return
        channel = reply[1].decode() if reply[1] is not None else ""
        if reply[0] == b"subscribe":
            self._asked[channel] = waiting = self._asked.get(channel, 1) - 1
            if waiting == 0 and channel in self._followers:
                self._confirmed.add(channel)
                self._tell(channel, None)
        elif reply[0] == b"message":
            self._tell(channel, reply[2])

    def _tell(self, channel: str, item: bytes | None) -> None:
        for inbox in self._followers.get(channel, ()):
            inbox.put(item)

    def _tell_all(self, item: GatewayError | None) -> None:
        for inboxes in self._followers.values():
            for inbox in inboxes:
                inbox.put(item)


class _Followed:
    """What one follower has not read yet."""

    def __init__(self, backlog: int) -> None:
        self._items: deque[bytes | GatewayError | None] = deque()
        self._backlog = backlog
        self._there = asyncio.Event()

    def put(self, item: bytes | GatewayError | None) -> None:
        if item is None and self._items and self._items[-1] is None:
            return
        if len(self._items) >= self._backlog:
            self._items.clear()
            self._items.append(None)
        self._items.append(item)
        self._there.set()

    def __aiter__(self) -> _Followed:
        return self

    async def __anext__(self) -> bytes | None:
        while not self._items:
            self._there.clear()
            await self._there.wait()
        item = self._items.popleft()
        if isinstance(item, GatewayError):
            raise item
        return item
