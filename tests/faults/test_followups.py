"""Rapid follow-ups: what is sent into a turn that runs or just closes is answered, once."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from tests.faults.chats import answered
from tests.faults.checker import tokens
from tests.faults.conftest import Report
from tests.faults.system import System

PEOPLE = 10


async def followups(messages: int, report: Report) -> None:
    async with System.started(engine=("--latency", "0.08")) as system:
        web, chance = system.web, random.Random(3)
        each = messages // PEOPLE

        async def person(number: int) -> None:
            """Half of it the moment an answer is seen, half of it in bursts while one is made."""
            conversation, sent = f"web-{number}", 0
            while sent < each:
                for _ in range(min(each - sent, chance.choice((1, 1, 2, 5)))):
                    said = await web.say(conversation, "and")
                    sent += 1
                    await asyncio.sleep(chance.choice((0.0, 0.0, 0.01, 0.035)))
                await answered(web, said)

        await asyncio.gather(*(person(number) for number in range(PEOPLE)))
        verdict = await system.judged()
        asked = Counter(token for one in system.questions() for token in tokens(one))
        turns = len(system.questions())
        report(messages=len(web.said), turns=turns, lost=len(verdict.lost))
    assert verdict.wrong == {}
    assert len(asked) == len(web.said) == messages
    assert set(asked.values()) == {1}


async def test_rapid_followups_are_each_answered_in_one_turn(report: Report) -> None:
    await followups(300, report)


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_many_rapid_followups_are_each_answered_in_one_turn(report: Report) -> None:
    await followups(1500, report)
