from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from adapters.slack.adapter import SlackAdapter
from adapters.slack.config import SlackConfig
from gateway.sessions.commands import MENU
from tests.adapters.slack.scene import ACCOUNT, Build
from tests.fakes.clock import HastyClock
from tests.fakes.inbox import MemoryInbox, running
from tests.fakes.services import Counts, services
from tests.fakes.slack import FakeSlack
from tests.fakes.stores import MemoryBlobs, MemoryRecords


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    async with FakeSlack() as fake:
        fake.world.channel("D7")
        fake.world.channel("C5")
        yield fake


@pytest.fixture
def slack_clock() -> HastyClock:
    return HastyClock()


@pytest.fixture
def slack_blobs() -> MemoryBlobs:
    return MemoryBlobs()


@pytest.fixture
def slack_records() -> MemoryRecords:
    return MemoryRecords()


@pytest.fixture
def counts() -> Counts:
    return Counts()


@pytest.fixture
async def build(
    slack: FakeSlack,
    slack_clock: HastyClock,
    slack_blobs: MemoryBlobs,
    slack_records: MemoryRecords,
    counts: Counts,
) -> AsyncIterator[Build]:
    """Makes adapters that talk to the fake; keywords are settings."""
    made: list[SlackAdapter] = []

    def one(*, public_url: str = "", **settings: Any) -> SlackAdapter:
        given = services(
            ACCOUNT,
            records=slack_records,
            blobs=slack_blobs,
            clock=slack_clock,
            count=counts.happened,
            public_url=public_url,
            commands=MENU,
        )
        made.append(SlackAdapter(ACCOUNT, SlackConfig(**slack.settings | settings), given))
        return made[-1]

    yield one
    for adapter in made:
        await adapter.close()


@pytest.fixture
def adapter(build: Build) -> SlackAdapter:
    return build()


@pytest.fixture
async def inbox(slack: FakeSlack, adapter: SlackAdapter) -> AsyncIterator[MemoryInbox]:
    """What an adapter takes in by socket."""
    box = MemoryInbox()
    async with running(adapter, box):
        await slack.connected()
        yield box
