"""Telegram posts, we store, and only then say 200."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from adapters.telegram.adapter import TelegramAdapter
from gateway.errors import BadConfig
from gateway.ports import HasWebhook
from tests.adapters.telegram.scene import Build, part
from tests.fakes.inbox import MemoryInbox, running
from tests.fakes.stores import MemoryBlobs
from tests.fakes.telegram import FakeTelegram

SECRET = "a-secret-of-some-length"
HEADER = "x-telegram-bot-api-secret-token"
UPDATE = {
    "update_id": 1,
    "message": {
        "message_id": 1,
        "date": 1,
        "chat": {"id": 7, "type": "private"},
        "from": {"id": 7, "is_bot": False, "first_name": "Ada"},
        "text": "posted",
    },
}


@contextlib.asynccontextmanager
async def mounted() -> AsyncIterator[tuple[str, list[TelegramAdapter]]]:
    """A server that treats the adapter as the gateway's does."""
    adapters: list[TelegramAdapter] = []

    async def post(request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        if not adapters[0].admits(headers):
            return web.Response(status=401)
        answer = await adapters[0].receive(headers, await request.read())
        return web.Response(status=answer.status, body=answer.body)

    app = web.Application()
    app.router.add_post("/webhooks/telegram/default", post)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", adapters
    finally:
        await runner.cleanup()


async def test_updates_are_posted_stored_and_then_confirmed(
    telegram: FakeTelegram, build: Build
) -> None:
    box = MemoryInbox()
    box.down = True
    async with mounted() as (url, adapters):
        adapters.append(build(mode="webhook", webhook_secret=SECRET, public_url=url))
        telegram.say(7, 7, "before")
        async with running(adapters[0], box):
            telegram.say(7, 7, "one")
            telegram.say(7, 7, "two")
            telegram.say(8, 8, "other")
            await telegram.until(lambda: len(box.offered) > 4)
            assert telegram.bot.confirmed == 0
            assert {call.status for call in telegram.calls("webhook")} <= {200, 503}
            box.down = False
            await telegram.all_confirmed()

    assert [text for text in box.texts if text != "other"] == ["before", "one", "two"]
    hook = telegram.calls("setWebhook")[0].params
    assert hook["secret_token"] == SECRET
    assert "drop_pending_updates" not in hook


async def test_a_posted_file_that_cannot_be_kept_is_posted_again(
    telegram: FakeTelegram, build: Build, telegram_blobs: MemoryBlobs
) -> None:
    box = MemoryInbox()
    telegram_blobs.down = True
    async with mounted() as (url, adapters):
        adapters.append(build(mode="webhook", webhook_secret=SECRET, public_url=url))
        async with running(adapters[0], box):
            telegram.say(7, 7, "look", media="photo", content=b"picture")
            await telegram.until(lambda: len(telegram.calls("download")) > 1)
            assert box.events == []
            telegram_blobs.down = False
            await telegram.all_confirmed()

    assert box.texts == ["look"]
    assert {call.status for call in telegram.calls("webhook")} == {200, 503}


async def test_after_polling_again_the_webhook_is_gone(
    telegram: FakeTelegram, build: Build
) -> None:
    box = MemoryInbox()
    async with mounted() as (url, adapters):
        adapters.append(build(mode="webhook", webhook_secret=SECRET, public_url=url))
        async with running(adapters[0], box):
            telegram.say(7, 7, "by webhook")
            await telegram.all_confirmed()
        telegram.say(7, 7, "between")
        async with running(build(), box):
            await telegram.all_confirmed()
            telegram.say(7, 7, "by polling")
            await telegram.all_confirmed()

    assert box.texts == ["by webhook", "between", "by polling"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {HEADER: ""},
        {HEADER: SECRET[:-1]},
        {HEADER: SECRET + "x"},
        {HEADER: SECRET.upper()},
        {HEADER: "ä" * 23},
        {HEADER: "\udcff"},
        {"authorization": SECRET},
    ],
)
async def test_without_the_secret_nobody_is_admitted(build: Build, headers: dict[str, str]) -> None:
    adapter = build(mode="webhook", webhook_secret=SECRET)

    assert isinstance(adapter, HasWebhook)
    assert adapter.admits({HEADER: SECRET})
    assert not adapter.admits(headers)


async def test_a_polling_bot_admits_nobody(build: Build) -> None:
    assert not build().admits({HEADER: ""})
    assert not build(webhook_secret=SECRET).admits({HEADER: SECRET})


async def test_before_the_bot_runs_telegram_keeps_what_it_has(build: Build) -> None:
    adapter = build(mode="webhook", webhook_secret=SECRET)

    assert (await adapter.receive({}, json.dumps(UPDATE).encode())).status == 503


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"\xff\xfe",
        b"[]",
        b"7",
        b"null",
        b'{"update_id": "x"}',
        b'{"update_id": 1, "message": {"message_id": "x"}}',
        b"[" * 100_000,
        b'{"update_id": 1, "message": {"text": "\\ud800"}}',
    ],
)
async def test_a_poison_update_is_taken_off_telegrams_hands(
    telegram: FakeTelegram, build: Build, body: bytes
) -> None:
    adapter = build(mode="webhook", webhook_secret=SECRET)
    box = MemoryInbox()
    async with running(adapter, box):
        await telegram.until(lambda: telegram.calls("setMyCommands"))
        await _ready(adapter)
        answer = await adapter.receive({}, body)

    assert answer.status == 200
    assert box.events == []


async def test_an_address_telegram_does_not_take_is_a_matter_of_configuration(
    build: Build, telegram: FakeTelegram
) -> None:
    refusal = "Bad Request: bad webhook: An HTTPS URL must be provided for webhook"
    telegram.fault("setWebhook", "status", status=400, description=refusal)
    adapter = build(mode="webhook", webhook_secret=SECRET, public_url="http://chat.example")

    with pytest.raises(BadConfig, match=r"http\.public_url"):
        await adapter.run(MemoryInbox())


async def test_a_webhook_bot_sends_like_any_other(telegram: FakeTelegram, build: Build) -> None:
    telegram.say(7, 7, "x")
    await build(mode="webhook", webhook_secret=SECRET).send(part("y"))

    assert telegram.texts(7) == ["y"]


async def _ready(adapter: TelegramAdapter) -> None:
    async with asyncio.timeout(30):
        while (await adapter.receive({}, b'{"update_id": 1}')).status != 200:
            await asyncio.sleep(0.01)
