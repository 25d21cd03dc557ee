"""People in Slack and a model: from the stranger's first word to a new conversation, one app by
socket and one by signed posts."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.fakes.ports import free_port
from tests.fakes.slack import BOT_USER, FakeSlack, Shown, visible
from tests.journeys.stage import Model, Moltgate, script, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00"
OGG = b"OggS\x00\x02" + bytes(20) + b"\x01\x13OpusHead\x01\x01" + bytes(16)
OURS, THEIRS = "C5", "C6"
"""A channel the app takes part in, and one it was only invited to."""


class Person:
    """Somebody in Slack, in one channel: alone with the app unless told otherwise."""

    def __init__(self, slack: FakeSlack, user: str, channel: str) -> None:
        self.user = user
        self.channel = channel
        self.slack = slack

    def says(self, text: str, **more: Any) -> str:
        """The message's time stamp."""
        return str(self.slack.say(self.channel, self.user, text, **more)["ts"])

    def sees(self, thread: str = "") -> Sequence[Shown]:
        """The app's messages as they stand now, oldest first."""
        found = [one for one in self.slack.seen(self.channel) if one.from_bot]
        return [one for one in found if not thread or one.thread == thread]

    async def reads(self, text: str, thread: str = "") -> Shown:
        """Waits for a message of the app that contains this."""

        async def there() -> Shown | None:
            seen = self.sees(thread)
            return next((one for one in seen if text in visible(one.text)), None)

        found: Shown = await until(there, f"{text!r} in {self.channel}")
        return found

    async def asks(self, text: str, answer: str = "", **more: Any) -> Shown:
        self.says(text, **more)
        return await self.reads(answer or f"echo: {text}")

    async def taken_in(self) -> None:
        async def nothing_open() -> bool:
            return not any(each.open for each in self.slack.world.deliveries)

        await until(nothing_open, "everything is confirmed")


@dataclass
class World:
    moltgate: Moltgate
    socket: FakeSlack
    posts: FakeSlack
    model: Model

    def person(self, user: str, channel: str = "") -> Person:
        return Person(self.socket, user, channel or f"D{user[1:]}")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with contextlib.AsyncExitStack() as stack:
        socket = await stack.enter_async_context(FakeSlack())
        posts = await stack.enter_async_context(FakeSlack())
        model = await stack.enter_async_context(Model.started())
        port = free_port()
        access = {"groups": [OURS], "allow_from": ["T01/U7"]}
        signed: Mapping[str, Any] = {
            **posts.settings,
            "mode": "webhook",
            "signing_secret": posts.secret,
            "access": {"allow_from": ["T01/U7"]},
        }
        settings = {
            "engines": {"home": {"url": model.url}},
            "adapters": {
                "slack": {
                    "accounts": {"work": {**socket.settings, "access": access}, "hook": signed}
                }
            },
        }
        home = tmp_path_factory.mktemp("slack")
        running = await stack.enter_async_context(Moltgate.running(home, settings, port=port))
        posts.world.webhook = f"{running.url}/webhooks/slack/hook"
        yield World(running, socket, posts, model)


async def test_one_conversation_from_the_first_word_to_a_new_beginning(world: World) -> None:
    ada = world.person("U900")

    # A stranger costs nothing until the operator lets them in.
    ada.says("let me in")
    told = await ada.reads("pair approve")
    (waiting,) = await world.moltgate.tells("pair", "list")
    assert waiting["id"] == "T01/U900"
    assert waiting["name"] == "User U900"
    assert waiting["code"] in told.text
    assert not await world.model.requests()
    await world.moltgate.does("pair", "approve", waiting["code"])
    await ada.reads("You have been let in")

    # Text, a picture, a voice clip.
    await ada.asks("my name is Ada")
    ada.says("what is this?", files=[{"name": "a.png", "mimetype": "image/png", "content": PNG}])
    await ada.reads("what is this?")
    voice = {"name": "clip", "mimetype": "audio/ogg", "subtype": "slack_audio", "content": OGG}
    ada.says("", files=[voice])
    await ada.reads("voice")
    kept = {one.read_bytes() for one in world.moltgate.home.glob("blobs/**/*") if one.is_file()}
    assert {PNG, OGG} <= kept

    # A long answer grows in one message, and calls nobody.
    text = " ".join(f"word{number}" for number in range(30)) + " <!channel>"
    before = len(ada.sees())
    ada.says(script(token_delay=0.12, text=text.replace("<", "&lt;")))
    partial = visible((await ada.reads("word0")).text)
    shown = await ada.reads("<!channel>")
    assert partial != text
    assert len(ada.sees()) == before + 1
    assert visible(shown.text) == text
    assert all(text.startswith(visible(earlier)) for earlier in shown.edits)
    assert shown.pings == []

    # What is edited while it waits is asked as edited.
    ada.says(script(latency=3, text="the first answer"))
    await until(lambda: world.model.requests("the first answer"), "the first one is asked")
    waits = ada.says("What is the capital of Fraance?")
    ada.says("What is the capital of France?", edit=waits)
    await ada.reads("echo: What is the capital of France?")
    assert not await world.model.requests("Fraance")

    # /stop ends an answer.
    stops = (await world.model.stats())["disconnects"]
    ada.says(script(token_delay=0.2, text=" ".join(f"w{n}" for n in range(500))))
    await ada.reads("w3")
    world.socket.slash(ada.channel, ada.user, "stop")
    await ada.reads("Stopped")

    async def given_up() -> bool:
        return (await world.model.stats())["disconnects"] > stops

    await until(given_up, "the engine's stream is closed")

    # /new forgets.
    await ada.asks("what is my name?")
    world.socket.slash(ada.channel, ada.user, "new")
    await ada.reads("A new conversation")
    await ada.asks("who am I?")
    (known,) = await world.model.requests("what is my name?")
    (unknown,) = await world.model.requests("who am I?")
    assert "Ada" in str(known["messages"])
    assert [one["role"] for one in unknown["messages"]] == ["system", "user"]


