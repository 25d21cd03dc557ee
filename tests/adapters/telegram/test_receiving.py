"""What people do on (the fake) Telegram arrives in the inbox, over the real library."""

from __future__ import annotations

import hashlib

import pytest

from adapters.telegram.adapter import TelegramAdapter
from gateway.message import inbound_id
from tests.adapters.telegram.scene import Build
from tests.fakes.inbox import MemoryInbox, running
from tests.fakes.stores import MemoryBlobs
from tests.fakes.telegram import FakeTelegram

JPEG = b"\xff\xd8\xff\xe0" + b"picture" * 100
OGG = b"OggS" + b"voice" * 100


async def test_a_message_is_confirmed_only_after_it_was_stored(
    telegram: FakeTelegram, inbox: MemoryInbox
) -> None:
    inbox.open.clear()
    telegram.say(7, 7, "hello")
    await telegram.until(lambda: inbox.offered)
    polls = len(telegram.calls("getUpdates"))
    await telegram.until(lambda: len(telegram.calls("getUpdates")) > polls + 1)

    assert telegram.bot.confirmed == 0

    inbox.open.set()
    await telegram.all_confirmed()
    assert inbox.texts == ["hello"]
    assert len(inbox.offered) == 1


async def test_messages_of_one_chat_come_in_order_and_a_stuck_chat_holds_up_no_other(
    telegram: FakeTelegram, adapter: TelegramAdapter
) -> None:
    class Picky(MemoryInbox):
        async def accept(self, event, *hooks):  # type: ignore[no-untyped-def]
            if event.place.chat == "1":
                await self.open.wait()
            return await super().accept(event, *hooks)

    box = Picky()
    box.open.clear()

    class Free(MemoryInbox):
        pass

    free = Free()

    class Both(MemoryInbox):
        async def accept(self, event, *hooks):  # type: ignore[no-untyped-def]
            return await (box if event.place.chat == "1" else free).accept(event, *hooks)

    async with running(adapter, Both()):
        telegram.say(1, 1, "stuck")
        for number in range(30):
            telegram.say(2, 2, f"{number}")
        await telegram.until(lambda: len(free.events) == 30)
        assert free.texts == [str(number) for number in range(30)]
        assert telegram.bot.confirmed == 0
        telegram.say(2, 2, "later")
        await telegram.until(lambda: free.texts[-1] == "later")
        box.open.set()
        await telegram.all_confirmed()
    assert len(free.offered) == 31


async def test_a_hundred_and_more_at_once_all_arrive(
    telegram: FakeTelegram, inbox: MemoryInbox
) -> None:
    for number in range(350):
        telegram.say(1 + number % 40, 1 + number % 40, f"{number}")
    await telegram.all_confirmed()

    assert sorted(inbox.texts, key=int) == [str(number) for number in range(350)]
    for chat in range(1, 41):
        heard = [int(each.text) for each in inbox.events if each.place.chat == str(chat)]
        assert heard == sorted(heard)


async def test_what_is_not_let_in_has_no_file_fetched(
    telegram: FakeTelegram, inbox: MemoryInbox
) -> None:
    inbox.ignores = lambda event: event.sender.id == "666"
    for kind in ("photo", "voice", "document", "video"):
        telegram.say(666, 666, "look", media=kind, content=JPEG)
    telegram.say(7, 7, "look", media="photo", content=JPEG)
    await telegram.all_confirmed()

    assert len(inbox.offered) == 5
    assert len(telegram.calls("getFile")) == 1
    assert [event.attachments[0].digest for event in inbox.events] == [
        hashlib.sha256(JPEG).hexdigest()
    ]


async def test_files_of_one_chat_keep_its_order_and_hold_up_no_other(
    telegram: FakeTelegram, inbox: MemoryInbox, telegram_blobs: MemoryBlobs
) -> None:
    telegram_blobs.open.clear()
    for number in range(3):
        telegram.say(7, 7, f"{number}", media="photo", content=JPEG)
    telegram.say(7, 7, "last")
    telegram.say(8, 8, "elsewhere")
    await telegram.until(lambda: inbox.texts == ["elsewhere"])
    assert telegram.bot.confirmed == 0
    telegram_blobs.open.set()
    await telegram.all_confirmed()

    assert inbox.texts == ["elsewhere", "0", "1", "2", "last"]
    assert all(event.attachments[0].digest for event in inbox.events if event.text.isdigit())


