"""What happens on IRC when processes die and servers go (F01, F05, F06, F20, F24 to F26)."""

from __future__ import annotations

import asyncio
import contextlib
import time

import pytest

from tests.fakes.irc import FakeIrc
from tests.faults.chats import answered
from tests.faults.conftest import Report
from tests.faults.irc import BOT, IrcChat, settings
from tests.faults.rounds import WORDS, Strike, Tally, claimed, strikes
from tests.faults.system import System, until
from tests.servers.ngircd import Ngircd

POINTS = ("P2", "P8", "P9", "P10", "P11")


async def rounds(wanted: list[Strike], report: Report) -> None:
    async with (
        Ngircd.running() as server,
        IrcChat.on(server.port) as chat,
        System.started(gateways=2, workers=2, settings=settings(server.port)) as system,
    ):
        system.chats.append(chat)
        await system.connected()
        tally = Tally()
        for number, strike in enumerate(wanted):
            conversation = f"irc-{number}"
            await answered(chat, await chat.say(conversation, "before"))
            await system.complete()
            tally.add("irc", strike.point, await hit(system, chat, strike, conversation))
        verdict = await system.judged()
    for row in tally.rows():
        report(**row)
    report(uncertain=len(verdict.uncertain), stray=len(verdict.stray))
    claimed(verdict, tally, keyed=False)


async def hit(system: System, chat: IrcChat, strike: Strike, conversation: str) -> float:
    """Seconds until the message that was hit stood there or on the list. What follows is said
    when the dead one has left the server: before, nobody would hear it."""
    system.arm(strike.kind, f"{strike.point} {strike.action} {chat.word(conversation)}")
    said = await chat.say(conversation, WORDS)
    at = await system.fired(strike.kind)
    if strike.kind == "gateway":
        await chat.people[conversation].sees(BOT, gone=True)

    async def settled() -> bool:
        if any(said.token in text for text in await chat.seen(conversation)):
            return True
        return any(said.token.encode() in one.body for one in await system.opened.dead.list())

    await until(settled, 60.0)
    seconds = time.monotonic() - at
    await answered(chat, await chat.say(conversation, "after"))
    return seconds


@pytest.mark.timeout(120)
async def test_death_at_any_point_loses_nothing_that_was_stored_and_doubles_nothing(
    report: Report,
) -> None:
    async with asyncio.TaskGroup() as group:
        for some in (POINTS[:2], POINTS[2:4], POINTS[4:]):
            group.create_task(rounds(strikes(some, 1), report))
        group.create_task(said_in_the_moment_of_a_death())


async def said_in_the_moment_of_a_death() -> None:
    """P1: nobody tells IRC that a message was heard, so it comes once or not at all."""
    async with (
        Ngircd.running() as server,
        IrcChat.on(server.port) as chat,
        System.started(settings=settings(server.port)) as system,
    ):
        system.chats.append(chat)
        await answered(chat, await chat.say("ada", "before"))
        system.arm("gateway", f"P1 kill {chat.word('ada')}")
        lost = await chat.say("ada", "nobody hears")
        chat.unheard.add(lost.token)
        await chat.people["ada"].sees(BOT, gone=True)
        await answered(chat, await chat.say("ada", "and now?"))
        verdict = await system.judged()
    assert verdict.wrong == {}


@pytest.mark.long
@pytest.mark.timeout(3600)
async def test_death_at_any_point_again_and_again(report: Report, times: int) -> None:
    await rounds(strikes(POINTS, times), report)


@pytest.mark.timeout(120)
async def test_a_server_that_restarts_gets_the_answers_when_it_is_back() -> None:
    async with (
        Ngircd.running() as server,
        IrcChat.on(server.port) as chat,
        System.started(engine=("--latency", "1"), settings=settings(server.port)) as system,
    ):
        system.chats.append(chat)
        await answered(chat, await chat.say("ada", "before"))
        said = await chat.say("ada", "while it goes down")

        async def asked() -> bool:
            return any(said.token in one for one in system.questions())

        await until(asked, 60.0)
        await server.stop()
        await chat.people["ada"].leave()
        await server.start()
        await chat.people["ada"].connect()
        await answered(chat, said)
        await answered(chat, await chat.say("ada", "after"))
        verdict = await system.judged()
    assert verdict.wrong == {}
    assert not verdict.uncertain


@pytest.mark.timeout(120)
async def test_cuts_are_listed_and_a_revoked_password_stops_the_account() -> None:
    async with FakeIrc.running() as fake, contextlib.AsyncExitStack() as stack:
        fake.accounts[BOT] = "secret"
        chat = await stack.enter_async_context(IrcChat.on(fake.port))
        system = await stack.enter_async_context(
            System.started(settings=settings(fake.port, password="secret"))
        )
        gateway = system.program("gateway-1")
        system.chats.append(chat)
        await answered(chat, await chat.say("ada", "before"))

        fake.faults.append("404")
        refused = await chat.say("ada", "refused")
        await answered(chat, await chat.say("ada", "goes on"))
        fake.faulted.clear()
        connected = fake.user(BOT)
        fake.faults.append("cut_unconfirmed")
        cut = await chat.say("ada", "the answer is cut")

        async def connected_anew() -> bool:
            return fake.user(BOT) not in (connected, None)

        # What is said to a connection that is about to be cut is heard by nobody.
        await until(connected_anew, 60.0)
        fake.faulted.clear()
        await answered(chat, await chat.say("ada", "go on"))
        verdict = await system.judged()
        assert verdict.wrong == {}
        assert verdict.quarantined == [refused.token]
        assert verdict.uncertain == [cut.token]

        await system.engine("fault", {"delay": 1.0})
        waiting = await chat.say("ada", "waits for its answer")
        fake.accounts[BOT] = "another"
        fake.lines.clear()
        user = fake.user(BOT)
        assert user is not None
        user.writer.transport.abort()

        async def stopped() -> bool:
            return '"account_stopped"' in gateway.log

        await until(stopped, 60.0)
        assert sum(line.startswith("AUTHENTICATE PLAIN") for line in fake.lines) <= 3
        fake.accounts[BOT] = "secret"
        gateway.kill()
        await answered(chat, waiting)
        verdict = await system.judged()
    assert verdict.wrong == {}
