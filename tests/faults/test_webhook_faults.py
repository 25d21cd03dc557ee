"""What happens between a program and us (F01, F06, F21, F23 to F26): every post has a key, so
nothing is lost, doubled or left uncertain."""

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
from tests.faults.system import until
from tests.faults.webhook import posting

POINTS = ("P1", "P2", "P8", "P9", "P10", "P11")


async def rounds(wanted: Sequence[Strike], report: Report) -> None:
    tally = Tally()
    async with posting(gateways=2, workers=2) as (system, chat):
        await play(system, chat, wanted, tally)
        verdict = await system.judged()
        asked_once(system, tally)
    told(report, tally)
    claimed(verdict, tally, keyed=True)


async def side_by_side(every: Sequence[Strike], report: Report) -> None:
    async with asyncio.TaskGroup() as group:
        for some in (every[::2], every[1::2]):
            group.create_task(rounds(some, report))


async def test_death_at_any_point_loses_and_doubles_nothing(report: Report) -> None:
    await side_by_side(strikes(POINTS, 1), report)


@pytest.mark.long
@pytest.mark.timeout(3600)
async def test_death_at_any_point_again_and_again(report: Report, times: int) -> None:
    await side_by_side(strikes(POINTS, times), report)


async def test_what_a_receiver_and_a_line_can_do(report: Report) -> None:
    chance = random.Random(7)
    async with posting() as (system, chat):
        receiver = chat.receiver

        # F21: every post comes up to five times at once.
        async def several(number: int) -> None:
            said = await chat.say(f"copies-{number}", "again")
            answers = await asyncio.gather(*(chat.post(said) for _ in range(chance.randint(0, 4))))
            assert {status for status, _ in answers} <= {200}

        await asyncio.gather(*(several(number) for number in range(9)))

        # F24: answers that are cut before or after they were taken, and plain faults.
        for kind in ("cut", "cut_after", "cut_after", "status"):
            receiver.fault(kind, conversation="cut", status=502)
        for _ in range(3):
            await answered(chat, await chat.say("cut", "hello"))

        # F26: what can never be delivered is listed at the first try.
        receiver.fault("status", status=410, conversation="gone", times=1)
        lost = await chat.say("gone", "hello")

        async def listed() -> bool:
            letters = await system.opened.dead.list()
            return any(lost.token.encode() in one.body for one in letters)

        await until(listed, 60.0)
        await answered(chat, await chat.say("gone", "and now?"))

        # F23: a receiver that asks for patience gets it, also over a restart; others go on.
        until_then = time.time() + 6
        receiver.fault("status", status=429, retry_after="6", conversation="held", times=1)
        held = await chat.say("held", "hello")

        async def refused() -> bool:
            return any(one.outcome == "429" for one in receiver.posts)

        await until(refused, 60.0)
        await answered(chat, await chat.say("other", "not held"))
        system.program("gateway-1").kill()
        await answered(chat, held)
        (came,) = [one.at for one in receiver.posts if one.outcome == "shown"
                   and held.token in one.body["text"]]  # fmt: skip
        verdict = await system.judged()
        report(posts=len(receiver.posts), uncertain=len(verdict.uncertain))
    assert verdict.wrong == {}
    assert not verdict.uncertain
    assert verdict.quarantined == [lost.token]
    assert sum(lost.token in str(one.body) for one in receiver.posts) == 1
    assert came >= until_then - 1.0
    assert Counter(one.outcome for one in receiver.posts)["cut_after"] == 2


async def test_a_receiver_that_refuses_our_signature_stops_the_account_alone() -> None:
    async with posting() as (system, chat):
        await answered(chat, await chat.say("ada", "before"))
        chat.receiver.revoked = True
        waiting = await chat.say("ada", "hello")

        async def stopped() -> bool:
            return '"account_stopped"' in system.program("gateway-1").log

        await until(stopped, 60.0)
        refused = [one for one in chat.receiver.posts if one.outcome == "unsigned"]
        assert (await chat.post(waiting))[0] == 503  # nobody takes anything in meanwhile
        chat.receiver.revoked = False
        system.program("gateway-1").kill()
        await answered(chat, waiting)
        verdict = await system.judged()
    assert len(refused) <= 3
    assert verdict.wrong == {}
