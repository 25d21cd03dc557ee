"""Two of everything: who sleeps too long is taken over and does no harm when he wakes (F18), and an
account has one owner (F19)."""

from __future__ import annotations

import asyncio
import signal
import time

import pytest

from tests.faults.chats import Chat, answered
from tests.faults.conftest import Report
from tests.faults.programs import Program
from tests.faults.rounds import TAKEOVER, in_time
from tests.faults.system import System, until


def struck(system: System, kind: str) -> Program:
    """The process that came to the armed point."""
    (mark,) = system.folder.glob(f"{kind}.point.*.fired")
    pid = int(mark.name.split(".")[-2])
    mark.unlink()
    return next(one for one in system.programs.values() if one.running and one.pid == pid)


async def asleep(system: System, chat: Chat, point: str, report: Report) -> Program:
    """A process stops at a point with a message in hand, is taken over, and wakes again."""
    kind = "worker" if point == "P6" else "gateway"
    await answered(chat, await chat.say("ada", "before"))
    system.arm(kind, f"{point} stop {chat.word('ada')}")
    telling = asyncio.create_task(chat.say("ada", "one two three four five six"))
    at = await system.fired(kind)
    sleeper = struck(system, kind)
    said = await telling
    other = await chat.say("bob", "are you there?")
    await answered(chat, other)
    await system.settle()
    seconds = time.monotonic() - at
    report(chat=chat.name, point=point, takeover=round(seconds, 2))
    sleeper.signal(signal.SIGCONT)
    await answered(chat, await chat.say("ada", "after"))
    await system.complete()
    assert said.confirmed or chat.name == "telegram"
    in_time(seconds, TAKEOVER)
    return sleeper


@pytest.mark.parametrize("name", ["web", "telegram"])
async def test_a_worker_that_sleeps_through_its_lease_answers_nothing_when_it_wakes(
    name: str, report: Report
) -> None:
    async with System.started(
        workers=2, telegram=name == "telegram", engine=("--token-delay", "0.02")
    ) as system:
        await system.complete()
        chat = system.telegram if name == "telegram" else system.web
        sleeper = await asleep(system, chat, "P6", report)

        async def gave_up() -> bool:
            return '"outcome": "superseded"' in sleeper.log or '"outcome": "stopped"' in sleeper.log

        await until(gave_up, 60.0)
        verdict = await system.judged()
    assert verdict.wrong == {}
    assert not verdict.uncertain


@pytest.mark.parametrize("name", ["web", "telegram"])
async def test_a_gateway_that_sleeps_through_its_lease_shows_nothing_twice_and_stands_by_again(
    name: str, report: Report
) -> None:
    async with System.started(gateways=2, telegram=name == "telegram") as system:
        await system.complete()
        chat = system.telegram if name == "telegram" else system.web
        sleeper = await asleep(system, chat, "P9", report)
        for gateway in (one for key, one in system.programs.items() if key.startswith("gateway")):
            if gateway is not sleeper:
                gateway.pause = 30.0
                gateway.kill()
        await answered(chat, await chat.say("ada", "and you?"))
        verdict = await system.judged()
    assert verdict.wrong == {}
    assert len(verdict.uncertain) <= (name == "telegram")


async def test_an_account_that_two_gateways_want_has_one_poller_and_the_other_says_why() -> None:
    async with System.started(gateways=2, telegram=True) as system:
        await system.complete()
        await answered(system.telegram, await system.telegram.say("ada", "hello"))
        logs = [system.program(f"gateway-{number}").log for number in (1, 2)]
        polls = await system.telegram.calls("getUpdates")
        verdict = await system.judged()
    assert sum('"telegram_signed_in"' in log for log in logs) == 1
    assert (
        sum(
            '"account_held_elsewhere"' in log
            and "telegram:default" in log.split("held_elsewhere")[1]
            for log in logs
        )
        == 1
    )
    assert not [poll for poll in polls if poll["status"] == 409]
    assert verdict.wrong == {}
