"""Short ways to ask an engine something, and to wait for what a test is about."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, Protocol

from gateway.ports import ChatMessage, EngineEvent, Prompt, Restarted, Text


class Generates(Protocol):
    def generate(self, prompt: Prompt) -> AsyncGenerator[EngineEvent]: ...


class HeldClock:
    """`Clock` that only a test moves: sleepers wake when their time has come."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self._now = now
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._now

    @property
    def sleepers(self) -> int:
        return sum(not waiting.done() for _, waiting in self._sleepers)

    async def sleep(self, seconds: float) -> None:
        waiting = asyncio.get_running_loop().create_future()
        self._sleepers.append((self._now + seconds, waiting))
        await waiting

    def advance(self, seconds: float) -> None:
        self._now += seconds
        for at, waiting in self._sleepers:
            if at <= self._now and not waiting.done():
                waiting.set_result(None)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for it; the test's own timeout is the limit."""
    while not condition():
        await asyncio.sleep(0.005)


def asks(text: str = "hi", **fields: Any) -> Prompt:
    return Prompt(messages=(ChatMessage(role="user", content=text),), **fields)


async def events_of(engine: Generates, prompt: Prompt) -> list[EngineEvent]:
    async with aclosing(engine.generate(prompt)) as events:
        return [event async for event in events]


def text_of(events: list[EngineEvent]) -> str:
    """What stands there at the end: `Restarted` voids what came before."""
    shown = ""
    for event in events:
        if isinstance(event, Restarted):
            shown = ""
        elif isinstance(event, Text):
            shown += event.text
    return shown
