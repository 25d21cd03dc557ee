"""Files on the road: what the model sees of them, what people see, and what is spoken."""

from __future__ import annotations

import asyncio
import dataclasses

import msgspec
import pytest

from gateway.access.config import AccessConfig, AccountRules
from gateway.access.pairing import Approvals
from gateway.clock import SystemClock
from gateway.errors import Refused
from gateway.heard import Early, Heard
from gateway.intake import Intake
from gateway.message import Attachment, Inbound, Turn
from gateway.ports import LanePolicy
from gateway.queues.records import RedisRecords
from gateway.sessions.commands import Commands
from gateway.sessions.config import SessionConfig
from gateway.sessions.prompt import Prompts
from gateway.turn import Speech
from multimodal.config import MediaConfig
from multimodal.jobs import Reading
from multimodal.pipeline import Readers
from tests.builders import ACCOUNT, message
from tests.fakes.desk import Counts, FakeDesk
from tests.fakes.platform import EDITING, PLAIN, EditingAdapter, split
from tests.gateway.conftest import Road

SPEAKING = dataclasses.replace(PLAIN, voice_out=True, files_out=True)
VOICE = Attachment(kind="voice", digest="ab" * 32, media_type="audio/ogg", size=3)


class Ears:
    """`Enricher`: what a file says stands in its name; with a ``!`` before it, it is a problem."""

    def __init__(self) -> None:
        self.calls = 0
        self.open = asyncio.Event()
        self.open.set()

    async def enrich(self, inbound: Inbound) -> Inbound:
        self.calls += 1
        await self.open.wait()
        return msgspec.structs.replace(
            inbound, attachments=tuple(map(self._one, inbound.attachments))
        )

    def _one(self, one: Attachment) -> Attachment:
        if one.name.startswith("!"):
            return msgspec.structs.replace(one, name="a.pdf", problem=one.name[1:])
        picture = "cd" * 32 if one.kind == "image" else ""
        return msgspec.structs.replace(one, text=one.name, picture=picture)


class Mouth:
    """`Voice` that says everything alike."""

    def __init__(self, said: Attachment | None = VOICE) -> None:
        self.asked: list[tuple[str, str]] = []
        self.said = said

    async def speak(self, text: str, tenant: str) -> Attachment | None:
        self.asked.append((text, tenant))
        return self.said


def file(kind: str, says: str) -> Attachment:
    return Attachment(kind=kind, digest="ef" * 32, name=says)  # type: ignore[arg-type]


def carrying(native: str, *files: Attachment, text: str = "", **more: object) -> Inbound:
    return message(native, text=text, attachments=files, **more)


@pytest.fixture
def ears(road: Road) -> Ears:
    ears = Ears()
    road.enricher = ears
    road.prompts = Prompts(SessionConfig(), SystemClock())
    records = RedisRecords(road.store)
    rules = AccountRules(account=ACCOUNT, access=AccessConfig(), heard_as=("Molly",))
    road.heard = Heard(
        road.lanes,
        Commands(road.lanes, records, SystemClock(), models=lambda: ("home",), version="1"),
        {ACCOUNT.key: rules},
        Approvals(records, SystemClock()),
        split,
        stop_words=SessionConfig().stop_words,
    )
    return ears


async def history(road: Road, of: Inbound) -> list[str]:
    partition = road.store.partition_of(of.conversation)
    key = f"{partition}:h:{of.conversation}:0"
    lines = await road.store.call(partition, "LRANGE", key, 0, -1)
    return [msgspec.json.decode(line, type=Turn).text for line in lines]


def exposition(road: Road) -> str:
    return road.metrics.exposition().decode()


# --- what the model sees ------------------------------------------------------------------------


async def test_a_transcript_reaches_the_model_and_the_history(road: Road, ears: Ears) -> None:
    road.engine.scripts = [["leaves"]]
    voice = carrying("1", file("voice", "what is tea"))
    async with road.working(), road.sending():
        await road.put(voice)
        await road.settled(answered=1, sent=1)
    (asked,) = road.engine.asked
    assert asked.messages[-1].content == "[voice message, transcribed]\nwhat is tea"
    assert await history(road, voice) == ["[voice message, transcribed]\nwhat is tea", "leaves"]
    assert road.platform.texts() == ["leaves"]


async def test_the_transcript_stays_in_the_history_of_a_refusal(road: Road, ears: Ears) -> None:
    road.engine.scripts = [[Refused("No.")]]
    voice = carrying("1", file("voice", "what is tea"))
    async with road.working():
        await road.put(voice)
        await road.settled(refused=1)
    assert await history(road, voice) == ["[voice message, transcribed]\nwhat is tea"]


async def test_pictures_go_along_with_the_question(road: Road, ears: Ears) -> None:
    async with road.working():
        await road.put(carrying("1", file("image", "EXIT"), text="what is this?"))
        await road.settled(answered=1)
    question = road.engine.asked[0].messages[-1]
    assert question.pictures == ("cd" * 32,)
    assert "EXIT" in question.content


