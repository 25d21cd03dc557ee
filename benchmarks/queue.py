"""The queue: a message's whole life against Redis' limit and against task queues.

Put, claimed, committed with one outbox part and two lines of history, marked as being sent, marked
as sent. Producer, worker and sender are tasks of one process on uvloop; Redis is the other process.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import uvloop

from benchmarks.queue_controls import primitives, raw_limit, task_queue
from benchmarks.queue_life import ACCOUNT, Clocks, Life, events
from benchmarks.servers import redis_server
from gateway.queues.accounts import Owners
from gateway.queues.outbox import Ownership
from gateway.queues.topology import Store

TARGETS = {
    "messages_per_second": ">= 8000 (everysec)",
    "ratio_to_redis_limit": ">= 0.5",
    "ratio_to_best_task_queue": ">= 5",
    "python_us_per_message": "<= 60",
    "latency_ms_at_50_per_second.sent.p99": "<= 5",
}


@dataclass(frozen=True, slots=True)
class Sizes:
    messages: int
    conversations: int
    rounds: int
    paced: int
    jobs: int


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks queue", description=__doc__)
    parser.add_argument("--json", action="store_true", help="figures as JSON and nothing else")
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--conversations", type=int, default=5_000)
    parser.add_argument("--fsync", choices=["everysec", "always"], nargs="*")
    options = parser.parse_args(argv)
    sizes = Sizes(options.messages, options.conversations, rounds=4, paced=300, jobs=2000)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    result: dict[str, Any] = {
        "what": " ".join(__doc__.split()),
        "targets": TARGETS,
        "load_average": os.getloadavg()[0],
    }
    for fsync in options.fsync or ("everysec", "always"):
        result[fsync] = _measure(fsync, sizes)
    print(json.dumps(result, indent=None if options.json else 2))


def _measure(fsync: str, sizes: Sizes) -> dict[str, Any]:
    with redis_server(fsync) as url:
        figures: dict[str, Any] = uvloop.run(_ours(url, sizes))
        best = 0.0
        for name in ("taskiq", "dramatiq"):
            rate, cpu = task_queue(name, url, sizes.jobs)
            figures[name] = {"jobs_per_second": round(rate), "python_us_per_job": round(cpu, 1)}
            best = max(best, rate)
    alone = figures["as_a_mere_task_queue"]["messages_per_second"]
    return figures | {
        "ratio_to_best_task_queue": round(alone / best, 2),
        "ratio_to_best_task_queue_with_reply": round(figures["messages_per_second"] / best, 2),
        "ratio_is": "put, claimed and committed against sent and run; then the whole life",
    }


async def _ours(url: str, sizes: Sizes) -> dict[str, Any]:
    store = Store(url, deadline=10.0)
    own, _ = await Owners(store, lease_seconds=600).acquire(ACCOUNT)
    assert own is not None
    each = sizes.messages // sizes.rounds
    stream = list(events(sizes.messages + sizes.paced + each, sizes.conversations))
    before = await _commands(store)
    limits: list[float] = []
    rounds: list[dict[str, float]] = []
    for number in range(sizes.rounds):
        batch = stream[number * each : (number + 1) * each]
        rounds.append(await _round(store, own, batch))
        commands = primitives(before, await _commands(store), each * (number + 1))
        if number in {0, sizes.rounds - 1}:
            busy = await _redis_cpu(store)
            limits.append(await raw_limit(url, commands, each // 2))
            raw_us = (await _redis_cpu(store) - busy) / (each // 2) * 1e6
            before = _without(await _commands(store), commands, each * (number + 1))
    latency = await _paced(store, own, stream[sizes.messages : -each])
    alone = await _round(store, own, stream[-each:], reply=False)
    await store.close()
    rates = [one["messages_per_second"] for one in rounds]
    rate, limit = sizes.rounds / sum(1 / one for one in rates), max(limits)
    return {
        "messages": sizes.messages,
        "conversations": sizes.conversations,
        "messages_per_second": round(rate),
        "messages_per_second_best_round": round(max(rates)),
        "python_us_per_message": _mean(rounds, "python_us"),
        "python_us_per_message_best_round": min(one["python_us"] for one in rounds),
        "redis_us_per_message": _mean(rounds, "redis_us"),
        "latency_ms_at_50_per_second": latency,
        "as_a_mere_task_queue": alone,
        "redis_commands_per_message": {name: round(n, 2) for name, n in commands.items()},
        "redis_limit_per_second": round(limit),
        "redis_limit_is": (
            "the commands above issued raw through the same wire client, pipelined, without Lua"
        ),
        "redis_us_per_message_at_the_limit": round(raw_us, 1),
        "ratio_to_redis_limit": round(rate / limit, 2),
    }


def _without(now: Mapping[str, int], commands: Mapping[str, float], lives: int) -> dict[str, int]:
    """The counters' starting point, moved on by what the control itself ran."""
    return {name: now[name] - round(commands.get(name, 0.0) * lives) for name in now}


def _mean(rounds: list[dict[str, float]], name: str) -> float:
    return round(sum(one[name] for one in rounds) / len(rounds), 1)


async def _round(
    store: Store, own: Ownership, batch: list[Any], *, reply: bool = True
) -> dict[str, float]:
    life = Life(store, len(batch), reply=reply)
    redis, python = await _redis_cpu(store), time.process_time()
    seconds = await life.run(own, iter(batch), writers=400)
    python, redis = time.process_time() - python, await _redis_cpu(store) - redis
    return {
        "messages_per_second": round(len(batch) / seconds),
        "python_us": round(python / len(batch) * 1e6, 1),
        "redis_us": round(redis / len(batch) * 1e6, 1),
    }


async def _paced(store: Store, own: Ownership, batch: list[Any]) -> dict[str, dict[str, float]]:
    """50 messages a second on an idle queue: put returned is not measured, claimed and sent are."""
    life = Life(store, len(batch))
    await life.run(own, iter(batch), writers=1, pause=0.02)
    return {
        "claimed": _percentiles(life.clocks, life.clocks.claimed),
        "sent": _percentiles(life.clocks, life.clocks.sent),
    }


def _percentiles(clocks: Clocks, reached: Mapping[str, float]) -> dict[str, float]:
    took = sorted((at - clocks.put[name]) * 1000 for name, at in reached.items())
    return {
        "p50": round(took[len(took) // 2], 2),
        "p99": round(took[int(len(took) * 0.99)], 2),
    }


async def _info(store: Store, section: str) -> dict[str, str]:
    raw = (await store.call(store.partitions[0], "INFO", section)).decode()
    return dict(tuple(line.split(":", 1)) for line in raw.splitlines() if ":" in line)


async def _redis_cpu(store: Store) -> float:
    info = await _info(store, "cpu")
    return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])


async def _commands(store: Store) -> dict[str, int]:
    info = await _info(store, "commandstats")
    return {
        name.removeprefix("cmdstat_"): int(fields.split(",")[0].removeprefix("calls="))
        for name, fields in info.items()
    }
