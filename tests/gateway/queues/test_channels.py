"""Publish and subscribe: what is missed is at least known to be."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from gateway.queues.channels import listen, publish
from gateway.queues.topology import Store
from gateway.queues.wire import Address
from tests.gateway.queues.redis_servers import Redis


async def test_everything_published_after_the_first_none_is_heard_in_order(
    store: Store, redis_url: str
) -> None:
    names = [f"{store.namespace}.a", f"{store.namespace}.b"]
    async with asyncio.timeout(30), aclosing(listen(Address(redis_url), names)) as heard:
        assert await anext(heard) is None
        for number in range(100):
            await publish(store, names[number % 2], b"%d" % number)
        items = [await anext(heard) for _ in range(100)]

    assert items == [(names[number % 2], b"%d" % number) for number in range(100)]


async def test_a_lost_connection_comes_back_with_a_none(own_redis: Redis) -> None:
    store = Store(own_redis.url, partitions=1)
    async with asyncio.timeout(30), aclosing(listen(Address(own_redis.url), ["c"])) as heard:
        assert await anext(heard) is None
        await publish(store, "c", b"1")
        assert await anext(heard) == ("c", b"1")
        own_redis.kill()
        own_redis.start()

        assert await anext(heard) is None
        await publish(store, "c", b"2")
        assert await anext(heard) == ("c", b"2")
    await store.close()


async def test_a_listener_that_is_too_slow_is_told_and_hears_the_newest(
    store: Store, redis_url: str
) -> None:
    name = f"{store.namespace}.slow"
    address = Address(redis_url)
    async with asyncio.timeout(30), aclosing(listen(address, [name], backlog=10)) as heard:
        assert await anext(heard) is None
        for number in range(105):
            await publish(store, name, b"%d" % number)
        items = [await anext(heard)]
        while items[-1] != (name, b"104"):
            items.append(await anext(heard))

    assert items[0] is None
    numbers = [int(item[1]) for item in items if item is not None]
    assert numbers == list(range(numbers[0], 105))


async def test_listening_survives_a_server_that_is_not_there_yet(own_redis: Redis) -> None:
    own_redis.kill()
    store = Store(own_redis.url, partitions=1)
    async with asyncio.timeout(30), aclosing(listen(Address(own_redis.url), ["c"])) as heard:
        first = asyncio.ensure_future(anext(heard))
        await asyncio.sleep(0)
        own_redis.start()

        assert await first is None
        await publish(store, "c", b"x")
        assert await anext(heard) == ("c", b"x")
    await store.close()
