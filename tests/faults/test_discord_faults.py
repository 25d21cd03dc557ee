"""What happens between Discord and us (F01, F06, F20 to F26): a nonce and a look back leave nothing
doubled or uncertain, sessions and the history nothing lost."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Sequence

import pytest

from tests.faults.chats import Said, answered
from tests.faults.conftest import Report
from tests.faults.discord import CREATE, DiscordChat, chatting
from tests.faults.rounds import Strike, Tally, asked_once, claimed, play, strikes, told
from tests.faults.system import System, until

POINTS = ("P1", "P2", "P8", "P9", "P10", "P11")
WORD_BY_WORD = ("--token-delay", "0.015")
"""So that there are previews to die in."""


async def rounds(
    wanted: Sequence[Strike], report: Report, engine: Sequence[str], start: asyncio.Lock
) -> None:
    """`start` is held while programs start: all at once, they keep each other from it."""
    tally = Tally()
    async with contextlib.AsyncExitStack() as stack:
        async with start:
            whole = chatting(gateways=2, workers=2, engine=engine)
            system, chat = await stack.enter_async_context(whole)
        await play(system, chat, wanted, tally)
        verdict = await system.judged()
        asked_once(system, tally)
    told(report, tally)
    claimed(verdict, tally, keyed=True)
    assert chat.fake.world.pings == []


async def side_by_side(every: Sequence[Strike], report: Report) -> None:
    """Half of them where answers grow, half where they stand at once."""
    start = asyncio.Lock()
    async with asyncio.TaskGroup() as group:
        group.create_task(rounds(every[1::2], report, WORD_BY_WORD, start))
        group.create_task(rounds(every[::2], report, (), start))


async def test_death_at_any_point_loses_and_doubles_nothing(report: Report) -> None:
    await side_by_side(strikes(POINTS, 1), report)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("engine", [WORD_BY_WORD, ()], ids=["word-by-word", "at-once"])
async def test_death_at_any_point_again_and_again(
    report: Report, times: int, engine: Sequence[str]
) -> None:
    every, start = strikes(POINTS, times), asyncio.Lock()
    async with asyncio.TaskGroup() as group:
        for some in (every[::2], every[1::2]):
            group.create_task(rounds(some, report, engine, start))


async def test_what_discord_and_a_line_can_do(report: Report) -> None:
    chance = random.Random(7)
    async with chatting() as (system, chat):
        fake = chat.fake

        # F21: events come up to five times.
        for number in range(12):
            said = await chat.say(f"copies-{number % 4}", "again")
            for _ in range(chance.randint(0, 4)):
                chat.again(said)

        # F24: sends that are cut before or after they were done, and plain faults.
        cut = chat.channel("cut")
        for kind in ("cut", "cut_after", "cut_after", "status"):
            fake.fault(CREATE, kind, channel=cut, status=503)
        for _ in range(3):
            await answered(chat, await chat.say("cut", "hello"))

        # F26: what can never be sent is listed at the first try, and the lane goes on.
        gone = chat.channel("gone")
        fake.fault(CREATE, "status", status=403, code=50007, channel=gone)
        lost = await chat.say("gone", "hello")

        async def listed() -> bool:
            letters = await system.opened.dead.list()
            return any(lost.token.encode() in one.body for one in letters)

        await until(listed, 60.0)
        await answered(chat, await chat.say("gone", "and now?"))

        # F23: a channel that asks for patience gets it, also over a restart; others go on.
        held = await _held_over_a_restart(system, chat)
        await answered(chat, held)
        verdict = await system.judged()
        creates = fake.calls(CREATE)
        report(messages=len(chat.said), uncertain=len(verdict.uncertain))
    assert verdict.wrong == {}
    assert not verdict.uncertain
    assert verdict.quarantined == [lost.token]
    assert sum(lost.token in str(call.body) for call in creates) == 1
    assert sum(call.outcome == "limited" for call in creates) == 1
    assert not [call for call in creates if call.outcome == "early"]
    assert sum(call.outcome == "cut_after" for call in creates) == 2


async def _held_over_a_restart(system: System, chat: DiscordChat) -> Said:
    chat.fake.fault(CREATE, "limited", seconds=8.0, channel=chat.channel("held"))
    held = await chat.say("held", "hello")

    async def refused() -> bool:
        return any(call.status == 429 for call in chat.fake.calls(CREATE))

    await until(refused, 60.0)
    await answered(chat, await chat.say("other", "not held"))
    system.program("gateway-1").kill()
    return held


async def test_connections_and_sessions_that_are_lost_lose_no_message() -> None:
    """F20."""
    async with chatting() as (system, chat):
        fake, gateway = chat.fake, chat.fake.gateway
        await answered(chat, await chat.say("ada", "before"))

        await gateway.drop()
        await answered(chat, await chat.say("ada", "while it is cut"))
        await gateway.reconnect()
        await answered(chat, await chat.say("ada", "while it moves"))
        assert (gateway.identifies, gateway.resumes) == (1, 2)

        system.program("gateway-1").kill()
        await answered(chat, await chat.say("ada", "while nobody is there"))
        assert (gateway.identifies, gateway.resumes) == (1, 3)

        fake.world.dispatch("MESSAGE_CREATE", {"nobody": "can read this"})
        gateway.frame("nor this")
        for session in fake.world.sessions.values():
            session.invalid = True
        gap = [await chat.say("ada", f"in the gap {number}", silent=True) for number in range(3)]
        await gateway.drop()
        for said in gap:
            await answered(chat, said)
        assert gateway.identifies == 2
        await answered(chat, await chat.say("bob", "and afterwards"))
        verdict = await system.judged()
    assert verdict.wrong == {}
    assert not verdict.uncertain
    assert len(system.program("gateway-1").starts) == 2


async def test_a_revoked_token_stops_the_account_at_once_and_keeps_its_queue() -> None:
    """F25."""
    async with chatting(engine=("--latency", "1")) as (system, chat):
        fake = chat.fake
        waiting = await chat.say("ada", "hello")

        async def asked() -> bool:
            return len(system.questions()) > 0

        await until(asked, 60.0)
        fake.world.revoked = True

        async def stopped() -> bool:
            return '"account_stopped"' in system.program("gateway-1").log

        await until(stopped, 60.0)
        await answered(system.web, await system.web.say("ada", "does the web chat go on?"))
        refused = [call for call in fake.world.calls if call.status == 401]
        fake.world.revoked = False
        system.program("gateway-1").kill()
        await answered(chat, waiting)
        verdict = await system.judged()
    assert 1 <= len(refused) <= 3
    assert verdict.wrong == {}
