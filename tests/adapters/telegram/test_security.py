"""What must hold whoever writes: the door, the strangers, the previews."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from adapters.telegram.split import split
from gateway.access.config import AccessConfig, AccountRules
from gateway.access.pairing import PENDING, list_pending
from gateway.intake import STRANGERS, Intake
from gateway.message import Attachment, Button, Place
from gateway.sessions.commands import Commands
from gateway.web.settings import Limits
from tests.adapters.telegram.scene import ACCOUNT, Build, part
from tests.fakes.clock import HastyClock
from tests.fakes.inbox import MemoryInbox, running
from tests.fakes.lanes import MemoryLanes
from tests.fakes.stores import MemoryBlobs, MemoryRecords
from tests.fakes.telegram import FakeTelegram
from tests.fakes.web import house

SECRET = "Right-Secret_0123456789"
HEADER = "X-Telegram-Bot-Api-Secret-Token"
UPDATE = (
    b'{"update_id":1,"message":{"message_id":1,"date":1,"chat":{"id":7,"type":"private"},'
    b'"from":{"id":7,"is_bot":false,"first_name":"Ada"},"text":"posted"}}'
)
WRONG: dict[str, list[tuple[str, str]]] = {
    "none": [],
    "empty": [(HEADER, "")],
    "truncated": [(HEADER, SECRET[:-1])],
    "one more": [(HEADER, SECRET + "0")],
    "other case": [(HEADER, SECRET.swapcase())],
    "first letter": [(HEADER, "right" + SECRET[5:])],
    "twice the right one": [(HEADER, SECRET), (HEADER, SECRET)],
    "right and wrong": [(HEADER, SECRET), (HEADER, "wrong")],
    "wrong and right": [(HEADER, "wrong"), (HEADER, SECRET)],
    "quoted": [(HEADER, f'"{SECRET}"')],
    "a list": [(HEADER, f"{SECRET},{SECRET}")],
    "as bearer": [("Authorization", f"Bearer {SECRET}")],
    "in a cookie": [("Cookie", f"{HEADER}={SECRET}")],
    "another header": [("X-Telegram-Bot-Api-Secret", SECRET)],
    "by a friend": [("X-Forwarded-For", "149.154.167.220"), (HEADER, "wrong")],
}


async def test_the_webhooks_secret_is_right_or_nothing_is_read(
    telegram: FakeTelegram, build: Build
) -> None:
    adapter, box = build(mode="webhook", webhook_secret=SECRET), MemoryInbox()
    limits = Limits(guesses=len(WRONG) + 2)
    async with (
        house(webhooks={"telegram/default": adapter}, limits=limits) as home,
        running(adapter, box),
    ):
        await telegram.until(lambda: telegram.calls("setMyCommands"))
        url = f"{home.url}/webhooks/telegram/default"
        for name, headers in WRONG.items():
            async with home.client.post(url, data=UPDATE, headers=headers) as response:
                assert (name, response.status) == (name, 403)
        async with home.client.post(f"{url}?secret={SECRET}", data=UPDATE) as response:
            assert response.status == 403
        assert await doubled(home.port) == 403
        assert box.offered == []

        async with home.client.post(url, data=UPDATE, headers={HEADER.upper(): SECRET}) as response:
            assert response.status == 200
        assert box.texts == ["posted"]


async def doubled(port: int) -> int:
    """The status for the header in two spellings, which a client library would not send."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = (
        f"POST /webhooks/telegram/default HTTP/1.1\r\nHost: x\r\n{HEADER.lower()}: wrong\r\n"
        f"{HEADER}: {SECRET}\r\nContent-Length: {len(UPDATE)}\r\nConnection: close\r\n\r\n"
    )
    writer.write(head.encode() + UPDATE)
    status = int((await reader.readline()).split()[1])
    writer.close()
    return status


def gate(lanes: MemoryLanes, records: MemoryRecords, **access: Any) -> Any:
    """The inbox as the gateway has it."""
    clock = HastyClock()
    rules = AccountRules(account=ACCOUNT, access=AccessConfig(**access))
    return Intake(
        lanes,
        records,
        {ACCOUNT.key: rules},
        clock,
        split,
        commands=Commands(lanes, records, clock, models=lambda: (), version="1"),
    )


