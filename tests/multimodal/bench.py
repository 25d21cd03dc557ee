"""What tests of the media road's machinery share: a place with a Redis, content, desks, workers."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

from gateway.blobs import FolderBlobs
from gateway.clock import SystemClock
from gateway.ports import Clock
from gateway.queues.channels import Subscriptions
from gateway.queues.wire import Address
from multimodal.desk import Desk, Told, by_celery
from multimodal.jobs import Job, JobKind, Reading
from multimodal.names import Names
from tests.faults.programs import Program

_numbers = itertools.count()

PATIENCE = 60.0


STARTED = '"media_started"'


def new_namespace() -> str:
    return f"m{os.getpid()}.{next(_numbers)}"


def program(url: str, namespace: str, folder: Path) -> Sequence[str]:
    """The command of a worker with the readers of `tests.fakes.readers`."""
    return (
        *(sys.executable, "-m", "tests.fakes.media", "--redis", url),
        *("--namespace", namespace, "--blobs", str(folder / "blobs")),
    )


class Place:
    def __init__(self, url: str, folder: Path, password: str = "", namespace: str = "") -> None:
        self.url = url
        self.password = password
        self.folder = folder
        self.namespace = namespace or new_namespace()
        self.names = Names(self.namespace)
        self.blobs = FolderBlobs(folder / "blobs")
        self.rings = 0
        self.woken = True
        """Whether a supervisor hears the bell."""
        self._closing = contextlib.AsyncExitStack()
        self._programs = 0
        self.notices = self._notices()

    @classmethod
    @contextlib.asynccontextmanager
    async def opened(
        cls, url: str, folder: Path, password: str = "", namespace: str = ""
    ) -> AsyncIterator[Place]:
        place = cls(url, folder, password, namespace)
        async with place._closing:
            yield place

    def desk(self, clock: Clock | None = None, send: Callable[[Job], None] | None = None) -> Desk:
        desk = Desk(
            self._notices(),
            send or by_celery(self.url, self.namespace, self.password),
            clock or SystemClock(),
            namespace=self.namespace,
            ring=self._ring,
        )
        self._closing.push_async_callback(desk.close)
        return desk

    async def worker(self, *arguments: str, ready: bool = True) -> Program:
        """A media worker with the readers of `tests.fakes.readers`."""
        self._programs += 1
        worker = Program(
            "media",
            [
                *program(self.url, self.namespace, self.folder),
                *("--password", self.password, *arguments),
            ],
            self.folder / f"media-{self._programs}.log",
        )
        await worker.start()
        worker.kept = False
        self._closing.push_async_callback(worker.stop)
        if ready:
            await until(lambda: STARTED in worker.log)
        return worker

    async def job(self, told: str, *, kind: JobKind = "ocr", journal: bool = False) -> Job:
        """A job that does what it is told, see `tests.fakes.readers`."""
        name = f"job{next(_numbers)}"
        content = f"{told}\n{self.journal(name)}" if journal else told

        async def chunks() -> AsyncIterator[bytes]:
            yield content.encode()

        digest, size, _ = await self.blobs.store(chunks(), limit=1000)
        return Job(id=name, kind=kind, tenant="main", digest=digest, size=size)

    def journal(self, job: str) -> Path:
        return self.folder / f"{job}.journal"

    def turns(self, job: Job) -> Sequence[str]:
        """What the readers did for a job with a journal."""
        path = self.journal(job.id)
        return path.read_text().splitlines() if path.exists() else []

    async def ask(self, desk: Desk, told: str, **more: Any) -> Reading:
        return await desk.ask(await self.job(told, **more), seconds=PATIENCE)

    # --- the worker's side, by hand ---------------------------------------------------------

    async def call(self, *command: Any) -> Any:
        return await self.notices._link.call(*command)

    async def taken(self, kind: JobKind = "ocr") -> dict[str, Any]:
        """The next message of a queue, as a worker would take it."""
        async with asyncio.timeout(PATIENCE):
            while (raw := await self.call("RPOP", self.names.queue(kind))) is None:
                await asyncio.sleep(0.005)
        message: dict[str, Any] = json.loads(raw)
        return message

    async def length(self, kind: JobKind = "ocr") -> int:
        return int(await self.call("LLEN", self.names.queue(kind)))

    async def say(self, job: Job, status: str, result: Any = None, *, publish: bool = True) -> None:
        """A state, as Celery keeps and publishes it."""
        value = json.dumps({"status": status, "result": result, "task_id": job.id})
        key = self.names.result(job.id)
        await self.call("SET", key, value)
        if publish:
            await self.call("PUBLISH", key, value)

    def _notices(self) -> Subscriptions:
        notices = Subscriptions(Address(self.url, self.password))
        self._closing.push_async_callback(notices.close)
        return notices

    def _ring(self) -> bool:
        self.rings += 1
        return self.woken


async def until(true: Callable[[], bool], seconds: float = PATIENCE) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.01)


class Telling:
    """A `Told` that remembers."""

    def __init__(self) -> None:
        self.stages: list[str] = []

    def __call__(self, stage: str) -> None:
        self.stages.append(stage)


__all__ = ["PATIENCE", "Place", "Telling", "Told", "until"]
