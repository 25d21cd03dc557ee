"""Publish and subscribe: what wakes the sleeping and shows the growing. Never relied on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from itertools import count

import structlog

from gateway.errors import Unavailable
from gateway.queues.topology import Store
from gateway.queues.wire import Address, Reply

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
