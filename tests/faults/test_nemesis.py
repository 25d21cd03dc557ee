"""Random death of any process, or of all at once, under load on both adapters (F08, F09)."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence

import pytest

from tests.faults.chats import Chat
from tests.faults.conftest import Report
from tests.faults.rounds import without_stray
from tests.faults.system import NOTICES, System

EVERYTHING = "everything"
LATENCY = ("--latency", "0.1", "--token-delay", "0.005")


async def talk(chat: Chat, conversation: str, chance: random.Random, end: float) -> None:
    """One person: writes, sometimes several messages in a row, never waiting for an answer."""
    while time.monotonic() < end:
        for _ in range(chance.choice((1, 1, 1, 3))):
            await chat.say(conversation, "once upon a time")
        await asyncio.sleep(chance.uniform(0.5, 2.5))


async def haunt(system: System, chance: random.Random, end: float) -> dict[str, int]:
    """Kill something every 0.5 to 2 s; what died how often."""
    names = [name for name in system.programs if name.startswith(("gateway", "worker", "redis"))]
    killed = dict.fromkeys((*names, EVERYTHING), 0)
    while time.monotonic() < end:
        await asyncio.sleep(chance.uniform(0.5, 2.0))
        victim = chance.choice((*names, EVERYTHING))
        killed[victim] += 1
        for name in names if victim == EVERYTHING else [victim]:
            program = system.program(name)
            program.pause = chance.uniform(0.0, 1.0)  # they come back in any order
            program.kill()
    return killed


async def nemesis(seed: int, seconds: float, people: int, report: Report) -> None:
    chance = random.Random(seed)
    async with System.started(workers=2, telegram=True, engine=LATENCY) as system:
        await system.connected()
        end = time.monotonic() + seconds
        async with asyncio.TaskGroup() as group:
            haunting = group.create_task(haunt(system, chance, end))
            for number in range(people):
                chat: Chat = system.chats[number % 2]
                conversation = f"{chat.name}-{number}"
                group.create_task(talk(chat, conversation, random.Random(number), end))
        began = time.monotonic()
        verdict = await system.judged(60.0)
        settled = time.monotonic() - began
        untold = await silent(system)
        broken = [name for name, one in system.programs.items() if '"internal_error"' in one.log]
        uncertain_on_web = keyless(verdict.uncertain, system)
        report(
            seed=seed,
            kills=sum(haunting.result().values()),
            messages=len(system.web.said) + len(system.telegram.said),
            lost=len(verdict.lost),
            doubled=len(verdict.doubled),
            uncertain=len(verdict.uncertain),
            stray=len(verdict.stray),
            quarantined=len(verdict.quarantined),
            settled=round(settled, 1),
        )
    assert without_stray(verdict) == {}
    assert not [one for one in verdict.stray if one.conversation.startswith("web")]
    assert not uncertain_on_web
    assert not untold
    assert not broken


def keyless(tokens: Sequence[str], system: System) -> list[str]:
    """Those that belong to the web chat, where nothing may be uncertain."""
    ours = {one.token for one in system.web.said}
    return [token for token in tokens if token in ours]


async def silent(system: System) -> list[str]:
    """Conversations that hold a quarantined message and were not told. A message that was in hand
    at several deaths looks like the cause of them; that is said, and nothing is lost unawares."""
    letters = await system.opened.dead.list(limit=100_000)
    notices = [one.conversation for one in letters if one.kind != "message" and told(one.body)]
    wrong = []
    for one in (one for one in letters if one.kind == "message"):
        chat = system.telegram if "/telegram/" in one.conversation else system.web
        name = next(each.conversation for each in chat.said if each.token.encode() in one.body)
        seen = await chat.seen(name)
        if one.conversation not in notices and not any(map(told, seen)):
            wrong.append(name)
    return wrong


def told(text: str | bytes) -> bool:
    return NOTICES[0] in (text.decode() if isinstance(text, bytes) else text)


@pytest.mark.timeout(180)
async def test_random_deaths_lose_nothing(report: Report) -> None:
    await nemesis(seed=7, seconds=20.0, people=40, report=report)


@pytest.mark.long
@pytest.mark.timeout(3600)
async def test_random_deaths_for_minutes(report: Report, seed: int, duration: float) -> None:
    await nemesis(seed, duration, people=40, report=report)
