"""What tests of the media road share: a place of their own, a Redis to be mistreated."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.gateway.queues.redis_servers import Redis, redis
from tests.multimodal.bench import Place


@pytest.fixture
async def place(redis_url: str, tmp_path: Path) -> AsyncIterator[Place]:
    async with Place.opened(redis_url, tmp_path) as one:
        yield one


@pytest.fixture
def own_redis() -> Iterator[Redis]:
    with redis() as server:
        yield server
