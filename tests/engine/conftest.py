"""Engines against the fake server, with clocks short enough for a test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from engine.client import OpenAIEngine
from engine.config import EngineConfig
from tests.fakes.clock import MovedClock
from tests.fakes.engine import FakeEngine

MakeClient = Callable[..., OpenAIEngine]


@pytest.fixture
async def fake_engine() -> AsyncIterator[FakeEngine]:
    engine = await FakeEngine.start()
    yield engine
    await engine.stop()


@pytest.fixture
async def client_of(fake_engine: FakeEngine) -> AsyncIterator[MakeClient]:
    """Makes clients of the fake server; keywords are fields of `EngineConfig`."""
    made: list[OpenAIEngine] = []

    def make(**fields: Any) -> OpenAIEngine:
        config = EngineConfig(**{"url": fake_engine.url, "model": "fake", **fields})
        made.append(OpenAIEngine("home", config, MovedClock()))
        return made[-1]

    yield make
    for client in made:
        await client.close()
