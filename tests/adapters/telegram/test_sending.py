"""What the gateway says is seen on (the fake) Telegram as it was meant."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest

from adapters.telegram.adapter import TelegramAdapter
from adapters.telegram.outgoing import NOTHING
from adapters.telegram.split import split
from gateway.errors import Failed
from gateway.message import Attachment, Button, Place
from tests.adapters.telegram.scene import Build, part
from tests.fakes.stores import MemoryBlobs
from tests.fakes.telegram import FakeTelegram

JPEG = b"\xff\xd8\xff\xe0" + b"picture" * 100
CHAT = 7


@pytest.fixture(autouse=True)
def known_chat(telegram: FakeTelegram) -> None:
    telegram.say(CHAT, CHAT, "hello")


async def stored(blobs: MemoryBlobs, content: bytes, **more: object) -> Attachment:
    async def chunks() -> AsyncIterator[bytes]:
        yield content

    digest, size, _ = await blobs.store(chunks(), limit=2**30)
    return msgspec.convert({"digest": digest, "size": size, **more}, Attachment)


async def test_text_is_formatted_answers_and_shows_no_preview(
    telegram: FakeTelegram, adapter: TelegramAdapter
) -> None:
    receipt = await adapter.send(part("**Hi** [there](https://x.example) `1 < 2`", reply_to="1"))

    shown = telegram.seen(CHAT)[-1]
    assert receipt.native_id == str(shown.message_id)
    assert shown.text == "Hi there 1 < 2"
    assert [each["type"] for each in shown.entities] == ["bold", "text_link", "code"]
    assert shown.reply_to == 1
    assert '"is_disabled": true' in telegram.calls("sendMessage")[0].params["link_preview_options"]


async def test_an_answer_to_a_message_that_is_gone_is_sent_all_the_same(
    telegram: FakeTelegram, adapter: TelegramAdapter
) -> None:
    await adapter.send(part("late", reply_to="999"))

    assert telegram.texts(CHAT) == ["late"]


async def test_a_topic_is_answered_in_the_topic(
    telegram: FakeTelegram, adapter: TelegramAdapter
) -> None:
    telegram.say(-100, 7, "in a topic", thread=5)
    place = Place(kind="thread", chat="-100", thread="5")

    await adapter.send(msgspec.structs.replace(part("here"), place=place))
    await adapter.typing(part().conversation, place)

    assert telegram.seen(-100)[-1].thread == 5
    assert telegram.calls("sendChatAction")[0].params["message_thread_id"] == "5"


@pytest.mark.parametrize("text", ["", "   ", "\u200b", "\n\n", "\u3164", "[]()", "<!-- -->"])
async def test_a_text_with_nothing_to_see_is_still_a_message(
    telegram: FakeTelegram, adapter: TelegramAdapter, text: str
) -> None:
    await adapter.send(part(text))

    assert telegram.texts(CHAT) in ([NOTHING], [text])


async def test_buttons_stand_under_the_message(
    telegram: FakeTelegram, adapter: TelegramAdapter
) -> None:
    rows = ((Button(label="Yes", data="y" * 64), Button(label="Site", url="https://x.example")),)
    await adapter.send(part("well?", buttons=rows))

    assert telegram.seen(CHAT)[-1].buttons == [
        [
            {"text": "Yes", "callback_data": "y" * 64},
            {"text": "Site", "url": "https://x.example"},
        ]
    ]


async def test_a_button_that_carries_too_much_fails_before_anything_is_sent(
    telegram: FakeTelegram, adapter: TelegramAdapter
) -> None:
    with pytest.raises(Failed, match="64 bytes"):
        await adapter.send(part("well?", buttons=((Button(label="x", data="ä" * 33),),)))

    assert telegram.calls("sendMessage") == []


@pytest.mark.parametrize(
    ("content", "more", "shown"),
    [
        (JPEG, {"kind": "image", "media_type": "image/jpeg"}, "photo"),
        (b"OggS..", {"kind": "voice", "media_type": "audio/ogg"}, "voice"),
        (b"ID3...", {"kind": "audio", "media_type": "audio/mpeg"}, "audio"),
        (b"RIFF", {"kind": "audio", "media_type": "audio/wav"}, "document"),
        (b"....ftyp", {"kind": "video", "media_type": "video/mp4"}, "video"),
        (b"%PDF-", {"kind": "document", "media_type": "application/pdf"}, "document"),
        (b"<svg", {"kind": "image", "media_type": "image/svg+xml"}, "document"),
    ],
)
async def test_files_are_shown_as_what_they_are(
    telegram: FakeTelegram,
    adapter: TelegramAdapter,
    telegram_blobs: MemoryBlobs,
    content: bytes,
    more: dict[str, str],
    shown: str,
) -> None:
    file = await stored(telegram_blobs, content, name="../../etc/pass\r\nwd", **more)

    await adapter.send(part(files=(file,)))

    seen = telegram.seen(CHAT)[-1]
    assert (seen.media, telegram.world.files[seen.file_id]) == (shown, content)


async def test_a_short_text_is_the_caption_of_its_single_file(
    telegram: FakeTelegram, adapter: TelegramAdapter, telegram_blobs: MemoryBlobs
) -> None:
    file = await stored(telegram_blobs, JPEG, kind="image", media_type="image/jpeg")

    (only,) = split(part("a *picture*", files=(file,)))
    await adapter.send(only)

    seen = telegram.seen(CHAT)[-1]
    assert (seen.media, seen.text, seen.entities[0]["type"]) == ("photo", "a picture", "italic")


async def test_a_growing_text_becomes_a_captioned_file_in_the_same_message(
    telegram: FakeTelegram, adapter: TelegramAdapter, telegram_blobs: MemoryBlobs
) -> None:
    file = await stored(telegram_blobs, JPEG, kind="image", media_type="image/jpeg")
    first = await adapter.send(part("a pict"))

    await adapter.edit(part("a picture", files=(file,)), first.native_id)

    assert [(each.media, each.text) for each in telegram.seen(CHAT)[1:]] == [("photo", "a picture")]


@pytest.mark.parametrize(
    ("size", "why"), [(0, "empty file"), (51 * 2**20, "too large for Telegram")]
)
async def test_a_file_telegram_never_takes_fails_at_once(
    telegram: FakeTelegram,
    adapter: TelegramAdapter,
    telegram_blobs: MemoryBlobs,
    size: int,
    why: str,
) -> None:
    file = await stored(telegram_blobs, b"x" * size, kind="document")

    with pytest.raises(Failed, match=why):
        await adapter.send(part(files=(file,)))

    assert telegram.calls("sendDocument") == []


async def test_an_edit_changes_the_message_and_may_be_repeated(
    telegram: FakeTelegram, adapter: TelegramAdapter
) -> None:
    first = await adapter.send(part("Once upon"))

    for _ in range(3):
        receipt = await adapter.edit(part("Once upon a *time*"), first.native_id)

    assert receipt == first
    assert telegram.texts(CHAT) == ["Once upon a time"]
    assert telegram.seen(CHAT)[-1].edits == ["Once upon"]
    for call in telegram.calls("editMessageText"):
        assert '"is_disabled": true' in call.params["link_preview_options"]


@pytest.mark.parametrize("native_id", ["999", "1", "", "x"])
async def test_an_edit_of_what_is_not_ours_or_not_there_says_gone(
    adapter: TelegramAdapter, native_id: str
) -> None:
    with pytest.raises(Failed, match="gone"):
        await adapter.edit(part("new"), native_id)


async def test_a_markup_that_telegram_refuses_is_sent_without_markup(
    telegram: FakeTelegram, adapter: TelegramAdapter
) -> None:
    refusal = 'Bad Request: can\'t parse entities: Unsupported start tag "x" at byte offset 0'
    telegram.fault("sendMessage", "status", status=400, description=refusal)
    telegram.fault("editMessageText", "status", status=400, description=refusal)

    receipt = await adapter.send(part("**bold** [link](https://x.example)"))
    assert telegram.texts(CHAT) == ["bold link (https://x.example)"]
    assert "parse_mode" not in telegram.calls("sendMessage")[1].params

    await adapter.edit(part("**bolder**"), receipt.native_id)
    assert telegram.texts(CHAT) == ["bolder"]


async def test_reactions_come_and_go_and_an_unknown_one_is_no_error(
    telegram: FakeTelegram, adapter: TelegramAdapter
) -> None:
    place = part().place
    await adapter.react(place, "1", "👍")
    assert telegram.seen(CHAT)[0].reaction == "👍"
    await adapter.react(place, "1", "")
    assert telegram.seen(CHAT)[0].reaction == ""
    await adapter.react(place, "1", "not an emoji")
    await adapter.react(place, "99", "👍")


async def test_the_live_check_names_the_bot_or_what_to_do(
    telegram: FakeTelegram, adapter: TelegramAdapter, build: Build
) -> None:
    good = await adapter.probe()
    bad = await build(token="4242:another-secret").probe()
    away = await build(base_url="http://127.0.0.1:9").probe()

    assert good.ok
    assert "signed in as @fake_bot" in good.summary
    assert not bad.ok
    assert "@BotFather" in bad.summary
    assert not away.ok
    assert "Telegram cannot be reached: " in away.summary
    assert "httpx" not in away.summary


async def test_streaming_can_be_switched_off(build: Build) -> None:
    assert build().capabilities.streams
    assert not build(streaming=False).capabilities.streams
