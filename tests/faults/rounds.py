"""Rounds of one fail point: arm it, write a message, let it strike, see the answer."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from tests.faults.chats import PATIENCE, Chat, Said, answered
from tests.faults.checker import Verdict, tokens
from tests.faults.system import System, until

GATEWAY = ("P1", "P2", "P3", "P9", "P10", "P11")
WORKER = ("P4", "P5", "P6", "P8", "P12")
"""Where each point lies. P7, a tool's effect before it is noted, comes with the tools."""

COMMITTED = ("P8", "P12", "P10", "P11")
"""Points behind the commit: the engine is not asked again."""

TAKEOVER = 10.0
"""Seconds within which what a dead process held is taken over."""

WORDS = "one two three four five six seven eight nine ten"


@dataclass(frozen=True, slots=True)
class Strike:
    """One arming: what happens, where, to a message of which chat."""

    point: str
    action: str = "kill"

    @property
    def kind(self) -> str:
        return "gateway" if self.point in GATEWAY else "worker"


def strikes(points: Iterable[str], times: int) -> list[Strike]:
    """`times` kills at each point. Sending is hit before, while and after it is written."""
    late = {"P6": ("kill", "kill@0.06"), "P9": ("kill", "kill@0.002", "kill@0.01")}
    return [
        Strike(point, late.get(point, ("kill",))[number % len(late.get(point, ("kill",)))])
        for number in range(times)
        for point in points
    ]


@dataclass(slots=True)
class Tally:
    """What came of the rounds, by chat and point."""

    uncertain: list[str] = field(default_factory=list)
    """Conversations with a send that may have happened."""
    committed: list[str] = field(default_factory=list)
    """Tokens of messages that were hit when their answer stood in the outbox."""
    rounds: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    takeover: dict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))

    def add(self, chat: str, point: str, seconds: float) -> None:
        self.rounds[chat, point] += 1
        self.takeover[chat, point] = max(self.takeover[chat, point], seconds)

    def rows(self) -> list[dict[str, object]]:
        return [
            {"chat": chat, "point": point, "rounds": rounds,
             "takeover": round(self.takeover[chat, point], 2)}
            for (chat, point), rounds in sorted(self.rounds.items())
        ]  # fmt: skip


async def play(system: System, chat: Chat, wanted: Sequence[Strike], tally: Tally) -> None:
    """Each strike once, each in a conversation of its own with a message before and after. One at
    a time, so that the time of a takeover is that of one."""
    for number, strike in enumerate(wanted):
        conversation = f"{chat.name}-{strike.point}-{number}"
        await answered(chat, await chat.say(conversation, "before"))
        await system.complete()
        said, seconds = await strike_once(system, chat, strike, conversation)
        tally.add(chat.name, strike.point, seconds)
        if strike.point in COMMITTED:
            tally.committed.append(said.token)


async def strike_once(
    system: System, chat: Chat, strike: Strike, conversation: str
) -> tuple[Said, float]:
    """The message that was hit, and the seconds until it was answered, as far as it may be: an
    ambiguous send ends on the list instead, and the message after it is answered."""
    system.arm(strike.kind, f"{strike.point} {strike.action} {chat.word(conversation)}")
    hit = asyncio.create_task(chat.say(conversation, WORDS))
    at = await system.fired(strike.kind)
    said = await hit
    await until(lambda: _settled(system, chat, said), PATIENCE, pause=0.03)
    seconds = time.monotonic() - at
    await answered(chat, await chat.say(conversation, "after"))
    return said, seconds


async def _settled(system: System, chat: Chat, said: Said) -> bool:
    """Seen, or on the list."""
    if any(said.token in text for text in await chat.seen(said.conversation)):
        return True
    letters = await system.opened.dead.list()
    return any(said.token.encode() in one.body for one in letters)


def claimed(verdict: Verdict, tally: Tally, *, keyed: bool) -> None:
    """What the issue claims. A platform without keys may leave sends uncertain, and a preview
    whose send was cut standing above its answer: at most one for each death."""
    assert without_stray(verdict) == {}
    assert not verdict.quarantined
    if keyed:
        assert not verdict.uncertain
        assert not verdict.stray
    deaths = sum(rounds for (_, point), rounds in tally.rounds.items() if point in GATEWAY)
    assert len(verdict.stray) <= deaths
    for seconds in tally.takeover.values():
        in_time(seconds, TAKEOVER)


def asked_once(system: System, tally: Tally) -> None:
    """Behind the commit no engine is asked again. To be called while the system runs."""
    asked = Counter(token for one in system.questions() for token in tokens(one))
    assert [asked[token] for token in tally.committed] == [1] * len(tally.committed)


def told(report: Callable[..., None], tally: Tally) -> None:
    for row in tally.rows():
        report(**row)


def in_time(seconds: float, limit: float) -> None:
    """A promise in seconds: held where figures are taken, by `scripts/faults`. In the suite, on a
    machine that does who knows what besides, a late answer is still an answer."""
    if os.environ.get("MOLTGATE_FAULT_REPORT"):
        assert seconds <= limit


def without_stray(verdict: Verdict) -> dict[str, object]:
    """What is wrong besides previews that were left standing."""
    return {name: found for name, found in verdict.wrong.items() if name != "stray"}
