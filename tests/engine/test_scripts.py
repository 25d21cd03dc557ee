"""Whatever a server sends: an answer that is not one is never shown as one, in bounded memory."""

from __future__ import annotations

import tracemalloc

import pytest

from engine.client import OpenAIEngine
from gateway.errors import GatewayError
from gateway.ports import EngineEvent, Finished, Text
from tests.engine.conftest import MakeClient
from tests.engine.scenes import asks
from tests.fakes.engine_scripts import SCRIPTS

SHORT = {"first_token": 0.6, "between_tokens": 0.6, "total": 3}


async def _told(client: OpenAIEngine, name: str, *, stream: bool) -> str | GatewayError:
    """The finished answer, or how it failed."""
    events: list[EngineEvent] = []
    try:
        async for event in client.generate(asks(f"script: {name}", stream=stream)):
            events.append(event)
    except GatewayError as failure:
        assert not any(isinstance(event, Finished) for event in events)
        return failure
    assert isinstance(events[-1], Finished)
    return "".join(event.text for event in events if isinstance(event, Text))


def test_there_are_enough_scripts() -> None:
    assert len(SCRIPTS) >= 60


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("name", SCRIPTS)
async def test_no_script_is_shown_as_a_good_answer_unless_it_is_one(
    name: str, stream: bool, client_of: MakeClient
) -> None:
    script = SCRIPTS[name]
    client = client_of(timeouts=SHORT, max_response=2 * 2**20, max_text=300_000)

    told = await _told(client, name, stream=stream)

    if script.text is None:
        assert isinstance(told, GatewayError), told[:100]
    elif not (script.or_error and isinstance(told, GatewayError)):
        assert told == script.text


@pytest.mark.parametrize(
    "name",
    ["line of 10 MB", "event of 10 MB", "line without end", "json for ever", "gzip bomb"],
)
async def test_memory_stays_bounded(name: str, client_of: MakeClient) -> None:
    client = client_of(timeouts=SHORT)
    tracemalloc.start()

    await _told(client, name, stream=True)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64 * 2**20
