"""What a platform does to its bots (F21 to F27), on Telegram; the web chat where it applies."""

from __future__ import annotations

import asyncio
import random
import time

import pytest

from tests.faults.chats import answered
from tests.faults.conftest import Report
from tests.faults.system import System, until
from tests.faults.telegram import TOKEN

BLOCKED = "Forbidden: bot was blocked by the user"


async def test_events_that_come_up_to_five_times_at_once_are_answered_once() -> None:
    chance = random.Random(5)
    async with System.started(telegram=True) as system:
        await system.connected()
        for number in range(15):
            said = await system.telegram.say(f"telegram-{number % 5}", "again")
            for _ in range(chance.randint(0, 4)):
                await system.telegram.ask("update", update=said.update)

        async def several(number: int) -> None:
            body = {
                "conversation": f"web-{number % 5}",
                "text": f"x {number}",
                "id": f"id-{number}",
            }
            answers = await asyncio.gather(
                *(system.web.post(body) for _ in range(chance.randint(1, 5)))
            )
            assert {status for status, _, _ in answers} == {202}

        await asyncio.gather(*(several(number) for number in range(15)))
        await system.settle()
        ledger = await system.ledger()
        verdict = await system.judged()
    assert ledger.accepted == 30
    assert [name for name in verdict.wrong if name not in ("miscounted", "stray")] == []


async def test_late_messages_are_answered_in_order_and_too_late_ones_refused_visibly() -> None:
    async with System.started(telegram=True, engine=("--latency", "8")) as system:
        await system.connected()
        now, telegram = int(time.time()), system.telegram
        await telegram.say("ada", "keeps the lane busy")
        later = await telegram.say("ada", "second", fields={"date": now - 7100})
        sooner = await telegram.say("ada", "first", fields={"date": now - 7200})
        await telegram.say("bob", "yesterday", fields={"date": now - 90_000})
        await answered(telegram, later)
        await system.settle()
        (told,) = await telegram.seen("bob")
        question = next(one for one in system.questions() if later.token in one)
        ledger = await system.ledger()
    assert question.index(sooner.token) < question.index(later.token)
    assert "before it arrived" in question
    assert "25 hours" in told
    assert (ledger.answered, ledger.refused) == (3, 1)


@pytest.mark.parametrize("engine", [(), ("--token-delay", "0.05")], ids=["at-once", "streamed"])
async def test_a_flooded_chat_is_left_alone_for_as_long_as_asked_also_over_a_restart(
    engine: tuple[str, ...],
) -> None:
    async with System.started(telegram=True, engine=engine) as system:
        await system.connected()
        telegram = system.telegram
        await answered(telegram, await telegram.say("ada", "before"))
        chat = telegram.number("ada")
        await telegram.fault("sendMessage", "flood", seconds=9.0, chat=chat)
        held = await telegram.say("ada", "one two three four five six")

        async def refused() -> bool:
            calls = await telegram.calls("sendMessage")
            return any(one["status"] == 429 for one in calls)

        await until(refused, 60.0)
        await answered(telegram, await telegram.say("bob", "not flooded"))
        system.program("gateway-1").kill()
        await answered(telegram, held)
        verdict = await system.judged()
        early = [one for one in await telegram.calls("sendMessage") if one["outcome"] == "early"]
    assert verdict.wrong == {}
    assert not verdict.uncertain
    assert not early


async def test_sends_that_are_cut_after_they_were_done_are_listed_and_never_repeated(
    report: Report,
) -> None:
    async with System.started(telegram=True) as system:
        await system.connected()
        telegram = system.telegram
        await telegram.fault("sendMessage", "cut_after", times=None, rate=0.08)
        for number in range(160):
            await telegram.say(f"telegram-{number % 40}", "hello")
        verdict = await system.judged()
        cut = [one for one in await telegram.calls("sendMessage") if one["outcome"] == "cut_after"]
        report(messages=160, cut=len(cut), uncertain=len(verdict.uncertain))
    assert verdict.wrong == {}
    assert len(cut) > 0
    listed = sum(any(token in str(one["params"]) for one in cut) for token in verdict.uncertain)
    assert listed == len(verdict.uncertain) >= len(cut)


async def test_a_revoked_token_stops_the_account_at_once_and_keeps_its_queue() -> None:
    async with System.started(telegram=True, engine=("--latency", "1")) as system:
        await system.connected()
        telegram, gateway = system.telegram, system.program("gateway-1")
        waiting = await telegram.say("ada", "hello")

        async def asked() -> bool:
            return len(system.questions()) > 0

        await until(asked, 60.0)
        await telegram.ask("revoke")

        async def stopped() -> bool:
            return '"account_stopped"' in gateway.log

        await until(stopped, 60.0)
        await asyncio.sleep(2.0)
        refused = [
            one
            for method in ("getUpdates", "sendMessage", "sendChatAction", "getMe")
            for one in await telegram.calls(method)
            if one["status"] == 401
        ]
        await answered(system.web, await system.web.say("ada", "does the web chat go on?"))
        await telegram.ask("revoke", revoked=False)
        gateway.kill()
        await answered(telegram, waiting)
        verdict = await system.judged()
    assert len(refused) <= 3
    assert verdict.wrong == {}


async def test_what_can_never_be_sent_is_listed_at_the_first_try_and_the_lane_goes_on() -> None:
    async with System.started(telegram=True) as system:
        await system.connected()
        telegram = system.telegram
        chat = telegram.number("ada")
        await telegram.fault(
            "sendMessage", "status", status=403, description=BLOCKED, chat=chat, times=1
        )
        lost = await telegram.say("ada", "hello")

        async def listed() -> bool:
            return any(lost.token.encode() in one.body for one in await system.opened.dead.list())

        await until(listed, 60.0)
        await answered(telegram, await telegram.say("ada", "and now?"))
        verdict = await system.judged()
        tried = [one for one in await telegram.calls("sendMessage") if lost.token in str(one)]
    assert verdict.wrong == {}
    assert verdict.quarantined == [lost.token]
    assert len(tried) == 1


async def test_another_poller_or_a_left_over_webhook_is_told_and_survived() -> None:
    async with System.started(telegram=True) as system:
        await system.connected()
        telegram, gateway = system.telegram, system.program("gateway-1")
        await answered(telegram, await telegram.say("ada", "hello"))  # it polls by now
        bot = f"http://127.0.0.1:{telegram.port}/bot{TOKEN}"
        url = "http://127.0.0.1:9/elsewhere"
        async with system.session.post(f"{bot}/setWebhook", json={"url": url}) as answer:
            assert answer.status == 200

        async def told() -> bool:
            return '"account_stopped"' in gateway.log and "webhook" in gateway.log

        await until(told, 60.0)
        said = await telegram.say("ada", "anybody?")
        gateway.kill()
        await answered(telegram, said)
        async with system.session.get(f"{bot}/getUpdates", params={"timeout": "1"}):
            pass

        async def warned() -> bool:
            return "another program is polling" in gateway.log

        await until(warned, 60.0)
        later = await telegram.say("ada", "still there?")
        gateway.kill()
        await answered(telegram, later)
        verdict = await system.judged()
    assert verdict.wrong == {}
