"""What the queue's tests share: a Redis of one's own, to be mistreated."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.gateway.queues.redis_servers import Redis, redis


@pytest.fixture
def own_redis() -> Iterator[Redis]:
    with redis() as server:
        yield server
