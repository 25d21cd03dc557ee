"""What we send, as Discord takes it and as people see it."""

from __future__ import annotations

import asyncio

import pytest

from adapters.discord.adapter import DiscordAdapter
from adapters.discord.render import split
from gateway.errors import BadConfig, Busy, Failed, Unavailable, Uncertain
from gateway.message import Attachment, Button, Place
from tests.adapters.discord.ogg import opus
from tests.adapters.discord.scene import ADA, PNG, Bench, Build, part
from tests.fakes.discord import GENERAL, THREAD, FakeDiscord

CREATE = "POST /channels/*/messages"
EDIT = "PATCH /channels/*/messages/*"
LINK = "look: https://example.org/page"


async def stored(bench: Bench, content: bytes, kind: str, media: str, name: str = "") -> Attachment:
    async def chunks():  # type: ignore[no-untyped-def]
        yield content

    digest, size, _ = await bench.blobs.store(chunks(), limit=2**30)
    return Attachment(kind=kind, digest=digest, size=size, media_type=media, name=name)  # type: ignore[arg-type]


async def test_an_answer_points_at_its_question_and_calls_nobody(
    discord: FakeDiscord, adapter: DiscordAdapter
) -> None:
    said = discord.say(GENERAL, ADA, "who?")
    text = f"@everyone @here <@{ADA}> <@&{ADA}> <#1> </new:1> <t:1> <:a:12345>"

    receipt = await adapter.send(part(text, channel=GENERAL, reply_to=said["id"]))
    await adapter.edit(part(text + "!", channel=GENERAL), receipt.native_id)

    shown = discord.seen(GENERAL)[-1]
    assert shown["id"] == receipt.native_id
    assert shown["reply_to"] == said["id"]
    assert discord.world.pings == []
    assert "\\<@" in shown["text"]
    for call in (*discord.calls(CREATE), *discord.calls(EDIT)):
        assert call.body["allowed_mentions"] == {"parse": [], "replied_user": False}


async def test_links_show_no_previews_neither_when_sent_nor_when_edited(
    discord: FakeDiscord, adapter: DiscordAdapter, ada: str
) -> None:
    receipt = await adapter.send(part(LINK, channel=ada))
    assert discord.seen(ada)[0]["embeds"] == 0
    await adapter.edit(part(LINK + " now", channel=ada), receipt.native_id)
    assert discord.seen(ada)[0]["embeds"] == 0
    assert discord.seen(ada)[0]["text"] == "look: https://example.org/page now"


async def test_a_reply_to_something_that_is_gone_is_sent_all_the_same(
    discord: FakeDiscord, adapter: DiscordAdapter, ada: str
) -> None:
    await adapter.send(part("hi", channel=ada, reply_to="123456789"))
    assert discord.texts(ada) == ["hi"]


async def test_a_thread_is_written_into(discord: FakeDiscord, adapter: DiscordAdapter) -> None:
    there = Place(kind="thread", chat=GENERAL, thread=THREAD)
    await adapter.send(part("in here", channel=THREAD, place=there))
    await adapter.typing(part(channel=THREAD, place=there).conversation, there)

    assert discord.texts(THREAD) == ["in here"]
    assert discord.world.typed == [THREAD]


async def test_a_long_answer_comes_in_parts_that_all_fit(
    discord: FakeDiscord, adapter: DiscordAdapter, ada: str
) -> None:
    text = "**word** <@1> 😀 " * 800 + "\n\n```py\n" + "x = 1\n" * 900 + "```"
    for each in split(part(text, channel=ada)):
        await adapter.send(each)

    texts = discord.texts(ada)
    assert len(texts) > 4
    assert "".join(texts).count("x = 1") == 900


async def test_nothing_to_see_is_said_in_words(
    discord: FakeDiscord, adapter: DiscordAdapter, ada: str
) -> None:
    await adapter.send(part("\u200b", channel=ada))
    assert discord.texts(ada) == ["(empty message)"]


async def test_buttons_are_shown_and_bring_back_what_they_hold(
    discord: FakeDiscord, adapter: DiscordAdapter, ada: str
) -> None:
    buttons = (
        (Button(label="Yes", data="y" * 100), Button(label="Look", url="https://example.org")),
        tuple(Button(label=str(number), data=str(number)) for number in range(7)),
    )
    await adapter.send(part("well?", channel=ada, buttons=buttons))

    rows = discord.seen(ada)[0]["components"]
    assert [len(row["components"]) for row in rows] == [5, 4]
    assert rows[0]["components"][0]["custom_id"] == "y" * 100


