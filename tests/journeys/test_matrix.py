"""People on a Matrix homeserver and a model: from the stranger's first word to a new conversation,
once in the clear and once in a room that the homeserver cannot read."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.adapters.matrix.encrypted import SecretPerson
from tests.fakes.ports import free_port
from tests.journeys.stage import Model, Moltgate, script, until
from tests.servers import synapse
from tests.servers.synapse import Synapse, User, stands

pytestmark = pytest.mark.asyncio(loop_scope="module")

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00"
OGG = b"OggS\x00\x02" + bytes(20) + b"\x01\x13OpusHead\x01\x01" + bytes(16)


@dataclass
class World:
    moltgate: Moltgate
    server: Synapse
    model: Model
    bot: User
    owner: User

    async def meets(self, person: User, **more: Any) -> str:
        """A new room of the person's into which the bot was asked, and came."""
        room = await person.room(self.bot.id, **more)

        async def there() -> bool:
            return self.bot.id in await person.members(room)

        await until(there, "the bot is in the room")
        return room

    async def sees(self, person: User, room: str) -> Sequence[dict[str, Any]]:
        return stands(await person.events(room), self.bot.id)

    async def reads(self, person: User, room: str, text: str) -> dict[str, Any]:
        """Waits for a message of the bot that contains this."""

        async def there() -> dict[str, Any] | None:
            return next((one for one in await self.sees(person, room) if text in one["body"]), None)

        found: dict[str, Any] = await until(there, f"{text!r} in {room}")
        return found

    async def asks(self, person: User, room: str, text: str, answer: str = "") -> dict[str, Any]:
        await person.say(room, text)
        return await self.reads(person, room, answer or f"echo: {text}")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    server = await synapse.shared()
    bot, owner = await server.user(), await server.user()
    async with contextlib.AsyncExitStack() as stack:
        model = await stack.enter_async_context(Model.started())
        settings = {
            "engines": {"home": {"url": model.url}},
            "log": {"format": "json"},
            "adapters": {
                "matrix": {
                    "homeserver": server.url,
                    "user": bot.id,
                    "password": synapse.PASSWORD,
                    "invite_from": [synapse.SERVER_NAME],
                    "rate": {"per_second": 0},
                    "sync_timeout": "5s",
                    "access": {"allow_from": [owner.id]},
                }
            },
        }
        home = tmp_path_factory.mktemp("matrix")
        running = await stack.enter_async_context(
            Moltgate.running(home, settings, port=free_port())
        )
        yield World(running, server, model, bot, owner)


