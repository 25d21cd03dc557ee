"""What every engine promises: our client of any server, the built-in model, several as one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping

import pytest

from engine.config import EngineConfig
from engine.registry import build
from gateway.clock import SystemClock
from gateway.errors import Refused, Unavailable
from gateway.ports import ChatMessage, Engine, Finished, ListsEngines, Prompt, Text
from tests.fakes.engine import FakeEngine

HELLO = Prompt(messages=[ChatMessage(role="user", content="Hello!")])


@pytest.fixture(params=["remote", "builtin", "several"])
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[Engine]:
    async with contextlib.AsyncExitStack() as stack:
        engines: Mapping[str, EngineConfig]
        if request.param == "builtin":
            engines = {}
        else:
            fake = await FakeEngine.start()
            stack.push_async_callback(fake.stop)
            engines = {"one": EngineConfig(url=fake.url)}
            if request.param == "several":
                dead = EngineConfig(url="http://127.0.0.1:9/v1", model="gone")
                engines = {"dead": dead, **engines}
        service = build(engines, SystemClock())
        stack.push_async_callback(service.close)
        yield service


async def test_an_answer_has_text_and_ends_with_how_it_ended(engine: Engine) -> None:
    events = [event async for event in engine.generate(HELLO)]

    assert isinstance(events[-1], Finished)
    assert events[-1].reason in {"stop", "length"}
    assert events[-1].engine
    assert "".join(event.text for event in events if isinstance(event, Text)).strip()
    assert sum(isinstance(event, Finished) for event in events) == 1


async def test_an_answer_in_one_piece_is_complete_too(engine: Engine) -> None:
    whole = Prompt(messages=HELLO.messages, stream=False)
    events = [event async for event in engine.generate(whole)]
    assert isinstance(events[-1], Finished)
    assert any(isinstance(event, Text) for event in events)


async def test_leaving_early_is_harmless(engine: Engine) -> None:
    for _ in range(3):
        async with contextlib.aclosing(engine.generate(HELLO)) as events:
            async for _ in events:
                break
    events_again = [event async for event in engine.generate(HELLO)]
    assert isinstance(events_again[-1], Finished)


async def test_many_answers_at_once_do_not_mix(engine: Engine) -> None:
    async def ask(number: int) -> list[object]:
        prompt = Prompt(messages=[ChatMessage(role="user", content=f"What is {number} + 1?")])
        return [event async for event in engine.generate(prompt)]

    answers = await asyncio.gather(*(ask(number) for number in range(1, 9)))
    assert all(isinstance(events[-1], Finished) for events in answers)


async def test_a_model_nobody_has_is_refused_and_never_replaced(engine: Engine) -> None:
    pinned = Prompt(messages=HELLO.messages, model="nobody/nothing")
    with pytest.raises((Refused, Unavailable)):
        _ = [event async for event in engine.generate(pinned)]


async def test_it_says_which_engines_there_are(engine: Engine) -> None:
    assert isinstance(engine, ListsEngines)
    found = await engine.status()
    assert any(one.ok for one in found)
