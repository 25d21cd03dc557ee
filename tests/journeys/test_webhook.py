"""A program and a model: from its sender's first word to a new conversation, by signed posts."""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.fakes.receiver import Receiver
from tests.faults.webhook import SECRET, signed
from tests.journeys.stage import Model, Moltgate, script, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00"
OGG = b"OggS\x00\x02" + bytes(20) + b"\x01\x13OpusHead\x01\x01" + bytes(16)
ALERTS = (
    Path(__file__).parents[1] / "adapters" / "webhook" / "payloads" / "alertmanager_firing.json"
)
BEARER = "the-alertmanagers-own-secret"


@dataclass
class World:
    moltgate: Moltgate
    model: Model
    receiver: Receiver
    session: aiohttp.ClientSession

    async def posts(self, text: str, conversation: str = "ticket-1", **more: Any) -> str:
        """One signed post; the id of the message."""
        body = {"conversation": conversation, "sender": "ada", "text": text, **more}
        id = f"msg_{secrets.token_hex(8)}"
        status, said = await self.delivers(json.dumps(body).encode(), id)
        assert (status, said["outcome"] in ("accepted", "refused")) == (200, True), said
        return id

    async def delivers(
        self, body: bytes, id: str = "", headers: Mapping[str, str] | None = None,
        account: str = "desk",
    ) -> tuple[int, Any]:  # fmt: skip
        url = f"{self.moltgate.url}/webhooks/webhook/{account}"
        given = signed(body, id) if headers is None else headers
        async with self.session.post(url, data=body, headers=given) as answer:
            return answer.status, await answer.json(content_type=None)

    async def reads(self, text: str, conversation: str = "ticket-1") -> Mapping[str, Any]:
        async def there() -> Mapping[str, Any] | None:
            shown = self.receiver.shown(conversation)
            return next((one for one in shown if text in one["text"]), None)

        found: Mapping[str, Any] = await until(there, f"{text!r} in {conversation}")
        return found

    async def asks(self, text: str, answer: str = "", **more: Any) -> Mapping[str, Any]:
        await self.posts(text, **more)
        return await self.reads(answer or f"echo: {text}", more.get("conversation", "ticket-1"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with contextlib.AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(Receiver(SECRET))
        model = await stack.enter_async_context(Model.started())
        session = await stack.enter_async_context(aiohttp.ClientSession())
        alerts = {
            "preset": "alertmanager",
            "secret": BEARER,
            "url_secret": SECRET,
            "access": {"allow_from": ["webhook:alerts:moltgate"]},
        }
        settings = {
            "log": {"format": "json"},
            "engines": {"home": {"url": model.url}},
            "adapters": {
                "webhook": {
                    "url": receiver.url,
                    "accounts": {"desk": {"secret": SECRET}, "alerts": alerts},
                }
            },
        }
        moltgate = Moltgate.running(tmp_path_factory.mktemp("webhook"), settings)
        yield World(await stack.enter_async_context(moltgate), model, receiver, session)


async def test_one_conversation_from_a_strangers_first_word_to_a_new_beginning(
    world: World,
) -> None:
    before = await world.model.stats()

    first = await world.posts("let me in")
    told = await world.reads("pair approve")
    assert (told["kind"], told["in_reply_to"]) == ("refusal", first)
    (waiting,) = await world.moltgate.tells("pair", "list")
    assert waiting["id"] == "webhook:desk:ada"
    assert await world.model.stats() == before
    await world.moltgate.does("pair", "approve", waiting["code"])
    await world.reads("You have been let in")

    asked = await world.posts("What is *this*?")
    answer = await world.reads("echo: What is *this*?")
    assert (answer["kind"], answer["in_reply_to"]) == ("answer", asked)
    assert "<em>this</em>" in answer["html"]

    picture = {"content": base64.b64encode(PNG).decode(), "name": "photo.png"}
    await world.asks("Look at the picture", attachments=[picture])
    voice = {"content": base64.b64encode(OGG).decode(), "voice": True}
    await world.posts("", attachments=[voice])
    await world.reads("voice")
    (looked,) = await world.model.requests("Look at the picture")
    assert "image" in looked["question"]
    kept = {one.read_bytes() for one in world.moltgate.home.glob("blobs/**/*") if one.is_file()}
    assert {PNG, OGG} <= kept

    long = " ".join(f"word{number}" for number in range(400))
    await world.posts(script(text=long))
    assert (await world.reads("word399"))["text"] == long

    await world.posts(script(latency=3, text="the slow answer"))
    await until(lambda: world.model.requests("the slow answer"), "the slow one is asked")
    await world.posts("What is the capital of Fraance?", id="m-capital")
    await world.posts("What is the capital of France?", kind="edit", target="m-capital")
    await world.reads("echo: What is the capital of France?")
    assert not await world.model.requests("Fraance")

    disconnects = (await world.model.stats())["disconnects"]
    await world.posts(script(latency=120, text="the endless answer"))
    await until(lambda: world.model.requests("the endless answer"), "the endless one is asked")
    await world.posts("/stop")
    await world.reads("Stopped")

    async def given_up() -> bool:
        return bool((await world.model.stats())["disconnects"] > disconnects)

    await until(given_up, "the engine's stream is closed")

    await world.asks("my name is Ada")
    await world.asks("/new", "A new conversation")
    await world.asks("who am I?")
    (unknown,) = await world.model.requests("who am I?")
    assert [one["role"] for one in unknown["messages"]] == ["system", "user"]


async def test_an_alert_is_answered_under_its_group(world: World) -> None:
    headers = {"Authorization": f"Bearer {BEARER}"}
    for _ in range(2):
        answer = await world.delivers(ALERTS.read_bytes(), headers=headers, account="alerts")
        assert answer == (200, {"outcome": "accepted"})

    group = '{}/{severity="page"}:{alertname="DiskFull"}'
    shown = await world.reads("/var is 97 % full", group)
    assert shown["account"] == "alerts"
    assert shown["echo"] == {
        "group": group,
        "status": "firing",
        "link": "http://alertmanager.example.org:9093",
    }
    assert len(await world.model.requests("97 %")) == 1


async def test_only_who_knows_the_secret_gets_in(world: World) -> None:
    body = b'{"conversation": "ticket-1", "sender": "ada", "text": "forged"}'
    good = signed(body, "msg_forged")
    for headers in (
        {},
        {**good, "webhook-signature": "v1,"},
        {**good, "webhook-id": "msg_other"},
        {**good, "webhook-timestamp": "1000000000"},
        {"Authorization": f"Bearer {BEARER}"},
    ):
        status, _ = await world.delivers(body, headers=headers)
        assert status in (401, 403)
    assert not await world.model.requests("forged")


async def test_a_repeated_post_changes_nothing_and_says_the_same(world: World) -> None:
    body = b'{"conversation": "ticket-1", "sender": "ada", "text": "only once, please"}'
    answers = [await world.delivers(body, "msg_once") for _ in range(3)]

    await world.reads("only once, please")
    assert answers == [(200, {"outcome": "accepted"})] * 3
    assert len(await world.model.requests("only once, please")) == 1


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
    assert "let me in" not in log
    assert SECRET not in log
    assert BEARER not in log
