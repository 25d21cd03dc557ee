"""Connections end, programs end, sessions are lost: nothing of what was said is."""

from __future__ import annotations

import asyncio

import pytest

from adapters.discord.connection import IDENTIFIES
from adapters.discord.reception import MOST_WAITING
from gateway.errors import BadConfig, Busy
from gateway.message import Account
from tests.adapters.discord.scene import ADA, BOB, Bench, Build, part
from tests.fakes.discord import BOT, GENERAL, OTHER, THREAD, FakeDiscord
from tests.fakes.inbox import MemoryInbox, running
from tests.fakes.platforms import until
from tests.fakes.services import services


async def saved(bench: Bench, discord: FakeDiscord) -> None:
    """The position of the newest session stands in the store, everything taken in."""
    keep = services(Account(kind="discord"), records=bench.records).keep

    async def is_saved() -> bool:
        session = list(discord.world.sessions.values())[-1]
        kept = await keep.get(f"{BOT}/session") or b""
        return f'"seq":{session.seq}'.encode() in kept and session.id.encode() in kept

    for _ in range(3000):
        if await is_saved():
            return
        await bench.clock.sleep(1.0)
    raise AssertionError("not saved")


@pytest.mark.parametrize("how", ["drop", "reconnect"])
async def test_a_connection_that_ends_is_resumed_and_what_came_meanwhile_comes(
    discord: FakeDiscord, inbox: MemoryInbox, bench: Bench, ada: str, how: str
) -> None:
    discord.say(ada, ADA, "before")
    await until(lambda: inbox.events)
    await getattr(discord.gateway, how)()
    discord.say(ada, ADA, "meanwhile")
    await until(lambda: len(inbox.events) == 2)

    assert inbox.texts == ["before", "meanwhile"]
    assert (discord.gateway.identifies, discord.gateway.resumes) == (1, 1)
    assert bench.counts["resumed"] == 1


async def test_another_process_resumes_where_everything_was_stored(
    discord: FakeDiscord, build: Build, bench: Bench, ada: str
) -> None:
    inbox = MemoryInbox()
    async with running(build(), inbox):
        await discord.connected()
        discord.say(ada, ADA, "before")
        await until(lambda: inbox.events)
        await saved(bench, discord)
    discord.say(ada, ADA, "nobody listened")
    async with running(build(), inbox):
        await until(lambda: len(inbox.events) == 2)

    assert inbox.texts == ["before", "nobody listened"]
    assert (discord.gateway.identifies, discord.gateway.resumes) == (1, 1)


async def test_what_was_received_and_not_stored_comes_again_to_the_next_process(
    discord: FakeDiscord, build: Build, bench: Bench, ada: str
) -> None:
    inbox, other = MemoryInbox(), discord.direct(BOB)
    async with running(build(), inbox):
        await discord.connected()
        discord.say(ada, ADA, "before")
        await until(lambda: inbox.events)
        await saved(bench, discord)
        inbox.down = True
        discord.say(ada, ADA, "not stored")
        discord.say(other, BOB, "neither")
        await until(lambda: len(inbox.offered) >= 3)
    inbox.down = False
    async with running(build(), inbox):
        await until(lambda: len(inbox.events) == 3)

    assert sorted(inbox.texts) == ["before", "neither", "not stored"]
    assert discord.gateway.identifies == 1


async def test_what_no_session_brings_is_fetched_in_order(
    discord: FakeDiscord, build: Build, bench: Bench, ada: str
) -> None:
    inbox = MemoryInbox()
    async with running(build(), inbox):
        await discord.connected()
        for channel in (ada, GENERAL, THREAD):
            discord.say(channel, ADA, f"before {channel}")
        await until(lambda: len(inbox.events) == 3)
        await saved(bench, discord)
    await discord.gateway.invalidate()
    for channel in (ada, GENERAL, THREAD, OTHER):
        for number in range(3):
            discord.say(channel, ADA, f"gap {number} {channel}", silent=True)
    async with running(build(), inbox):
        await discord.connected()
        discord.say(ada, ADA, "after")
        await until(lambda: len(inbox.events) == 16)

    for channel in (ada, GENERAL, THREAD, OTHER):
        there = [event.text for event in inbox.events if channel in event.text]
        assert [text for text in there if "gap" in text] == [f"gap {n} {channel}" for n in range(3)]
    here = [event.text for event in inbox.events if event.place.chat == ada]
    assert here[-1] == "after"
    places = {event.place.thread for event in inbox.events if THREAD in event.text}
    assert places == {THREAD}
    assert bench.counts["backfilled"] == 1
    assert not bench.counts["backfill_capped"]


