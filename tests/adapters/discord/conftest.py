from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from adapters.discord.adapter import DiscordAdapter
from adapters.discord.config import DiscordConfig
from gateway.sessions.commands import MENU
from tests.adapters.discord.scene import ACCOUNT, ADA, Bench, Build
from tests.fakes.discord import FakeDiscord
from tests.fakes.inbox import MemoryInbox, running
from tests.fakes.services import services


@pytest.fixture
async def discord() -> AsyncIterator[FakeDiscord]:
    async with FakeDiscord() as fake:
        yield fake


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
async def build(discord: FakeDiscord, bench: Bench) -> AsyncIterator[Build]:
    """Makes adapters that talk to the fake, on the same stores; keywords are settings."""
    made: list[DiscordAdapter] = []

    def one(**settings: Any) -> DiscordAdapter:
        given = services(
            ACCOUNT,
            records=bench.records,
            blobs=bench.blobs,
            clock=bench.clock,
            commands=MENU,
            count=bench.counts.happened,
        )
        made.append(DiscordAdapter(ACCOUNT, DiscordConfig(**discord.settings | settings), given))
        return made[-1]

    yield one
    for adapter in made:
        await adapter.close()


@pytest.fixture
def adapter(build: Build) -> DiscordAdapter:
    return build()


@pytest.fixture
async def inbox(adapter: DiscordAdapter, discord: FakeDiscord) -> AsyncIterator[MemoryInbox]:
    """What a connected adapter takes in."""
    box = MemoryInbox()
    async with running(adapter, box):
        await discord.connected()
        yield box


@pytest.fixture
def ada(discord: FakeDiscord) -> str:
    """Ada's direct channel."""
    return discord.direct(ADA)