async def test_texts_are_not_read(road: Road, ears: Ears) -> None:
    async with road.working():
        await road.put(message("1"))
        await road.settled(answered=1)
    assert ears.calls == 0


async def test_the_files_of_messages_taken_together_are_read_at_once(
    road: Road, ears: Ears
) -> None:
    road.policy = LanePolicy(mode="collect")
    ears.open.clear()
    for native in "123":
        await road.put(carrying(native, file("image", native)))
    async with road.working():
        await road.until(lambda: ears.calls == 3)
        ears.open.set()
        await road.settled(answered=3)
    assert len(road.engine.asked) == 1


# --- what people see ----------------------------------------------------------------------------


async def test_what_could_not_be_read_stands_below_the_answer_and_not_in_its_history(
    road: Road, ears: Ears
) -> None:
    road.engine.scripts = [["I see nothing."]]
    broken = carrying("1", file("document", "!it is encrypted"), text="sum up")
    async with road.working(), road.sending():
        await road.put(broken)
        await road.settled(answered=1, sent=2)
    assert road.platform.texts() == ["I see nothing.", "(I could not read a.pdf: it is encrypted.)"]
    assert "[document not available: it is encrypted]" in road.engine.asked[0].messages[-1].content
    assert (await history(road, broken))[-1] == "I see nothing."


async def test_typing_is_shown_while_files_are_read(road: Road, ears: Ears) -> None:
    road.adapter, road.capabilities = EditingAdapter, EDITING
    ears.open.clear()
    async with road.working(), road.sending():
        await road.put(carrying("1", file("image", "x")))
        await road.until(lambda: road.platform.typed > 0)
        ears.open.set()
        await road.settled(answered=1, sent=1)


# --- voice answers ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "override", "spoken", "speaks"),
    [
        ("off", "", True, False),
        ("off", "on", True, False),
        ("request", "", True, False),
        ("request", "on", False, True),
        ("request", "mirror", True, True),
        ("request", "mirror", False, False),
        ("mirror", "", True, True),
        ("mirror", "", False, False),
        ("mirror", "off", True, False),
        ("always", "", False, True),
        ("always", "off", True, False),
        ("always", "mirror", False, False),
    ],
)
async def test_an_answer_is_spoken_as_in_the_table(
    road: Road, ears: Ears, mode: str, override: str, spoken: bool, speaks: bool
) -> None:
    mouth = Mouth()
    road.capabilities, road.speech = SPEAKING, Speech(voice=mouth, mode=mode)
    road.engine.scripts = [["leaves"]]
    asked = carrying("1", file("voice", "what is tea")) if spoken else message("1")
    await road.lanes.override(asked.conversation, "voice", override)
    async with road.working(), road.sending():
        await road.put(asked)
        await road.settled(answered=1, sent=2 if speaks else 1)
    assert mouth.asked == ([("leaves", "main")] if speaks else [])
    first, *rest = road.platform.messages.values()
    assert (first.texts, first.files) == (["leaves"], ())
    assert [one.files for one in rest] == ([(VOICE,)] if speaks else [])


async def test_a_platform_without_voice_messages_is_sent_none(road: Road, ears: Ears) -> None:
    mouth = Mouth()
    road.speech = Speech(voice=mouth, mode="always")
    async with road.working(), road.sending():
        await road.put(message("1"))
        await road.settled(answered=1, sent=1)
    assert mouth.asked == []


async def test_an_answer_without_a_voice_to_be_had_stays_text(road: Road, ears: Ears) -> None:
    road.capabilities = SPEAKING
    road.speech = Speech(voice=Mouth(said=None), mode="always")
    async with road.working(), road.sending():
        await road.put(message("1"))
        await road.settled(answered=1, sent=1)


async def test_remarks_are_not_spoken(road: Road, ears: Ears) -> None:
    mouth = Mouth()
    road.capabilities, road.speech = SPEAKING, Speech(voice=mouth, mode="always")
    road.engine.scripts = [["I see nothing."]]
    async with road.working(), road.sending():
        await road.put(carrying("1", file("document", "!it is encrypted")))
        await road.settled(answered=1, sent=3)
    assert mouth.asked == [("I see nothing.", "main")]


# --- spoken commands, in their turn -------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("stop", "There was nothing to stop."),
        ("slash model home", "From now on `home`"),
        ("command who am i", "- You: `ada`"),
    ],
)
async def test_a_spoken_command_is_obeyed_in_its_turn_and_answered_once(
    road: Road, ears: Ears, words: str, says: str
) -> None:
    async with road.working() as worker, road.sending():
        await road.put(carrying("1", file("voice", words)))
        await road.settled(accepted=1, answered=1, waiting=0, sent=1)
        await road.put(message("2", text="and now"))
        await road.settled(accepted=2, answered=2, waiting=0, sent=2)
        await road.until(lambda: worker.busy == 0)
    assert road.platform.texts()[0].startswith(says)
    assert [asked.messages[-1].content for asked in road.engine.asked] == ["and now"]
    assert 'moltgate_turns_total{engine="",outcome="spoken"} 1.0' in exposition(road)


