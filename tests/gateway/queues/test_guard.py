"""The start-up check: a server that would lose messages is refused with the line to change."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.errors import BadConfig, Unavailable
from gateway.queues.guard import StoreHealth, _problems, check, require
from gateway.queues.topology import Store
from tests.gateway.queues.redis_servers import Redis, redis


@pytest.fixture
async def guarded(own_redis: Redis) -> AsyncIterator[Store]:
    store = Store(own_redis.url, partitions=2, deadline=0.5)
    yield store
    await store.close()


async def test_a_sound_server_passes(own_redis: Redis, guarded: Store) -> None:
    own_redis.tell("CONFIG", "SET", "appendfsync", "always")
    health = await require(guarded, fsync="always")

    assert (health.problems, health.warnings, health.full) == ((), (), False)
    assert health.version.split(".")[0].isdigit()


async def test_everysec_is_a_choice_and_otherwise_a_warning(guarded: Store) -> None:
    assert (await require(guarded, fsync="everysec")).warnings == ()
    (warning,) = (await require(guarded, fsync="always")).warnings
    assert "set 'appendfsync always'" in warning


async def test_a_server_that_evicts_or_forgets_is_refused_with_the_line_to_change(
    own_redis: Redis, guarded: Store
) -> None:
    own_redis.tell("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    own_redis.tell("CONFIG", "SET", "appendonly", "no")
    with pytest.raises(BadConfig) as refusal:
        await require(guarded)

    assert "set 'appendonly yes'" in str(refusal.value)
    assert "set 'maxmemory-policy noeviction'" in str(refusal.value)
    own_redis.tell("CONFIG", "SET", "maxmemory-policy", "noeviction")
    own_redis.tell("CONFIG", "SET", "appendonly", "yes")
    assert (await check(guarded)).problems == ()


def test_an_old_server_is_refused() -> None:
    info = {"redis_version": "5.0.14", "aof_enabled": "1"}
    (problem,) = _problems(info, "localhost:6379")
    assert problem == "localhost:6379 is Redis 5.0.14, 6.2 is the oldest we know"


def test_a_server_that_cannot_write_its_file_is_a_problem() -> None:
    info = {"redis_version": "7.2.4", "aof_enabled": "1", "aof_last_write_status": "err"}
    (problem,) = _problems(info, "x")
    assert "disk full" in problem


async def test_a_server_that_hides_its_settings_is_used_with_a_warning(own_redis: Redis) -> None:
    own_redis.tell("ACL", "SETUSER", "gate", "on", ">pw", "~*", "&*", "+@all", "-config")
    own_redis.tell("ACL", "SETUSER", "default", "off")
    store = Store(f"unix://gate:pw@{own_redis.socket}", partitions=1)
    health = await require(store)
    await store.close()

    (warning,) = health.warnings
    assert "could not be read" in warning


async def test_a_wrong_password_is_a_mistake_in_the_settings(own_redis: Redis) -> None:
    own_redis.tell("CONFIG", "SET", "requirepass", "secret")
    for user in ("", ":wrong@"):
        store = Store(f"unix://{user}{own_redis.socket}", partitions=1)
        with pytest.raises(BadConfig, match=r"redis\.url"):
            await check(store)
        await store.close()


async def test_a_nearly_full_server_says_so(own_redis: Redis, guarded: Store) -> None:
    assert (await check(guarded)).used_share == 0.0
    own_redis.tell("CONFIG", "SET", "maxmemory", "1mb")
    assert (await check(guarded)).full


async def test_a_server_that_is_not_there_is_no_verdict(own_redis: Redis, guarded: Store) -> None:
    await check(guarded)
    own_redis.freeze()
    with pytest.raises(Unavailable):
        await check(guarded)
    own_redis.thaw()


async def test_a_cut_tail_loads_and_a_flipped_byte_is_refused_by_the_server(
    tmp_path: Path,
) -> None:
    with redis() as server:
        for number in range(20):
            server.tell("SET", f"k{number}", "v" * 20)
        server.kill()
        (aof,) = (server.folder / "appendonlydir").glob("*.incr.aof")
        whole = aof.read_bytes()
        aof.write_bytes(whole[:-7])
        server.start()
        assert server.tell("DBSIZE") == ":19\r\n"
        server.kill()
        flipped = bytearray(whole)
        flipped[whole.index(b"$2\r\nk9")] = ord("!")
        aof.write_bytes(flipped)
        with pytest.raises(RuntimeError, match="Bad file format"):
            server.start()


def test_health_is_full_from_four_fifths_on() -> None:
    assert not StoreHealth(used_share=0.79).full
    assert StoreHealth(used_share=0.8).full


async def test_another_number_of_partitions_than_the_data_have_is_refused(
    own_redis: Redis, guarded: Store
) -> None:
    """Conversations would be looked for where they are not, and replies never be sent."""
    await require(guarded)
    more = Store(own_redis.url, partitions=3, deadline=0.5)
    elsewhere = Store(own_redis.url, namespace="new", partitions=3, deadline=0.5)

    with pytest.raises(BadConfig, match=r"redis\.partitions: is 3, but what is stored lies in 2"):
        await require(more)

    await require(elsewhere)
    await require(guarded)
    await more.close()
    await elsewhere.close()
