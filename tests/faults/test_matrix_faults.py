"""What a homeserver and the way to it do (F01, F06, F19 to F21, F23 to F26). Sends have a key and
are read back: nothing is lost, doubled or left uncertain."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import pytest

from tests.faults.chats import answered
from tests.faults.conftest import Report
from tests.faults.matrix import talking
from tests.faults.rounds import Strike, Tally, asked_once, claimed, play, strikes, told
from tests.faults.system import System, until

POINTS = ("P1", "P2", "P8", "P9", "P10", "P11")
WORD_BY_WORD = ("--token-delay", "0.015")
"""So that there is a preview to be cut, found, and turned into the answer."""


async def rounds(wanted: Sequence[Strike], report: Report, engine: Sequence[str] = ()) -> None:
    tally = Tally()
    async with talking(engine=engine) as (system, chat):
        await play(system, chat, wanted, tally)
        verdict = await system.judged()
        asked_once(system, tally)
    told(report, tally)
    claimed(verdict, tally, keyed=True)


async def side_by_side(every: Sequence[Strike], report: Report) -> None:
    async with asyncio.TaskGroup() as group:
        for number in range(2):
            engine = WORD_BY_WORD if number % 2 == 0 else ()
            group.create_task(rounds(every[number::2], report, engine))


@pytest.mark.timeout(300)
async def test_death_at_any_point_loses_and_doubles_nothing(report: Report) -> None:
    await side_by_side(strikes(POINTS, 1), report)


@pytest.mark.long
@pytest.mark.timeout(3600)
async def test_death_at_any_point_again_and_again(report: Report, times: int) -> None:
    every = strikes(POINTS, times)
    await side_by_side(every, report)
    await side_by_side([*every[1:], every[0]], report)  # with the other engine


async def held_elsewhere(system: System, name: str) -> bool:
    return '"account_held_elsewhere"' in system.program(name).log


@pytest.mark.timeout(300)
async def test_what_a_homeserver_and_a_line_can_do(report: Report) -> None:
    async with talking(gateways=2, engine=("--latency", "0.02")) as (system, chat):
        proxy = chat.proxy
        began = await chat.keep.get("sync")
        assert began is not None

        # F19: of two gateways with one account one is connected, and the other says why it is not.
        await answered(chat, await chat.say("first", "hello"))
        names = ("gateway-1", "gateway-2")
        (owner,) = [name for name in names if '"matrix_signed_in"' in system.program(name).log]
        (other,) = {*names} - {owner}
        await until(lambda: held_elsewhere(system, other), 60.0)

        # F20: the line is gone for a while; more is written than one sync brings.
        proxy.down = True
        proxy.cut()
        await asyncio.gather(*(chat.say(f"away-{number}", "hello") for number in range(3)))
        for number in range(60):
            await chat.say("away-0", str(number))
        proxy.heal()
        await system.settle()

        # F24: sends that are cut, before or after they were done, and answers of trouble.
        proxy.fault("PUT", "/send/", "cut_after", times=100, each=7)
        proxy.fault("PUT", "/send/", "cut", times=100, each=11)
        proxy.fault("PUT", "/send/", "status", times=100, each=9, status=502)
        for _ in range(3):
            await asyncio.gather(*(chat.say(f"line-{number}", "hello") for number in range(12)))
        await system.settle()
        proxy.heal()
        cut = len(proxy.struck)

        # F26: what can never be sent is listed at the first try, and the lane goes on.
        await chat.room("gone")
        refusal = {"errcode": "M_FORBIDDEN", "error": "you may not write here"}
        proxy.fault("PUT", chat.path("gone"), "status", status=403, body=refusal)
        lost = await chat.say("gone", "hello")

        async def listed() -> bool:
            letters = await system.opened.dead.list()
            return any(lost.token.encode() in one.body for one in letters)

        await until(listed, 60.0)
        tried = chat.sends("gone")
        await answered(chat, await chat.say("gone", "and now?"))

        # F23: a room that is flooded is left alone, also over a restart; others go on.
        await answered(chat, await chat.say("held", "before"))
        flood = {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 5000}
        proxy.fault("PUT", chat.path("held"), "status", status=429, body=flood)
        struck = len(proxy.struck)
        held = await chat.say("held", "hello")
        await until(lambda: _true(len(proxy.struck) > struck), 60.0)
        refused_at = time.monotonic()
        await answered(chat, await chat.say("other", "not held"))
        system.program(owner).kill()
        waited = await answered(chat, held) - refused_at

        # F21: after a restart everything comes once more.
        for name in names:
            system.program(name).kill()
        await chat.keep.set("sync", began)
        await system.connected()
        await answered(chat, await chat.say("first", "once more"))
        verdict = await system.judged()
        report(messages=len(chat.said), cut=cut)
    assert verdict.wrong == {}
    assert not verdict.uncertain
    assert verdict.quarantined == [lost.token]
    assert tried == 1
    assert cut > 5
    assert waited >= 4.5


async def _true(value: bool) -> bool:
    return value


async def test_a_revoked_token_stops_the_account_at_once_and_keeps_its_queue() -> None:
    async with talking(engine=("--latency", "0.5")) as (system, chat):
        await answered(chat, await chat.say("ada", "before"))
        gateway = system.program("gateway-1")
        waiting = await chat.say("ada", "hello")
        asked = len(system.questions())

        async def at_work() -> bool:
            return len(system.questions()) > asked

        await until(at_work, 60.0)
        await chat.bot.ask("POST", "/logout", {})

        async def stopped() -> bool:
            return '"account_stopped"' in gateway.log

        await until(stopped, 60.0)
        await answered(system.web, await system.web.say("ada", "does the web chat go on?"))
        refused = chat.proxy.statuses[401]
        unheard = await chat.say("ada", "anybody?")
        await chat.bot.sign_in()
        system.configure(adapters={"matrix": chat.settings})
        gateway.kill()
        await answered(chat, waiting)
        await answered(chat, unheard)
        verdict = await system.judged()
    assert 0 < refused <= 3
    assert verdict.wrong == {}
