"""A person on WhatsApp and a model: from the stranger's first word to a new conversation."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.fakes.ports import free_port
from tests.fakes.whatsapp import APP_SECRET, NUMBER, TOKEN, VERIFY, FakeWhatsApp, Shown
from tests.fakes.whatsapp.server import signature
from tests.journeys.stage import Model, Moltgate, script, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

ADA = "4915112345678"
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00"
OGG = b"OggS\x00\x02" + bytes(20) + b"\x01\x13OpusHead\x01\x01" + bytes(16)


@dataclass
class World:
    moltgate: Moltgate
    model: Model
    whatsapp: FakeWhatsApp

    async def reads(self, text: str, chat: str = ADA) -> Shown:
        async def there() -> Shown | None:
            return next((one for one in self.whatsapp.seen(chat) if text in one.text), None)

        found: Shown = await until(there, f"{text!r} in {chat}")
        return found

    async def asks(self, text: str, answer: str = "") -> Shown:
        self.whatsapp.say(ADA, text)
        return await self.reads(answer or f"echo: {text}")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with contextlib.AsyncExitStack() as stack:
        fake = await stack.enter_async_context(FakeWhatsApp())
        model = await stack.enter_async_context(Model.started())
        port = free_port()
        fake.webhook = f"http://127.0.0.1:{port}/webhooks/whatsapp/default"
        number: Mapping[str, Any] = {
            "token": TOKEN,
            "phone_number_id": NUMBER,
            "app_secret": APP_SECRET,
            "verify_token": VERIFY,
            "base_url": fake.url,
        }
        settings = {
            "log": {"format": "json"},
            "engines": {"home": {"url": model.url}},
            "adapters": {"whatsapp": number},
        }
        home = tmp_path_factory.mktemp("whatsapp")
        running = Moltgate.running(home, settings, port=port)
        yield World(await stack.enter_async_context(running), model, fake)


async def test_meta_finds_the_webhook(world: World) -> None:
    assert await world.whatsapp.subscribe() == 200
    assert await world.whatsapp.subscribe(token="guessed") == 403


async def test_one_conversation_from_a_strangers_first_word_to_a_new_beginning(
    world: World,
) -> None:
    whatsapp = world.whatsapp
    before = await world.model.stats()

    whatsapp.say(ADA, "let me in")
    await world.reads("pair approve")
    (waiting,) = await world.moltgate.tells("pair", "list")
    assert waiting["id"] == ADA
    assert await world.model.stats() == before
    await world.moltgate.does("pair", "approve", waiting["code"])
    await world.reads("You have been let in")

    await world.asks("What is this?")

    whatsapp.send_file(ADA, "image", PNG, "image/jpeg", caption="Look at the picture")
    await world.reads("Look at the picture")
    whatsapp.send_file(ADA, "audio", OGG, "audio/ogg; codecs=opus", voice=True)
    await world.reads("voice")
    (looked,) = await world.model.requests("Look at the picture")
    assert "image" in looked["question"]
    kept = {one.read_bytes() for one in world.moltgate.home.glob("blobs/**/*") if one.is_file()}
    assert {PNG, OGG} <= kept

    long = "\n\n".join(f"paragraph {number} {'x ' * 200}" for number in range(30))
    whatsapp.say(ADA, script(text=long))
    await world.reads("paragraph 29")
    parts = [one.text for one in whatsapp.seen(ADA) if "paragraph" in one.text]
    assert len(parts) > 2
    numbers = [int(line.split()[1]) for text in parts for line in text.split("\n\n")]
    assert numbers == list(range(30))

    slow = whatsapp.say(ADA, script(latency=3, text="the slow answer"))
    await until(lambda: world.model.requests("the slow answer"), "the slow one is asked")
    typo = whatsapp.say(ADA, "What is the capital of Fraance?")
    whatsapp.edit(ADA, typo["id"], "What is the capital of France?")
    await world.reads("echo: What is the capital of France?")
    assert {slow["id"], typo["id"]} & set(whatsapp.world.read)
    assert ADA in whatsapp.world.typing
    assert not await world.model.requests("Fraance")

    disconnects = (await world.model.stats())["disconnects"]
    whatsapp.say(ADA, script(latency=120, text="the endless answer"))
    await until(lambda: world.model.requests("the endless answer"), "the endless one is asked")
    whatsapp.say(ADA, "/stop")
    await world.reads("Stopped")

    async def given_up() -> bool:
        return bool((await world.model.stats())["disconnects"] > disconnects)

    await until(given_up, "the engine's request is closed")

    await world.asks("my name is Ada")
    await world.asks("/new", "A new conversation")
    await world.asks("who am I?")
    (unknown,) = await world.model.requests("who am I?")
    assert [one["role"] for one in unknown["messages"]] == ["system", "user"]


async def test_only_meta_gets_in(world: World) -> None:
    fake = world.whatsapp
    message = {
        "from": ADA,
        "id": "wamid.forged",
        "timestamp": "1",
        "type": "text",
        "text": {"body": "forged"},
    }
    value = str(fake.value(messages=[message], chat=ADA)).encode()
    async with aiohttp.ClientSession() as session:
        for headers in ({}, signature(value, "x" * 32), signature(value + b" ")):
            async with session.post(fake.webhook, data=value, headers=headers) as answer:
                assert answer.status in (401, 403)
    assert not await world.model.requests("forged")


async def test_in_the_end_everything_is_accounted_for(world: World) -> None:
    async def settled() -> Any:
        found = (await world.moltgate.tells("status"))["store"]
        return found if not found["waiting"] and not any(found["outbox"].values()) else None

    found = await until(settled, "nothing waits")

    assert found["difference"] == 0
    assert await world.moltgate.tells("dead", "list") == []
    assert await world.moltgate.stop() == 0
    log = world.moltgate.log.read_text()
    assert "Traceback" not in log
    for secret in ("let me in", TOKEN, APP_SECRET, VERIFY):
        assert secret not in log