@pytest.mark.parametrize(
    "buttons",
    [
        ((Button(label="x", data="y" * 101),),),
        ((Button(label="x", data="a"), Button(label="y", data="a")),),
        tuple((Button(label="x", data=str(n)),) for n in range(26)),
    ],
    ids=["too long", "twice the same", "too many"],
)
async def test_buttons_that_cannot_be_are_refused_before_they_are_sent(
    discord: FakeDiscord, adapter: DiscordAdapter, ada: str, buttons: tuple[tuple[Button, ...], ...]
) -> None:
    with pytest.raises(Failed):
        await adapter.send(part("x", channel=ada, buttons=buttons))
    assert not discord.calls(CREATE)


async def test_a_picture_goes_with_its_text(
    discord: FakeDiscord, adapter: DiscordAdapter, bench: Bench, ada: str
) -> None:
    file = await stored(bench, PNG, "image", "image/png", "a/b cat.png")
    (only,) = split(part("a cat", channel=ada, files=(file,)))
    await adapter.send(only)

    (shown,) = discord.seen(ada)
    assert (shown["text"], shown["files"]) == ("a cat", ["ab cat.png"])
    assert PNG in discord.world.files.values()


async def test_a_recording_becomes_a_voice_message(
    discord: FakeDiscord, adapter: DiscordAdapter, bench: Bench, ada: str
) -> None:
    file = await stored(bench, opus(2.5), "voice", "audio/ogg")
    for each in split(part("listen", channel=ada, files=(file,))):
        await adapter.send(each)

    text, voice = discord.seen(ada)
    assert text["text"] == "listen"
    assert voice["flags"] == 1 << 13
    attached = discord.world.messages[ada][1]["attachments"][0]
    assert attached["duration_secs"] == 2.5
    with pytest.raises(Failed, match="gone"):
        await adapter.edit(part(channel=ada, files=(file,)), text["id"])


async def test_a_recording_that_cannot_be_read_goes_as_a_file(
    discord: FakeDiscord, adapter: DiscordAdapter, bench: Bench, ada: str
) -> None:
    file = await stored(bench, b"OggS and nothing", "voice", "audio/ogg")
    await adapter.send(part(channel=ada, files=(file,)))
    assert discord.seen(ada)[0]["files"] == ["voice.ogg"]


async def test_files_that_are_too_large_or_missing_are_refused_at_once(
    discord: FakeDiscord, build: Build, bench: Bench, ada: str
) -> None:
    adapter = build(upload_limit=10)
    large = await stored(bench, PNG, "image", "image/png")
    missing = Attachment(kind="image", problem="it was too large")
    for file in (large, missing):
        with pytest.raises(Failed):
            await adapter.send(part(channel=ada, files=(file,)))
    assert not discord.calls(CREATE)


async def test_reactions_are_put_on_and_taken_away(
    discord: FakeDiscord, adapter: DiscordAdapter, ada: str
) -> None:
    said = discord.say(ada, ADA, "hello")
    where = Place(kind="direct", chat=ada)
    await adapter.react(where, said["id"], "👀")
    assert [each["emoji"]["name"] for each in said["reactions"]] == ["👀"]
    await adapter.react(where, said["id"], "")
    assert said["reactions"] == []
    await adapter.react(where, "1", "👀")  # best effort


async def test_an_edit_of_what_is_gone_says_so(
    discord: FakeDiscord, adapter: DiscordAdapter, ada: str
) -> None:
    receipt = await adapter.send(part("x", channel=ada))
    discord.world.remove(ada, receipt.native_id)
    for native in (receipt.native_id, "no id"):
        with pytest.raises(Failed, match="gone"):
            await adapter.edit(part("y", channel=ada), native)


# --- faults ---------------------------------------------------------------------------------------


async def test_a_send_that_was_cut_is_uncertain_and_stands_once_when_it_is_repeated(
    discord: FakeDiscord, adapter: DiscordAdapter, ada: str
) -> None:
    for kind in ("cut", "cut_after"):
        outbound = part(kind.replace("_", " "), channel=ada, reply=kind)
        discord.fault(CREATE, kind)
        with pytest.raises(Uncertain):
            await adapter.send(outbound)
        await adapter.send(outbound)

    assert discord.texts(ada) == ["cut", "cut after"]


async def test_a_preview_whose_send_was_cut_becomes_the_answer(
    discord: FakeDiscord, adapter: DiscordAdapter, ada: str
) -> None:
    """It has the answer's nonce: Discord takes the answer for its repetition."""
    discord.fault(CREATE, "cut_after")
    with pytest.raises(Uncertain):
        await adapter.send(part("The beg", channel=ada))
    await adapter.send(part("The beginning and the end.", channel=ada))

    assert discord.texts(ada) == ["The beginning and the end."]


async def test_an_edit_that_was_cut_may_be_repeated(
    discord: FakeDiscord, adapter: DiscordAdapter, ada: str
) -> None:
    receipt = await adapter.send(part("x", channel=ada))
    discord.fault(EDIT, "cut_after")
    with pytest.raises(Unavailable):
        await adapter.edit(part("y", channel=ada), receipt.native_id)


