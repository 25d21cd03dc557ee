"""The fake server can be believed: it records what it was asked and fails as it is told."""

from __future__ import annotations

import json
from pathlib import Path

import aiohttp
import pytest

from tests.engine.conftest import MakeClient
from tests.engine.scenes import asks, events_of, text_of
from tests.fakes.engine import EngineProcess, FakeEngine
from tests.fakes.engine_answers import pieces


@pytest.mark.parametrize("count", [0, 1, 3, 10, 100])
def test_the_pieces_of_an_answer_make_up_the_answer(count: int) -> None:
    found = pieces("echo: one two", count)

    assert len(found) == count or not count
    assert "".join(found).rstrip(".") == "echo: one two"


async def test_faults_are_switched_over_http_while_it_runs(
    client_of: MakeClient, fake_engine: FakeEngine
) -> None:
    control = fake_engine.url.removesuffix("/v1") + "/_fake"
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{control}/fault", json={"text": "changed"}) as told:
            assert (await told.json())["text"] == "changed"
        assert text_of(await events_of(client_of(), asks("a"))) == "changed"
        async with session.post(f"{control}/fault", json={"nonsense": 1}) as told:
            assert told.status == 400
        await session.post(f"{control}/fault", json={})
        assert text_of(await events_of(client_of(), asks("b"))) == "echo: b"

        async with session.get(f"{control}/requests?since=1") as told:
            assert [asked["question"] for asked in await told.json()] == ["b"]
        async with session.get(f"{control}/stats") as told:
            assert await told.json() == {
                "asked": 2,
                "answered": 2,
                "running": 0,
                "disconnects": 0,
            }


async def test_a_fault_can_be_for_some_requests_only_or_come_with_the_question(
    client_of: MakeClient, fake_engine: FakeEngine
) -> None:
    fake_engine.fault(text="once", times=1)
    client = client_of()

    assert [text_of(await events_of(client, asks("x"))) for _ in range(2)] == ["once", "echo: x"]
    assert text_of(await events_of(client, asks('script: {"text": "mine"}'))) == "mine"


async def test_as_a_process_it_keeps_a_journal(client_of: MakeClient, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    process = await EngineProcess.start("--journal", str(journal), "--chunks", "3")
    try:
        await events_of(client_of(url=process.url), asks("a", conversation="c"))
        await events_of(client_of(url=process.url), asks("b"))
    finally:
        await process.stop()

    told = [json.loads(line) for line in journal.read_text().splitlines()]
    assert [(line["question"], bool(line["session"])) for line in told] == [
        ("a", True),
        ("b", False),
    ]
