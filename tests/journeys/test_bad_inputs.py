"""The worst that people and models may legally write holds nobody else up.

`loop_blocked` is logged by gateway and worker when their loop stood still for a quarter second.
Best is no such line at all. The machine may be busy, so there is a second try, which forgives half
a second more than was seen while nothing was asked; what this is about took seconds.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest_asyncio

from tests.fakes.engine import FakeEngine
from tests.fakes.ports import free_port
from tests.fakes.telegram import TOKEN, FakeTelegram
from tests.journeys.stage import Moltgate, until

MARKS = "a" + "\u0301\u0323" * 32_000
TEXTS: Mapping[str, str] = {
    "marks": MARKS,
    "hangul": "\u1100\u1161\u11a8" * 10_000,
    "joiners": "\u200d\ufe0f" * 15_000,
    "tags": "\U000e0041" * 30_000,
    "openings": "<" * 31_000,
    "bars": "<|" * 15_000,
    "brackets": "[" * 31_000,
    "command": "/model " + "x" * 31_000,
    "command blanks": "/new" + " \n" * 15_000 + "x",
    "names": "/a@" + "b" * 31_000,
    "lines": "\n" * 31_000 + "x",
    "direction": "\u202e\u2066" * 15_000 + "x",
    "emphasis": "*a **b " * 4_500,
}
ANSWERS: Mapping[str, str] = {
    "quotes": "> " * 500_000,
    "emphasis": "*a **b " * 9_000 + "\n\n" + "*a **b " * 140_000,
    "table": "|a|b|\n|-|-|\n" + "|x|y|\n" * 170_000,
    "fences": "```\nx\n" * 120_000,
    "headings": "# a\n" * 250_000,
    "deep lists": "".join(f"{'  ' * (n % 50)}- a\n" for n in range(18_000)),
    "marks": "a" + "\u0301" * 500_000,
}


class Scene:
    def __init__(self, moltgate: Moltgate, telegram: FakeTelegram, engine: FakeEngine) -> None:
        self.moltgate, self.telegram, self.engine = moltgate, telegram, engine
        self.headers: dict[str, str] = {}

    def blocked(self) -> Sequence[Mapping[str, Any]]:
        return self.moltgate.events("loop_blocked")

    async def holds_nobody_up(self, work: Callable[[], Awaitable[None]]) -> None:
        for last in (False, True):
            before, begun = len(self.blocked()), time.monotonic()
            await work()
            during, took = self.blocked()[before:], time.monotonic() - begun
            if not during:
                return
            quiet = len(self.blocked())
            await asyncio.sleep(min(took, 10.0))
            if last:
                assert longest(during) <= 0.5 + longest(self.blocked()[quiet:]), during


def longest(lines: Sequence[Mapping[str, Any]]) -> float:
    return max((float(each["seconds"]) for each in lines), default=0.0)


@pytest_asyncio.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    engine = await FakeEngine.start(models=("fake-model",))
    async with FakeTelegram() as telegram:
        settings = {
            "log": {"format": "json"},
            "access": {"dm_policy": "open", "per_sender": 0, "per_chat": 0},
            "adapters": {
                "web": {},
                "telegram": {
                    "token": TOKEN,
                    "base_url": telegram.base_url,
                    "poll_timeout": "1s",
                    "rate": {"overall": 0},
                },
            },
            "engines": {"home": {"url": engine.url}},
        }
        async with Moltgate.running(tmp_path, settings, port=free_port()) as moltgate:
            found = Scene(moltgate, telegram, engine)
            made = await moltgate.tells("token", "create", "bad", "--scope", "admin")
            found.headers = {"Authorization": f"Bearer {made['token']}"}
            yield found
    await engine.stop()


async def test_no_message_stops_the_loop(scene: Scene) -> None:
    """Through the HTTP API, a WebSocket and Telegram, each text in a conversation of its own."""
    url = f"{scene.moltgate.url}/api/v1"
    statuses: list[int] = []

    async def work() -> None:
        async with aiohttp.ClientSession(headers=scene.headers) as session:
            for number, text in enumerate(TEXTS.values()):
                body = {"conversation": f"c{number}", "text": text}
                async with session.post(f"{url}/messages", json=body) as response:
                    statuses.append(response.status)
                scene.telegram.say(200 + number, 200 + number, text)
            for raw in (b"[" * 500_000, b'{"a":' * 80_000, b'{"text":"' + b"\\u0301" * 80_000):
                typed = {"Content-Type": "application/json"}
                async with session.post(f"{url}/messages", data=raw, headers=typed) as response:
                    statuses.append(response.status)
            await over_socket(session, url)
            files = [await uploaded(session, url, number) for number in range(10)]
            body = {"conversation": "files", "attachments": [{"digest": one} for one in files]}
            async with session.post(f"{url}/messages", json=body) as response:
                statuses.append(response.status)
        entities = [{"type": "mention", "offset": n * 3, "length": 2} for n in range(10_000)]
        scene.telegram.say(300, 300, "@a " * 10_000, fields={"entities": entities})
        await scene.telegram.all_confirmed()
        await until(idle, "everything is answered")

    async def idle() -> bool:
        return (await scene.moltgate.tells("status"))["store"]["waiting"] == 0

    await scene.holds_nobody_up(work)
    assert set(statuses) <= {202, 400, 409, 422}
    assert 202 in statuses


async def over_socket(session: aiohttp.ClientSession, url: str) -> None:
    async with session.ws_connect(f"{url}/ws") as ws:
        for number, text in enumerate(TEXTS.values()):
            sent = {"type": "send", "id": f"s{number}", "conversation": "ws", "text": text}
            await ws.send_str(json.dumps(sent))
            answer = await ws.receive_json(timeout=30)
            assert answer["type"] in ("ack", "refused"), answer


async def uploaded(session: aiohttp.ClientSession, url: str, number: int) -> str:
    async with session.post(f"{url}/files?name={number}", data=b"x" * 10_000) as response:
        digest: str = (await response.json())["digest"]
        return digest


async def test_no_answer_stops_the_loop(scene: Scene) -> None:
    """A model that writes a megabyte made to be hard, to Telegram; the first part gets there."""

    async def work() -> None:
        for number, answer in enumerate(ANSWERS.values()):
            chat = 400 + number
            before = len(scene.telegram.texts(chat))
            scene.engine.fault(text=answer, chunks=20)
            scene.telegram.say(chat, chat, "write")
            await scene.telegram.until(
                lambda chat=chat, before=before: len(scene.telegram.texts(chat)) > before + 1, 60
            )
            scene.telegram.say(chat, chat, "/stop")

    await scene.holds_nobody_up(work)