async def test_a_short_rate_limit_is_waited_for_and_a_long_one_puts_off(
    discord: FakeDiscord, build: Build, ada: str, bench: Bench
) -> None:
    adapter = build(longest_wait=1.0)
    discord.fault(CREATE, "limited", seconds=0.2)
    await adapter.send(part("short", channel=ada))

    discord.fault(CREATE, "limited", seconds=3600.0, channel=ada)
    with pytest.raises(Busy) as busy:
        await adapter.send(part("long", channel=ada, reply="r2"))
    assert 3500 < (busy.value.after or 0) <= 3600
    with pytest.raises(Busy):  # without asking again
        await adapter.send(part("long", channel=ada, reply="r2"))
    await adapter.send(part("elsewhere", channel=GENERAL, reply="r3"))

    limited = [call for call in discord.calls(CREATE) if call.status == 429]
    assert len(limited) == 2
    assert discord.texts(ada) == ["short"]


async def test_a_limit_of_everything_holds_everything(
    discord: FakeDiscord, build: Build, ada: str
) -> None:
    adapter = build(longest_wait=1.0)
    await adapter.send(part("before", channel=ada))
    discord.fault(CREATE, "limited", seconds=600.0, everything=True)
    with pytest.raises(Busy):
        await adapter.send(part("x", channel=ada, reply="r2"))
    asked = len(discord.world.calls)
    for channel in (ada, GENERAL):
        with pytest.raises(Busy):
            await adapter.send(part("x", channel=channel, reply="r3"))
        await adapter.typing(part(channel=channel).conversation, part(channel=channel).place)

    assert len(discord.world.calls) == asked


async def test_a_server_error_is_survived(
    discord: FakeDiscord, adapter: DiscordAdapter, ada: str
) -> None:
    discord.fault(CREATE, "status", status=502)
    await adapter.send(part("x", channel=ada))  # the library tries again, the nonce makes it safe
    discord.fault(CREATE, "status", status=503)
    with pytest.raises(Unavailable):
        await adapter.send(part("y", channel=ada, reply="r2"))

    assert discord.texts(ada) == ["x"]


@pytest.mark.parametrize(("status", "code"), [(403, 50013), (400, 50035), (404, 10003)])
async def test_what_will_never_be_is_asked_once(
    discord: FakeDiscord, adapter: DiscordAdapter, ada: str, status: int, code: int
) -> None:
    discord.fault(CREATE, "status", status=status, code=code)
    with pytest.raises(Failed):
        await adapter.send(part("x", channel=ada))
    assert len(discord.calls(CREATE)) == 1


async def test_a_revoked_token_is_bad_configuration_and_asked_once(
    discord: FakeDiscord, adapter: DiscordAdapter, ada: str
) -> None:
    await adapter.send(part("x", channel=ada))
    discord.world.revoked = True
    for _ in range(3):
        with pytest.raises(BadConfig, match="token"):
            await adapter.send(part("y", channel=ada))
    assert sum(call.status == 401 for call in discord.world.calls) == 1


async def test_an_answer_that_is_no_json_is_uncertain(
    discord: FakeDiscord, adapter: DiscordAdapter, ada: str
) -> None:
    discord.fault(CREATE, "garbage")
    with pytest.raises(Uncertain):
        await adapter.send(part("x", channel=ada))


async def test_nobody_there_is_unavailable(build: Build, ada: str) -> None:
    adapter = build(api_base="http://127.0.0.1:1/api/v10")
    with pytest.raises(Unavailable):
        await adapter.send(part("x", channel=ada))


async def test_the_rate_of_a_channel_is_kept_by_waiting(
    discord: FakeDiscord, build: Build, ada: str
) -> None:
    discord.server.rates = (5, 5.0)
    adapter = build(rate={"channel": 5.0})
    outbound = part("x", channel=ada)
    assert await adapter.spare(outbound)
    for _ in range(2):
        waiting = asyncio.create_task(adapter.pace(outbound))
        await asyncio.sleep(0)
    assert not await adapter.spare(outbound)
    waiting.cancel()
    await adapter.pace(part("x", channel=GENERAL))


async def test_own_messages_are_known_by_their_nonce_as_the_gateway_tells_it(
    discord: FakeDiscord, adapter: DiscordAdapter, inbox: object, ada: str
) -> None:
    discord.fault(CREATE, "cut_after")
    outbound = part("x", channel=ada)
    with pytest.raises(Uncertain):
        await adapter.send(outbound)
    discord.world.unreadable.add(ada)

    found = None
    async with asyncio.timeout(30):
        while found is None:  # until the gateway has told
            found = await adapter.find(outbound)
            await asyncio.sleep(0.01)
    assert found.native_id == discord.seen(ada)[0]["id"]
