"""People in Telegram and a model: from the stranger's first word to a gateway killed mid-answer."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.fakes.ports import free_port
from tests.fakes.telegram import RemoteTelegram
from tests.journeys.stage import Model, Moltgate, Person, script, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

KNOWN = tuple(range(101, 121))
"""People the configuration lets in, one for each scene."""
OURS, THEIRS = -600, -500
"""A group the bot takes part in, and one it was only added to."""
SECRET = "a-secret-of-this-journey"
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00"
OGG = b"OggS\x00\x02" + bytes(20) + b"\x01\x13OpusHead\x01\x01" + bytes(16)


@dataclass
class World:
    moltgate: Moltgate
    telegram: RemoteTelegram
    model: Model
    spare: Model
    journal: Path

    def person(self, user: int, chat: int = 0) -> Person:
        return Person(self.telegram, user, chat)

    async def sends(self, chat: int) -> int:
        """How many messages were ever sent to a chat."""
        calls = await self.telegram.calls("sendMessage")
        return sum(str(call["params"]["chat_id"]) == str(chat) for call in calls)


@contextlib.asynccontextmanager
async def world(home: Path, telegram: Mapping[str, Any], http: Mapping[str, Any]) -> Any:
    async with contextlib.AsyncExitStack() as stack:
        journal = home / "telegram.jsonl"
        fake = await stack.enter_async_context(RemoteTelegram.start(journal=journal))
        model = await stack.enter_async_context(Model.started())
        spare = await stack.enter_async_context(Model.started())
        port = free_port()
        settings = {
            "http": {key: value.format(port=port) for key, value in http.items()},
            "engines": {"home": {"url": model.url}, "spare": {"url": spare.url}},
            "access": {
                "allow_from": [str(user) for user in KNOWN],
                "groups": [str(OURS)],
                "group_allow_from": [],
            },
            "adapters": {
                "telegram": {
                    "token": "${env:TELEGRAM_TOKEN}",
                    "base_url": fake.base_url,
                    **telegram,
                }
            },
        }
        running = await stack.enter_async_context(Moltgate.running(home, settings, port=port))
        yield World(running, fake, model, spare, journal)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def polled(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with world(tmp_path_factory.mktemp("polled"), {"poll_timeout": 5}, {}) as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hooked(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    telegram = {"mode": "webhook", "webhook_secret": SECRET}
    http = {"public_url": "http://127.0.0.1:{port}"}
    async with world(tmp_path_factory.mktemp("hooked"), telegram, http) as found:
        yield found


@pytest.fixture(params=["polled", "hooked"])
def either(request: pytest.FixtureRequest) -> World:
    """The same, whichever way updates come."""
    found: World = request.getfixturevalue(request.param)
    return found


async def test_a_stranger_costs_nothing_until_the_operator_lets_them_in(either: World) -> None:
    before = await either.model.stats()
    stranger, other = either.person(900), either.person(901)

    await stranger.says("let me in")
    told = await stranger.reads("pair approve")
    await stranger.says("please")
    await other.says("me too")
    await other.reads("pair approve")

    waiting = {one["id"]: one["code"] for one in await either.moltgate.tells("pair", "list")}
    assert set(waiting) == {"900", "901"}
    assert waiting["900"] in told["text"]
    assert await either.model.stats() == before

    await either.moltgate.does("pair", "approve", waiting["900"].lower())
    await stranger.reads("You have been let in")
    await stranger.asks("and now?")

    await either.moltgate.does("pair", "deny", waiting["901"])
    await other.says("still there")
    await other.taken_in()
    assert len(await other.sees()) == 1
    assert not await either.model.requests("still there")
    assert not await either.model.requests("please")


async def test_a_long_answer_grows_in_one_message(either: World) -> None:
    text = " ".join(f"word{number}" for number in range(30))
    person = either.person(101)

    await person.says(script(token_delay=0.12, text=text))
    partial = (await person.reads("word0"))["text"]
    await person.reads("word29")

    (shown,) = await person.sees()
    assert partial != text
    assert shown["text"] == text
    assert all(text.startswith(earlier) for earlier in shown["edits"])
    assert await either.sends(101) == 1


async def test_a_long_listing_comes_in_parts_that_stay_code(polled: World) -> None:
    lines = [f"print({number})  # a line of some length" for number in range(250)]
    person = polled.person(102)

    text = "Here it is:\n\n```python\n" + "\n".join(lines) + "\n```\n\nThat was all."
    await person.asks(script(text=text), "That was all.")

    parts = await person.sees()
    code = [
        part["text"].encode("utf-16-le")[2 * each["offset"] : 2 * (each["offset"] + each["length"])]
        for part in parts
        for each in part["entities"]
        if each["type"] == "pre"
    ]
    assert len(parts) > 2
    assert [
        line for block in code for line in block.decode("utf-16-le").splitlines() if line
    ] == lines


async def test_a_message_edited_while_it_waits_is_asked_as_edited(polled: World) -> None:
    person = polled.person(103)

    await person.says(script(latency=3, text="the first answer"))
    await until(lambda: polled.model.requests("the first answer"), "the first one is asked")
    waiting = await person.says("What is the capital of Fraance?")
    await person.says("What is the capital of France?", edit=waiting)
    await person.taken_in()
    assert not await person.sees()

    await person.reads("echo: What is the capital of France?")
    assert not await polled.model.requests("Fraance")


async def test_stop_ends_an_answer_and_later_messages_are_answered(polled: World) -> None:
    person = polled.person(104)
    before = (await polled.model.stats())["disconnects"]

    await person.says(script(token_delay=0.2, text=" ".join(f"w{n}" for n in range(500))))
    await person.reads("w3")
    await person.says("never mind")
    await person.says("/stop")
    await person.reads("Stopped")

    async def given_up() -> bool:
        return (await polled.model.stats())["disconnects"] > before

    await until(given_up, "the engine's stream is closed")
    await person.asks("and this?")
    assert not await polled.model.requests("never mind")
    assert not any("w499" in one["text"] for one in await person.sees())


async def test_new_forgets_what_was_said(polled: World) -> None:
    person = polled.person(105)

    await person.asks("my name is Ada")
    await person.asks("what is my name?")
    await person.says("/new")
    await person.reads("A new conversation")
    await person.asks("who am I?")

    (known,) = await polled.model.requests("what is my name?")
    (unknown,) = await polled.model.requests("who am I?")
    assert "Ada" in str(known["messages"])
    assert [one["role"] for one in unknown["messages"]] == ["system", "user"]


async def test_a_pinned_model_answers(polled: World) -> None:
    person = polled.person(106)

    await person.asks("/model nonesuch", "There is no such model")
    await person.asks("/model spare", "spare answers here")
    await person.asks("who is it?")
    await person.asks("/model default", "automatically again")
    await person.asks("and who now?")

    assert len(await polled.spare.requests("who is it?")) == 1
    assert len(await polled.model.requests("and who now?")) == 1
    assert not await polled.model.requests("who is it?")


async def test_pictures_and_voice_messages_are_kept_and_named_to_the_model(polled: World) -> None:
    person = polled.person(107)

    await person.says("what is this?", media="photo", content=PNG)
    await person.reads("what is this?")
    await person.says("", media="voice", content=OGG, fields={"duration": 3})
    await person.reads("voice")

    (photo,) = await polled.model.requests("what is this?")
    (voice,) = await polled.model.requests("voice")
    assert "image" in photo["question"]
    assert "voice not available" in voice["question"]  # those bytes are no sound
    kept = {one.read_bytes() for one in polled.moltgate.home.glob("blobs/**/*") if one.is_file()}
    assert {PNG, OGG} <= kept


async def test_a_pressed_button_is_an_answer_and_is_confirmed(polled: World) -> None:
    person = polled.person(108)

    asked = await person.asks("yes or no?")
    await polled.telegram.press(108, 108, asked["message_id"], "yes, do it")
    await person.reads("echo: yes, do it")

    async def confirmed() -> Any:
        return await polled.telegram.calls("answerCallbackQuery")

    await until(confirmed, "the press is confirmed")


async def test_groups_are_left_alone_unless_listed_and_the_bot_is_meant(polled: World) -> None:
    there, here = polled.person(950, THEIRS), polled.person(950, OURS)

    await there.says("@fake_bot hello from elsewhere")
    await here.says("has anybody seen my keys?")
    await here.says("@fake_bot where are my keys?")
    await here.reads("where are my keys?")

    assert len(await here.sees()) == 1
    assert not await there.sees()
    assert not await polled.model.requests("anybody")
    assert not await polled.model.requests("elsewhere")


async def test_a_gateway_killed_while_it_shows_an_answer_finishes_the_same_message(
    either: World,
) -> None:
    text = " ".join(f"word{number}" for number in range(40))
    person = either.person(109)

    await person.says(script(token_delay=0.1, text=text))
    await person.reads("word0")
    either.moltgate.kill("gateway")
    await person.reads("word39")

    (shown,) = await person.sees()
    assert shown["text"] == text
    await person.asks("all well?")


async def test_only_telegram_itself_gets_in_by_the_webhook(hooked: World) -> None:
    update = {
        "update_id": 1,
        "message": {
            "message_id": 1,
            "date": 1,
            "chat": {"id": 110, "type": "private"},
            "from": {"id": 110, "is_bot": False, "first_name": "Mallory"},
            "text": "forged",
        },
    }
    url = f"{hooked.moltgate.url}/webhooks/telegram/default"
    header = "X-Telegram-Bot-Api-Secret-Token"
    async with aiohttp.ClientSession() as session:
        for headers in ({}, {header: "guessed"}, {header: SECRET[:-1]}):
            async with session.post(url, json=update, headers=headers) as response:
                assert response.status in (401, 403)

    await hooked.person(110).asks("the real one")
    assert not await hooked.model.requests("forged")


async def test_in_the_end_everything_is_accounted_for(either: World) -> None:
    async def settled() -> Any:
        found = (await either.moltgate.tells("status"))["store"]
        return found if not found["waiting"] and not any(found["outbox"].values()) else None

    found = await until(settled, "nothing waits")

    assert found["difference"] == 0
    assert found["accepted"] > 5
    assert await either.moltgate.tells("dead", "list") == []
    assert await either.moltgate.stop() == 0
    log = either.moltgate.log.read_text()
    assert "Traceback" not in log
    assert "let me in" not in log
    assert "fake-telegram-token" not in log
