"""The role that sleeps, with a clock that is set forward: no process is needed for that."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from gateway.logs import Diary
from gateway.roles import REST, Kept, OnDemand, Restarts


class Setting(asyncio.SelectorEventLoop):
    """Its clock can be set forward."""

    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead


def by_its_own_clock(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=Setting) as runner:
        runner.run(scene())


async def later(seconds: float) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, Setting)
    loop.ahead += seconds
    for _ in range(20):
        await asyncio.sleep(0)


class Process(Kept):
    def __init__(self) -> None:
        self.code: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def ready(self) -> None: ...

    async def wait(self) -> int:
        return await self.code

    def why(self) -> str:
        return ""


@dataclass
class Scene:
    """A role that idles after 100 seconds, and what was started."""

    started: list[Process] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        async def start() -> Kept:
            self.started.append(Process())
            return self.started[-1]

        diary = Diary(self, lambda line: str(line["event"]))  # type: ignore[arg-type]
        self.role = OnDemand("media", start, diary, Restarts(), idle=100)
        self.keeping = asyncio.create_task(self.role.keep())

    def line(self, text: str) -> None:
        self.said.append(text)

    async def rings(self) -> None:
        self.role.ring()
        await later(0)

    async def ends(self, code: int = 0) -> None:
        self.started[-1].code.set_result(code)
        await later(0)


def test_what_was_asked_long_ago_is_done_and_starts_nothing() -> None:
    async def scene() -> None:
        on = Scene()
        await on.rings()
        await on.rings()  # more work, meanwhile
        await later(101)
        await on.ends()
        await later(1000)
        assert len(on.started) == 1

        await on.rings()
        assert len(on.started) == 2
        on.keeping.cancel()

    by_its_own_clock(scene)


def test_what_was_asked_in_the_last_moments_starts_it_again_once() -> None:
    async def scene() -> None:
        on = Scene()
        await on.rings()
        await later(500)
        await on.rings()
        await later(50)
        await on.ends()
        assert len(on.started) == 2

        await later(100)
        await on.ends()
        await later(1000)
        assert len(on.started) == 2
        on.keeping.cancel()

    by_its_own_clock(scene)


def test_what_ends_before_it_can_have_been_idle_goes_on() -> None:
    """E.g. because somebody has sent it a SIGTERM: what it was doing waits."""

    async def scene() -> None:
        on = Scene()
        await on.rings()
        await later(50)
        await on.ends()
        await later(1)
        assert len(on.started) == 2
        assert on.said == ["role_ended"]
        on.keeping.cancel()

    by_its_own_clock(scene)


def test_what_keeps_ending_rests_and_goes_on_at_the_next_ring() -> None:
    async def crash(on: Scene) -> None:
        await on.ends(1)
        await later(6)

    async def scene() -> None:
        on = Scene()
        await on.rings()
        for _ in range(5):
            await crash(on)
        assert len(on.started) == 5
        assert on.said.count("role_left_alone") == 1

        await later(REST)
        assert len(on.started) == 5
        await on.rings()
        assert len(on.started) == 6
        on.keeping.cancel()

    by_its_own_clock(scene)


def test_a_ring_during_the_rest_is_not_forgotten() -> None:
    async def scene() -> None:
        on = Scene()
        await on.rings()
        await on.ends(78)
        await on.rings()
        await later(REST / 2)
        assert len(on.started) == 1

        await later(REST / 2)
        assert len(on.started) == 2
        on.keeping.cancel()

    by_its_own_clock(scene)


def test_a_ring_just_before_the_stop_starts_nothing() -> None:
    async def scene() -> None:
        on = Scene()
        await later(0)
        on.role.ring()
        await on.role.stop(1)
        await later(1)
        assert on.started == []
        assert on.keeping.done()

    by_its_own_clock(scene)