async def test_in_a_channel_a_mention_opens_a_thread_that_is_a_conversation(world: World) -> None:
    bob, there = world.person("U950", OURS), world.person("U950", THEIRS)

    there.says(f"<@{BOT_USER}> hello from elsewhere")
    bob.says("has anybody seen my keys?")
    opened = bob.says(f"<@{BOT_USER}> where are my keys?")
    await bob.reads("where are my keys?", opened)
    bob.says("and my hat?", thread=opened)
    await bob.reads("and my hat?", opened)
    bob.says(f"<@{BOT_USER}> /new", thread=opened)
    await bob.reads("A new conversation", opened)
    await bob.taken_in()

    assert len(bob.sees()) == len(bob.sees(opened)) == 3
    assert not there.sees()
    assert not await world.model.requests("anybody")
    assert not await world.model.requests("elsewhere")


async def test_a_pressed_button_is_an_answer(world: World) -> None:
    ada = world.person("U7")
    asked = await ada.asks("yes or no?")
    label = {"type": "plain_text", "text": "Yes"}
    button = {"type": "button", "action_id": "b0.0", "text": label, "value": "yes, do it"}
    asked.blocks = [{"type": "actions", "elements": [button]}]
    world.socket.press(ada.channel, ada.user, asked.ts, "yes, do it")
    await ada.reads("echo: yes, do it")


async def test_a_gateway_killed_while_it_shows_an_answer_finishes_the_same_message(
    world: World,
) -> None:
    ada = world.person("U7")
    text = " ".join(f"step{number}" for number in range(40))
    before = len(ada.sees())
    ada.says(script(token_delay=0.1, text=text))
    await ada.reads("step0")
    world.moltgate.kill("gateway")
    shown = await ada.reads("step39")

    assert len(ada.sees()) == before + 1
    assert shown.text == text
    await ada.asks("all well?")


async def test_only_slack_itself_gets_in_by_the_webhook(world: World) -> None:
    forged = b'{"type":"event_callback","event":{"type":"message","text":"forged"}}'
    headers = {"X-Slack-Request-Timestamp": "1700000000", "X-Slack-Signature": "v0=" + "0" * 64}
    url = world.posts.world.webhook
    async with aiohttp.ClientSession() as session:
        for given in ({}, headers):
            async with session.post(url, data=forged, headers=given) as response:
                assert response.status in (401, 403)

    person = Person(world.posts, "U7", "D7")
    await person.asks("the real one")
    world.posts.slash("D7", "U7", "status")
    await person.reads("Moltgate")
    await person.taken_in()
    assert not await world.model.requests("forged")


async def test_in_the_end_everything_is_accounted_for(world: World) -> None:
    async def settled() -> Any:
        found = (await world.moltgate.tells("status"))["store"]
        return found if not found["waiting"] and not any(found["outbox"].values()) else None

    found = await until(settled, "nothing waits")

    assert found["difference"] == 0
    assert await world.moltgate.tells("dead", "list") == []
    assert await world.moltgate.stop() == 0
    log = Path(world.moltgate.log).read_text()
    assert "Traceback" not in log
    assert "let me in" not in log
    assert world.socket.bot_token not in log
    assert world.socket.app_token not in log
    assert world.posts.secret not in log
