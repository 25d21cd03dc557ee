"""What the queue is measured against: Redis' own limit and the task queues people use.

The limit: the primitive commands that one message's life runs inside our scripts, counted by the
server itself (INFO commandstats), issued raw through the same wire client, 1,000 in flight, with
arguments of the same size and no Lua. The task queues: no-op async jobs on the same server, one
worker, 100 at once, from the first job sent to the last one run, sender and worker in one process.
"""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from gateway.queues.wire import Address, Argument, Connection

TEXT = b"x" * 600
IN_FLIGHT = 1000

# A stand-in of every command, with the key types and sizes of the real ones; {} is a number.
_SHAPES: Mapping[str, tuple[Argument, ...]] = {
    "set": ("SET", "raw:s:{}", "1", "NX", "PX", "691200000"),
    "get": ("GET", "raw:own"),
    "del": ("DEL", "raw:x:{}"),
    "exists": ("EXISTS", "raw:x:{}"),
    "hget": ("HGET", "raw:h:{}", "f"),
    "hgetall": ("HGETALL", "raw:h:{}"),
    "hmget": ("HMGET", "raw:h:{}", "s", "p", "t", "f"),
    "hset": ("HSET", "raw:h:{}", "s", "r", "f", "17"),
    "hsetnx": ("HSETNX", "raw:h:{}", "0", "ready"),
    "hdel": ("HDEL", "raw:h:{}", "x"),
    "hincrby": ("HINCRBY", "raw:led", "waiting", "1"),
    "incr": ("INCR", "raw:n"),
    "lindex": ("LINDEX", "raw:l:{}", "0"),
    "llen": ("LLEN", "raw:l:{}"),
    "lpop": ("LPOP", "raw:l:{}"),
    "lrange": ("LRANGE", "raw:l:{}", "0", "0"),
    "ltrim": ("LTRIM", "raw:l:{}", "-2", "-1"),
    "rpush": ("RPUSH", "raw:l:{}", TEXT),
    "pexpire": ("PEXPIRE", "raw:h:{}", "691200000"),
    "publish": ("PUBLISH", "raw:c", "conversation"),
    "time": ("TIME",),
    "zadd": ("ZADD", "raw:z", "1", "{}"),
    "zrem": ("ZREM", "raw:z", "{}"),
    "zscore": ("ZSCORE", "raw:z", "{}"),
    "zrange": ("ZRANGE", "raw:z", "0", "0"),
    "zrangebyscore": ("ZRANGEBYSCORE", "raw:z", "-inf", "0", "LIMIT", "0", "1"),
}


def primitives(before: Mapping[str, int], after: Mapping[str, int], lives: int) -> dict[str, float]:
    """Commands per message by name: what the scripts ran, without the calls of the scripts."""
    return {
        name: (count - before.get(name, 0)) / lives
        for name, count in after.items()
        if name in _SHAPES and count > before.get(name, 0)
    }


async def raw_limit(url: str, commands: Mapping[str, float], lives: int) -> float:
    """Lives per second when nothing but the commands is done."""
    connection = await Address(url).connect()
    due = dict.fromkeys(commands, 0.0)
    gate = asyncio.Semaphore(IN_FLIGHT)
    begin = time.perf_counter()
    futures: list[asyncio.Future[object]] = []
    for number in range(lives):
        await gate.acquire()
        for name, count in commands.items():
            due[name] += count
            while due[name] >= 1.0:
                due[name] -= 1.0
                futures.append(_call(connection, name, number))
        futures[-1].add_done_callback(lambda _: gate.release())
    await asyncio.gather(*futures)
    seconds = time.perf_counter() - begin
    connection.abort()
    await connection.closed
    return lives / seconds


def _call(connection: Connection, name: str, number: int) -> asyncio.Future[object]:
    spread = str(number % 2000)
    return connection.call(
        *(
            spread.join(word.split("{}")) if isinstance(word, str) else word
            for word in _SHAPES[name]
        )
    )


def task_queue(name: str, url: str, jobs: int) -> tuple[float, float]:
    """No-op jobs per second, and CPU microseconds of Python per job.

    ``taskiq`` on Redis streams or ``dramatiq`` with its asyncio middleware. In a process of its
    own: these libraries own loops, threads and global brokers.
    """
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.queue_controls", name, url, str(jobs)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).parent.parent,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    rate, cpu = done.stdout.split()
    return float(rate), float(cpu)


async def _taskiq(url: str, jobs: int) -> float:
    from taskiq.receiver import Receiver
    from taskiq_redis import RedisStreamBroker

    broker = RedisStreamBroker(url=url)
    numbers, done = itertools.count(1), asyncio.Event()

    async def noop() -> None:
        if next(numbers) == jobs:
            done.set()

    task = broker.register_task(noop, task_name="noop")
    broker.is_worker_process = True
    await broker.startup()
    stop = asyncio.Event()
    worker = asyncio.create_task(Receiver(broker, max_async_tasks=100).listen(stop))
    begin = time.perf_counter()
    for _ in range(0, jobs, 100):
        await asyncio.gather(*(task.kiq() for _ in range(100)))
    await done.wait()
    seconds = time.perf_counter() - begin
    stop.set()
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    await broker.shutdown()
    return jobs / seconds


def _dramatiq(url: str, jobs: int) -> float:
    import threading

    import dramatiq
    import redis
    from dramatiq.brokers.redis import RedisBroker
    from dramatiq.middleware.asyncio import AsyncIO

    broker = RedisBroker(client=redis.Redis.from_url(url))
    broker.add_middleware(AsyncIO())
    numbers, done = itertools.count(1), threading.Event()

    async def noop() -> None:
        if next(numbers) == jobs:
            done.set()

    actor = dramatiq.actor(noop, broker=broker)
    worker = dramatiq.Worker(broker, worker_threads=100, worker_timeout=100)
    worker.start()
    begin = time.perf_counter()
    for _ in range(jobs):
        actor.send()
    done.wait(50)
    seconds = time.perf_counter() - begin
    worker.stop()
    return jobs / seconds


if __name__ == "__main__":
    import uvloop

    which, where, how_many = sys.argv[1], sys.argv[2], int(sys.argv[3])
    began = time.process_time()
    rate = uvloop.run(_taskiq(where, how_many)) if which == "taskiq" else _dramatiq(where, how_many)
    print(rate, (time.process_time() - began) / how_many * 1e6)
