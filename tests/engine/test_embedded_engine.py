"""The built-in model behind the same port as every other engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from engine.config import EngineConfig
from engine.embedded_engine import MODEL
from engine.registry import build
from engine.service import EngineService
from gateway.errors import BadConfig
from gateway.ports import Finished, Text
from tests.engine.scenes import asks, events_of, text_of
from tests.fakes.clock import MovedClock


@pytest.fixture
async def builtin_service() -> AsyncIterator[EngineService]:
    """What a gateway without any engine in its file has."""
    service = build({}, MovedClock())
    yield service
    await service.close()


async def test_without_any_engine_the_built_in_model_answers(
    builtin_service: EngineService,
) -> None:
    events = await events_of(builtin_service, asks("What is the capital of France?"))

    assert "Paris" in text_of(events)
    end = events[-1]
    assert isinstance(end, Finished)
    assert (end.reason, end.engine, end.model) == ("stop", "builtin", MODEL)
    assert end.usage.completion_tokens > 0


async def test_its_length_is_bounded(builtin_service: EngineService) -> None:
    events = await events_of(builtin_service, asks("Hello, who are you?", max_tokens=2))

    assert isinstance(events[-1], Finished)
    assert events[-1].reason == "length"
    assert events[-1].usage.completion_tokens <= 2


async def test_an_answer_closed_early_leaves_the_next_one_room(
    builtin_service: EngineService,
) -> None:
    for _ in range(3):
        async with aclosing(builtin_service.generate(asks("Hello, who are you?"))) as events:
            assert isinstance(await anext(events), Text)

    assert text_of(await events_of(builtin_service, asks("What is the capital of France?")))


async def test_it_is_listed_and_can_be_chosen(builtin_service: EngineService) -> None:
    (status,) = await builtin_service.status()
    assert (status.name, status.ok, status.models) == ("builtin", True, (MODEL,))

    assert text_of(await events_of(builtin_service, asks("Hello!", model=MODEL)))


def test_a_folder_without_a_model_is_said_so_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match=r"no model\.bin"):
        build({"small": EngineConfig(builtin=True, folder=tmp_path)}, MovedClock())
