"""What people do on Discord becomes events."""

from __future__ import annotations

import pytest

from adapters.discord.adapter import DiscordAdapter
from gateway.message import inbound_id
from tests.adapters.discord.scene import ACCOUNT, ADA, BOB, PNG, Bench, Build, part
from tests.fakes.discord import BOT, GENERAL, GUILD, THREAD, FakeDiscord
from tests.fakes.inbox import MemoryInbox, running
from tests.fakes.platforms import until

ME = f"<@{BOT}>"


async def test_a_direct_message_is_for_the_bot(
    discord: FakeDiscord, inbox: MemoryInbox, ada: str
) -> None:
    said = discord.say(ada, ADA, "hello")
    await until(lambda: inbox.events)

    (event,) = inbox.events
    assert event.id == inbound_id(ACCOUNT, ada, said["id"])
    assert (event.place.kind, event.place.chat) == ("direct", ada)
    assert (event.sender.id, event.sender.name, event.sender.grade) == (
        ADA,
        f"User {ADA}",
        "verified",
    )
    assert event.addressed
    assert abs(event.received_at - event.sent_at) < 60


async def test_in_a_server_the_bot_is_meant_by_mention_reply_or_phrase(
    discord: FakeDiscord, build: Build
) -> None:
    inbox = MemoryInbox()
    adapter = build(mention_patterns=["hey bot"])
    async with running(adapter, inbox):
        await discord.connected()
        ours = (await adapter.send(part("I said", channel=GENERAL))).native_id
        discord.say(GENERAL, ADA, "not for you")
        discord.say(GENERAL, ADA, f"{ME}, what is this?")
        discord.say(GENERAL, ADA, "go on", reply_to=ours)
        discord.say(GENERAL, ADA, "so, Hey Bot!")
        discord.say(GENERAL, ADA, f"I asked <@{BOB}> and {ME}")
        await until(lambda: len(inbox.events) == 5)

    assert [event.addressed for event in inbox.events] == [False, True, True, True, True]
    assert inbox.texts[1] == "what is this?"
    assert inbox.events[2].quote == "I said"
    assert inbox.events[2].reply_to == ours
    assert BOT in inbox.events[4].mentions
    assert {event.place.kind for event in inbox.events} == {"group"}


async def test_a_thread_is_a_place_of_its_own_inside_its_channel(
    discord: FakeDiscord, inbox: MemoryInbox
) -> None:
    discord.say(THREAD, ADA, f"{ME} here")
    await until(lambda: inbox.events)

    place = inbox.events[0].place
    assert (place.kind, place.chat, place.thread) == ("thread", GENERAL, THREAD)


async def test_a_thread_nobody_told_of_is_looked_up_once(
    discord: FakeDiscord, inbox: MemoryInbox
) -> None:
    discord.world.channel("300009", 12, name="late", guild_id=GUILD, parent_id=GENERAL)
    for text in ("one", "two"):
        discord.say("300009", ADA, text)
    await until(lambda: len(inbox.events) == 2)

    assert {event.place.chat for event in inbox.events} == {GENERAL}
    assert len(discord.calls("GET /channels/*")) == 1


async def test_own_messages_are_not_events_and_bots_and_webhooks_are_marked(
    discord: FakeDiscord, inbox: MemoryInbox, adapter: DiscordAdapter, ada: str
) -> None:
    await adapter.send(part("mine", channel=ada))
    discord.say(GENERAL, "70050", "beep", bot=True)
    discord.say(GENERAL, "70051", "posted", webhook_id="70052")
    await until(lambda: len(inbox.events) == 2)

    assert inbox.texts == ["beep", "posted"]
    assert all(event.sender.is_bot for event in inbox.events)
    assert inbox.events[1].sender.id == "70052"
    assert inbox.events[1].sender.grade == "unverified"


async def test_edits_and_deletes_name_the_message_they_are_about(
    discord: FakeDiscord, inbox: MemoryInbox, ada: str
) -> None:
    said = discord.say(ada, ADA, "Fraance")
    await until(lambda: inbox.events)
    discord.world.change(ada, said["id"], "France")
    discord.world.remove(ada, said["id"])
    await until(lambda: len(inbox.events) == 3)

    _, edit, delete = inbox.events
    assert (edit.kind, edit.text, edit.target) == ("edit", "France", said["id"])
    assert (delete.kind, delete.target, delete.sender.id) == ("delete", said["id"], ADA)
    assert edit.conversation == delete.conversation == inbox.events[0].conversation


async def test_in_a_thread_a_change_names_the_message_as_it_was_stored(
    discord: FakeDiscord, inbox: MemoryInbox
) -> None:
    said = discord.say(THREAD, ADA, f"{ME} Fraance")
    await until(lambda: inbox.events)
    discord.world.change(THREAD, said["id"], f"{ME} France")
    discord.world.remove(THREAD, said["id"])
    await until(lambda: len(inbox.events) == 3)

    first, *changes = inbox.events
    for change in changes:
        assert inbound_id(ACCOUNT, change.place.chat, change.target) == first.id
        assert change.conversation == first.conversation


async def test_a_preview_of_a_link_is_no_edit(
    discord: FakeDiscord, inbox: MemoryInbox, ada: str
) -> None:
    said = discord.say(ada, ADA, "see https://example.org")
    discord.world.dispatch("MESSAGE_UPDATE", discord.world.told(said) | {"embeds": [{}]})
    discord.world.dispatch("MESSAGE_UPDATE", {"id": said["id"], "channel_id": ada, "embeds": []})
    discord.say(ada, ADA, "and?")
    await until(lambda: len(inbox.events) == 2)

    assert [event.kind for event in inbox.events] == ["message", "message"]


