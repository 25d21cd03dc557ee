"""People on Discord and a model: from a stranger's first word to a new conversation."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.adapters.discord.ogg import opus
from tests.fakes.discord import BOT, GENERAL, OTHER, THREAD, TOKEN, FakeDiscord
from tests.journeys.stage import Model, Moltgate, script, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

ADA, BOB = "600001", "600002"
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00"
OGG = opus(3.0)
ME = f"<@{BOT}>"


@dataclass
class World:
    moltgate: Moltgate
    model: Model
    discord: FakeDiscord

    async def reads(self, channel: str, text: str) -> Mapping[str, Any]:
        """Waits for a message of the bot that contains this."""

        async def there() -> Mapping[str, Any] | None:
            ours = (one for one in self.discord.seen(channel) if one["from_bot"])
            return next((one for one in ours if text in one["text"]), None)

        found: Mapping[str, Any] = await until(there, f"{text!r} in channel {channel}")
        return found

    async def asks(self, channel: str, user: str, text: str, answer: str = "") -> Mapping[str, Any]:
        self.discord.say(channel, user, text)
        return await self.reads(channel, answer or f"echo: {text}")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with contextlib.AsyncExitStack() as stack:
        discord = await stack.enter_async_context(FakeDiscord())
        model = await stack.enter_async_context(Model.started())
        settings = {
            "log": {"format": "json"},
            "engines": {"home": {"url": model.url}},
            "access": {"groups": [GENERAL]},
            "adapters": {"discord": discord.settings},
        }
        running = Moltgate.running(tmp_path_factory.mktemp("discord"), settings)
        moltgate = await stack.enter_async_context(running)
        await discord.connected()
        yield World(moltgate, model, discord)


async def test_one_conversation_from_a_strangers_first_word_to_a_new_beginning(
    world: World,
) -> None:
    discord, channel = world.discord, world.discord.direct(ADA)
    before = await world.model.stats()

    first = discord.say(channel, ADA, "let me in")
    told = await world.reads(channel, "pair approve")
    assert told["reply_to"] == first["id"]
    (waiting,) = await world.moltgate.tells("pair", "list")
    assert waiting["id"] == ADA
    assert await world.model.stats() == before
    await world.moltgate.does("pair", "approve", waiting["code"])
    await world.reads(channel, "You have been let in")

    answer = await world.asks(channel, ADA, "What is *this*?")
    assert answer["reply_to"] is None

    picture = {"name": "photo.png", "media_type": "image/png", "content": PNG}
    discord.say(channel, ADA, "Look at the picture", files=[picture])
    await world.reads(channel, "Look at the picture")
    voice = {"name": "voice-message.ogg", "media_type": "audio/ogg", "content": OGG}
    discord.say(channel, ADA, files=[voice | {"duration": 3.0}], voice=True)
    await world.reads(channel, "voice")
    (looked,) = await world.model.requests("Look at the picture")
    assert "image" in looked["question"]
    kept = {one.read_bytes() for one in world.moltgate.home.glob("blobs/**/*") if one.is_file()}
    assert {PNG, OGG} <= kept

    text = " ".join(f"word{number}" for number in range(40))
    discord.say(channel, ADA, script(token_delay=0.1, text=text))
    await world.reads(channel, "word0")
    shown = await world.reads(channel, "word39")
    assert shown["text"] == text
    assert shown["edits"]
    assert all(text.startswith(earlier) for earlier in shown["edits"])
    assert sum("word0" in each for each in discord.texts(channel)) == 1

    discord.say(channel, ADA, script(latency=3, text="the slow answer"))
    await until(lambda: world.model.requests("the slow answer"), "the slow one is asked")
    wrong = discord.say(channel, ADA, "What is the capital of Fraance?")
    discord.world.change(channel, wrong["id"], "What is the capital of France?")
    await world.reads(channel, "echo: What is the capital of France?")
    assert not await world.model.requests("Fraance")

    disconnects = (await world.model.stats())["disconnects"]
    discord.say(channel, ADA, script(latency=120, text="the endless answer"))
    await until(lambda: world.model.requests("the endless answer"), "the endless one is asked")
    discord.world.slash(channel, ADA, "stop")
    await world.reads(channel, "Stopped")

    async def given_up() -> bool:
        return bool((await world.model.stats())["disconnects"] > disconnects)

    await until(given_up, "the engine's stream is closed")

    await world.asks(channel, ADA, "my name is Ada")
    discord.world.slash(channel, ADA, "new")
    await world.reads(channel, "A new conversation")
    await world.asks(channel, ADA, "who am I?")
    (unknown,) = await world.model.requests("who am I?")
    assert [one["role"] for one in unknown["messages"]] == ["system", "user"]
    assert not any(one["loading"] for one in discord.seen(channel))


async def test_a_command_with_a_question_is_answered_where_it_waits(world: World) -> None:
    discord, channel = world.discord, world.discord.direct(ADA)
    text = " ".join(f"step{number}" for number in range(20))
    discord.world.slash(channel, ADA, "new", script(token_delay=0.1, text=text))
    shown = await world.reads(channel, "step19")

    assert shown["text"] == text
    assert sum("step0" in each for each in discord.texts(channel)) == 1

    async def nothing_announced() -> bool:
        return not any(one["loading"] for one in discord.seen(channel))

    await until(nothing_announced, "no announcement is left")


async def test_in_a_server_it_answers_who_means_it_where_it_takes_part(world: World) -> None:
    discord = world.discord
    discord.say(OTHER, BOB, f"{ME} hello from elsewhere")
    discord.say(GENERAL, BOB, "has anybody seen my keys?")
    await world.asks(GENERAL, BOB, f"{ME} where are my keys?", "where are my keys?")
    await world.asks(THREAD, BOB, f"{ME} and in here?", "and in here?")

    assert not await world.model.requests("anybody")
    assert not await world.model.requests("elsewhere")
    (asked,) = await world.model.requests("and in here?")
    assert "keys" not in str(asked["messages"])
    assert not discord.texts(OTHER)


async def test_a_gateway_killed_while_it_shows_an_answer_finishes_the_same_message(
    world: World,
) -> None:
    channel = world.discord.direct(ADA)
    text = " ".join(f"piece{number}" for number in range(40))
    world.discord.say(channel, ADA, script(token_delay=0.1, text=text))
    await world.reads(channel, "piece0")
    world.moltgate.kill("gateway")
    await world.reads(channel, "piece39")

    assert [each for each in world.discord.texts(channel) if "piece" in each] == [text]
    await world.asks(channel, ADA, "all well?")
    assert world.discord.gateway.resumes >= 1


async def test_in_the_end_everything_is_accounted_for(world: World) -> None:
    async def settled() -> Any:
        found = (await world.moltgate.tells("status"))["store"]
        return found if not found["waiting"] and not any(found["outbox"].values()) else None

    found = await until(settled, "nothing waits")

    assert found["difference"] == 0
    assert await world.moltgate.tells("dead", "list") == []
    assert world.discord.world.pings == []
    assert await world.moltgate.stop() == 0
    log = world.moltgate.log.read_text()
    assert "Traceback" not in log
    assert "let me in" not in log
    assert TOKEN not in log


async def test_doctor_knows_the_bot(world: World, tmp_path: Path) -> None:
    moltgate = Moltgate(tmp_path, 0)
    moltgate.configure({"adapters": {"discord": world.discord.settings}})
    said = await moltgate.said("doctor")
    assert "signed in as fake_bot, in 1 server" in said.out
