from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from adapters.telegram.adapter import TelegramAdapter
from adapters.telegram.config import TelegramConfig
from gateway.sessions.commands import MENU
from tests.adapters.telegram.scene import ACCOUNT, Build
from tests.fakes.clock import HastyClock
from tests.fakes.inbox import MemoryInbox, running
from tests.fakes.services import services
from tests.fakes.stores import MemoryBlobs
from tests.fakes.telegram import FakeTelegram


@pytest.fixture
async def telegram() -> AsyncIterator[FakeTelegram]:
    async with FakeTelegram() as fake:
        yield fake


@pytest.fixture
def telegram_clock() -> HastyClock:
    return HastyClock()


@pytest.fixture
def telegram_blobs() -> MemoryBlobs:
    return MemoryBlobs()


@pytest.fixture
async def build(
    telegram: FakeTelegram, telegram_clock: HastyClock, telegram_blobs: MemoryBlobs
) -> AsyncIterator[Build]:
    """Makes adapters that talk to the fake; keywords are settings."""
    made: list[TelegramAdapter] = []

    def one(*, public_url: str = "", **settings: Any) -> TelegramAdapter:
        config = TelegramConfig(
            **{"token": telegram.token, "base_url": telegram.base_url, "poll_timeout": 1} | settings
        )
        given = services(
            ACCOUNT,
            blobs=telegram_blobs,
            clock=telegram_clock,
            public_url=public_url,
            commands=MENU,
        )
        made.append(TelegramAdapter(ACCOUNT, config, given))
        return made[-1]

    yield one
    for adapter in made:
        await adapter.close()


@pytest.fixture
def adapter(build: Build) -> TelegramAdapter:
    return build()


@pytest.fixture
async def inbox(adapter: TelegramAdapter) -> AsyncIterator[MemoryInbox]:
    """What a polling adapter takes in."""
    box = MemoryInbox()
    async with running(adapter, box):
        yield box
