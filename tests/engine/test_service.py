"""Several engines as one: who takes over, when, and what a choice of the user is worth."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import pytest
import structlog

from engine.config import EngineConfig, FallbackConfig
from engine.registry import build
from engine.service import EngineService
from engine.translation import UNKNOWN_MODEL
from gateway.errors import BadConfig, Busy, Failed, Refused, Unavailable
from gateway.ports import Finished, ListsEngines, Restarted, Text
from tests.engine.scenes import HeldClock, asks, events_of, text_of, until
from tests.fakes.engine import FakeEngine

SOON = {"first_token": 0.4, "between_tokens": 0.4, "total": 10, "probe": 0.4}

MakeService = Callable[..., EngineService]


@pytest.fixture
def held_clock() -> HeldClock:
    return HeldClock()


@pytest.fixture
async def pair() -> AsyncIterator[tuple[FakeEngine, FakeEngine]]:
    one, two = await FakeEngine.start(), await FakeEngine.start()
    yield one, two
    await one.stop()
    await two.stop()


@pytest.fixture
async def service_of(
    pair: tuple[FakeEngine, FakeEngine], held_clock: HeldClock
) -> AsyncIterator[MakeService]:
    """Engines ``one`` and ``two`` behind one service; keywords are fields of `FallbackConfig`."""
    made: list[EngineService] = []

    def make(count: int = 2, **fallback: Any) -> EngineService:
        engines = {
            name: EngineConfig(url=fake.url, model="fake", timeouts=SOON)
            for name, fake in list(zip(("one", "two"), pair, strict=True))[:count]
        }
        made.append(build(engines, held_clock, FallbackConfig(**fallback)))
        return made[-1]

    yield make
    for service in made:
        await service.close()


def _answered_by(events: list[Any]) -> str:
    assert isinstance(events[-1], Finished)
    return events[-1].engine


async def _cool_first(
    service: EngineService, pair: tuple[FakeEngine, FakeEngine], held: HeldClock
) -> None:
    pair[0].fault(status=500)
    for _ in range(3):
        await events_of(service, asks())
    await until(lambda: held.sleepers == 1)


async def test_the_first_engine_is_asked_first(service_of: MakeService) -> None:
    assert _answered_by(await events_of(service_of(), asks())) == "one"
    assert _answered_by(await events_of(service_of(order=["two", "one"]), asks())) == "two"


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500},
        {"status": 503},
        {"status": 429, "retry_after": "3"},
        {"status": 401},
        {"status": 404},
        {"refuse": True},
        {"hang": True},
        {"headers_only": True},
        {"cut_after": 0},
        {"drip": 1.0},
    ],
)
async def test_a_failure_before_the_first_word_is_never_seen(
    fault: dict[str, Any],
    stream: bool,
    service_of: MakeService,
    pair: tuple[FakeEngine, FakeEngine],
) -> None:
    pair[0].fault(**fault)

    events = await events_of(service_of(), asks(stream=stream))

    assert _answered_by(events) == "two"
    assert text_of(events) == "echo: hi"
    assert not any(isinstance(event, Restarted) for event in events)


@pytest.mark.parametrize("fault", [{"cut_after": 1}, {"stall_after": 1}])
async def test_a_failure_after_the_first_word_starts_the_answer_over(
    fault: dict[str, Any], service_of: MakeService, pair: tuple[FakeEngine, FakeEngine]
) -> None:
    pair[0].fault(**fault)

    events = await events_of(service_of(), asks("one two"))

    assert [event.engine for event in events if isinstance(event, Restarted)] == ["two"]
    assert text_of(events) == "echo: one two"


async def test_an_answer_begun_is_not_started_over_more_often_than_configured(
    service_of: MakeService, pair: tuple[FakeEngine, FakeEngine]
) -> None:
    pair[0].fault(cut_after=1)

    with pytest.raises(Unavailable):
        await events_of(service_of(restarts=0), asks())

    assert pair[1].asked == 0


async def test_a_request_at_fault_is_refused_at_once_and_cools_nothing(
    service_of: MakeService, pair: tuple[FakeEngine, FakeEngine]
) -> None:
    service = service_of()
    pair[0].fault(status=400)
    for _ in range(6):
        with pytest.raises(Refused):
            await events_of(service, asks())
    pair[0].fault()

    assert _answered_by(await events_of(service, asks())) == "one"
    assert pair[1].asked == 0


async def test_a_conversation_too_long_for_one_engine_may_fit_the_next(
    service_of: MakeService, pair: tuple[FakeEngine, FakeEngine]
) -> None:
    service = service_of()
    pair[0].fault(status=413)

    assert _answered_by(await events_of(service, asks())) == "two"
    pair[1].fault(status=413)
    with pytest.raises(Refused, match="too long"):
        await events_of(service, asks())


async def test_a_failing_engine_is_left_alone_after_three_failures_and_returns_by_a_probe(
    service_of: MakeService, pair: tuple[FakeEngine, FakeEngine], held_clock: HeldClock
) -> None:
    service = service_of()
    with structlog.testing.capture_logs() as logs:
        await _cool_first(service, pair, held_clock)
        for _ in range(5):
            await events_of(service, asks())
        assert pair[0].asked == 3

        pair[0].fault()
        held_clock.advance(5)
        await until(lambda: pair[0].asked == 4)
        await until(lambda: any(entry["event"] == "engine_returned" for entry in logs))

    assert pair[0].requests[-1].body["max_tokens"] == 1
    assert _answered_by(await events_of(service, asks())) == "one"
    assert [entry["event"] for entry in logs] == ["engine_stopped_working", "engine_returned"]


async def test_an_answer_that_nobody_wants_the_end_of_shows_that_its_engine_works(
    service_of: MakeService, pair: tuple[FakeEngine, FakeEngine]
) -> None:
    service = service_of()

    pair[0].fault(status=500, times=2)
    for _ in range(2):
        assert _answered_by(await events_of(service, asks())) == "two"
    async with aclosing(service.generate(asks("one two three"))) as events:
        async for event in events:
            if isinstance(event, Text):
                break
    pair[0].fault(status=500, times=1)
    assert _answered_by(await events_of(service, asks())) == "two"

    assert _answered_by(await events_of(service, asks())) == "one"


async def test_an_engine_that_fails_its_probe_is_asked_half_as_often_each_time(
    service_of: MakeService, pair: tuple[FakeEngine, FakeEngine], held_clock: HeldClock
) -> None:
    service = service_of()
    await _cool_first(service, pair, held_clock)

    for number, pause in enumerate([5, 10, 20, 40, 80, 120, 120], start=1):
        held_clock.advance(pause - 0.1)
        assert held_clock.sleepers == 1
        held_clock.advance(0.1)
        await until(lambda n=number: pair[0].asked == 3 + n and held_clock.sleepers == 1)  # type: ignore[misc]

    assert not (await service.status())[0].ok


async def test_a_busy_engine_is_left_alone_for_as_long_as_it_says(
    service_of: MakeService, pair: tuple[FakeEngine, FakeEngine], held_clock: HeldClock
) -> None:
    service = service_of()
    pair[0].fault(status=429, retry_after="30", times=1)
    await events_of(service, asks())
    await until(lambda: held_clock.sleepers == 1)

    held_clock.advance(29)
    assert _answered_by(await events_of(service, asks())) == "two"
    held_clock.advance(1)
    await until(lambda: pair[0].asked == 2)


async def test_when_everything_is_cooling_it_is_busy_until_the_first_returns(
    service_of: MakeService, pair: tuple[FakeEngine, FakeEngine], held_clock: HeldClock
) -> None:
    service = service_of()
    for fake, wait in zip(pair, ("40", "20"), strict=True):
        fake.fault(status=429, retry_after=wait)
    with pytest.raises(Busy):
        await events_of(service, asks())

    with pytest.raises(Busy) as waiting:
        await events_of(service, asks())

    assert waiting.value.after == 20
    assert pair[0].asked == pair[1].asked == 1


async def test_engines_that_refuse_our_key_are_said_so_once_and_fail_for_good(
    service_of: MakeService, pair: tuple[FakeEngine, FakeEngine]
) -> None:
    service = service_of()
    for fake in pair:
        fake.fault(status=401)

    with structlog.testing.capture_logs() as logs:
        for _ in range(4):
            with pytest.raises(Failed):
                await events_of(service, asks())

    assert [(e["event"], e["engine"], e["log_level"]) for e in logs] == [
        ("engine_misconfigured", "one", "error"),
        ("engine_misconfigured", "two", "error"),
    ]
    assert pair[0].asked == 1


async def test_a_lone_engine_is_never_left_alone_and_its_trouble_is_said_once(
    service_of: MakeService, pair: tuple[FakeEngine, FakeEngine]
) -> None:
    service = service_of(count=1)
    pair[0].fault(status=500)
    with structlog.testing.capture_logs() as logs:
        for _ in range(10):
            with pytest.raises(Unavailable):
                await events_of(service, asks())
        pair[0].fault()
        assert _answered_by(await events_of(service, asks())) == "one"

    assert pair[0].asked == 11
    assert [entry["event"] for entry in logs] == ["engine_stopped_working", "engine_returned"]


async def test_one_timeout_is_enough_when_the_probe_gets_no_token_either(
    service_of: MakeService, pair: tuple[FakeEngine, FakeEngine], held_clock: HeldClock
) -> None:
    service = service_of()
    pair[0].fault(hang=True)
    await events_of(service, asks())
    await until(lambda: held_clock.sleepers == 1)

    before = pair[0].asked
    assert _answered_by(await events_of(service, asks())) == "two"
    assert pair[0].asked == before


async def test_a_slow_engine_that_passes_its_probe_stays(
    service_of: MakeService, pair: tuple[FakeEngine, FakeEngine]
) -> None:
    service = service_of()
    pair[0].fault(hang=True, spares_probes=True)
    await events_of(service, asks())
    await until(lambda: pair[0].asked == 2 and pair[0].running == 0)
    pair[0].fault()

    assert _answered_by(await events_of(service, asks())) == "one"


# --- choices of the user ---


@pytest.mark.parametrize(
    ("chosen", "engine"), [("one", "one"), ("two", "two"), ("two/fake", "two"), ("fake", "one")]
)
async def test_a_choice_is_kept(chosen: str, engine: str, service_of: MakeService) -> None:
    assert _answered_by(await events_of(service_of(), asks(model=chosen))) == engine


async def test_a_chosen_engine_is_never_replaced(
    service_of: MakeService, pair: tuple[FakeEngine, FakeEngine], held_clock: HeldClock
) -> None:
    service = service_of()
    pair[0].fault(status=500)
    for _ in range(3):
        with pytest.raises(Unavailable):
            await events_of(service, asks(model="one"))
    await until(lambda: held_clock.sleepers == 1)

    with pytest.raises(Busy) as waiting:
        await events_of(service, asks(model="one"))

    assert waiting.value.after == 5
    assert pair[1].asked == 0


@pytest.mark.parametrize("chosen", ["nobody", "two/nothing", "nobody/fake"])
async def test_a_choice_that_does_not_exist_is_refused(
    chosen: str, service_of: MakeService
) -> None:
    with pytest.raises(Refused) as refused:
        await events_of(service_of(), asks(model=chosen))

    assert refused.value.reason == UNKNOWN_MODEL


async def test_an_engine_outside_the_order_is_asked_only_when_chosen(
    service_of: MakeService, pair: tuple[FakeEngine, FakeEngine]
) -> None:
    service = service_of(order=["one"])
    pair[0].fault(status=500)

    with pytest.raises(Unavailable):
        await events_of(service, asks())

    assert _answered_by(await events_of(service, asks(model="two"))) == "two"


async def test_the_status_names_every_engine(
    service_of: MakeService, pair: tuple[FakeEngine, FakeEngine], held_clock: HeldClock
) -> None:
    service = service_of()
    assert isinstance(service, ListsEngines)
    assert [(s.name, s.ok, s.models) for s in await service.status()] == [
        ("one", True, ("fake",)),
        ("two", True, ("fake",)),
    ]

    await _cool_first(service, pair, held_clock)

    one, two = await service.status()
    assert (one.ok, two.ok) == (False, True)
    assert "left alone for 5 s more" in one.detail


async def test_closing_the_answer_stops_the_engine_behind_it(
    service_of: MakeService, pair: tuple[FakeEngine, FakeEngine]
) -> None:
    pair[0].fault(chunks=1000, token_delay=0.01)
    answer = service_of().generate(asks())
    await anext(answer)

    await answer.aclose()

    await until(lambda: pair[0].disconnects == 1)


def test_names_in_the_order_have_to_exist(held_clock: HeldClock) -> None:
    engines = {"one": EngineConfig(url="http://localhost:1")}

    with pytest.raises(BadConfig, match="no engine tow"):
        build(engines, held_clock, FallbackConfig(order=("tow",)))
    with pytest.raises(BadConfig, match="no /"):
        build({"a/b": engines["one"]}, held_clock)
