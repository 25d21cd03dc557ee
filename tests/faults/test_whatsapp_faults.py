"""What WhatsApp and a line can do (F01, F06, F21, F23 to F26). It has no key for sends and shows no
chats: a send whose answer was lost is resolved by its status, or listed, and never repeated."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence

import pytest

from tests.faults.chats import answered
from tests.faults.checker import tokens
from tests.faults.conftest import Report
from tests.faults.rounds import Strike, Tally, asked_once, claimed, play, strikes, told
from tests.faults.system import until
from tests.faults.whatsapp import connected

POINTS = ("P1", "P2", "P8", "P9", "P10", "P11")


async def rounds(wanted: Sequence[Strike], report: Report) -> None:
    tally = Tally()
    async with connected(gateways=2, workers=2) as (system, chat):
        await play(system, chat, wanted, tally)
        verdict = await system.judged()
        asked_once(system, tally)
        tally.uncertain = [one.conversation for one in chat.said if one.token in verdict.uncertain]
        seen = {token for text in chat.fake.texts() for token in tokens(text)}
    told(report, tally)
    claimed(verdict, tally, keyed=False)
    assert not verdict.stray
    # Only what died before WhatsApp had it is uncertain: of all else a status tells.
    assert {conversation.split("-")[1] for conversation in tally.uncertain} <= {"P9"}
    assert not seen & set(verdict.uncertain)


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


async def test_what_whatsapp_and_a_line_can_do(report: Report) -> None:
    chance = random.Random(7)
    async with connected() as (system, chat):
        fake = chat.fake

        # F21: every post comes up to five times at once.
        for number in range(9):
            conversation = f"copies-{number}"
            said = await chat.say(conversation, "again")
            value = fake.value(messages=[said.update], chat=chat.number(conversation))
            for copy in range(chance.randint(0, 4)):
                fake.post(f"copy {number} {copy}", value)

        # F24: sends that are cut: those that were done are found, the others listed.
        found, lost = chat.number("found"), chat.number("lost")
        fake.fault("messages", "cut_after", chat=found, times=2)
        fake.fault("messages", "cut", chat=lost, times=1)
        unseen = await chat.say("lost", "hello")
        for _ in range(3):
            await answered(chat, await chat.say("found", "hello"))

        # F26: what can never be sent is listed at the first try.
        fake.fault("messages", "status", status=400, code=131026, chat=chat.number("gone"))
        gone = await chat.say("gone", "hello")

        async def listed() -> bool:
            letters = await system.opened.dead.list()
            wanted = (gone.token.encode(), unseen.token.encode())
            return all(any(one in letter.body for letter in letters) for one in wanted)

        await until(listed, 60.0)
        await answered(chat, await chat.say("gone", "and now?"))
        await answered(chat, await chat.say("lost", "and now?"))

        # F23: one person's rate: waited for, also over a restart; others go on.
        fake.fault("messages", "status", status=400, code=131056, chat=chat.number("held"))
        held = await chat.say("held", "hello")

        async def refused() -> bool:
            return any(held.token in str(one.body) for one in fake.of("messages"))

        await until(refused, 60.0)
        await answered(chat, await chat.say("other", "not held"))
        system.program("gateway-1").kill()
        await answered(chat, held)
        first, second = [one.at for one in fake.of("messages") if held.token in str(one.body)]
        verdict = await system.judged()
        sends = Counter(token for one in fake.of("messages") for token in tokens(str(one.body)))
        report(sends=len(fake.of("messages")), uncertain=len(verdict.uncertain))
    assert verdict.wrong == {}
    assert verdict.uncertain == [unseen.token]
    assert verdict.quarantined == [gone.token]
    assert {token for token, times in sends.items() if times > 1} == {held.token}
    assert second - first >= 5.0


async def test_a_revoked_token_stops_the_account_at_once_and_keeps_its_queue() -> None:
    async with connected() as (system, chat):
        await answered(chat, await chat.say("ada", "before"))
        before = len(chat.fake.calls)
        chat.fake.revoked = True
        waiting = await chat.say("ada", "hello")

        async def stopped() -> bool:
            return '"account_stopped"' in system.program("gateway-1").log

        await until(stopped, 60.0)
        refused = [one for one in chat.fake.calls[before:] if one.status == 401]
        chat.fake.revoked = False
        system.program("gateway-1").kill()
        await answered(chat, waiting)
        verdict = await system.judged()
    assert 1 <= len(refused) <= 3
    assert verdict.wrong == {}
