"""Slash commands and buttons: acknowledged at once, answered where they wait."""

from __future__ import annotations

import asyncio

from adapters.discord.adapter import DiscordAdapter
from adapters.discord.interactions import Open, read
from gateway.message import Button, Inbound, Outbound, ReplyId
from gateway.sessions.commands import MENU
from tests.adapters.discord.scene import ADA, Bench, Build, part
from tests.fakes.discord import GENERAL, FakeDiscord
from tests.fakes.inbox import MemoryInbox, running
from tests.fakes.platforms import until

CALLBACK = "POST /interactions/*/*/callback"
CREATE = "POST /channels/*/messages"


def reply(event: Inbound, text: str, *, name: str = "r1", **more: object) -> Outbound:
    return Outbound(
        reply=ReplyId(name),
        conversation=event.conversation,
        account=event.account,
        place=event.place,
        text=text,
        **{"reply_to": event.native_id, "headers": event.headers, **more},  # type: ignore[arg-type]
    )


async def test_the_menu_is_told_once(
    discord: FakeDiscord, build: Build, inbox: MemoryInbox
) -> None:
    assert [one["name"] for one in discord.world.commands] == [name for name, _ in MENU]
    async with running(build(), MemoryInbox()):
        await until(lambda: discord.gateway.identifies + discord.gateway.resumes == 2)
    assert len(discord.calls("PUT /applications/*/commands")) == 1


async def test_a_command_is_acknowledged_before_the_inbox_is_done_and_answered_in_its_place(
    discord: FakeDiscord, inbox: MemoryInbox, adapter: DiscordAdapter
) -> None:
    inbox.open.clear()
    discord.world.slash(GENERAL, ADA, "new", "and a question")
    await until(lambda: discord.calls(CALLBACK) and inbox.offered)
    assert discord.seen(GENERAL)[0]["loading"]
    inbox.open.set()
    await until(lambda: inbox.events)
    (event,) = inbox.events

    assert (event.kind, event.text, event.addressed) == ("command", "/new and a question", True)
    first = await adapter.send(reply(event, "one", parts=2))
    await adapter.send(reply(event, "two", part=1, parts=2, reply_to=""))

    assert discord.texts(GENERAL) == ["one", "two"]
    assert first.native_id == event.native_id
    assert len(discord.calls(CREATE)) == 1
    assert discord.world.pings == []


async def test_an_answer_grows_in_the_place_of_the_announcement(
    discord: FakeDiscord, inbox: MemoryInbox, adapter: DiscordAdapter, ada: str
) -> None:
    discord.world.slash(ada, ADA, "new", "tell me")
    await until(lambda: inbox.events)
    (event,) = inbox.events
    preview = await adapter.send(reply(event, "Once", headers={}))
    await adapter.edit(reply(event, "Once upon", headers={}), preview.native_id)
    await adapter.edit(reply(event, "Once upon a time. https://x.org"), preview.native_id)

    (shown,) = discord.seen(ada)
    assert shown["text"] == "Once upon a time. https://x.org"
    assert shown["embeds"] == 0


async def test_a_command_is_answered_by_a_message_when_its_token_is_over(
    discord: FakeDiscord, inbox: MemoryInbox, adapter: DiscordAdapter, bench: Bench, build: Build
) -> None:
    for name in ("help", "status"):
        discord.world.slash(GENERAL, ADA, name)
    await until(lambda: len(inbox.events) == 2)
    first, second = inbox.events
    discord.world.interaction_life = 0.0
    await adapter.send(reply(first, "Discord says it is over"))
    bench.clock.ahead += 901
    await build().send(reply(second, "the clock says so", name="r2"))

    assert discord.texts(GENERAL) == ["Discord says it is over", "the clock says so"]
    assert len(discord.calls("PATCH /webhooks/*/*/messages/@original")) == 1