async def test_files_are_fetched_before_the_message_is_stored(
    telegram: FakeTelegram, inbox: MemoryInbox, telegram_blobs: MemoryBlobs
) -> None:
    telegram.say(7, 7, "look", media="photo", content=JPEG)
    telegram.say(7, 7, media="voice", content=OGG, fields={"duration": 3})
    telegram.say(7, 7, media="document", content=b"%PDF-1.7 ...", fields={"file_name": "../a.pdf"})
    telegram.say(7, 7, media="audio", content=b"ID3\x03", fields={"title": "Song"})
    telegram.say(7, 7, media="video", content=b"\0\0\0\x18ftypmp42")
    telegram.say(7, 7, media="video_note", content=b"\0\0\0\x18ftypmp42")
    await telegram.all_confirmed()

    found = [event.attachments[0] for event in inbox.events]
    assert [each.kind for each in found] == [
        "image",
        "voice",
        "document",
        "audio",
        "video",
        "video",
    ]
    assert [each.media_type for each in found] == [
        "image/jpeg",
        "audio/ogg",
        "application/pdf",
        "audio/mpeg",
        "video/mp4",
        "video/mp4",
    ]
    assert not any(each.problem for each in found)
    assert inbox.texts[0] == "look"
    assert found[0].digest == hashlib.sha256(JPEG).hexdigest()
    assert found[0].size == await telegram_blobs.size(found[0].digest)
    assert found[1].duration == 3
    assert found[2].name == "../a.pdf"


async def test_a_file_that_is_too_large_is_not_fetched_and_the_message_says_so(
    telegram: FakeTelegram, inbox: MemoryInbox
) -> None:
    telegram.say(7, 7, "big", media="video", content=b"x", fields={"file_size": 21 * 2**20})
    # The claimed size is a lie: the bytes are counted while they come.
    await telegram.all_confirmed()

    assert inbox.texts == ["big"]
    assert inbox.events[0].attachments[0].problem == "it is larger than 20 MB"
    assert telegram.calls("download") == []


async def test_bytes_are_counted_while_they_come(telegram: FakeTelegram, build: Build) -> None:
    box = MemoryInbox()
    async with running(build(file_limit=1000), box):
        telegram.say(7, 7, media="document", content=b"x" * 5000, fields={"file_size": 10})
        await telegram.all_confirmed()

    assert box.events[0].attachments[0].problem.startswith("it is larger than")
    assert box.events[0].attachments[0].digest == ""


@pytest.mark.parametrize(
    ("method", "kind", "more"),
    [
        ("download", "cut", {}),
        ("download", "status", {"status": 404}),
        ("getFile", "status", {"status": 500}),
        ("getFile", "status", {"status": 400, "description": "Bad Request: wrong file_id"}),
        ("getFile", "cut", {}),
        ("getFile", "garbage", {}),
    ],
)
async def test_a_file_that_does_not_come_is_a_problem_in_words_and_not_a_lost_message(
    telegram: FakeTelegram, inbox: MemoryInbox, method: str, kind: str, more: dict[str, object]
) -> None:
    telegram.fault(method, kind, **more)
    telegram.say(7, 7, "with a file", media="voice", content=OGG)
    await telegram.all_confirmed()

    assert inbox.texts == ["with a file"]
    assert inbox.events[0].attachments[0].problem == "it could not be fetched from Telegram"


async def test_a_file_that_drips_is_given_up_in_time(telegram: FakeTelegram, build: Build) -> None:
    telegram.fault("download", "delay", seconds=5.0)
    box = MemoryInbox()
    async with running(build(file_timeout=0.2), box):
        telegram.say(7, 7, media="voice", content=OGG)
        await telegram.all_confirmed()

    assert box.events[0].attachments[0].problem == "it could not be fetched within 0.2 seconds"


async def test_a_pressed_button_arrives_and_stops_waiting(
    telegram: FakeTelegram, inbox: MemoryInbox
) -> None:
    telegram.say(7, 7, "hi")
    telegram.world.add(7, telegram.bot.id, from_bot=True)
    telegram.press(7, 7, 2, "yes")
    await telegram.until(lambda: all(telegram.world.callbacks.values()) and len(inbox.events) == 2)

    press = inbox.events[1]
    assert (press.kind, press.text, press.addressed) == ("button", "yes", True)
    assert press.target == f"{telegram.bot.id}:2"


async def test_a_reaction_arrives(telegram: FakeTelegram, inbox: MemoryInbox) -> None:
    telegram.say(7, 7, "hi")
    await telegram.all_confirmed()
    telegram.react(7, 7, 1, "👍")
    await telegram.until(lambda: len(inbox.events) == 2)

    reaction = inbox.events[1]
    assert (reaction.kind, reaction.text) == ("reaction", "👍")
    assert inbound_id(reaction.account, reaction.place.chat, reaction.target) == inbox.events[0].id


async def test_an_edit_points_at_what_it_changes(
    telegram: FakeTelegram, inbox: MemoryInbox
) -> None:
    telegram.say(7, 7, "helo")
    telegram.say(7, 7, "hello", edit=1)
    await telegram.all_confirmed()

    first, edit = inbox.events
    assert (edit.kind, edit.text) == ("edit", "hello")
    assert inbound_id(edit.account, edit.place.chat, edit.target) == first.id
    assert edit.id != first.id


async def test_the_command_menu_is_set(telegram: FakeTelegram, inbox: MemoryInbox) -> None:
    await telegram.until(lambda: telegram.bot.commands)

    assert {"command": "stop"}.items() <= telegram.bot.commands[2].items()
