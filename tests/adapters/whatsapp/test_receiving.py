"""What people send, from Meta's post to the inbox."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from adapters.whatsapp.native import read_message
from adapters.whatsapp.parse import parse
from gateway.errors import BadConfig
from tests.adapters.whatsapp.scene import ACCOUNT, ADA, BOB, Desk
from tests.fakes.whatsapp import NUMBER, FakeWhatsApp
from tests.fakes.whatsapp.server import signature

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00"
OGG = b"OggS\x00\x02" + bytes(20) + b"\x01\x13OpusHead\x01\x01" + bytes(16)


def event(**message: Any) -> Any:
    raw = {"from": ADA, "id": "wamid.1", "timestamp": "1700000000", **message}
    parsed = parse(read_message(json.dumps(raw).encode()), (), ACCOUNT, NUMBER)  # type: ignore[arg-type]
    return parsed.event if parsed else None


CASES: list[tuple[dict[str, Any], tuple[str, str, str] | None]] = [
    ({"type": "text", "text": {"body": "hello"}}, ("message", "hello", "")),
    ({"type": "text", "text": {"body": ""}}, None),
    (
        {"type": "image", "image": {"id": "1", "caption": "look", "mime_type": "image/jpeg"}},
        ("message", "look", ""),
    ),
    ({"type": "image", "image": {"id": "1"}}, ("message", "", "")),
    ({"type": "sticker", "sticker": {"id": "1", "animated": True}}, ("message", "[sticker]", "")),
    (
        {"type": "location", "location": {"latitude": 1.5, "longitude": -2, "name": "Home"}},
        ("message", "Location: Home (1.5, -2.0)", ""),
    ),
    (
        {"type": "location", "location": {"latitude": 1.5, "longitude": -2.25}},
        ("message", "Location: 1.5, -2.25", ""),
    ),
    (
        {"type": "contacts", "contacts": [
            {"name": {"formatted_name": "Bob B"}, "phones": [{"phone": "+1"}, {"phone": "+2"}]},
            {"name": {"formatted_name": "Cy"}}]},
        ("message", "Contact: Bob B, +1, +2\nContact: Cy", ""),
    ),
    (
        {"type": "interactive", "context": {"id": "wamid.0"},
         "interactive": {"type": "button_reply", "button_reply": {"id": "yes", "title": "Yes"}}},
        ("button", "yes", "wamid.0"),
    ),
    (
        {"type": "interactive",
         "interactive": {"type": "list_reply",
                         "list_reply": {"id": "row", "title": "Row", "description": "d"}}},
        ("button", "row", ""),
    ),
    ({"type": "interactive", "interactive": {"type": "nfm_reply", "nfm_reply": {}}}, None),
    ({"type": "button", "button": {"text": "Go", "payload": "go"}}, ("button", "go", "")),
    ({"type": "button", "button": {"text": "Go"}}, ("button", "Go", "")),
    (
        {"type": "reaction", "reaction": {"message_id": "wamid.0", "emoji": "👍"}},
        ("reaction", "👍", "wamid.0"),
    ),
    ({"type": "reaction", "reaction": {"message_id": "wamid.0"}}, ("reaction", "", "wamid.0")),
    (
        {"type": "edit", "edit": {"original_message_id": "wamid.0",
                                  "message": {"type": "text", "text": {"body": "new"}}}},
        ("edit", "new", "wamid.0"),
    ),
    (
        {"type": "revoke", "revoke": {"original_message_id": "wamid.0"}},
        ("delete", "", "wamid.0"),
    ),
    ({"type": "system", "system": {"body": "changed number", "type": "x"}}, None),
    ({"type": "unsupported", "errors": [{"code": 131051}]}, None),
    ({"type": "order", "order": {"catalog_id": "1"}}, None),
    ({"type": "something new", "x": [1]}, None),
    ({"type": "text", "text": {"body": "in a group"}, "group_id": "g1"}, None),
    ({"type": "text", "text": {"body": "nobody"}, "from": ""}, None),
]  # fmt: skip


@pytest.mark.parametrize(("message", "wanted"), CASES)
def test_a_message_becomes_an_event(
    message: dict[str, Any], wanted: tuple[str, str, str] | None
) -> None:
    found = event(**message)
    if wanted is None:
        assert found is None
        return
    kind, text, target = wanted
    assert (found.kind, found.text) == (kind, text)
    assert found.target == (f"{NUMBER}:{target}" if target else "")
    assert found.sender.id == found.place.chat == ADA
    assert (found.sender.grade, found.sent_at) == ("verified", 1_700_000_000.0)


def test_an_event_is_named_by_number_chat_and_message() -> None:
    found = event(type="text", text={"body": "x"}, context={"id": "wamid.9", "from": "1"})
    assert found.id == f"whatsapp:default/{ADA}/{NUMBER}%3Awamid.1/m"
    assert (found.native_id, found.reply_to) == ("wamid.1", "wamid.9")
    edit = event(type="edit", edit={"original_message_id": "wamid.1",
                                    "message": {"text": {"body": "y"}}})  # fmt: skip
    assert found.id == f"whatsapp:default/{ADA}/{edit.target.replace(':', '%3A')}/m"


def test_somebody_without_a_visible_number_has_an_id_too() -> None:
    found = event(**{"from": "", "from_user_id": "US.1349", "type": "text", "text": {"body": "x"}})
    assert found.sender.id == found.place.chat == "US.1349"


async def test_a_batch_is_stored_whole_before_it_is_confirmed(
    desk: Desk, whatsapp: FakeWhatsApp
) -> None:
    desk.inbox.down = True
    messages = [whatsapp.message(chat, f"{n}") for n in range(3) for chat in (ADA, BOB)]
    whatsapp.post("batch", whatsapp.value(messages=messages, chat=ADA))
    await whatsapp.until(lambda: len(desk.statuses) > 1)
    assert set(desk.statuses) == {503}

    desk.inbox.down = False
    await whatsapp.until(lambda: not whatsapp.pending)

    for chat in (ADA, BOB):
        texts = [one.text for one in desk.inbox.events if one.place.chat == chat]
        assert texts == ["0", "1", "2"]
    assert {one.sender.name for one in desk.inbox.events} == {f"Person {ADA}", ""}


async def test_every_process_takes_posts_and_counts_them_once(whatsapp: FakeWhatsApp) -> None:
    first, second = Desk(whatsapp), Desk(whatsapp)
    second.inbox = first.inbox
    async with first.running(), second.running():
        body = whatsapp.post("lane", whatsapp.value(messages=[whatsapp.message(ADA, "hi")]))
        headers = signature(body)
        assert [await each.posted(headers, body) for each in (first, second)] == [200, 200]
    assert first.adapter.everywhere
    assert first.inbox.texts == ["hi"]


async def test_what_cannot_be_read_is_counted_and_blocks_nothing(
    desk: Desk, whatsapp: FakeWhatsApp
) -> None:
    good = whatsapp.message(ADA, "good")
    bad: list[Any] = [{"id": 7}, "x", None, {**good, "text": {"body": 5}}, good]
    whatsapp.post("lane", whatsapp.value(messages=bad, statuses=[{"id": 1}, 5], chat=ADA))
    await whatsapp.until(lambda: desk.inbox.events)
    assert desk.inbox.texts == ["good"]
    assert desk.counts["unreadable"] == 6

    for body in (b"", b"[]", b'{"entry": 1}', b"[" * 100_000, b'{"entry": [{"changes": [{"field": '
                 b'"messages", "value": []}]}]}', b'{"object": "page"}', b"\xff"):  # fmt: skip
        assert await desk.posted(signature(body), body) == 200


async def test_messages_of_another_number_are_not_ours(desk: Desk, whatsapp: FakeWhatsApp) -> None:
    message = whatsapp.message(ADA, "elsewhere")
    whatsapp.post("lane", whatsapp.value(messages=[message], chat=ADA, number="999999"))
    await whatsapp.until(lambda: not whatsapp.pending)

    assert desk.inbox.offered == []
    assert desk.counts["foreign_number"] == 1


async def test_files_are_fetched_once_their_sender_is_let_in(
    desk: Desk, whatsapp: FakeWhatsApp
) -> None:
    desk.inbox.ignores = lambda event: event.sender.id == BOB
    whatsapp.send_file(BOB, "image", PNG, "image/png")
    await whatsapp.until(lambda: desk.inbox.offered)
    assert whatsapp.of("info") == []

    whatsapp.send_file(ADA, "image", PNG, "image/png", caption="look")
    whatsapp.send_file(ADA, "audio", OGG, "audio/ogg; codecs=opus", voice=True)
    whatsapp.send_file(ADA, "document", PNG, "application/pdf", filename="../a.pdf")
    await whatsapp.until(lambda: len(desk.inbox.events) == 3)

    files = [one.attachments[0] for one in desk.inbox.events]
    assert [one.kind for one in files] == ["image", "voice", "image"]
    assert [one.media_type for one in files] == ["image/png", "audio/ogg", "image/png"]
    assert desk.blobs._blobs[files[0].digest] == PNG


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        ("info", {"kind": "status", "status": 500}),
        ("info", {"kind": "status", "status": 400, "code": 100}),
        ("info", {"kind": "cut", "times": None}),
        ("info", {"kind": "garbage"}),
        ("download", {"kind": "status", "status": 404}),
        ("download", {"kind": "status", "status": 302}),
    ],
)
async def test_a_file_that_does_not_come_is_a_problem_in_words(
    desk: Desk, whatsapp: FakeWhatsApp, call: str, fault: dict[str, Any]
) -> None:
    whatsapp.fault(call, **fault)
    whatsapp.send_file(ADA, "image", PNG, "image/png", caption="look")
    await whatsapp.until(lambda: desk.inbox.events)

    (file,) = desk.inbox.events[0].attachments
    assert "WhatsApp" in file.problem
    assert not file.digest


async def test_the_token_is_shown_to_no_other_host(whatsapp: FakeWhatsApp) -> None:
    """The address of a file comes from outside: it must not lead our token anywhere."""
    async with FakeWhatsApp() as other, Desk(whatsapp).running() as desk:
        whatsapp.send_file(ADA, "image", PNG, "image/png")
        await whatsapp.until(lambda: desk.inbox.events)
        right = whatsapp.url
        whatsapp.url = other.url  # where the info call says that files are
        whatsapp.send_file(ADA, "image", PNG, "image/png")
        await whatsapp.until(lambda: len(desk.inbox.events) == 2)
        whatsapp.url = right
        assert other.calls == []
        assert desk.inbox.events[1].attachments[0].problem


async def test_a_token_that_is_refused_while_a_file_is_fetched_stops_the_account(
    whatsapp: FakeWhatsApp,
) -> None:
    desk = Desk(whatsapp)
    task = asyncio.create_task(desk.adapter.run(desk.inbox))
    await desk.hears()
    whatsapp.revoked = True
    whatsapp.send_file(ADA, "image", PNG, "image/png")
    with pytest.raises(BadConfig, match="190"):
        await task
    assert desk.statuses[-1] == 503
    await desk.adapter.close()


async def test_a_token_that_is_refused_at_the_start_stops_the_account(
    whatsapp: FakeWhatsApp,
) -> None:
    whatsapp.revoked = True
    desk = Desk(whatsapp)
    with pytest.raises(BadConfig, match=r"whatsapp\.token"):
        await desk.adapter.run(desk.inbox)
    await desk.adapter.close()
