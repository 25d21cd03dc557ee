"""A person with a mailbox and a model: from a stranger's first mail to a new conversation."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any

import pytest
import pytest_asyncio

from tests.adapters.email.scene import Person, plain, settings
from tests.journeys.stage import Model, Moltgate, script, until
from tests.servers.mail import MailServer, Missing, shared

pytestmark = pytest.mark.asyncio(loop_scope="module")

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00"
OGG = b"OggS\x00\x02" + bytes(20) + b"\x01\x13OpusHead\x01\x01" + bytes(16)


@dataclass
class World:
    moltgate: Moltgate
    model: Model
    server: MailServer
    ours: str

    def person(self) -> Correspondent:
        return Correspondent(self, Person(self.server, self.server.person(), "Ada"))


@dataclass
class Correspondent:
    world: World
    person: Person

    async def says(self, text: str, **more: Any) -> EmailMessage:
        """In answer to our last mail, if there is one."""
        got = await self.person.inbox()
        last = got[-1] if got else None
        return await self.person.writes(self.world.ours, text, answers=last, **more)

    async def reads(self, text: str) -> EmailMessage:
        async def there() -> EmailMessage | None:
            mails = self.world.server.stored(self.person.address)
            return next((one for one in mails if text in plain(one)), None)

        found: EmailMessage = await until(there, f"a mail with {text!r}")
        return found

    async def asks(self, text: str, answer: str = "", **more: Any) -> EmailMessage:
        await self.says(text, **more)
        return await self.reads(answer or f"echo: {text}")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    try:
        server = shared()
    except Missing as missing:
        pytest.fail(str(missing))
    ours = server.person()
    async with contextlib.AsyncExitStack() as stack:
        model = await stack.enter_async_context(Model.started())
        mailbox = settings(server, ours, limits={"per_correspondent": 100, "per_thread": 100})
        whole = {
            "log": {"format": "json"},
            "engines": {"home": {"url": model.url}},
            "adapters": {"email": mailbox},
        }
        running = Moltgate.running(tmp_path_factory.mktemp("email"), whole)
        moltgate = await stack.enter_async_context(running)
        await moltgate.happened("mailbox_baseline")
        yield World(moltgate, model, server, ours)


async def test_one_conversation_from_a_strangers_first_mail_to_a_new_beginning(
    world: World,
) -> None:
    ada, before = world.person(), await world.model.stats()

    await ada.says("let me in", subject="Hello")
    told = await ada.reads("pair approve")
    assert told["Return-Path"] == "<>"
    (waiting,) = await world.moltgate.tells("pair", "list")
    assert waiting["id"] == ada.person.address
    assert await world.model.stats() == before
    await world.moltgate.does("pair", "approve", waiting["code"])
    await ada.reads("You have been let in")

    first = await ada.says("What is *this*?", subject="Questions")
    answer = await ada.reads("What is this?")
    assert (answer["Subject"], answer["In-Reply-To"]) == ("Re: Questions", first["Message-ID"])
    html = answer.get_body(("html",))
    assert html is not None
    assert "<em>this</em>" in html.get_content()

    await ada.asks("Look at the picture", files=[("photo.png", "image/png", PNG)])
    await ada.asks("", "voice", files=[("memo.ogg", "audio/ogg", OGG)])
    (looked,) = await world.model.requests("Look at the picture")
    assert "image" in looked["question"]
    kept = {one.read_bytes() for one in world.moltgate.home.glob("blobs/**/*") if one.is_file()}
    assert {PNG, OGG} <= kept

    long = " ".join(f"word{number}" for number in range(400))
    await ada.says(script(text=long))
    whole = plain(await ada.reads("word399"))
    assert whole.split() == long.split()

    disconnects = (await world.model.stats())["disconnects"]
    await ada.says(script(latency=120, text="the endless answer"))
    await until(lambda: world.model.requests("the endless answer"), "the endless one is asked")
    await ada.says("/stop\n\n-- \nAda, from her telephone")
    await ada.reads("Stopped")

    async def given_up() -> bool:
        return bool((await world.model.stats())["disconnects"] > disconnects)

    await until(given_up, "the engine's stream is closed")

    await ada.asks("my name is Ada")
    await ada.asks("/new", "A new conversation")
    await ada.asks("who am I?")
    (unknown,) = await world.model.requests("who am I?")
    assert [one["role"] for one in unknown["messages"]] == ["system", "user"]

    await ada.says("another matter", subject="Something else")
    await ada.reads("another matter")
    (apart,) = await world.model.requests("another matter")
    assert "who am I?" not in str(apart["messages"])
    sent = world.server.stored(world.ours, "Sent")
    assert len(sent) == len(await ada.person.inbox())


async def test_who_cannot_be_verified_is_met_with_silence(world: World) -> None:
    """No pairing code, no refusal: a forged sender makes us write to nobody."""
    ada, victim = world.person(), world.person()
    await ada.person.writes(
        world.ours, "forged", headers={"From": victim.person.address}, signed_in=False
    )
    robot = {"Auto-Submitted": "auto-generated"}
    await ada.person.writes(world.ours, "I am a robot", headers=robot)
    await ada.asks("I am a person", "pair approve")
    assert await victim.person.inbox() == []
    assert len(await ada.person.inbox()) == 1


async def test_in_the_end_everything_is_accounted_for(world: World) -> None:
    async def settled() -> Any:
        found = (await world.moltgate.tells("status"))["store"]
        return found if not found["waiting"] and not any(found["outbox"].values()) else None

    found = await until(settled, "nothing waits")
    assert found["difference"] == 0
    assert await world.moltgate.tells("dead", "list") == []
    doctor = await world.moltgate.said("doctor")
    assert f"reads INBOX of {world.ours}" in doctor.out
    assert await world.moltgate.stop() == 0
    log = world.moltgate.log.read_text()
    assert "Traceback" not in log
    assert "let me in" not in log
