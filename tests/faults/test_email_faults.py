"""What happens to mail when processes die and servers go (F01, F05, F06, F20, F21, F24 to F26,
F28)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from tests.faults.chats import answered
from tests.faults.conftest import Report
from tests.faults.email import MailChat, mailbox
from tests.faults.rounds import COMMITTED, Strike, Tally, asked_once, claimed, play, strikes, told
from tests.faults.system import System, until
from tests.servers.choppy import Choppy
from tests.servers.mail import MailServer, Missing, shared

POINTS = ("P1", "P2", "P8", "P9", "P10", "P11")


@pytest.fixture
def mail_server() -> MailServer:
    try:
        return shared()
    except Missing as missing:
        pytest.fail(str(missing))


async def rounds(
    server: MailServer, wanted: Sequence[Strike], report: Report, uncertain: int = 0
) -> None:
    """Sends are told apart by what is noted of them: only what dies between the content and its
    acknowledgement is uncertain."""
    chat, tally = MailChat(server, server.person()), Tally()
    async with System.started(
        gateways=2, workers=2, settings=mailbox(server, chat.address)
    ) as system:
        system.chats.append(chat)
        await system.connected()
        await based(server, system)
        await play(system, chat, wanted, tally)
        verdict = await system.judged()
        asked_once(system, tally)
    told(report, tally)
    report(chat="email", doubled=len(verdict.doubled), uncertain=len(verdict.uncertain))
    claimed(verdict, tally, keyed=not uncertain)
    assert len(verdict.uncertain) <= uncertain
    assert set(COMMITTED) & set(POINTS)


async def based(server: MailServer, system: System) -> None:
    """Our mailbox was looked into: what comes now is answered."""
    gateways = [one for name, one in system.programs.items() if name.startswith("gateway")]

    async def looked() -> bool:
        return any('"mailbox_baseline"' in one.log for one in gateways)

    await until(looked, 60.0)


@pytest.mark.timeout(180)
async def test_death_at_any_point_loses_nothing_and_doubles_nothing(
    mail_server: MailServer, report: Report
) -> None:
    every = strikes(POINTS, 1)
    async with asyncio.TaskGroup() as group:
        group.create_task(rounds(mail_server, every[::2], report))
        group.create_task(rounds(mail_server, every[1::2], report))


@pytest.mark.long
@pytest.mark.timeout(3600)
async def test_death_at_any_point_again_and_again(
    mail_server: MailServer, report: Report, times: int
) -> None:
    await rounds(mail_server, strikes(POINTS, times), report, uncertain=times)


@pytest.mark.timeout(180)
async def test_copies_new_numbers_and_a_server_that_goes_bring_no_answer_twice(
    mail_server: MailServer,
) -> None:
    """F20, F21, F28."""
    with MailServer.running() as server:
        chat = MailChat(server, server.person())
        async with System.started(settings=mailbox(server, chat.address)) as system:
            system.chats.append(chat)
            await system.connected()
            await based(server, system)
            for number in range(5):
                await chat.say("ada", "again", copies=number + 1)
            await system.settle()
            await asyncio.to_thread(server.stop_imap)
            server.forget_uids(chat.address)
            missed = await chat.say("bob", "while nobody was there")
            await asyncio.to_thread(server.start_imap)
            await answered(chat, missed)
            await answered(chat, await chat.say("ada", "and now?"))
            verdict = await system.judged()
            renumbered = system.program("gateway-1").log.count('"mailbox_renumbered"')
    assert verdict.wrong == {}
    assert not verdict.uncertain
    assert renumbered == 1


@pytest.mark.timeout(180)
async def test_sends_cut_after_data_are_listed_and_never_repeated(
    mail_server: MailServer, report: Report
) -> None:
    """F24."""
    chat, wire = MailChat(mail_server, mail_server.person()), Choppy(mail_server.smtp_port)
    async with wire.running() as port:
        smtp = {"port": port, "tls": "none"}
        settings = mailbox(mail_server, chat.address, smtp=smtp)
        async with System.started(settings=settings) as system:
            system.chats.append(chat)
            await system.connected()
            await based(mail_server, system)
            wire.cut_at(b"\r\n.\r\n", times=1000, rate=0.25)
            for number in range(24):
                await chat.say(f"email-{number % 8}", "hello")
            verdict = await system.judged()
    report(messages=24, cut=wire.cuts, uncertain=len(verdict.uncertain))
    assert verdict.wrong == {}
    assert len(verdict.uncertain) == wire.cuts > 0


@pytest.mark.timeout(180)
async def test_a_busy_server_is_waited_for_a_refused_mail_listed_and_a_revoked_password_stops(
    mail_server: MailServer,
) -> None:
    """F23, F25, F26."""
    chat, wire = MailChat(mail_server, mail_server.person()), Choppy(mail_server.smtp_port)
    async with wire.running() as port:
        smtp = {"port": port, "tls": "none", "busy_wait": 0.5}
        settings = mailbox(mail_server, chat.address, smtp=smtp)
        async with System.started(settings=settings) as system:
            system.chats.append(chat)
            await system.connected()
            await based(mail_server, system)
            wire.answer_to(b"RCPT TO", b"450 4.2.1 later\r\n", times=2)
            await answered(chat, await chat.say("ada", "greylisted"))
            assert wire.cuts == 2

            mail_server.turn_away(chat.person("bob").address)
            lost = await chat.say("bob", "hello")

            async def listed() -> bool:
                letters = await system.opened.dead.list()
                return any(lost.token.encode() in one.body for one in letters)

            await until(listed, 60.0)
            await answered(chat, await chat.say("ada", "others go on"))

            gateway = system.program("gateway-1")
            mail_server.refuse(chat.address)
            waiting = await chat.say("ada", "kept")

            async def stopped() -> bool:
                return '"account_stopped"' in gateway.log

            await until(stopped, 60.0)
            mail_server.refuse(chat.address, refused=False)
            gateway.kill()
            await answered(chat, waiting)
            verdict = await system.judged()
    assert verdict.wrong == {}
    assert verdict.quarantined == [lost.token]