async def test_a_strangers_files_are_not_fetched_and_a_friends_only_as_fast_as_allowed(
    telegram: FakeTelegram, build: Build
) -> None:
    lanes = MemoryLanes()
    intake = gate(lanes, MemoryRecords(), allow_from=["7"], per_sender=2, max_file=1000)
    async with running(build(), intake):
        for _ in range(5):
            for kind in ("photo", "document", "voice", "video"):
                telegram.say(666, 666, "look", media=kind, content=b"x" * 100)
        telegram.say(-5, 666, "look", media="photo", content=b"x" * 100)
        await telegram.all_confirmed()
        assert not telegram.calls("getFile")
        assert not telegram.calls("download")

        large = telegram.say(7, 7, "large", media="document", content=b"x" * 2000)
        for number in range(10):
            telegram.say(7, 7, f"{number}", media="photo", content=b"x" * 100)
        await telegram.all_confirmed()
        assert large["message"]["document"]["file_size"] == 2000

    assert len(telegram.calls("getFile")) == len(telegram.calls("download")) == 1
    ((stored,),) = lanes.waiting.values()
    assert stored.text == "0"
    assert stored.attachments[0].digest


async def test_a_thousand_strangers_reach_no_lane_and_fill_no_store(
    telegram: FakeTelegram, build: Build
) -> None:
    lanes, records = MemoryLanes(), MemoryRecords()
    async with running(build(), gate(lanes, records)):
        telegram.say(1, 1, "hello")
        await telegram.all_confirmed()  # reactions come once they were asked for
        for number in range(1, 1001):
            update = telegram.say(number, number, f"let me in {number}")
            if number % 3 == 0:
                message = update["message"]["message_id"]
                telegram.say(number, number, "edited", edit=message)
                telegram.press(number, number, message, "yes")
                telegram.react(number, number, message, "👍")
        await telegram.all_confirmed()

    assert lanes.waiting == {}
    assert lanes.calls["put"] == 0
    assert len(lanes.outbox) == STRANGERS
    assert len(await list_pending(records)) == PENDING
    assert sum(len(table) for table in records._tables.values()) <= STRANGERS + PENDING


async def test_every_kind_of_event_goes_through_the_gate_once(
    telegram: FakeTelegram, build: Build
) -> None:
    box = MemoryInbox()
    forwarded = {"forward_origin": {"type": "user", "date": 1}, "forward_date": 1}
    async with running(build(), box):
        first = telegram.say(7, 7, "message")["message"]["message_id"]
        await telegram.all_confirmed()  # reactions come once they were asked for
        telegram.say(7, 7, "/new", fields={"entities": [_entity("bot_command", 4)]})
        telegram.say(7, 7, "edited", edit=first)
        telegram.say(7, 7, "forwarded", fields=forwarded)
        telegram.say(7, 7, "", media="voice", content=b"OggS")
        telegram.say(7, 7, "", media="document", content=b"text")
        telegram.press(7, 7, first, "pressed")
        telegram.react(7, 7, first, "👍")
        await telegram.all_confirmed()

    kinds = [each.kind for each in box.offered]
    assert sorted(kinds) == sorted(
        ["message", "command", "edit", "message", "message", "message", "button", "reaction"]
    )
    assert len({each.id for each in box.offered}) == len(kinds)
    assert not telegram.calls("sendMessage")


def _entity(kind: str, length: int) -> dict[str, Any]:
    return {"type": kind, "offset": 0, "length": length}


@pytest.mark.parametrize(
    "text",
    [
        "http://evil.example/?q=secret",
        "[a](http://evil.example/?q=secret)",
        "![a](http://evil.example/?q=secret)",
        "[a]: http://evil.example/?q=secret\n\n[a]",
        "<http://evil.example/?q=secret>",
        "*" * 90 + "http://evil.example",  # what Telegram may refuse is sent again as plain text
    ],
)
async def test_no_call_that_shows_text_lets_telegram_fetch_its_links(
    telegram: FakeTelegram, build: Build, telegram_blobs: MemoryBlobs, text: str
) -> None:
    adapter = build()
    digest, size, _ = await telegram_blobs.store(_once(b"%PDF-1.4 text"), limit=100)
    file = Attachment(
        kind="document", digest=digest, media_type="application/pdf", size=size, name="a.pdf"
    )
    telegram.say(7, 7, "hello")
    telegram.fault(
        "sendMessage", "status", status=400, description="Bad Request: can't parse entities"
    )
    sent = await adapter.send(part(text))
    telegram.fault(
        "editMessageText", "status", status=400, description="Bad Request: can't parse entities"
    )
    await adapter.edit(part(text + " more"), sent.native_id)
    await adapter.edit(part(text + " still more"), sent.native_id)
    await adapter.send(part(text, buttons=((Button(label="a", data="b"),),)))
    await adapter.send(part(text, files=(file,)))
    await adapter.typing(part().conversation, Place(kind="direct", chat="7"))
    await adapter.react(Place(kind="direct", chat="7"), sent.native_id, "👍")

    shown = [call for call in telegram.world.calls if "text" in call.params]
    assert len(shown) == 6
    for call in shown:
        assert '"is_disabled": true' in str(call.params["link_preview_options"]).replace(
            "'", '"'
        ).replace("True", "true")


async def _once(content: bytes) -> Any:
    yield content
