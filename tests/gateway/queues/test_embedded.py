"""The private Redis: one owner, data kept over kills, and ends that explain themselves."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis.asyncio

from gateway.errors import BadConfig
from gateway.logs import Diary, Redactor, Sink, as_json
from gateway.queues import owner
from gateway.queues.embedded import (
    CannotStart,
    EmbeddedRedis,
    Options,
    Server,
    configuration,
    explain,
    servers,
    url,
)


@pytest.fixture
def diary() -> Iterator[Diary]:
    reading, writing = os.pipe()
    yield Diary(Sink(writing, Redactor()), as_json)
    os.close(reading)
    os.close(writing)


@pytest.fixture
async def held(tmp_path: Path) -> AsyncIterator[owner.Held]:
    found = await owner.hold(tmp_path / "home")
    yield found
    found.release()


@pytest.fixture
async def private(
    tmp_path: Path, held: owner.Held, diary: Diary, binary: Server
) -> AsyncIterator[EmbeddedRedis]:
    server = EmbeddedRedis(tmp_path / "home", Options(), diary, lock=held.fd, binary=binary)
    yield server
    await server.stop()


async def _client(server: EmbeddedRedis) -> redis.asyncio.Redis:
    return redis.asyncio.Redis.from_url(server.url)


async def test_it_comes_up_with_the_settings_the_queue_relies_on(private: EmbeddedRedis) -> None:
    await private.start()

    async with await _client(private) as client:
        found = await client.config_get("*")

    assert found["appendonly"] == "yes"
    assert found["appendfsync"] == "always"
    assert found["maxmemory-policy"] == "noeviction"
    assert found["maxmemory"] == str(256 * 2**20)
    assert found["port"] == "0"
    assert found["save"] == ""


async def test_only_its_user_can_reach_it(private: EmbeddedRedis) -> None:
    await private.start()

    path = Path(private.url.removeprefix("unix://"))
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0


async def test_data_survive_a_kill_and_a_new_start(private: EmbeddedRedis) -> None:
    await private.start()
    async with await _client(private) as client:
        await client.rpush("lane", "one", "two")
    os.kill(private.pid, signal.SIGKILL)
    await private.wait()

    await private.start()

    async with await _client(private) as client:
        assert await client.lrange("lane", 0, -1) == [b"one", b"two"]


async def test_stopping_ends_it_and_its_socket_answers_no_more(private: EmbeddedRedis) -> None:
    await private.start()
    await private.stop()

    assert await private.wait() == 0
    with pytest.raises(redis.exceptions.ConnectionError):
        async with await _client(private) as client:
            await client.ping()


async def test_a_damaged_log_is_told_with_the_command_that_mends_it(
    private: EmbeddedRedis, tmp_path: Path
) -> None:
    await private.start()
    async with await _client(private) as client:
        for number in range(50):
            await client.set(f"key-{number}", "x" * 40)
    await private.stop()
    (log,) = [
        path for path in (tmp_path / "home/redis").rglob("*") if path.name.endswith(".incr.aof")
    ] or list((tmp_path / "home/redis").glob("appendonly.aof"))
    head, middle, rest = log.read_bytes().partition(b"$6\r\nkey-20")
    log.write_bytes(head + b"?" + middle[1:] + rest)

    with pytest.raises(CannotStart, match=r"damaged.*redis-check-aof --fix .*operations\.md"):
        await private.start()


async def test_a_log_cut_short_by_a_power_cut_loads(private: EmbeddedRedis, tmp_path: Path) -> None:
    await private.start()
    async with await _client(private) as client:
        await client.rpush("lane", "one")
        await client.rpush("lane", "two")
    os.kill(private.pid, signal.SIGKILL)
    await private.wait()
    (log,) = [
        path for path in (tmp_path / "home/redis").rglob("*") if path.name.endswith(".incr.aof")
    ] or list((tmp_path / "home/redis").glob("appendonly.aof"))
    log.write_bytes(log.read_bytes()[:-7])

    await private.start()

    async with await _client(private) as client:
        assert await client.lrange("lane", 0, -1) == [b"one"]


async def test_a_second_start_says_who_holds_the_folder(tmp_path: Path) -> None:
    first = await owner.hold(tmp_path)
    first.announce(http="http://127.0.0.1:8080")

    with pytest.raises(
        owner.InUse, match=rf"process {os.getpid()} on .* since .*127\.0\.0\.1:8080"
    ):
        await owner.hold(tmp_path)

    first.release()
    (await owner.hold(tmp_path)).release()


async def test_the_running_owner_is_found_and_a_past_one_is_not(tmp_path: Path) -> None:
    assert owner.running(tmp_path) is None
    held = await owner.hold(tmp_path)
    held.announce(redis=url(tmp_path))

    found = owner.running(tmp_path)

    assert found is not None
    assert found.redis == url(tmp_path)
    held.release()
    assert owner.running(tmp_path) is None


_CRASHES = """
import asyncio, os, sys
from pathlib import Path
from gateway.logs import Diary, Redactor, Sink, as_json
from gateway.queues import owner
from gateway.queues.embedded import EmbeddedRedis, Options

