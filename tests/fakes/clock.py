"""Time in the hands of a test."""

from __future__ import annotations

import asyncio
import time


class MovedClock:
    """`Clock` that stands still until it is moved. Sleeping moves it too, at once."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self._now = now

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        self._now += seconds


class HastyClock:
    """`Clock` that notes how long it was asked to sleep, and sleeps a hundredth of it."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.ahead = 0.0
        """Seconds by which it is fast."""

    def now(self) -> float:
        return time.time() + self.ahead

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(seconds / 100)


class QuickClock:
    """`Clock` on which everything takes a fraction of the time."""

    def __init__(self, times: float) -> None:
        self._times = times

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic() * self._times

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self._times)