async def test_a_session_lost_while_connected_loses_no_message(
    discord: FakeDiscord, inbox: MemoryInbox, bench: Bench, ada: str
) -> None:
    discord.say(ada, ADA, "before")
    await until(lambda: inbox.events)
    await discord.gateway.invalidate()
    discord.say(ada, ADA, "in the gap", silent=True)
    discord.say(GENERAL, ADA, "here, too", silent=True)
    await until(lambda: len(inbox.events) == 3)

    assert sorted(inbox.texts) == ["before", "here, too", "in the gap"]
    assert bench.counts["session_lost"] == 1
    assert max(bench.clock.slept) > 1, "new sessions keep five seconds between them"


async def test_a_gap_of_many_messages_is_capped_and_said(
    discord: FakeDiscord, build: Build, bench: Bench, ada: str
) -> None:
    inbox = MemoryInbox()
    settings = {"backfill": {"messages": 150}}
    async with running(build(**settings), inbox):
        await discord.connected()
        discord.say(ada, ADA, "before")
        await until(lambda: inbox.events)
        await saved(bench, discord)
    await discord.gateway.invalidate()
    for number in range(210):
        discord.say(ada, ADA, f"gap {number}", silent=True)
    async with running(build(**settings), inbox):
        await until(lambda: len(inbox.events) == 151)

    assert inbox.texts[1:] == [f"gap {number}" for number in range(60, 210)]
    assert bench.counts["backfill_capped"] == 1


async def test_more_channels_than_the_limit_are_capped_and_said(
    discord: FakeDiscord, build: Build, bench: Bench
) -> None:
    inbox = MemoryInbox()
    settings = {"backfill": {"channels": 2}}
    people = [str(71000 + number) for number in range(4)]
    async with running(build(**settings), inbox):
        await discord.connected()
        for person in people:
            discord.say(discord.direct(person), person, "before")
        await until(lambda: len(inbox.events) == 4)
        await saved(bench, discord)
    await discord.gateway.invalidate()
    for person in people:
        discord.say(discord.direct(person), person, f"gap {person}", silent=True)
    async with running(build(**settings), inbox):
        await until(lambda: len(inbox.events) == 6)

    assert sorted(inbox.texts[4:]) == [f"gap {person}" for person in people[2:]]
    assert bench.counts["backfill_capped"] == 1


async def test_nothing_from_before_the_first_start_is_fetched(
    discord: FakeDiscord, build: Build, ada: str
) -> None:
    discord.say(ada, ADA, "long ago")
    discord.say(GENERAL, ADA, "long ago")
    inbox = MemoryInbox()
    async with running(build(), inbox):
        await discord.connected()
        discord.say(ada, ADA, "now")
        await until(lambda: inbox.events)

    assert inbox.texts == ["now"]
    assert not discord.calls("GET /channels/*/messages")


async def test_a_gap_may_follow_a_first_session_in_which_nothing_was_said(
    discord: FakeDiscord, build: Build, bench: Bench, ada: str
) -> None:
    discord.say(GENERAL, ADA, "long ago", silent=True)
    inbox = MemoryInbox()
    async with running(build(), inbox):
        await discord.connected()
        await saved(bench, discord)
    await discord.gateway.invalidate()
    discord.say(GENERAL, ADA, "in the gap", silent=True)
    async with running(build(), inbox):
        await until(lambda: inbox.events)

    assert inbox.texts == ["in the gap"]


async def test_a_channel_that_may_not_be_read_any_more_is_left_alone(
    discord: FakeDiscord, build: Build, bench: Bench, ada: str
) -> None:
    inbox = MemoryInbox()
    async with running(build(), inbox):
        await discord.connected()
        discord.say(ada, ADA, "before")
        await until(lambda: inbox.events)
        await saved(bench, discord)
    await discord.gateway.invalidate()
    discord.world.unreadable.add(ada)
    async with running(build(), inbox):
        await discord.connected()
        discord.say(ada, ADA, "after")
        await until(lambda: len(inbox.events) == 2)

    assert inbox.texts == ["before", "after"]


async def test_events_nobody_can_read_end_nothing(
    discord: FakeDiscord, inbox: MemoryInbox, bench: Bench, ada: str
) -> None:
    dispatch = discord.world.dispatch
    dispatch("MESSAGE_CREATE", {"id": "1"})
    dispatch("MESSAGE_CREATE", [])
    dispatch("MESSAGE_REACTION_ADD", None)
    dispatch("INTERACTION_CREATE", {"type": "?"})
    dispatch("GUILD_CREATE", {"channels": [{"id": 7}]})
    dispatch("SOMETHING_NEW", {"a": 1})
    for frame in ("[]", "not JSON", "null", '{"op": 0}', '{"op": 99, "d": {}}'):
        discord.gateway.frame(frame)
    discord.say(ada, ADA, "still there?")
    await until(lambda: inbox.events)

    assert inbox.texts == ["still there?"]
    assert bench.counts["unreadable"] >= 7
    assert (discord.gateway.identifies, discord.gateway.resumes) == (1, 0)


