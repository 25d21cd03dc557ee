"""Answers go out: as WhatsApp takes them, within its window, and what becomes of lost ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from adapters.whatsapp.errors import TABLE, translate
from gateway.errors import BadConfig, Busy, Failed, GatewayError, Unavailable, Uncertain
from gateway.message import Attachment, Button, Place, ReplyId
from tests.adapters.whatsapp.scene import ADA, BOB, Desk, part
from tests.fakes.stores import MemoryBlobs
from tests.fakes.whatsapp import FakeWhatsApp

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00"


async def kept(blobs: MemoryBlobs, content: bytes, **more: Any) -> Attachment:
    async def chunks() -> AsyncIterator[bytes]:
        yield content

    digest, size, _ = await blobs.store(chunks(), limit=10**9)
    return Attachment(**{"kind": "document", "digest": digest, "size": size, **more})


async def test_a_text_is_rendered_and_carries_its_key(desk: Desk, whatsapp: FakeWhatsApp) -> None:
    await desk.hears()
    receipt = await desk.adapter.send(part("**Yes**", reply_to="wamid.i1"))

    (shown,) = whatsapp.seen(ADA)
    assert (shown.text, shown.id, shown.context) == ("*Yes*", receipt.native_id, "wamid.i1")
    assert shown.body["biz_opaque_callback_data"] == "r1.0"
    assert shown.body["text"]["preview_url"] is False


async def test_an_answer_that_comes_in_pieces_is_read_whole(
    desk: Desk, whatsapp: FakeWhatsApp
) -> None:
    await desk.hears()
    whatsapp.fault("messages", "pieces")
    receipt = await desk.adapter.send(part("hello"))
    assert receipt.native_id == whatsapp.seen(ADA)[0].id


@pytest.mark.parametrize("text", ["", " \n", "\u200b", "![](x)"])
async def test_nothing_to_see_is_said(desk: Desk, whatsapp: FakeWhatsApp, text: str) -> None:
    await desk.hears()
    await desk.adapter.send(part(text))
    assert whatsapp.texts(ADA)[0].strip()


def buttons(*labels: str, **more: Any) -> tuple[tuple[Button, ...], ...]:
    return (tuple(Button(label=one, data=one.lower(), **more) for one in labels),)


async def test_up_to_three_short_buttons_are_buttons(desk: Desk, whatsapp: FakeWhatsApp) -> None:
    await desk.hears()
    await desk.adapter.send(part("Shall I?", buttons=buttons("Yes", "No", "Later")))

    (shown,) = whatsapp.seen(ADA)
    assert shown.kind == "interactive"
    replies = [one["reply"] for one in shown.body["interactive"]["action"]["buttons"]]
    assert replies[0] == {"id": "yes", "title": "Yes"}

    whatsapp.press(ADA, "yes", "Yes", shown.id)
    await whatsapp.until(lambda: len(desk.inbox.events) == 2)
    assert (desk.inbox.events[1].kind, desk.inbox.events[1].text) == ("button", "yes")


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ("Shall I?", buttons("a", "b", "c", "d")),
        ("Shall I?", buttons("x" * 21)),
        ("Shall I?", buttons("Same", "Same")),
        ("Shall I?", ((Button(label="Page", url="https://example.org/p"),),)),
        ("", buttons("Yes")),
        ("word " * 250, buttons("Yes")),
    ],
)
async def test_other_buttons_are_lines(
    desk: Desk, whatsapp: FakeWhatsApp, text: str, given: Any
) -> None:
    await desk.hears()
    await desk.adapter.send(part(text, buttons=given))

    (shown,) = whatsapp.seen(ADA)
    assert shown.kind == "text"
    assert all(button.label in shown.text for row in given for button in row)


@pytest.mark.parametrize(
    ("media_type", "kind", "shown_as"),
    [
        ("image/png", "image", "image"),
        ("image/webp", "image", "document"),
        ("audio/ogg", "voice", "audio"),
        ("audio/wav", "audio", "document"),
        ("video/mp4", "video", "video"),
        ("video/webm", "video", "document"),
        ("application/pdf", "document", "document"),
    ],
)
async def test_a_file_is_shown_as_its_content_allows(
    desk: Desk, whatsapp: FakeWhatsApp, media_type: str, kind: str, shown_as: str
) -> None:
    await desk.hears()
    file = await kept(desk.blobs, PNG, media_type=media_type, kind=kind, name="a/b.x")
    await desk.adapter.send(part("a *caption*", files=(file,)))

    (shown,) = whatsapp.seen(ADA)
    assert (shown.kind, shown.media) == (shown_as, PNG)
    assert shown.text == ("" if shown_as == "audio" else "a _caption_")
    told = shown.body[shown_as]
    assert told.get("voice") is (True if kind == "voice" else None)
    assert told.get("filename") == ("ab.x" if shown_as == "document" else None)


async def test_a_picture_that_is_too_large_is_a_document(
    desk: Desk, whatsapp: FakeWhatsApp
) -> None:
    await desk.hears()
    file = await kept(desk.blobs, PNG + bytes(6 * 2**20), media_type="image/png", kind="image")
    await desk.adapter.send(part(files=(file,)))
    assert whatsapp.seen(ADA)[0].kind == "document"


async def test_a_file_that_is_gone_or_empty_is_listed(desk: Desk) -> None:
    await desk.hears()
    for file in (
        Attachment(kind="image", digest="0" * 64),
        Attachment(kind="image", problem="it was too large"),
        await kept(desk.blobs, b""),
    ):
        with pytest.raises(Failed):
            await desk.adapter.send(part(files=(file,)))


async def test_an_upload_that_is_cut_is_repeated_without_harm(
    desk: Desk, whatsapp: FakeWhatsApp
) -> None:
    await desk.hears()
    file = await kept(desk.blobs, PNG, media_type="image/png", kind="image")
    for kind in ("cut", "cut_after"):
        whatsapp.fault("media", kind)
        with pytest.raises(Unavailable):
            await desk.adapter.send(part(files=(file,)))
    await desk.adapter.send(part(files=(file,)))
    assert len(whatsapp.seen(ADA)) == 1


# --- the 24-hour window --------------------------------------------------------------------------


async def test_who_has_never_written_is_not_written_to(desk: Desk, whatsapp: FakeWhatsApp) -> None:
    with pytest.raises(Failed, match="24 hours"):
        await desk.adapter.send(part("hello", chat=BOB))
    assert whatsapp.of("messages") == []
    assert desk.counts["outside_window"] == 1


async def test_a_stranger_is_noted_once_they_were_told_something_and_not_before(
    desk: Desk, whatsapp: FakeWhatsApp
) -> None:
    desk.inbox.ignores = lambda event: True
    whatsapp.say(BOB, "hello")
    await whatsapp.until(lambda: not whatsapp.pending)
    assert await desk.records.items("adapter/whatsapp:default") == []

    (event,) = desk.inbox.offered
    await desk.adapter.send(part("your code is 1", chat=BOB, headers=event.headers))
    # Told of our own accord, without a message of theirs at hand.
    await desk.adapter.send(part("you have been let in", chat=BOB, reply=ReplyId("r2")))
    assert whatsapp.texts(BOB) == ["your code is 1", "you have been let in"]


async def test_after_a_day_a_send_fails_with_words_that_help(
    desk: Desk, whatsapp: FakeWhatsApp
) -> None:
    old = whatsapp.message(ADA, "yesterday")
    old["timestamp"] = str(int(old["timestamp"]) - 86_400)
    whatsapp.post("lane", whatsapp.value(messages=[old], chat=ADA))
    await whatsapp.until(lambda: desk.inbox.events)

    with pytest.raises(Failed, match="template"):
        await desk.adapter.send(part("hello"))

    await desk.hears()
    await desk.adapter.send(part("hello"))
    assert whatsapp.texts(ADA) == ["hello"]


async def test_a_late_copy_of_an_old_message_does_not_close_the_window(
    desk: Desk, whatsapp: FakeWhatsApp
) -> None:
    await desk.hears()
    old = whatsapp.message(ADA, "late")
    old["timestamp"] = str(int(old["timestamp"]) - 86_400)
    whatsapp.post("lane", whatsapp.value(messages=[old], chat=ADA))
    await whatsapp.until(lambda: len(desk.inbox.events) == 2)
    await desk.adapter.send(part("hello"))
    assert whatsapp.texts(ADA) == ["hello"]


async def test_a_template_asks_the_person_to_write_once_a_day(whatsapp: FakeWhatsApp) -> None:
    async with Desk(whatsapp, template="please_write", template_language="de").running() as desk:
        for _ in range(3):
            with pytest.raises(Failed):
                await desk.adapter.send(part("hello", chat=BOB))
    assert whatsapp.texts(BOB) == ["[template please_write de]"]


# --- what became of it ---------------------------------------------------------------------------


async def test_a_send_that_was_cut_is_found_by_its_status(
    desk: Desk, whatsapp: FakeWhatsApp
) -> None:
    await desk.hears()
    whatsapp.fault("messages", "cut_after")
    with pytest.raises(Uncertain):
        await desk.adapter.send(part("hello"))

    async with asyncio.timeout(30):
        while True:
            try:
                found = await desk.adapter.find(part("hello"))
                break
            except Unavailable:
                await asyncio.sleep(0.02)

    assert found is not None
    assert found.native_id == whatsapp.seen(ADA)[0].id


async def test_without_a_status_nobody_can_say_and_it_is_never_repeated(
    whatsapp: FakeWhatsApp,
) -> None:
    async with Desk(whatsapp, status_wait=0.5).running() as desk:
        await desk.hears()
        whatsapp.fault("messages", "cut")
        with pytest.raises(Uncertain):
            await desk.adapter.send(part("hello"))
        with pytest.raises(Unavailable) as later:
            await desk.adapter.find(part("hello"))
        assert later.value.after is not None

        async def decided() -> None:
            while True:
                try:
                    await desk.adapter.find(part("hello"))
                except Unavailable:
                    await asyncio.sleep(0.05)

        with pytest.raises(Uncertain):
            await asyncio.wait_for(decided(), 30)
    assert whatsapp.texts(ADA) == []


async def test_a_failed_delivery_is_logged_counted_and_remembered(
    desk: Desk, whatsapp: FakeWhatsApp, capsys: pytest.CaptureFixture[str]
) -> None:
    await desk.hears("a private matter")
    whatsapp.status("wamid.o9", ADA, "sent", "r1.0")
    whatsapp.status("wamid.o9", ADA, "failed", "r1.0", 131047)
    whatsapp.status("wamid.o8", ADA, "failed", "", 999)
    whatsapp.status("wamid.o7", ADA, "read", "r3.0")
    await whatsapp.until(lambda: desk.counts["failed_other"])

    assert desk.counts["failed_131047"] == 1
    with pytest.raises(Failed, match="24-hour window"):
        await desk.adapter.find(part("hello"))
    log = "".join(capsys.readouterr())
    assert "message_not_delivered" in log
    assert "131047" in log
    assert "private" not in log


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"kind": "status", "status": 500}, Uncertain),
        ({"kind": "status", "status": 502}, Uncertain),
        ({"kind": "status", "status": 503}, Unavailable),
        ({"kind": "status", "status": 429}, Busy),
        ({"kind": "status", "status": 404}, Failed),
        ({"kind": "status", "status": 302}, Failed),
        ({"kind": "garbage"}, Uncertain),
        ({"kind": "cut"}, Uncertain),
        ({"kind": "cut_after"}, Uncertain),
        ({"kind": "status", "status": 400, "code": 190}, BadConfig),
        ({"kind": "status", "status": 403, "code": 10}, BadConfig),
        ({"kind": "status", "status": 403, "code": 200}, BadConfig),
        ({"kind": "status", "status": 400, "code": 131031}, BadConfig),
        ({"kind": "status", "status": 400, "code": 133010}, BadConfig),
        ({"kind": "status", "status": 400, "code": 131056}, Busy),
        ({"kind": "status", "status": 400, "code": 130429}, Busy),
        ({"kind": "status", "status": 400, "code": 80007}, Busy),
        ({"kind": "status", "status": 400, "code": 131026}, Failed),
        ({"kind": "status", "status": 400, "code": 131047}, Failed),
        ({"kind": "status", "status": 400, "code": 470}, Failed),
        ({"kind": "status", "status": 500, "code": 131000}, Uncertain),
        ({"kind": "status", "status": 500, "code": 1}, Uncertain),
        ({"kind": "status", "status": 500, "code": 131016}, Unavailable),
        ({"kind": "status", "status": 400, "code": 999999}, Failed),
    ],
)
async def test_what_a_failed_send_leads_to(
    desk: Desk, whatsapp: FakeWhatsApp, fault: dict[str, Any], error: type[GatewayError]
) -> None:
    await desk.hears()
    whatsapp.fault("messages", **fault)
    with pytest.raises(error) as raised:
        await desk.adapter.send(part("hello"))

    assert len(whatsapp.of("messages")) == 1
    if error is Busy:
        assert raised.value.after  # type: ignore[attr-defined]


async def test_an_answer_that_takes_too_long_may_still_come(whatsapp: FakeWhatsApp) -> None:
    async with Desk(whatsapp, timeout=1).running() as desk:
        await desk.hears()
        whatsapp.fault("messages", "delay", seconds=60.0)
        with pytest.raises(Uncertain):
            await desk.adapter.send(part("hello"))


async def test_a_send_after_the_end_has_not_happened(whatsapp: FakeWhatsApp) -> None:
    async with Desk(whatsapp).running() as desk:
        await desk.hears()
    with pytest.raises(Unavailable):
        await desk.adapter.send(part("hello"))
    assert whatsapp.texts(ADA) == []


@pytest.mark.parametrize("code", TABLE)
@pytest.mark.parametrize("repeatable", [True, False])
def test_every_code_of_the_table_leads_somewhere(code: int, repeatable: bool) -> None:
    answer = {"error": {"message": "a\nb", "code": code}}
    found = translate(400, answer, {}, repeatable=repeatable)
    assert not (repeatable and isinstance(found, Uncertain))
    assert "\n" not in str(found)


@pytest.mark.parametrize("answer", [None, [], {}, {"error": 1}, {"error": {"code": "x"}},
                                    {"error": {"code": True, "message": 7}}])  # fmt: skip
def test_an_answer_of_any_shape_leads_somewhere(answer: Any) -> None:
    assert isinstance(translate(400, answer, {}, repeatable=False), Failed)
    assert isinstance(translate(401, answer, {}, repeatable=False), BadConfig)
    assert isinstance(translate(500, answer, {}, repeatable=False), Uncertain)


# --- typing, reactions, the check ----------------------------------------------------------------


async def test_typing_marks_the_last_message_as_read(desk: Desk, whatsapp: FakeWhatsApp) -> None:
    message = whatsapp.say(ADA, "hello")
    await whatsapp.until(lambda: desk.inbox.events)
    event = desk.inbox.events[0]
    await desk.adapter.typing(event.conversation, event.place)
    await desk.adapter.typing(event.conversation, Place(kind="direct", chat=BOB))

    assert (whatsapp.world.read, whatsapp.world.typing) == ([message["id"]], [ADA])


async def test_an_edit_or_a_reaction_is_not_marked_and_opens_no_window(
    desk: Desk, whatsapp: FakeWhatsApp
) -> None:
    message = whatsapp.say(ADA, "hello")
    whatsapp.edit(ADA, message["id"], "hallo")
    whatsapp.say(BOB, type="reaction", reaction={"message_id": "wamid.o1", "emoji": "👍"})
    await whatsapp.until(lambda: len(desk.inbox.events) == 3)

    event = desk.inbox.events[0]
    await desk.adapter.typing(event.conversation, event.place)
    assert whatsapp.world.read == [message["id"]]
    with pytest.raises(Failed, match="24 hours"):
        await desk.adapter.send(part("hello", chat=BOB))


async def test_without_read_marks_nothing_is_marked(whatsapp: FakeWhatsApp) -> None:
    async with Desk(whatsapp, read_marks=False).running() as desk:
        await desk.hears()
        event = desk.inbox.events[0]
        await desk.adapter.typing(event.conversation, event.place)
    assert whatsapp.world.read == []


async def test_a_reaction_is_put_and_taken_away(desk: Desk, whatsapp: FakeWhatsApp) -> None:
    await desk.hears()
    place, native_id = desk.inbox.events[0].place, desk.inbox.events[0].native_id
    await desk.adapter.react(place, native_id, "👍")
    assert whatsapp.world.reactions == {native_id: "👍"}
    await desk.adapter.react(place, native_id, "")
    whatsapp.fault("messages", "status", status=500)
    await desk.adapter.react(place, native_id, "👎")
    assert whatsapp.world.reactions == {native_id: ""}


async def test_the_check_tells_who_we_are_and_what_is_missing(whatsapp: FakeWhatsApp) -> None:
    desk = Desk(whatsapp)
    probe = await desk.adapter.probe()
    assert (probe.ok, probe.summary) == (True, "signed in as Fake Shop (+1 555-078-3881)")
    assert "/webhooks/whatsapp/default" in probe.advice[0]
    assert "public_url is not set" in probe.advice[0]

    whatsapp.revoked = True
    refused = await desk.adapter.probe()
    assert not refused.ok
    assert "token" in refused.summary
    await desk.adapter.close()

    insecure = Desk(whatsapp, public_url="http://example.org")
    whatsapp.revoked = False
    assert "not https" in (await insecure.adapter.probe()).advice[0]
    await insecure.adapter.close()
