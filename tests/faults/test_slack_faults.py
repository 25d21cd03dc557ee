"""What Slack does to its apps (F01, F06, F19 to F21, F23 to F26). Its sends have no key and are
read back: nothing is lost, doubled or left uncertain."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence

import pytest

from tests.faults.chats import answered
from tests.faults.conftest import Report
from tests.faults.rounds import Strike, Tally, asked_once, claimed, play, strikes, told
from tests.faults.slack import talking
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
        for number in range(3):
            engine = WORD_BY_WORD if number % 2 == 0 else ()
            group.create_task(rounds(every[number::3], report, engine))


async def test_death_at_any_point_loses_and_doubles_nothing(report: Report) -> None:
    await side_by_side(strikes(POINTS, 1), report)


@pytest.mark.long
@pytest.mark.timeout(3600)
async def test_death_at_any_point_again_and_again(report: Report, times: int) -> None:
    every = strikes(POINTS, times)
    for some in (every[::2], every[1::2]):  # each point with and without a preview
        await side_by_side(some, report)


async def held_elsewhere(system: System, name: str) -> bool:
    return '"account_held_elsewhere"' in system.program(name).log


async def stopped(system: System, name: str) -> bool:
    return '"account_stopped"' in system.program(name).log


async def asked_for(system: System, token: str) -> bool:
    return any(token in question for question in system.questions())


async def test_what_slack_and_a_line_can_do(report: Report) -> None:
    chance = random.Random(7)
    async with talking(gateways=2) as (system, chat):
        slack = chat.slack

        # F19: of two gateways with one app one is connected, and the other says why it is not.
        await answered(chat, await chat.say("first", "hello"))
        names = ("gateway-1", "gateway-2")
        (owner,) = [name for name in names if '"slack_signed_in"' in system.program(name).log]
        (other,) = {*names} - {owner}
        await until(lambda: held_elsewhere(system, other), 60.0)
        assert len(slack.server.connections) == 1

        # F21: every event comes up to five times at once.
        for number in range(12):
            said = await chat.say(f"copies-{number % 4}", "again")
            for _ in range(chance.randint(0, 4)):
                slack.world.again(chat.about(said))

        # F20: the socket is cut, or replaced in the middle of it all.
        for number in range(6):
            await chat.say(f"cut-off-{number}", "hello")
            if number % 3 == 0:
                slack.server.drop()
            elif number % 3 == 1:
                await slack.server.disconnect("refresh_requested", after=0.1)
        await system.settle()

        # F24: calls that are cut, before or after they were done, and answers of trouble.
        for kind in ("cut_after", "status", "garbage", "error"):
            slack.fault("chat.postMessage", kind, times=None, rate=0.1, status=502)
        for number in range(24):
            await chat.say(f"line-{number}", "hello")
        await system.settle()
        slack.world.faults.clear()

        # F26: what can never be sent is listed at the first try, and the lane goes on.
        channel = chat.channel("gone")
        slack.fault("chat.postMessage", "error", error="is_archived", channel=channel)
        lost = await chat.say("gone", "hello")

        async def listed() -> bool:
            letters = await system.opened.dead.list()
            return any(lost.token.encode() in one.body for one in letters)

        await until(listed, 60.0)
        await answered(chat, await chat.say("gone", "and now?"))

        # F23: a channel that is flooded is left alone, also over a restart; others go on.
        await answered(chat, await chat.say("held", "before"))
        slack.fault("chat.postMessage", "flood", seconds=5.0, channel=chat.channel("held"))
        began = time.time()
        held = await chat.say("held", "hello")

        async def refused() -> bool:
            return any(call.status == 429 for call in slack.calls("chat.postMessage"))

        await until(refused, 60.0)
        await answered(chat, await chat.say("other", "not held"))
        system.program(owner).kill()
        await answered(chat, held)
        waited = time.time() - began

        # F25: a revoked token stops the account at once, wherever it is, and its queue is kept.
        await system.settle()
        await system.engine("fault", {"latency": 0.5})
        waiting = await chat.say("revoked", "hello")
        await until(lambda: asked_for(system, waiting.token), 60.0)
        slack.world.revoked = True
        for name in names:
            await until(lambda name=name: stopped(system, name), 60.0)
        refused_tokens = [call for call in slack.world.calls if call.error == "token_revoked"]
        await answered(system.web, await system.web.say("ada", "does the web chat go on?"))
        slack.world.revoked = False
        system.program(owner).kill()
        await answered(chat, waiting)
        verdict = await system.judged()
        outcomes = Counter(call.outcome for call in slack.calls("chat.postMessage"))
        report(posts=sum(outcomes.values()), cut=outcomes["cut_after"])
    assert verdict.wrong == {}
    assert not verdict.uncertain
    assert verdict.quarantined == [lost.token]
    assert sum(lost.token in str(call.params) for call in slack.calls("chat.postMessage")) == 1
    assert outcomes["cut_after"] > 0
    assert outcomes["early"] == 0
    assert waited >= 5.0
    assert 0 < len(refused_tokens) <= 3
