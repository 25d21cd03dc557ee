"""Models that are dead or hung (F29, F30), messages that kill their worker (F33), and sizes
(F34)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.fakes.ports import free_port
from tests.faults import programs
from tests.faults.chats import answered
from tests.faults.conftest import Report
from tests.faults.system import System, until

TIMEOUTS = {"first_token": "0.5s", "between_tokens": "0.5s", "total": "4s"}

BROKEN: dict[str, dict[str, Any]] = {
    "500": {"status": 500},
    "503": {"status": 503},
    "429": {"status": 429, "retry_after": "30"},
    "refused": {"refuse": True},
    "hung": {"hang": True},
    "headers only": {"headers_only": True},
    "slow loris": {"drip": 0.5},
    "stalled": {"stall_after": 2},
    "cut": {"cut_after": 2},
}


async def test_what_a_broken_model_leaves_is_answered_by_the_next_and_it_is_left_alone(
    report: Report,
) -> None:
    port = free_port()
    async with System.started(workers=0) as system:
        await system.add(programs.fake("engine-2", system.folder, port))
        first = f"http://127.0.0.1:{system.engine_port}/v1"
        system.configure(
            engines={
                "fake": {"url": first, "timeouts": TIMEOUTS},
                "spare": {"url": f"http://127.0.0.1:{port}/v1"},
            }
        )
        for name, fault in BROKEN.items():
            await system.engine("reset", {})
            await system.engine("fault", fault)
            worker = await system.launch("worker-1")  # its breakers are closed
            for _ in range(8):
                said = await system.web.say(name.replace(" ", "-"), "one two three four")
                await answered(system.web, said)
            asked = (await system.engine("stats"))["asked"]
            report(fault=name, asked=asked)
            await worker.stop()
            assert asked <= 5, name
        await system.engine("fault", {})
        await system.launch("worker-1")
        await answered(system.web, await system.web.say("healed", "hello"))
        verdict = await system.judged()
    assert verdict.wrong == {}
    assert not verdict.quarantined


async def test_a_model_that_comes_back_is_asked_again() -> None:
    async with System.started(
        settings={"fallback": {"cooldown": "1s", "cooldown_max": "2s"}}
    ) as system:
        await system.engine("fault", {"refuse": True})
        waiting = [await system.web.say(f"web-{number}", "hello") for number in range(5)]

        async def tried() -> bool:
            return bool((await system.engine("stats"))["asked"])

        await until(tried, 60.0)
        await system.engine("fault", {})
        for said in waiting:
            await answered(system.web, said)
        verdict = await system.judged()
    assert verdict.wrong == {}


@pytest.mark.timeout(240)
async def test_a_message_that_kills_its_worker_is_quarantined_and_the_others_go_on(
    report: Report,
) -> None:
    async with System.started(workers=2, settings={"turns": {"attempts": 2}}) as system:
        await system.complete()
        poison = "poison"
        deaths, slowest = 0, 0.0
        system.arm("worker", f"P5 kill {system.web.word(poison)}")
        fatal = await system.web.say(poison, "kills")
        after = await system.web.say(poison, "harmless")
        while (await system.ledger()).quarantined == 0:
            said = await system.web.say("others", "hello")
            slowest = max(slowest, await answered(system.web, said) - said.at)
            if len(list(system.folder.glob("worker.point.*.fired"))) > deaths:
                deaths += 1
                if deaths < 2:
                    system.arm("worker", f"P5 kill {system.web.word(poison)}")
            await asyncio.sleep(0.1)
        system.disarm("worker")
        await answered(system.web, after)
        verdict = await system.judged()
        told = await system.web.seen(poison)
        report(deaths=deaths, others_slowest=round(slowest, 2))
    assert verdict.wrong == {}
    assert verdict.quarantined == [fatal.token]
    assert any("could not answer" in text for text in told)


async def test_sizes_are_refused_by_stated_limits_and_nothing_breaks() -> None:
    async with System.started(telegram=True) as system:
        await system.connected()
        web = system.web
        status = {}
        for name, text in {
            "900 kB": "x" * 900_000,
            "100 kB of emoji": "😀" * 25_000,
            "too many letters": "x" * 40_000,
            "10,000 mentions": "@someone " * 5_000,
        }.items():
            body = {"conversation": "sizes", "text": text, "id": name.replace(" ", "_")[:9]}
            status[name], _, _ = await web.post(body)
        await system.telegram.say("sizes", "@someone " * 450)
        await answered(web, await web.say("sizes", "hello"))
        await system.settle()
        shown = await web.seen("sizes")
        restarts = [len(one.starts) for one in system.programs.values()]
    assert status.pop("900 kB") == 413
    assert set(status.values()) <= {202, 422}
    assert any("too long" in text for text in shown)
    assert set(restarts) == {1}
