"""The store goes away, freezes, fills up or is set up wrongly (F11, F12, F13, F14)."""

from __future__ import annotations

import asyncio
import json
import signal
import time

import pytest

from tests.faults.chats import answered
from tests.faults.conftest import Report
from tests.faults.rounds import in_time
from tests.faults.system import System, until

SLACK = 3.0
"""Seconds within which the strictest platform wants its answer, also when it is a refusal."""


async def chatter(system: System, people: int, each: int) -> None:
    """Everybody writes `each` messages, one after the other."""

    async def person(number: int) -> None:
        for _ in range(each):
            await system.web.say(f"web-{number}", "hello")
            await asyncio.sleep(0.05)

    await asyncio.gather(*(person(number) for number in range(people)))


def lines(system: System, name: str, since: int) -> list[dict[str, object]]:
    """What a process has logged since its log was so long."""
    log = system.program(name).log[since:]
    return [json.loads(line) for line in log.splitlines() if line.startswith("{")]


async def test_a_restarted_store_loses_nothing_and_makes_no_storm_of_log_lines(
    report: Report,
) -> None:
    async with System.started() as system:
        redis = system.program("redis")
        redis.pause = 4.0
        talking = asyncio.create_task(chatter(system, people=10, each=60))
        await asyncio.sleep(1.0)
        before = len(system.program("gateway-1").log)
        redis.signal(signal.SIGTERM)
        await asyncio.sleep(3.0)
        said = [
            line
            for line in lines(system, "gateway-1", before)
            if line.get("level") in ("warning", "error")
        ]
        await talking
        verdict = await system.judged()
        report(log_lines=len(said), refused_meanwhile=system.web.statuses[503])
    assert verdict.wrong == {}
    assert system.web.statuses[503] > 0
    assert len(said) <= 10, said


async def frozen(seconds: float, report: Report) -> None:
    async with System.started() as system:
        await answered(system.web, await system.web.say("ada", "before"))
        redis = system.program("redis")
        redis.signal(signal.SIGSTOP)
        thaw = asyncio.get_running_loop().call_later(seconds, redis.signal, signal.SIGCONT)
        system.web.slowest = 0.0
        talking = asyncio.create_task(chatter(system, people=5, each=3))
        health = []
        while thaw.when() > asyncio.get_running_loop().time():
            began = time.monotonic()
            await system.up(2.0)
            health.append(time.monotonic() - began)
            await asyncio.sleep(0.1)
        await talking
        verdict = await system.judged()
        report(
            frozen=seconds,
            refused_meanwhile=system.web.statuses[503],
            slowest_refusal=round(system.web.slowest, 2),
            slowest_health=round(max(health), 3),
            loop_blocked=system.program("gateway-1").log.count('"loop_blocked"'),
        )
    assert verdict.wrong == {}
    assert system.web.statuses[503] > 0
    in_time(system.web.slowest, SLACK)
    assert len(system.program("gateway-1").starts) == 1


async def test_a_frozen_store_is_answered_for_in_time_and_nothing_is_lost(report: Report) -> None:
    await frozen(5.0, report)


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.parametrize("seconds", [30.0, 120.0])
async def test_a_long_frozen_store_is_answered_for_in_time(report: Report, seconds: float) -> None:
    await frozen(seconds, report)


async def test_a_full_store_takes_nothing_in_drains_and_recovers_by_itself() -> None:
    async with System.started(engine=("--latency", "3")) as system:
        waiting = [await system.web.say(f"web-{number}", "before") for number in range(20)]
        await system.fill()
        status, _, _ = await system.web.post({"conversation": "late", "text": "now?", "id": "x"})
        for said in waiting:  # what was taken in is answered although there is no room
            await answered(system.web, said)
        await system.empty()
        await answered(system.web, await system.web.say("late", "and now"))
        verdict = await system.judged()
    assert status == 503
    assert verdict.wrong == {}
    assert len(system.program("gateway-1").starts) == len(system.program("worker-1").starts) == 1


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        (("--maxmemory-policy", "allkeys-lru"), "maxmemory-policy noeviction"),
        (("--appendonly", "no"), "appendonly yes"),
    ],
)
async def test_a_forgetful_store_is_refused_at_the_start_with_the_line_to_change(
    setting: tuple[str, str], named: str
) -> None:
    async with System.started(redis=setting, roles=False) as system:
        for name in ("gateway-1", "worker-1"):
            program = await system.launch(name)
            async with asyncio.timeout(30):
                assert await program.ended() == 78
            assert named in program.log


async def test_a_store_that_becomes_forgetful_is_alarmed() -> None:
    async with System.started() as system:
        await system.redis("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")

        async def alarmed() -> bool:
            return any(
                line.get("event") == "store_settings_changed"
                and "noeviction" in str(line.get("problems"))
                for line in lines(system, "gateway-1", 0)
            )

        await until(alarmed, 60.0)