async def test_a_stream_that_cannot_be_unpacked_is_begun_anew(
    discord: FakeDiscord, inbox: MemoryInbox, ada: str
) -> None:
    (connection,) = discord.gateway.connections
    await connection.socket.send_bytes(b"garbage" + b"\x00\x00\xff\xff")
    discord.say(ada, ADA, "still there?")
    await until(lambda: inbox.events)

    assert discord.gateway.resumes == 1


async def test_a_refused_token_stops_the_account_at_once(
    discord: FakeDiscord, build: Build, ada: str
) -> None:
    discord.world.revoked = True
    adapter = build()
    with pytest.raises(BadConfig, match="Reset Token"):
        await adapter.run(MemoryInbox())
    for _ in range(3):
        with pytest.raises(BadConfig):
            await adapter.send(part("x", channel=ada))

    assert len(discord.world.calls) == 1


async def test_a_token_revoked_while_connected_stops_the_account(
    discord: FakeDiscord, build: Build
) -> None:
    task = asyncio.create_task(build().run(MemoryInbox()))
    await discord.connected()
    discord.world.revoked = True
    await discord.gateway.close(4004)
    with pytest.raises(BadConfig, match="4004"):
        await task


async def test_refused_intents_are_explained(discord: FakeDiscord, build: Build) -> None:
    discord.world.content_allowed = False
    with pytest.raises(BadConfig, match="Message Content Intent") as refused:
        await build().run(MemoryInbox())
    assert "message_content: false" in str(refused.value)


async def test_without_the_intent_mentions_and_direct_messages_are_read(
    discord: FakeDiscord, build: Build, ada: str
) -> None:
    discord.world.content_allowed = False
    inbox = MemoryInbox()
    async with running(build(message_content=False), inbox):
        await discord.connected()
        discord.say(GENERAL, ADA, "not for you")
        discord.say(GENERAL, ADA, f"<@{BOT}> for you")
        discord.say(ada, ADA, "hello")
        await until(lambda: len(inbox.events) == 2)

    assert sorted(inbox.texts) == ["for you", "hello"]


async def test_a_gateway_that_is_away_is_waited_for(
    discord: FakeDiscord, inbox: MemoryInbox, bench: Bench, ada: str
) -> None:
    for times, code in enumerate((4000, 4001, 4008, 1011), 1):
        await discord.gateway.close(code)
        await until(lambda wanted=times: discord.gateway.resumes == wanted)
    discord.say(ada, ADA, "back?")
    await until(lambda: inbox.events)

    assert discord.gateway.identifies == 1


async def test_two_bots_on_two_servers_do_not_meet(discord: FakeDiscord, build: Build) -> None:
    async with FakeDiscord() as other:
        other.world.token = "b3RoZXI.fake.token"
        ours, theirs = MemoryInbox(), MemoryInbox()
        second = build(**other.settings | {"token": other.world.token})
        async with running(build(), ours), running(second, theirs):
            await discord.connected()
            await other.connected()
            discord.say(discord.direct(ADA), ADA, "here")
            other.say(other.direct(BOB), BOB, "there")
            await until(lambda: ours.events and theirs.events)
            await second.send(part("answer", channel=other.direct(BOB)))
    assert (ours.texts, theirs.texts) == (["here"], ["there"])
    assert other.texts(other.direct(BOB)) == ["answer"]
    assert not discord.calls("POST /channels/*/messages")


async def test_new_sessions_are_limited_by_the_day(build: Build, bench: Bench) -> None:
    keep = services(Account(kind="discord"), records=bench.records).keep
    for _ in range(IDENTIFIES):
        await keep.hit("identify", limit=IDENTIFIES, window=86_400.0)
    with pytest.raises(Busy, match="cost the token"):
        await build().run(MemoryInbox())


async def test_while_nothing_is_taken_in_no_more_is_read_than_fits(
    discord: FakeDiscord, inbox: MemoryInbox, ada: str
) -> None:
    inbox.open.clear()
    for number in range(MOST_WAITING + 100):
        discord.say(ada, ADA, str(number))
    (session,) = discord.world.sessions.values()
    await until(lambda: session.acked >= MOST_WAITING)  # by a heartbeat
    assert session.acked <= MOST_WAITING + 10
    inbox.open.set()
    await until(lambda: len(inbox.events) == MOST_WAITING + 100)

    assert inbox.texts == [str(number) for number in range(MOST_WAITING + 100)]
