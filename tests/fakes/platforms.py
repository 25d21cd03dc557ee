"""What the fakes of platforms share: a process of their own, faults to order, a journal."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, TypeVar

import aiohttp
from aiohttp import web


class Server(Protocol):
    url: str

    async def start(self, port: int = 0) -> None: ...

    async def stop(self) -> None: ...


async def until(condition: Callable[[], Any], seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


class Local:
    """A fake in this process: it serves inside ``async with``."""

    server: Server
    until = staticmethod(until)

    async def __aenter__(self) -> Self:
        await self.server.start()
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.server.stop()


class Remote:
    """A fake in a process of its own, by its control side."""

    module: ClassVar[str]
    """What serves there, by `serve`."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self._session = session

    @classmethod
    @contextlib.asynccontextmanager
    async def start(cls, *, port: int = 0, journal: Path | None = None) -> AsyncIterator[Self]:
        options = ["--port", str(port), *(["--journal", str(journal)] if journal else [])]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", cls.module, *options, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        url = (await process.stdout.readline()).decode().strip()
        try:
            async with aiohttp.ClientSession() as session:
                yield cls(url, session)
        finally:
            process.terminate()
            await process.wait()

    async def ask(self, what: str, **given: Any) -> Any:
        async with self._session.post(f"{self.url}/control/{what}", json=given) as answer:
            answer.raise_for_status()
            return await answer.json()


def serve(made: Callable[[Path | None], Server], about: str | None) -> None:
    """A program that is a fake: prints its address, and serves until it is told to end."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--journal", type=Path, default=None)
    given = parser.parse_args()
    asyncio.run(_serve(made, given.port, given.journal))


async def _serve(made: Callable[[Path | None], Server], port: int, journal: Path | None) -> None:
    server = made(journal)
    await server.start(port)
    print(server.url, flush=True)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await stopped.wait()
    await server.stop()


def cut(request: web.Request) -> web.Response:
    """The caller's connection ends here; what is returned reaches nobody."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


class Fault(Protocol):
    """Something that goes wrong with calls."""

    kind: str
    times: int | None
    """How often; None for always."""
    rate: float
    """Share of the matching calls that it hits."""
    until: float | None
    """When a flood ends, once it has begun."""


F = TypeVar("F", bound=Fault)


def due(faults: list[F], hits: Callable[[F], bool], chance: random.Random) -> F | None:
    """What goes wrong with this call. A fault that has had its times leaves the list, a flood
    (429) when it is over."""
    for fault in [each for each in faults if hits(each)]:
        flood = fault.kind in ("flood", "limited")
        if flood and fault.until is not None:
            if time.time() < fault.until:
                return fault
            faults.remove(fault)
        elif chance.random() < fault.rate:
            if fault.times is not None and not flood:
                fault.times -= 1
                if fault.times <= 0:
                    faults.remove(fault)
            return fault
    return None


class Journal:
    """What happened, a line of JSON each, for who reads it after the fake; without a path nothing
    is written."""

    def __init__(self, path: Path | None) -> None:
        self._file = path.open("a", buffering=1) if path else None

    def write(self, event: Any) -> None:
        """A mapping, or a data class."""
        if self._file is not None:
            told = event if isinstance(event, Mapping) else asdict(event)
            self._file.write(json.dumps(told, default=str) + "\n")

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
