"""What happens on XMPP when processes die and servers go (F01, F05, F06, F20, F21, F24, F25)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

import pytest

from tests.fakes.wire import wire
from tests.faults.chats import answered
from tests.faults.conftest import Report
from tests.faults.rounds import Strike, Tally, claimed, play, strikes
from tests.faults.system import System, until
from tests.faults.xmpp import XmppChat, settings
from tests.servers.prosody import Prosody

POINTS = ("P1", "P2", "P8", "P9", "P10", "P11")
WORD_BY_WORD = ("--token-delay", "0.015")


async def started(system: System) -> None:
    """The account has been there once: from now on the archive keeps what is said."""

    async def signed_in() -> bool:
        return any('"xmpp_signed_in"' in one.log for one in system.programs.values())

    await until(signed_in, 60.0)


async def rounds(wanted: Sequence[Strike], report: Report, engine: Sequence[str] = ()) -> None:
    people = [f"p{number}" for number in range(len(wanted))]
    async with (
        Prosody.running("bot", *people) as server,
        XmppChat.on(server) as chat,
        System.started(gateways=2, workers=2, engine=engine, settings=settings(server)) as system,
    ):
        system.chats.append(chat)
        await system.connected()
        await started(system)
        tally = Tally()
        await play(system, chat, wanted, tally)
        verdict = await system.judged()
    for row in tally.rows():
        report(**row)
    report(uncertain=len(verdict.uncertain), stray=len(verdict.stray))
    claimed(verdict, tally, keyed=True)


@pytest.mark.timeout(120)
async def test_death_at_any_point_loses_nothing_and_doubles_nothing(report: Report) -> None:
    async with asyncio.TaskGroup() as group:
        for some, engine in ((POINTS[:2], ()), (POINTS[2:4], WORD_BY_WORD), (POINTS[4:], ())):
            group.create_task(rounds(strikes(some, 1), report, engine))


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("engine", [WORD_BY_WORD, ()], ids=["word-by-word", "at-once"])
async def test_death_at_any_point_again_and_again(
    report: Report, times: int, engine: Sequence[str]
) -> None:
    await rounds(strikes(POINTS, times // 2), report, engine)


@pytest.mark.timeout(120)
async def test_cuts_and_restarts_lose_nothing_and_a_new_password_stops_the_account() -> None:
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(Prosody.running("bot", "p0"))
        line = await stack.enter_async_context(wire(server.port))
        chat = await stack.enter_async_context(XmppChat.on(server))
        bot = settings(server, port=line.port)
        system = await stack.enter_async_context(
            System.started(engine=("--latency", "0.5"), settings=bot)
        )
        system.chats.append(chat)
        gateway = system.program("gateway-1")
        await started(system)
        await answered(chat, await chat.say("ada", "before"))
        line.cut()
        away = await chat.say("ada", "while it is cut off")
        line.mend()
        await answered(chat, away)

        # Its answer meets a server that is down.
        said = await chat.say("ada", "while it goes down")

        async def asked() -> bool:
            return any(said.token in one for one in system.questions())

        await until(asked, 60.0)
        await chat.people["ada"].leave()
        await server.stop()
        await server.start()
        await chat.people["ada"].connect()
        await answered(chat, said)

        server.register("bot", "another")
        line.cut()
        line.mend()

        async def stopped() -> bool:
            return '"account_stopped"' in gateway.log

        await until(stopped, 60.0)
        waiting = await chat.say("ada", "kept for it")
        server.register("bot", "bot")
        gateway.kill()
        await answered(chat, waiting)
        verdict = await system.judged()
    assert verdict.wrong == {}
    assert not verdict.uncertain
