"""Bursts and floods (F35, F36), and going down under load (F37)."""

from __future__ import annotations

import asyncio
import statistics
import time

import psutil
import pytest

from tests.faults.chats import Said, answered
from tests.faults.conftest import Report
from tests.faults.rounds import in_time
from tests.faults.system import System
from tests.journeys.stage import living_children

EXIT = 10.0
"""Seconds within which a process that was asked to end has ended."""


async def burst(messages: int, people: int, report: Report) -> None:
    async with System.started() as system:
        gate = asyncio.Semaphore(200)

        async def person(number: int) -> list[Said]:
            said = []
            for _ in range(messages // people):
                async with gate:
                    said.append(await system.web.say(f"web-{number}", "hello"))
            return said

        began = time.monotonic()
        everything = await asyncio.gather(*(person(number) for number in range(people)))
        stored = time.monotonic() - began
        acks = sorted(one.ack for some in everything for one in some)
        memory = max(
            psutil.Process(one.pid).memory_info().rss
            for name, one in system.programs.items()
            if name.startswith(("gateway", "worker"))
        )
        verdict = await system.judged(180.0)
        report(
            messages=len(acks),
            stored_seconds=round(stored, 1),
            p99_ack_ms=round(acks[int(len(acks) * 0.99)] * 1000),
            drained_seconds=round(time.monotonic() - began, 1),
            refused=system.web.statuses[503],
            largest_mb=round(memory / 2**20),
        )
    assert verdict.wrong == {}
    assert len(acks) == messages // people * people


async def test_a_burst_is_stored_whole_and_answered(report: Report) -> None:
    await burst(2000, 500, report)


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_a_large_burst_is_stored_whole_and_answered(report: Report) -> None:
    await burst(10_000, 500, report)


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_one_chat_that_floods_slows_nobody_else(report: Report, duration: float) -> None:
    async with System.started(engine=("--latency", "0.1")) as system:
        seconds = min(duration, 300.0)

        async def normal(number: int, end: float) -> list[float]:
            waits = []
            while time.monotonic() < end:
                said = await system.web.say(f"web-{number}", "hello")
                waits.append(await answered(system.web, said) - said.at)
                await asyncio.sleep(3.0)
            return waits

        async def flood(end: float) -> int:
            refused = number = 0
            while time.monotonic() < end:
                body = {"conversation": "flood", "text": "and", "id": f"flood-{number}"}
                _, answer, _ = await system.web.post(body)
                refused += answer.get("outcome") != "stored"
                number += 1
                await asyncio.sleep(0.02)
            return refused

        async def people(end: float) -> float:
            waits = await asyncio.gather(*(normal(number, end) for number in range(39)))
            return statistics.quantiles([one for some in waits for one in some], n=20)[-1]

        idle = await people(time.monotonic() + 15.0)
        end = time.monotonic() + seconds
        beside, refused = await asyncio.gather(people(end), flood(end))
        report(p95_idle=round(idle, 3), p95_beside=round(beside, 3), refused=refused)
        await system.settle(120.0)
        ledger = await system.ledger()
    assert ledger.difference == 0


async def test_whoever_is_asked_to_end_under_load_does_so_in_time_and_loses_nothing(
    report: Report,
) -> None:
    async with System.started(
        telegram=True, engine=("--latency", "0.5", "--token-delay", "0.02")
    ) as system:
        await system.connected()

        async def person(number: int) -> None:
            for _ in range(12):
                chat = system.chats[number % 2]
                await chat.say(f"{chat.name}-{number}", "one two three four")
                await asyncio.sleep(0.4)

        talking = asyncio.gather(*(person(number) for number in range(20)))
        seconds = {}
        for name in ("worker-1", "gateway-1"):
            await asyncio.sleep(1.0)
            program = system.program(name)
            began = time.monotonic()
            code = await program.stop(20.0)
            seconds[name] = round(time.monotonic() - began, 2)
            assert code == 0, program.log[-2000:]
            await program.start()
        await talking
        verdict = await system.judged()
        report(**seconds)
    in_time(max(seconds.values()), EXIT)
    assert verdict.wrong == {}
    assert not verdict.uncertain


async def test_everything_at_once_survives_the_death_of_each_part_and_ends_in_time(
    report: Report,
) -> None:
    """The same, supervised by ``moltgate run`` with its private Redis."""
    async with System.supervised() as system:
        run = system.program("run")
        for part in ("gateway", "worker", "redis-server"):
            said = await system.web.say("ada", f"before the death of {part}")
            victim = next(
                child
                for child, words in living_children(run.pid)
                if part in words[0] or part in words
            )
            victim.kill()
            await answered(system.web, said)
            await answered(system.web, await system.web.say("ada", "after it"))
        verdict = await system.judged()
        began = time.monotonic()
        code = await run.stop(20.0)
        seconds = time.monotonic() - began
        report(exit=round(seconds, 2))
    assert code == 0
    in_time(seconds, EXIT)
    assert verdict.wrong == {}