async def test_where_the_bot_may_not_write_further_parts_follow_the_command(
    discord: FakeDiscord, inbox: MemoryInbox, adapter: DiscordAdapter
) -> None:
    discord.world.forbidden.add(GENERAL)
    discord.world.slash(GENERAL, ADA, "help")
    await until(lambda: inbox.events)
    (event,) = inbox.events
    await adapter.send(reply(event, "one", parts=2))
    await adapter.send(reply(event, "two https://x.org", part=1, parts=2, reply_to=""))

    assert discord.texts(GENERAL) == ["one", "two https://x.org"]
    assert len(discord.calls("POST /webhooks/*/*")) == 1
    assert [each["embeds"] for each in discord.seen(GENERAL)] == [0, 0]


async def test_a_command_that_is_ignored_leaves_no_announcement(
    discord: FakeDiscord, inbox: MemoryInbox
) -> None:
    inbox.ignores = lambda event: True
    discord.world.slash(GENERAL, ADA, "help")
    await until(lambda: discord.calls("DELETE /webhooks/*/*/messages/@original"))
    await until(lambda: not discord.seen(GENERAL))


async def test_a_command_that_comes_again_is_acknowledged_and_answered_once(
    discord: FakeDiscord, inbox: MemoryInbox, adapter: DiscordAdapter, ada: str
) -> None:
    given = discord.world.slash(ada, ADA, "help")
    await until(lambda: inbox.events)
    await adapter.send(reply(inbox.events[0], "help!"))
    discord.world.dispatch("INTERACTION_CREATE", given)
    await until(lambda: len(inbox.offered) == 2)

    assert len(inbox.events) == 1
    assert discord.texts(ada) == ["help!"]


async def test_a_command_that_came_too_late_is_answered_by_a_message(
    discord: FakeDiscord, inbox: MemoryInbox, adapter: DiscordAdapter, ada: str
) -> None:
    discord.world.patience = -1.0
    discord.world.slash(ada, ADA, "help")
    await until(lambda: inbox.events)
    await adapter.send(reply(inbox.events[0], "help!"))

    assert discord.texts(ada) == ["help!"]


async def test_a_busy_channel_keeps_no_command_waiting_for_its_word(
    discord: FakeDiscord, inbox: MemoryInbox, ada: str
) -> None:
    inbox.open.clear()
    discord.say(ada, ADA, "holds the line")
    await until(lambda: inbox.offered)
    discord.world.slash(ada, ADA, "stop")
    await until(lambda: discord.calls(CALLBACK))
    assert len(inbox.offered) == 1
    inbox.open.set()
    await until(lambda: len(inbox.events) == 2)


async def test_a_pressed_button_is_confirmed_and_says_what_it_holds(
    discord: FakeDiscord, inbox: MemoryInbox, adapter: DiscordAdapter, ada: str
) -> None:
    shown = await adapter.send(
        part("well?", channel=ada, buttons=((Button(label="Yes", data="yes, do it"),),))
    )
    discord.world.press(ada, ADA, shown.native_id, "yes, do it")
    await until(lambda: inbox.events)
    (event,) = inbox.events

    assert (event.kind, event.text, event.addressed) == ("button", "yes, do it", True)
    assert event.target == event.reply_to == shown.native_id
    (call,) = discord.calls(CALLBACK)
    assert (call.status, call.body) == (200, {"type": 6})
    await adapter.send(reply(event, "done", name="r2"))
    assert discord.texts(ada) == ["well?", "done"]


async def test_commands_of_strangers_in_great_number_are_all_acknowledged(
    discord: FakeDiscord, inbox: MemoryInbox
) -> None:
    people = [str(72000 + number) for number in range(50)]
    for person in people:
        discord.world.slash(discord.direct(person), person, "help")
    await until(lambda: len(inbox.events) == 50)
    await asyncio.sleep(0)

    assert {call.status for call in discord.calls(CALLBACK)} == {200}


def test_what_an_answer_needs_survives_the_queue() -> None:
    opened = Open(application="1", token="a.b-c_d", until=99.0, message="7")
    assert read(opened.header()) == opened
    assert read({}) is None
    assert read({"discord-interaction": "x y z"}) is None
