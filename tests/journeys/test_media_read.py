"""People who speak, photograph and attach: what they send is read, and answered once."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any

import aiohttp
import av
import pytest
import pytest_asyncio
from PIL import Image

from tests.adapters.email.scene import Person as Correspondent
from tests.adapters.email.scene import plain
from tests.adapters.email.scene import settings as mailbox
from tests.fakes.telegram import TOKEN, RemoteTelegram
from tests.journeys.stage import Model, Moltgate, Person, script, until
from tests.media import pictures, speech
from tests.servers.mail import MailServer, Missing, shared

pytestmark = pytest.mark.asyncio(loop_scope="module")

STRANGER = 900
KNOWN = tuple(range(101, 121))
OURS = -600
PAGE = (
    "INVOICE 4711",
    "",
    "For repairing the garden gate",
    "please pay 250 euros before Friday.",
    "",
    "Thank you for your order.",
)
CHAT = (
    "Are you coming to the market tonight?",
    "Yes, I will be there at seven.",
    "Bring the yellow umbrella.",
    "And the sugar for the kitchen.",
)
SIDE = 1000
"""Longest side of the pictures shown to a model."""


def note(*sentences: str) -> bytes:
    """A voice note as Telegram sends it."""
    return speech.encoded(speech.joined(*map(speech.say, sentences)), "ogg")


@dataclass
class World:
    moltgate: Moltgate
    telegram: RemoteTelegram
    blind: Model
    seeing: Model
    server: MailServer
    ours: str

    def person(self, user: int, chat: int = 0) -> Person:
        return Person(self.telegram, user, chat)

    async def speaks(self, person: Person, content: bytes, **fields: Any) -> None:
        await person.says("", media="voice", content=content, fields={"duration": 2, **fields})

    def jobs(self, kind: str) -> int:
        """How many of a kind the readers have done."""
        return sum(one["kind"] == kind for one in self.moltgate.events("job_done"))

    async def voices(self, person: Person) -> Sequence[bytes]:
        """The voice messages of the bot in a chat."""
        found = []
        async with aiohttp.ClientSession() as session:
            for one in await person.sees():
                if one["media"] == "voice":
                    url = f"{self.telegram.url}/file/bot{TOKEN}/files/{one['file_id']}"
                    async with session.get(url) as response:
                        found.append(await response.read())
        return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    try:
        server = shared()
    except Missing as missing:
        pytest.fail(str(missing))
    ours = server.person()
    async with contextlib.AsyncExitStack() as stack:
        telegram = await stack.enter_async_context(RemoteTelegram.start())
        blind = await stack.enter_async_context(Model.started())
        seeing = await stack.enter_async_context(Model.started())
        settings = {
            "log": {"format": "json"},
            "engines": {
                "home": {"url": blind.url},
                "seer": {"url": seeing.url, "vision": True},
            },
            "media": {"heard_as": ["computer"], "ocr": {"picture": SIDE}},
            "adapters": {
                "telegram": {
                    "token": "${env:TELEGRAM_TOKEN}",
                    "base_url": telegram.base_url,
                    "access": {
                        "allow_from": [str(user) for user in KNOWN],
                        "groups": [str(OURS)],
                    },
                },
                "email": mailbox(server, ours, access={"dm_policy": "open"}),
            },
        }
        running = Moltgate.running(tmp_path_factory.mktemp("media"), settings)
        moltgate = await stack.enter_async_context(running)
        await moltgate.happened("mailbox_baseline")
        yield World(moltgate, telegram, blind, seeing, server, ours)


async def test_a_spoken_question_is_answered_in_words_and_by_voice(world: World) -> None:
    ada, question = world.person(STRANGER), note("what is the weather today")
    await ada.says("hello")
    await ada.reads("pair approve")
    (waiting,) = await world.moltgate.tells("pair", "list")
    await world.moltgate.does("pair", "approve", waiting["code"])
    await ada.reads("You have been let in")
    await ada.asks("/voice mirror", "Voice answers here are now")

    await world.speaks(ada, question)
    answer = await ada.reads("echo: [voice message")
    assert "what is the weather today" in answer["text"]

    async def spoken() -> Sequence[bytes]:
        return await world.voices(ada)

    (voice,) = await until(spoken, "the answer by voice")
    assert _opus_seconds(voice) > 1

    await ada.asks("and tomorrow?")
    (later,) = await world.blind.requests("and tomorrow?")
    assert "what is the weather today" in later["messages"][1]["content"]
    assert len(await world.voices(ada)) == 1  # who writes is answered in writing


def _opus_seconds(ogg: bytes) -> float:
    opened: Any
    with av.open(io.BytesIO(ogg)) as opened:
        (stream,) = opened.streams
        assert (opened.format.name, stream.codec_context.name) == ("ogg", "opus")
        return float(sum(frame.samples / frame.sample_rate for frame in opened.decode(stream)))


async def test_a_note_that_comes_again_is_not_read_again(world: World) -> None:
    eva, question = world.person(102), note("where are my keys")
    await world.speaks(eva, question)
    await eva.reads("where are my keys")
    heard = world.jobs("asr")

    await world.speaks(eva, question, forward_date=1)

    async def twice() -> bool:
        return len(await world.blind.requests("where are my keys")) == 2

    await until(twice, "the model is asked again")
    assert world.jobs("asr") == heard


async def test_a_photographed_page_and_a_dark_screenshot_are_read(world: World) -> None:
    bob = world.person(103)
    photo = pictures.as_jpeg(pictures.photographed(pictures.page(PAGE, size=44)))
    dark = pictures.as_png(pictures.screenshot(CHAT, size=18))

    await bob.says("What does it say?", media="photo", content=photo)
    await bob.reads("What does it say?")
    await bob.says("And this?", media="photo", content=dark)
    await bob.reads("And this?")

    (page,) = await world.blind.requests("What does it say?")
    (screen,) = await world.blind.requests("And this?")
    for words in ("INVOICE 4711", "garden gate", "250 euros before Friday"):
        assert words in page["question"]
    for words in ("market tonight", "there at seven", "yellow umbrella", "sugar for the kitchen"):
        assert words in screen["question"]
    assert "image_url" not in str(page["messages"]) + str(screen["messages"])


async def test_a_model_that_sees_is_shown_the_picture_itself_made_smaller(world: World) -> None:
    cy = world.person(104)
    original = pictures.photographed(pictures.page(PAGE, size=44))
    assert max(original.size) > SIDE
    await cy.asks("/model seer", "seer answers here")

    await cy.says("Look at it", media="photo", content=pictures.as_jpeg(original))
    await cy.reads("Look at it")

    (asked,) = await world.seeing.requests("Look at it")
    text, image = asked["messages"][-1]["content"]
    assert text["type"] == "text"
    assert "250 euros" in text["text"]
    with Image.open(io.BytesIO(_unpacked(image))) as shown:
        assert max(shown.size) == SIDE
        assert shown.size[0] * original.size[1] == pytest.approx(
            shown.size[1] * original.size[0], rel=0.01
        )


def _unpacked(part: Mapping[str, Any]) -> bytes:
    kind, _, packed = part["image_url"]["url"].partition(";base64,")
    assert kind in ("data:image/png", "data:image/jpeg")
    return base64.b64decode(packed)


async def test_a_scanned_letter_by_mail_is_read_and_a_broken_one_is_said_to_be(
    world: World,
) -> None:
    dora = Correspondent(world.server, world.server.person(), "Dora")
    scan = io.BytesIO()
    pictures.page(PAGE, size=32).save(scan, "PDF", resolution=150.0)

    async def got(text: str) -> EmailMessage:
        async def there() -> EmailMessage | None:
            mails = world.server.stored(dora.address)
            return next((one for one in mails if text in plain(one)), None)

        found: EmailMessage = await until(there, f"a mail with {text!r}")
        return found

    letter = ("letter.pdf", "application/pdf", scan.getvalue())
    await dora.writes(world.ours, "Please summarise", subject="A letter", files=[letter])
    answer = plain(await got("Please summarise"))
    assert "250 euros before Friday" in " ".join(answer.split())

    broken = ("broken.pdf", "application/pdf", b"%PDF-1.7\n" + bytes(range(256)) * 20)
    await dora.writes(world.ours, "And this one?", subject="Another", files=[broken])
    answer = " ".join(plain(await got("And this one?")).split())
    assert "could not read broken.pdf" in answer


async def test_a_spoken_stop_ends_a_long_answer(world: World) -> None:
    finn = world.person(105)
    before = (await world.blind.stats())["disconnects"]

    await finn.says(script(token_delay=0.2, text=" ".join(f"w{n}" for n in range(900))))
    await finn.reads("w3")
    await world.speaks(finn, note("stop"))
    await finn.reads("Stopped")

    async def given_up() -> bool:
        return (await world.blind.stats())["disconnects"] > before

    await until(given_up, "the engine's stream is closed")
    await finn.asks("and this?")
    assert not any("w899" in one["text"] for one in await finn.sees())


async def test_in_a_group_a_note_that_calls_the_bot_is_answered(world: World) -> None:
    here = world.person(950, OURS)

    await world.speaks(here, note("how many people live in the city"))
    await world.speaks(here, note("computer what time is it"))
    await here.reads("what time is it")

    assert len(await here.sees()) == 1
    assert not await world.blind.requests("how many people")


async def test_readers_killed_at_work_cost_no_message(world: World) -> None:
    people = [world.person(user) for user in KNOWN[10:12]]
    parts = ("what time is it", "how are you", "where are my keys", "do you like music")
    told = [parts[n:] + parts[:n] for n in range(len(people))]
    notes = [note(*sentences) for sentences in told]
    await world.moltgate.happened("media_started")
    for person, spoken in zip(people, notes, strict=True):
        await world.speaks(person, spoken)
    world.moltgate.signal_every("media", signal.SIGSTOP)  # at work, for as long as we look
    last = people[-1]

    async def shown() -> Any:
        await last.says("/status")
        await asyncio.sleep(4.0)  # twenty a minute are listened to
        return any("Reading: a voice message" in one["text"] for one in await last.sees())

    await until(shown, "the status shows what is being read")
    assert world.moltgate.signal_every("media", signal.SIGKILL) > 1

    answer = "echo: [voice message, transcribed"
    for person in people:
        await person.reads(answer, seconds=120)  # it takes a while until readers are missed
    for person in people:
        assert sum(answer in one["text"] for one in await person.sees()) == 1


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
    assert "weather" not in log
    assert "INVOICE" not in log