async def test_what_was_taken_together_with_a_command_is_answered(road: Road, ears: Ears) -> None:
    road.policy = LanePolicy(mode="collect")
    await road.put(message("1", text="before"))
    await road.put(carrying("2", file("voice", "slash model home")))
    await road.put(message("3", text="after"))
    async with road.working(), road.sending():
        await road.settled(accepted=3, answered=3, sent=3)
    assert [asked.messages[-1].content for asked in road.engine.asked] == ["before\n\nafter"]


async def test_a_question_behind_a_spoken_command_is_answered(road: Road, ears: Ears) -> None:
    async with road.working(), road.sending():
        await road.put(carrying("1", file("voice", "Slash new. What is tea?")))
        await road.settled(accepted=1, answered=1, sent=1)
    assert road.platform.texts() == ["echo What is tea?"]


async def test_a_spoken_stop_ends_a_turn_of_another_worker(road: Road, ears: Ears) -> None:
    never = asyncio.Event()
    road.engine.scripts = [["half", never]]
    stop = carrying("2", file("voice", "stop"))
    assert road.heard is not None
    async with road.working() as worker, road.sending():
        await road.put(message("1"))
        await road.until(lambda: len(road.engine.asked) == 1)
        await road.put(stop)
        await road.heard.settle(await ears.enrich(stop))
        await road.until(lambda: road.engine.closed == 1 and worker.busy == 0)
        await road.settled(accepted=2, cancelled=1, answered=1, waiting=0, sent=1)
    assert road.platform.texts() == ["Stopped."]


async def test_a_spoken_stop_is_heard_by_the_gateway_while_the_worker_answers(
    road: Road, ears: Ears
) -> None:
    """The whole way: taken in, read early, executed, and the turn is over at once."""
    never, desk, counts = asyncio.Event(), FakeDesk(), Counts()
    desk.reads = lambda job: Reading(text="Please stop.")
    road.engine.scripts = [["half", never]]
    records = RedisRecords(road.store)
    road.enricher = Readers(desk, records, SystemClock(), MediaConfig(), counts)
    assert road.heard is not None
    listener = Readers(desk, records, SystemClock(), MediaConfig(), counts, early=True)
    early = Early(listener, road.heard)
    access = AccessConfig(dm_policy="open")
    intake = Intake(
        road.lanes,
        records,
        {ACCOUNT.key: AccountRules(account=ACCOUNT, access=access)},
        SystemClock(),
        split,
        commands=Commands(road.lanes, records, SystemClock(), models=lambda: (), version="1"),
        stored=early.begin,
    )
    async with road.working() as worker, road.sending():
        await intake.accept(message("1", text="tell me a long story"))
        await road.until(lambda: len(road.engine.asked) == 1)
        taken = await intake.accept(carrying("2", file("voice", "")))
        assert taken.outcome == "stored"
        await road.until(lambda: road.engine.closed == 1 and worker.busy == 0)
        await road.settled(accepted=2, cancelled=1, answered=1, waiting=0, sent=1)
        again = await intake.accept(carrying("2", file("voice", "")))
        assert again.outcome == "duplicate"
    await early.close()
    assert road.platform.texts() == ["Stopped."]
    assert len(desk.asked) == 1


# --- overheard ----------------------------------------------------------------------------------


def overheard(native: str, words: str, text: str = "") -> Inbound:
    return carrying(native, file("voice", words), text=text, addressed=False, overheard=True)


async def test_talk_of_others_is_dropped_without_a_trace(road: Road, ears: Ears) -> None:
    road.adapter, road.capabilities = EditingAdapter, EDITING
    talk = overheard("1", "nice weather")
    ears.open.clear()
    async with road.working() as worker, road.sending():
        await road.put(talk)
        await road.until(lambda: ears.calls == 1)
        await asyncio.sleep(0.4)  # longer than it takes to show typing
        ears.open.set()
        await road.put(overheard("2", "!it is broken"))
        await road.settled(accepted=2, cancelled=2, waiting=0)
        await road.until(lambda: worker.busy == 0)
    assert (road.platform.texts(), road.platform.typed) == ([], 0)
    assert (road.engine.asked, await history(road, talk)) == ([], [])


async def test_who_names_us_is_answered(road: Road, ears: Ears) -> None:
    async with road.working(), road.sending():
        await road.put(overheard("1", "Molly, what is tea?"))
        await road.settled(accepted=1, answered=1, sent=1)
    assert "what is tea" in road.platform.texts()[0]


async def test_talk_of_others_holds_up_no_question(road: Road, ears: Ears) -> None:
    road.policy = LanePolicy(mode="collect")
    await road.put(overheard("1", "nice weather"))
    await road.put(message("2", text="what is tea?"))
    async with road.working(), road.sending():
        await road.settled(accepted=2, answered=1, cancelled=1, sent=1)
    assert [asked.messages[-1].content for asked in road.engine.asked] == ["what is tea?"]
