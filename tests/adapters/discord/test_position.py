"""A session is kept as far as everything before is stored, and not before its gap is closed."""

from __future__ import annotations

from adapters.discord.position import Position, Progress, Session
from gateway.ports import Keep
from tests.adapters.discord.scene import ACCOUNT
from tests.fakes.clock import HastyClock
from tests.fakes.services import services
from tests.fakes.stores import MemoryRecords

BOT = "100001"


def keep(records: MemoryRecords) -> Keep:
    return services(ACCOUNT, records=records).keep


async def again(records: MemoryRecords, bot: str = BOT) -> Position:
    """As another process finds it."""
    found = Position(keep(records), HastyClock(), bot)
    await found.load()
    return found


async def saved(position: Position, records: MemoryRecords) -> Session | None:
    await position.save()
    return (await again(records)).session


def test_it_is_stored_up_to_the_first_that_is_not() -> None:
    progress = Progress(5)
    for seq in (6, 7, 7, 9):
        progress.begin(seq)
    assert progress.stored == 5
    progress.end(6)
    assert progress.stored == 6
    progress.end(9)
    progress.end(7)
    assert progress.stored == 6, "two pieces of work hang on 7"
    progress.end(7)
    assert (progress.stored, progress.latest) == (9, 9)


async def test_another_process_goes_on_behind_what_is_stored() -> None:
    records = MemoryRecords()
    position = await again(records)
    position.opened(Session("s", "ws://x", 1))
    progress = position.progress
    for seq in (2, 3):
        progress.begin(seq)
    position.taken_in("9", "700", direct=True)
    position.ended(progress, 2)
    assert await saved(position, records) == Session("s", "ws://x", 2)
    assert (await again(records)).marks["9"].direct
    position.ended(progress, 3)
    assert await saved(position, records) == Session("s", "ws://x", 3)
    assert (await again(records)).latest == "700"


async def test_a_session_is_not_kept_before_its_gap_was_looked_through() -> None:
    records = MemoryRecords()
    position = await again(records)
    position.opened(Session("s", "", 1))
    position.progress.begin(1)
    position.seen(2)
    assert await saved(position, records) is None
    position.ended(position.progress, 1)
    assert await saved(position, records) == Session("s", "", 2)


async def test_a_session_is_not_kept_before_what_an_earlier_one_left_undone_is_done() -> None:
    records = MemoryRecords()
    position = await again(records)
    position.opened(Session("old", "", 1))
    old = position.progress
    old.begin(2)
    old.begin(3)
    position.taken_in("9", "700", direct=True)
    position.lost()
    position.opened(Session("new", "", 1))
    assert await saved(position, records) is None
    position.ended(old, 2)
    assert (await again(records)).latest == ""
    position.ended(old, 3)
    assert await saved(position, records) == Session("new", "", 1)


async def test_another_bot_under_the_same_name_starts_anew() -> None:
    records = MemoryRecords()
    position = await again(records)
    position.opened(Session("s", "", 1))
    position.taken_in("9", "700", direct=True)
    await position.save()
    other = await again(records, "100009")
    assert (other.session, other.marks, other.latest) == (None, {}, "")


async def test_what_was_kept_by_somebody_else_is_not_read() -> None:
    records = MemoryRecords()
    for key, value in {
        f"{BOT}/session": b"{}",
        f"{BOT}/latest": b"\xff",
        f"{BOT}/mark/9": b"[]",
        f"{BOT}/mark/8": b'{"message": "x"}',
        "menu": b"\x00",
    }.items():
        await keep(records).set(key, value)
    found = await again(records)
    assert (found.session, found.marks, found.latest) == (None, {}, "")
    await keep(records).set(f"{BOT}/mark/7", b'{"message": "5"}')
    assert set((await again(records)).marks) == {"7"}


async def test_a_channel_that_is_gone_is_forgotten_in_the_store_too() -> None:
    records = MemoryRecords()
    position = await again(records)
    position.taken_in("9", "700", direct=True)
    position.taken_in("9", "600", direct=True)
    await position.save()
    assert (await again(records)).marks["9"].message == "700"
    position.forget("9")
    await position.save()
    assert (await again(records)).marks == {}