async def main():
    home = Path(sys.argv[1])
    held = await owner.hold(home)
    server = EmbeddedRedis(home, Options(), Diary(Sink(2, Redactor()), as_json), lock=held.fd)
    await server.start()
    print(server.pid, flush=True)
    os.kill(os.getpid(), 9)

asyncio.run(main())
"""


async def test_the_server_dies_with_a_killed_owner_and_the_next_one_gets_the_folder(
    tmp_path: Path, diary: Diary
) -> None:
    killed = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _CRASHES, str(tmp_path), stdout=subprocess.PIPE
    )
    said, _ = await killed.communicate()
    assert killed.returncode == -signal.SIGKILL

    held = await owner.hold(tmp_path)  # waits until that server has let go

    server = EmbeddedRedis(tmp_path, Options(), diary, lock=held.fd)
    await server.start()
    assert server.pid != int(said)
    await server.stop()
    held.release()


async def test_a_long_folder_name_gets_a_short_private_socket(tmp_path: Path, diary: Diary) -> None:
    home = tmp_path / ("deep-" * 20) / ("er-" * 20)
    held = await owner.hold(home)
    server = EmbeddedRedis(home, Options(), diary, lock=held.fd)

    await server.start()

    path = Path(server.url.removeprefix("unix://"))
    assert len(str(path)) < 107
    assert path.parent.stat().st_mode & 0o077 == 0
    await server.stop()
    held.release()
    path.unlink(missing_ok=True)


async def test_an_older_server_is_refused_on_a_newer_ones_files(
    tmp_path: Path, diary: Diary
) -> None:
    older = Server(servers()[0].path, (6, 2, 14), "Redis")  # not every machine has two
    (tmp_path / "redis" / "appendonlydir").mkdir(parents=True)
    (tmp_path / "redis" / "written-by").write_text("Redis 7.0.15\n")
    held = await owner.hold(tmp_path)
    server = EmbeddedRedis(tmp_path, Options(), diary, lock=held.fd, binary=older)

    with pytest.raises(CannotStart, match=r"written by Redis 7\.0\.15, and Redis 6\.2"):
        await server.start()

    held.release()


@pytest.fixture(params=["oldest", "newest"])
def binary(request: pytest.FixtureRequest) -> Server:
    found = sorted(servers(), key=lambda server: server.version)
    return found[0] if request.param == "oldest" else found[-1]


def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("not a folder")

    with pytest.raises(BadConfig, match="is a file, not a folder"):
        asyncio.run(owner.hold(tmp_path / "home"))


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "Error writing to the AOF file: No space left on device\n"
            "Can't recover from AOF write error when the AOF fsync policy is 'always'. Exiting...",
            "is full",
        ),
        (
            "Bad file format reading the append only file: make a backup of your AOF file, then "
            "use ./redis-check-aof --fix <filename>",
            "redis-check-aof --fix",
        ),
        ("Can't open the append-only file appendonly.aof: Permission denied", "another user"),
        ("Can't handle RDB format version 12", "newer server"),
        ("something nobody has seen", ""),
    ],
)
def test_known_ends_are_told_in_plain_words(said: str, told: str, tmp_path: Path) -> None:
    found = explain(said, tmp_path)

    assert told in found
    assert bool(found) == bool(told)


def test_odd_folder_names_are_quoted_in_its_configuration(tmp_path: Path) -> None:
    folder = tmp_path / 'a "b" \\c'

    text = configuration(folder, folder / "s", Options(fsync="everysec", memory=2**26))

    assert re.search(r'^dir ".*a \\"b\\" \\\\c"$', text, re.M)
    assert "appendfsync everysec" in text
    assert "maxmemory 67108864" in text
