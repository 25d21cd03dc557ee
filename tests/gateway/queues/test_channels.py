"""Publish and subscribe: what is missed is at least known to be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from gateway.errors import BadConfig, Unavailable
from gateway.queues.channels import Subscriptions, listen, publish
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


@pytest.fixture
async def notices(redis_url: str) -> AsyncIterator[Subscriptions]:
    one = Subscriptions(Address(redis_url), backlog=10, linger=0.05)
    yield one
    await one.close()


async def test_a_follower_hears_what_is_published_on_its_channel_alone(
    store: Store, notices: Subscriptions
) -> None:
    a, b = f"{store.namespace}.a", f"{store.namespace}.b"
    async with asyncio.timeout(30), notices.follow(a) as of_a, notices.follow(b) as of_b:
        assert (await anext(of_a), await anext(of_b)) == (None, None)
        await publish(store, a, b"1")
        await publish(store, b, b"2")

        assert (await anext(of_a), await anext(of_b)) == (b"1", b"2")


async def test_many_followers_of_a_channel_share_a_connection_and_come_and_go(
    store: Store, notices: Subscriptions
) -> None:
    name = f"{store.namespace}.shared"
    async with asyncio.timeout(30), notices.follow(name) as first:
        assert await anext(first) is None
        async with notices.follow(name) as second:
            assert await anext(second) is None
            assert await _subscribers(store, name) == 1
            await publish(store, name, b"to both")
            assert (await anext(first), await anext(second)) == (b"to both", b"to both")
        await publish(store, name, b"to one")

        assert await anext(first) == b"to one"


async def test_a_channel_left_and_followed_again_at_once_is_followed(
    store: Store, notices: Subscriptions
) -> None:
    name = f"{store.namespace}.again"
    async with asyncio.timeout(30), notices.follow(f"{store.namespace}.other") as other:
        assert await anext(other) is None
        for number in range(20):
            async with notices.follow(name):
                pass
            async with notices.follow(name) as heard:
                assert await anext(heard) is None
                await publish(store, name, b"%d" % number)
                assert await anext(heard) == b"%d" % number


async def test_the_connection_is_opened_late_and_closed_when_nobody_follows(
    store: Store, notices: Subscriptions
) -> None:
    assert not notices.open
    async with asyncio.timeout(30):
        for _ in range(2):
            async with notices.follow(f"{store.namespace}.x") as heard:
                assert await anext(heard) is None
                assert notices.open
            while notices.open:
                await asyncio.sleep(0.01)


async def test_every_follower_is_told_of_a_lost_connection_and_hears_again(
    own_redis: Redis,
) -> None:
    store, notices = Store(own_redis.url, partitions=1), Subscriptions(Address(own_redis.url))
    async with asyncio.timeout(30), notices.follow("a") as a, notices.follow("b") as b:
        assert (await anext(a), await anext(b)) == (None, None)
        for number in range(3):
            own_redis.tell("CLIENT", "KILL", "TYPE", "pubsub")
            assert (await anext(a), await anext(b)) == (None, None)
            for name, heard in (("a", a), ("b", b)):
                while not await _subscribers(store, name):
                    await asyncio.sleep(0.01)
                await publish(store, name, b"%d" % number)
                while (item := await anext(heard)) is None:
                    pass
                assert item == b"%d" % number
    await notices.close()
    await store.close()


async def test_a_store_that_is_not_there_is_told_and_comes_back(own_redis: Redis) -> None:
    own_redis.kill()
    store, notices = Store(own_redis.url, partitions=1), Subscriptions(Address(own_redis.url))
    async with asyncio.timeout(30), notices.follow("c") as heard:
        assert await anext(heard) is None
        with pytest.raises(Unavailable):
            await notices.value("k")
        own_redis.start()
        while not await _subscribers(store, "c"):
            await asyncio.sleep(0.01)
        await publish(store, "c", b"x")
        while (item := await anext(heard)) is None:
            pass

        assert item == b"x"
        assert await notices.value("k") is None
        own_redis.tell("SET", "k", "v")
        assert await notices.value("k") == b"v"
    await notices.close()
    await store.close()


async def test_a_follower_that_is_too_slow_is_told(store: Store, notices: Subscriptions) -> None:
    name = f"{store.namespace}.slow"
    async with asyncio.timeout(30), notices.follow(name) as heard:
        assert await anext(heard) is None
        for number in range(105):
            await publish(store, name, b"%d" % number)
        items = [await anext(heard)]
        while items[-1] != b"104":
            items.append(await anext(heard))

    assert items[0] is None
    assert 1 < len(items) <= 11


async def test_a_wrong_password_is_told_to_who_follows(own_redis: Redis) -> None:
    own_redis.tell("CONFIG", "SET", "requirepass", "right")
    notices = Subscriptions(Address(own_redis.url, "wrong"))
    async with asyncio.timeout(30), notices.follow("c") as heard:
        with pytest.raises(BadConfig):
            await anext(heard)
    await notices.close()


async def test_a_queue_tells_its_length_and_its_oldest(
    store: Store, notices: Subscriptions
) -> None:
    key = f"{store.namespace}.list"
    assert await notices.queue(key) == (0, None)
    await store.call(store.partitions[0], "LPUSH", key, "old", "young")
    assert await notices.queue(key) == (2, b"old")


async def _subscribers(store: Store, channel: str) -> int:
    _, number = await store.call(store.partitions[0], "PUBSUB", "NUMSUB", channel)
    return int(number)
