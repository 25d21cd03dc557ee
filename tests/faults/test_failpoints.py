"""A process dies at each of the fail points (F01, F02, F03, F05, F06): nothing is lost, nothing
comes twice, and what it held is taken over in time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from tests.faults.conftest import Report
from tests.faults.rounds import (
    GATEWAY,
    WORKER,
    Strike,
    Tally,
    asked_once,
    claimed,
    play,
    strikes,
    told,
)
from tests.faults.system import System, until

WORD_BY_WORD = ("--token-delay", "0.015")
"""The engine gives the model's words one by one, so that there is a middle to die in, and a
preview to replace on platforms that edit."""


async def rounds(
    name: str, wanted: Sequence[Strike], report: Report, engine: Sequence[str] = WORD_BY_WORD
) -> None:
    """Play the strikes on a system that has a gateway and a worker in reserve."""
    tally = Tally()
    async with System.started(
        gateways=2, workers=2, telegram=name == "telegram", engine=engine
    ) as system:
        await system.connected()
        chat = system.telegram if name == "telegram" else system.web
        await play(system, chat, wanted, tally)
        verdict = await system.judged()
        asked_once(system, tally)
        tally.uncertain = [one.conversation for one in chat.said if one.token in verdict.uncertain]
    told(report, tally)
    report(
        chat=name,
        lost=len(verdict.lost),
        doubled=len(verdict.doubled),
        uncertain=" ".join(tally.uncertain),
        stray=len(verdict.stray),
    )
    claimed(verdict, tally, keyed=name == "web")


POINTS = [*GATEWAY, *WORKER]


@pytest.mark.timeout(300)
async def test_death_at_any_point_loses_nothing_and_doubles_nothing(report: Report) -> None:
    """Twice at each point on each adapter; on Telegram once with a preview and once without."""
    async with asyncio.TaskGroup() as group:
        group.create_task(rounds("web", strikes(POINTS, 1), report))
        group.create_task(rounds("web", strikes(POINTS, 2)[len(POINTS) :], report))
        group.create_task(rounds("telegram", strikes(POINTS, 1), report))
        group.create_task(rounds("telegram", strikes(POINTS, 1), report, engine=()))


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("engine", [WORD_BY_WORD, ()], ids=["word-by-word", "at-once"])
@pytest.mark.parametrize("name", ["web", "telegram"])
async def test_death_at_any_point_again_and_again(
    report: Report, times: int, name: str, engine: Sequence[str]
) -> None:
    every = strikes(POINTS, times // 2)  # the other half with the other engine
    async with asyncio.TaskGroup() as group:
        for some in (every[::3], every[1::3], every[2::3]):
            group.create_task(rounds(name, some, report, engine))


PARTS = 5


def in_parts(size: int) -> str:
    """A text that becomes five parts of about `size` characters, each with a number."""
    return "\n\n".join(f"number {part} {'x ' * (size // 2)}" for part in range(PARTS))


async def cut_in_the_middle(name: str, size: int) -> tuple[Sequence[str], int]:
    """The gateway dies between two parts of a reply; what is seen in the end, and how many parts
    are listed as uncertain."""
    async with System.started(telegram=name == "telegram") as system:
        await system.connected()
        chat = system.telegram if name == "telegram" else system.web
        if name == "telegram":  # slow enough to be hit after the second part
            await system.telegram.fault("sendMessage", "delay", seconds=0.2, times=None)
        await system.engine("fault", {"text": in_parts(size)})
        if name == "web":
            system.arm("gateway", f"P11 kill {chat.word('ada')}")
        await chat.say("ada", "tell me everything")
        if name == "telegram":

            async def begun() -> bool:
                return len(await chat.seen("ada")) > 0

            await until(begun, 20.0, pause=0.01)
            system.arm("gateway", f"P11 kill {chat.word('ada')}")
        await system.fired("gateway")
        await system.up()
        await system.settle()
        return await chat.seen("ada"), (await system.ledger()).uncertain


async def test_a_reply_in_parts_is_completed_part_by_part_after_a_death_in_its_middle() -> None:
    """F07."""
    on_web, on_telegram = await asyncio.gather(
        cut_in_the_middle("web", 28_000), cut_in_the_middle("telegram", 3_500)
    )
    for seen, uncertain in (on_web, on_telegram):
        assert [text.split()[1] for text in seen] == list(map(str, range(PARTS)))
        assert uncertain == 0
