from __future__ import annotations

import asyncio

import pytest

from adapters.matrix.config import RateConfig
from adapters.matrix.pace import pace
from gateway.errors import Busy


async def test_after_a_burst_finals_wait_and_previews_are_left_out() -> None:
    limits = pace(RateConfig(per_second=0.2, burst=10))
    previews = [await limits.spare("!a") for _ in range(10)]
    assert previews.count(True) < 8
    assert not previews[-1]
    while True:
        try:
            async with asyncio.timeout(0.05):
                await limits.wait("!b")
        except TimeoutError:
            break
    assert not await limits.spare("!c")


async def test_a_long_line_in_one_room_is_told() -> None:
    limits = pace(RateConfig(per_second=0.2, burst=1))
    waiting = [asyncio.create_task(limits.wait("!a")) for _ in range(6)]
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await limits.wait("!a")
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)


async def test_without_a_limit_nobody_waits() -> None:
    limits = pace(RateConfig(per_second=0))
    for _ in range(1000):
        await limits.wait("!a")
        assert await limits.spare("!a")