async def test_one_conversation_from_the_first_word_to_a_new_beginning(world: World) -> None:
    ada = await world.server.user()
    room = await world.meets(ada)

    # A stranger costs nothing until the operator lets them in.
    await ada.say(room, "let me in")
    told = await world.reads(ada, room, "pair approve")
    (waiting,) = await world.moltgate.tells("pair", "list")
    assert waiting["id"] == ada.id
    assert waiting["code"] in told["body"]
    assert not await world.model.requests()
    await world.moltgate.does("pair", "approve", waiting["code"])
    await world.reads(ada, room, "You have been let in")

    # Text, a picture, a voice message.
    await world.asks(ada, room, "my name is Ada")
    picture = {"msgtype": "m.image", "body": "what is this?", "filename": "a.png"}
    await ada.send(room, {**picture, "url": await ada.upload(PNG)})
    await world.reads(ada, room, "what is this?")
    voice = {"msgtype": "m.audio", "body": "Voice message", "org.matrix.msc3245.voice": {}}
    await ada.send(room, {**voice, "url": await ada.upload(OGG)})
    await world.reads(ada, room, "voice")
    kept = {one.read_bytes() for one in world.moltgate.home.glob("blobs/**/*") if one.is_file()}
    assert {PNG, OGG} <= kept

    # A long answer grows in one message, and calls nobody.
    text = " ".join(f"word{number}" for number in range(40)) + " @room"
    before = len(await world.sees(ada, room))
    await ada.say(room, script(token_delay=0.15, text=text))
    partial = (await world.reads(ada, room, "word0"))["body"]
    shown = await world.reads(ada, room, "@room")
    assert partial != text
    assert len(await world.sees(ada, room)) == before + 1
    assert shown["body"] == text
    assert all(text.startswith(earlier) for earlier in shown["edits"])
    assert shown["m.mentions"] == {}

    # What is edited while it waits is asked as edited.
    await ada.say(room, script(latency=3, text="the first answer"))
    await until(lambda: world.model.requests("the first answer"), "the first one is asked")
    waits = await ada.say(room, "What is the capital of Fraance?")
    await ada.edit(room, waits, "What is the capital of France?")
    await world.reads(ada, room, "echo: What is the capital of France?")
    assert not await world.model.requests("Fraance")

    # /stop ends an answer; clients that keep a slash to themselves say !stop.
    stops = (await world.model.stats())["disconnects"]
    await ada.say(room, script(token_delay=0.2, text=" ".join(f"w{n}" for n in range(500))))
    await world.reads(ada, room, "w3")
    await ada.say(room, "!stop")
    await world.reads(ada, room, "Stopped")

    async def given_up() -> bool:
        return (await world.model.stats())["disconnects"] > stops

    await until(given_up, "the engine's stream is closed")

    # /new forgets.
    await world.asks(ada, room, "what is my name?")
    await ada.say(room, "/new")
    await world.reads(ada, room, "A new conversation")
    await world.asks(ada, room, "who am I?")
    (known,) = await world.model.requests("what is my name?")
    (unknown,) = await world.model.requests("who am I?")
    assert "Ada" in str(known["messages"])
    assert [one["role"] for one in unknown["messages"]] == ["system", "user"]


async def test_a_conversation_that_the_homeserver_cannot_read(world: World, tmp_path: Path) -> None:
    user = world.owner
    async with SecretPerson.signed_in(user, tmp_path / "owner") as owner:
        room = await world.meets(user, encrypted=True)

        async def reads(text: str) -> dict[str, Any]:
            async def there() -> dict[str, Any] | None:
                seen = await owner.sees(room, world.bot.id)
                return next((one for one in seen if text in one["body"]), None)

            found: dict[str, Any] = await until(there, f"{text!r} in the encrypted room")
            return found

        async def in_its_keys() -> bool:
            devices = await user.ask("POST", "/keys/query", {"device_keys": {world.bot.id: []}})
            return bool(devices["device_keys"].get(world.bot.id))

        await until(in_its_keys, "the bot's device has keys")
        await until(lambda: _knows(owner, room, world.bot.id), "the bot is seen in the room")
        await owner.say(room, "a secret question")
        await reads("echo: a secret question")
        await owner.send_file(room, PNG, msgtype="m.image", filename="secret.png")
        await reads("image")

        text = " ".join(f"step{number}" for number in range(40))
        before = len(await owner.sees(room, world.bot.id))
        await owner.say(room, script(token_delay=0.12, text=text))
        await reads("step0")
        world.moltgate.kill("gateway")
        shown = await reads("step39")
        assert shown["body"] == text
        assert len(await owner.sees(room, world.bot.id)) == before + 1

        await owner.say(room, "all well?")
        await reads("echo: all well?")
    written = str(await user.events(room))
    assert "secret" not in written
    assert "step1" not in written


async def _knows(person: SecretPerson, room: str, user: str) -> bool:
    known = person.client.rooms.get(room)
    return known is not None and user in known.users and not known.users[user].invited


async def test_in_the_end_everything_is_accounted_for(world: World) -> None:
    async def settled() -> Any:
        found = (await world.moltgate.tells("status"))["store"]
        return found if not found["waiting"] and not any(found["outbox"].values()) else None

    found = await until(settled, "nothing waits")

    assert found["difference"] == 0
    assert found["accepted"] > 5
    assert await world.moltgate.tells("dead", "list") == []
    assert await world.moltgate.stop() == 0
    log = world.moltgate.log.read_text()
    assert "Traceback" not in log
    assert "let me in" not in log
    assert "secret" not in log
    assert synapse.PASSWORD not in log
