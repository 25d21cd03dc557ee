"""A desk without workers: it reads what a test says, as fast as it says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.errors import Unavailable
from multimodal.jobs import Job, Reading, TooLate


class FakeDesk:
    """`multimodal.pipeline.Asks`."""

    def __init__(self) -> None:
        self.asked: list[Job] = []
        self.given: list[float] = []
        """Seconds each was given."""
        self.reads: Callable[[Job], Reading] = lambda job: Reading(text=f"text of {job.digest}")
        self.away = 0
        """So many are told that nobody is there."""
        self.late: set[str] = set()
        """Digests that nobody reads in time."""
        self.open = asyncio.Event()
        """While it is not set, everybody waits."""
        self.open.set()

    async def ask(self, job: Job, *, seconds: float) -> Reading:
        self.asked.append(job)
        self.given.append(seconds)
        await self.open.wait()
        if self.away > 0:
            self.away -= 1
            raise Unavailable("the broker is away")
        if job.digest in self.late:
            raise TooLate
        return self.reads(job)


class Counts:
    """`multimodal.pipeline.Watcher` that remembers."""

    def __init__(self) -> None:
        self.ended: list[tuple[str, str]] = []
        self.worked: list[tuple[str, float, float, int]] = []
        self.remembered: list[str] = []

    def media_ended(self, kind: str, outcome: str, seconds: float) -> None:
        self.ended.append((kind, outcome))

    def media_worked(self, kind: str, seconds: float, audio: float, pages: int) -> None:
        self.worked.append((kind, seconds, audio, pages))

    def media_remembered(self, kind: str) -> None:
        self.remembered.append(kind)
