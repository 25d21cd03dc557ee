"""CPU of the engine client per request and per chunk, beside a bare aiohttp client.

Both read the same bytes from the same fake engine, which runs in a process of its own. The bare
client does what anybody would write first: post, read the lines, `json.loads` each, join the text.
It has no deadlines, no limits and no checks. ``bytes`` is the floor: it reads and parses nothing.
Rounds alternate, so that whatever else the machine does meets all of them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import aiohttp
import uvloop

from engine.config import EngineConfig
from engine.registry import build
from gateway.clock import SystemClock
from gateway.ports import ChatMessage, Finished, Prompt, Text
from tests.fakes.engine import EngineProcess

CHUNKS = (10, 20, 100)
QUESTION = "Please repeat these words to me, one after another, so that I can count them. " * 8
MESSAGES = [{"role": "user", "content": QUESTION}]

Ask = Callable[[bool], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Shape:
    """What one request is like: pieces of a streamed answer, or 0 for an answer in one piece."""

    chunks: int

    @property
    def name(self) -> str:
        return f"streamed_{self.chunks}" if self.chunks else "whole"


SHAPES = (*(Shape(count) for count in CHUNKS), Shape(0))


async def measured(rounds: int, requests: int, at_once: int) -> Mapping[str, Mapping[str, float]]:
    """Milliseconds of CPU per request, by shape and client: the median round."""
    server = await EngineProcess.start("--keep", "0")
    engine = build({"fake": EngineConfig(url=server.url, model="fake")}, SystemClock())
    prompts = {
        stream: Prompt(messages=[ChatMessage(role="user", content=QUESTION)], stream=stream)
        for stream in (True, False)
    }

    async def ours(stream: bool) -> str:
        text, complete = [], False
        async with aclosing(engine.generate(prompts[stream])) as events:
            async for event in events:
                if isinstance(event, Text):
                    text.append(event.text)
                elif isinstance(event, Finished):
                    complete = True
        assert complete
        return "".join(text)

    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    url = f"{server.url}/chat/completions"

    async def bare(stream: bool) -> str:
        body = {"model": "fake", "messages": MESSAGES, "stream": stream}
        async with session.post(url, json=body) as response:
            if not stream:
                whole = await response.json()
                return str(whole["choices"][0]["message"]["content"])
            text = ""
            async for line in response.content:
                if line.startswith(b"data: ") and line != b"data: [DONE]\n":
                    choices = json.loads(line[6:])["choices"]
                    text += choices[0]["delta"].get("content", "") if choices else ""
            return text

    async def floor(stream: bool) -> str:
        body = {"model": "fake", "messages": MESSAGES, "stream": stream}
        async with session.post(url, json=body) as response:
            await response.read()
        return f"echo: {QUESTION}"

    clients: Mapping[str, Ask] = {"ours": ours, "bare": bare, "bytes": floor}
    try:
        return {
            shape.name: await _shape(shape, clients, server, rounds, requests, at_once)
            for shape in SHAPES
        }
    finally:
        await session.close()
        await engine.close()
        await server.stop()


async def _shape(
    shape: Shape,
    clients: Mapping[str, Ask],
    server: EngineProcess,
    rounds: int,
    requests: int,
    at_once: int,
) -> Mapping[str, float]:
    # A pause between pieces, so that each arrives by itself as it does from a model.
    fault = {"chunks": shape.chunks, "token_delay": 0.002 if shape.chunks else 0}
    async with aiohttp.ClientSession() as control:
        await control.post(f"{server.url.removesuffix('/v1')}/_fake/fault", json=fault)
    spent: dict[str, list[float]] = {name: [] for name in clients}
    for number in range(rounds + 1):
        for name, ask in clients.items():
            cost = await _round(ask, bool(shape.chunks), requests, at_once)
            if number:  # the first one warms up
                spent[name].append(cost / requests * 1000)
    return {name: statistics.median(costs) for name, costs in spent.items()}


async def _round(ask: Ask, stream: bool, requests: int, at_once: int) -> float:
    left = iter(range(requests))

    async def chat() -> None:
        for _ in left:
            text = await ask(stream)
            assert text == f"echo: {QUESTION}"

    begun = time.process_time()
    await asyncio.gather(*(chat() for _ in range(at_once)))
    return time.process_time() - begun


def report(found: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """The figures by name, rounded for reading."""
    few, many = (found[f"streamed_{count}"] for count in (CHUNKS[0], CHUNKS[-1]))
    span = CHUNKS[-1] - CHUNKS[0]
    return {
        "ratio": round(max(costs["ours"] / costs["bare"] for costs in found.values()), 2),
        "ratios": {name: round(c["ours"] / c["bare"], 2) for name, c in found.items()},
        "ms_per_request": {
            name: {client: round(ms, 3) for client, ms in costs.items()}
            for name, costs in found.items()
        },
        "us_per_chunk": {
            client: round((many[client] - few[client]) / span * 1000, 1) for client in few
        },
        "machine": {
            "python": platform.python_version(),
            "aiohttp": aiohttp.__version__,
            "cores": os.cpu_count(),
            "load": round(os.getloadavg()[0], 1),
        },
    }


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks client", description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=64, help="per round and client")
    parser.add_argument("--at-once", type=int, default=8)
    options = parser.parse_args(argv)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(measured(options.rounds, options.requests, options.at_once))
    told = report(found)
    if options.json:
        print(json.dumps(told, indent=2))
        return
    print(f"{'':14}{'ours':>9}{'bare':>9}{'bytes':>9}{'ratio':>8}   ms of CPU per request")
    for name, costs in told["ms_per_request"].items():
        columns = "".join(f"{costs[client]:9.3f}" for client in ("ours", "bare", "bytes"))
        print(f"{name:14}{columns}{told['ratios'][name]:8.2f}")
    chunk = told["us_per_chunk"]
    print(f"per chunk: ours {chunk['ours']} µs, bare {chunk['bare']} µs")
