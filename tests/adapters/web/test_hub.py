"""Readers see every entry once and in order, however they were kept in the dark."""

from __future__ import annotations

import asyncio
import random

from adapters.web.hub import Feed, Hub
from gateway.message import Account, ConversationId, Place, ReplyId
from gateway.ports import Live, LogEntry
from tests.fakes.stores import MemoryLog

HERE = ConversationId("here")


def live(text: str, *, reply: str = "r", fence: int = 1, kind: str = "text") -> Live:
    return Live(
        conversation=HERE,
        account=Account(kind="web"),
        place=Place(kind="direct", chat="c"),
        reply=ReplyId(reply),
        kind=kind,  # type: ignore[arg-type]
        text=text,
        fence=fence,
    )


async def say(log: MemoryLog, hub: Hub | None, body: bytes = b"{}") -> None:
    """Append an entry; the hub hears of it unless it is None."""
    seq = await log.append(HERE, str(random.random()), body)
    if hub is not None:
        hub.entry(HERE, (await log.read(HERE, after=seq - 1, limit=1))[0])


async def seqs(feed: Feed, count: int) -> list[int]:
    found = [await feed.next() for _ in range(count)]
    return [each.seq for each in found if isinstance(each, LogEntry)]


async def test_what_was_there_before_comes_first() -> None:
    log = MemoryLog()
    hub = Hub(log)
    for _ in range(3):
        await say(log, None)

    with hub.follow(HERE, 1) as feed:
        await say(log, hub)
        assert await seqs(feed, 3) == [2, 3, 4]


async def test_an_entry_nobody_told_of_is_noticed_by_the_next() -> None:
    log = MemoryLog()
    hub = Hub(log)

    with hub.follow(HERE, 0) as feed:
        await say(log, hub)
        assert await seqs(feed, 1) == [1]
        await say(log, None)
        await say(log, None)
        await say(log, hub)
        assert await seqs(feed, 3) == [2, 3, 4]


async def test_a_reader_that_falls_far_behind_reads_the_log() -> None:
    log = MemoryLog()
    hub = Hub(log)

    with hub.follow(HERE, 0) as feed:
        for _ in range(1000):
            await say(log, hub)
        assert await seqs(feed, 1000) == list(range(1, 1001))


async def test_a_conversation_whose_beginning_is_gone_is_read_from_what_is_left() -> None:
    log = MemoryLog()
    for _ in range(5):
        await say(log, None)
    log.forget(HERE, 3)

    with Hub(log).follow(HERE, 0) as feed:
        assert await seqs(feed, 2) == [4, 5]


async def test_cancelling_a_wait_loses_nothing() -> None:
    log = MemoryLog()
    hub = Hub(log)

    with hub.follow(HERE, 0) as feed:
        seen: list[int] = []
        for count in range(20):
            waiting = asyncio.create_task(feed.next())
            for _ in range(count % 4):
                await asyncio.sleep(0)
            await say(log, hub)
            waiting.cancel()
            await asyncio.wait([waiting])
            if not waiting.cancelled():
                shown = waiting.result()
                assert isinstance(shown, LogEntry)
                seen.append(shown.seq)
        seen += await seqs(feed, 20 - len(seen))
        assert seen == list(range(1, 21))


async def test_only_the_newest_text_of_an_answer_is_kept_for_a_slow_reader() -> None:
    hub = Hub(MemoryLog())

    with hub.follow(HERE, 0) as feed:
        for text in ("a", "ab", "abc"):
            hub.live(live(text))
        shown = await feed.next()
        assert isinstance(shown, Live)
        assert shown.text == "abc"


async def test_text_after_the_final_answer_is_dropped() -> None:
    log = MemoryLog()
    hub = Hub(log)

    with hub.follow(HERE, 0) as feed:
        hub.live(live("par"))
        await say(log, hub, b'{"reply":"r"}')
        hub.live(live("partial"))
        assert await seqs(feed, 1) == [1]
        hub.live(live("next", reply="r2"))
        shown = await feed.next()
        assert isinstance(shown, Live)
        assert shown.reply == "r2"


async def test_text_of_a_worker_that_lost_its_lease_is_dropped() -> None:
    hub = Hub(MemoryLog())

    with hub.follow(HERE, 0) as feed:
        hub.live(live("new", fence=2))
        hub.live(live("old, and longer", fence=1))
        shown = await feed.next()
        assert isinstance(shown, Live)
        assert shown.text == "new"


async def test_who_comes_in_the_middle_of_an_answer_sees_it() -> None:
    hub = Hub(MemoryLog())
    hub.live(live("so far"))

    with hub.follow(HERE, 0) as feed:
        shown = await feed.next()
        assert isinstance(shown, Live)
        assert shown.text == "so far"