async def test_reactions_are_events(discord: FakeDiscord, inbox: MemoryInbox, ada: str) -> None:
    said = discord.say(ada, ADA, "hello")
    discord.world.react(ada, ADA, said["id"], "👍")
    discord.world.react(ada, BOT, said["id"], "👀")
    discord.say(ada, ADA, "done")
    await until(lambda: len(inbox.events) == 3)

    reaction = inbox.events[1]
    assert (reaction.kind, reaction.text, reaction.target) == ("reaction", "👍", said["id"])


async def test_files_and_recordings_are_fetched(
    discord: FakeDiscord, inbox: MemoryInbox, bench: Bench, ada: str
) -> None:
    picture = {"name": "cat.png", "media_type": "image/png", "content": PNG}
    ogg = {"name": "voice-message.ogg", "media_type": "audio/ogg", "content": b"OggS" + bytes(40)}
    discord.say(ada, ADA, "what is this?", files=[picture])
    discord.say(ada, ADA, files=[ogg | {"duration": 3.5}], voice=True)
    await until(lambda: len(inbox.events) == 2)

    (image,), (voice,) = (event.attachments for event in inbox.events)
    assert (image.kind, image.media_type, image.name) == ("image", "image/png", "cat.png")
    assert (voice.kind, voice.duration) == ("voice", 3.5)
    assert b"".join([chunk async for chunk in bench.blobs.read(image.digest)]) == PNG


async def test_a_file_that_lies_elsewhere_is_not_asked_for(
    discord: FakeDiscord, inbox: MemoryInbox, ada: str
) -> None:
    picture = {"name": "cat.png", "media_type": "image/png", "content": PNG}
    said = discord.say(ada, ADA, "x", files=[picture], silent=True)
    for url in ("http://127.0.0.1:1/x.png", "http://169.254.169.254/latest", "not an address"):
        copy = discord.world.told(said) | {"id": discord.world.snowflake()}
        copy["attachments"] = [said["attachments"][0] | {"url": url}]
        discord.world.dispatch("MESSAGE_CREATE", copy)
    await until(lambda: len(inbox.events) == 3)

    assert all(event.attachments[0].problem for event in inbox.events)
    assert not discord.calls("GET /attachments")


async def test_a_redirect_of_a_file_is_not_followed(
    discord: FakeDiscord, inbox: MemoryInbox, ada: str
) -> None:
    discord.fault("GET /attachments", "status", status=302)
    discord.say(ada, ADA, "x", files=[{"name": "a", "media_type": None, "content": b"x"}])
    await until(lambda: inbox.events)

    assert inbox.events[0].attachments[0].problem
    assert len(discord.calls("GET /attachments")) == 1


async def test_a_stranger_makes_us_fetch_nothing(
    discord: FakeDiscord, inbox: MemoryInbox, ada: str
) -> None:
    inbox.ignores = lambda event: True
    discord.say(ada, ADA, "x", files=[{"name": "a", "media_type": None, "content": b"x"}])
    await until(lambda: inbox.offered)

    assert not discord.calls("GET /attachments")


async def test_one_slow_channel_holds_up_no_other(
    discord: FakeDiscord, inbox: MemoryInbox, ada: str
) -> None:
    inbox.breaks = lambda event: event.place.chat == ada
    discord.say(ada, ADA, "breaks us")
    discord.say(discord.direct(BOB), BOB, "hello")
    await until(lambda: inbox.events)

    assert inbox.texts == ["hello"]


async def test_what_breaks_us_is_passed_over_in_the_end(
    discord: FakeDiscord, inbox: MemoryInbox, bench: Bench, ada: str
) -> None:
    inbox.breaks = lambda event: event.text == "poison"
    inbox.rejects = lambda event: event.text == "never"
    for text in ("poison", "never", "hello"):
        discord.say(ada, ADA, text)
    await until(lambda: inbox.events)

    assert inbox.texts == ["hello"]
    assert bench.counts["rejected"] == 2
    assert sum(event.text == "poison" for event in inbox.offered) == 3


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"sticker_items": [{"id": "1", "name": "wave", "format_type": 1}]}, "[sticker: wave]"),
        (
            {
                "poll": {
                    "question": {"text": "Tea?"},
                    "answers": [{"answer_id": 1, "poll_media": {"text": "yes"}}],
                }
            },
            "Poll: Tea?\n- yes",
        ),
        (
            {
                "message_reference": {"message_id": "1", "type": 1},
                "message_snapshots": [{"message": {"content": "forwarded"}}],
            },
            "forwarded",
        ),
    ],
    ids=["sticker", "poll", "forward"],
)
async def test_what_people_send_besides_text_comes_in_words(
    discord: FakeDiscord, inbox: MemoryInbox, ada: str, more: dict[str, object], text: str
) -> None:
    discord.say(ada, ADA, "", **more)
    await until(lambda: inbox.events)

    assert inbox.texts == [text]
    assert inbox.events[0].reply_to == ""


async def test_people_and_emoji_have_names(
    discord: FakeDiscord, inbox: MemoryInbox, ada: str
) -> None:
    discord.world.person(BOB)
    discord.say(ada, ADA, f"ask <@{BOB}> <:wave:12345>")
    await until(lambda: inbox.events)

    assert inbox.texts == [f"ask @User {BOB} :wave:"]


async def test_who_joins_is_an_event_and_other_service_messages_are_none(
    discord: FakeDiscord, inbox: MemoryInbox
) -> None:
    discord.say(GENERAL, BOB, "", type=7)
    discord.say(GENERAL, BOB, "pinned", type=6)
    discord.say(GENERAL, BOB, "hello")
    await until(lambda: len(inbox.events) == 2)

    assert [event.kind for event in inbox.events] == ["join", "message"]
