"""What every adapter promises, run on each against its platform (or a strict fake of it)."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import msgspec
import pytest

import adapters
from adapters.telegram.adapter import TelegramAdapter
from adapters.telegram.config import TelegramConfig
from adapters.web.adapter import WebAdapter
from adapters.web.config import WebChatConfig
from gateway.clock import SystemClock
from gateway.message import (
    Account,
    ConversationId,
    Outbound,
    Place,
    ReplyId,
    Sender,
    conversation_id,
)
from gateway.ports import Adapter, EditsMessages, Live, Services, ShowsPartial, ShowsTyping
from tests.fakes.inbox import MemoryInbox
from tests.fakes.stores import MemoryBlobs, MemoryLog
from tests.fakes.telegram import FakeTelegram

KINDS = ("telegram", "web")
TEXTS = {
    "empty": "",
    "short": "short",
    "words": "word " * 5000,
    "code": "```py\n" + "x = 1\n" * 3000 + "```\nend",
    "emoji": "😀" * 5000,
    "paragraphs": "a\n\n" * 4000,
}


@dataclass
class Platform:
    """One adapter, a person on its platform, and what that person sees."""

    adapter: Adapter
    place: Place
    sender: Sender
    say: Callable[[str], object]
    """The person writes; may return an awaitable."""
    texts: Callable[[], Awaitable[list[str]]]
    """Our messages as the person sees them, oldest first."""

    @property
    def conversation(self) -> ConversationId:
        return conversation_id(self.adapter.account, self.place, self.sender)

    def part(self, text: str, *, reply: str = "r1", part: int = 0, parts: int = 1) -> Outbound:
        return Outbound(
            reply=ReplyId(reply),
            conversation=self.conversation,
            account=self.adapter.account,
            place=self.place,
            text=text,
            part=part,
            parts=parts,
        )

    async def write(self, text: str) -> None:
        said = self.say(text)
        if asyncio.iscoroutine(said):
            with contextlib.suppress(Exception):  # a refused door is what some scenes are about
                await said


async def telegram() -> AsyncIterator[Platform]:
    async with FakeTelegram() as fake:
        config = TelegramConfig(token=fake.token, base_url=fake.base_url, poll_timeout=1)
        services = Services(blobs=MemoryBlobs(), log=MemoryLog(), clock=SystemClock())
        adapter = TelegramAdapter(Account(kind="telegram"), config, services)

        async def texts() -> list[str]:
            return fake.texts(7)

        yield Platform(
            adapter,
            Place(kind="direct", chat="7"),
            Sender(id="7"),
            lambda text: fake.world.say(7, 7, text),
            texts,
        )
        await adapter.close()


async def web() -> AsyncIterator[Platform]:
    log = MemoryLog()
    services = Services(blobs=MemoryBlobs(), log=log, clock=SystemClock())
    adapter = WebAdapter(Account(kind="web"), WebChatConfig(), services)
    place, sender = Place(kind="direct", chat="owner.a"), Sender(id="owner", grade="verified")
    conversation = conversation_id(adapter.account, place, sender)
    count = iter(range(1000))

    async def say(text: str) -> None:
        await adapter.receive(principal="owner", conversation="a", id=f"id{next(count)}", text=text)

    async def texts() -> list[str]:
        events = [msgspec.json.decode(entry.body) for entry in await log.read(conversation)]
        return [event["text"] for event in events if event["role"] == "assistant"]

    yield Platform(adapter, place, sender, say, texts)
    await adapter.close()


@pytest.fixture(params=KINDS)
async def platform(request: pytest.FixtureRequest) -> AsyncIterator[Platform]:
    start = {"telegram": telegram, "web": web}[request.param]
    async with contextlib.asynccontextmanager(start)() as found:
        yield found


@contextlib.asynccontextmanager
async def receiving(platform: Platform, inbox: MemoryInbox) -> AsyncIterator[None]:
    task = asyncio.create_task(platform.adapter.run(inbox))
    await asyncio.sleep(0)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():
            await asyncio.sleep(0.01)


async def test_what_a_person_writes_is_taken_in_with_its_author_and_place(
    platform: Platform,
) -> None:
    inbox = MemoryInbox()
    async with receiving(platform, inbox):
        await platform.write("hello there")
        await until(lambda: bool(inbox.events))

    (event,) = inbox.events
    assert event.text == "hello there"
    assert event.sender.id == platform.sender.id
    assert event.conversation == platform.conversation
    assert event.addressed
    assert event.received_at > 0


async def test_what_could_not_be_stored_is_handed_in_again(platform: Platform) -> None:
    inbox = MemoryInbox()
    inbox.down = True
    async with receiving(platform, inbox):
        await platform.write("hold on")
        await until(lambda: bool(inbox.offered))
        assert inbox.events == []
        inbox.down = False
        if isinstance(platform.adapter, ShowsPartial):
            await platform.write("hold on")  # our own channel tells its client to send again
        await until(lambda: bool(inbox.events))

    assert inbox.texts == ["hold on"]


async def test_a_part_is_shown(platform: Platform) -> None:
    async with receiving(platform, MemoryInbox()):
        await platform.write("hi")
        receipt = await platform.adapter.send(platform.part("first"))
        await platform.adapter.send(platform.part("second", reply="r2"))

    assert await platform.texts() == ["first", "second"]
    assert isinstance(receipt.native_id, str)


async def test_a_repeatable_send_shows_nothing_twice(platform: Platform) -> None:
    spec = adapters.find(platform.adapter.account.kind)
    if not spec.capabilities.idempotent_send:
        return
    async with receiving(platform, MemoryInbox()):
        for _ in range(3):
            await platform.adapter.send(platform.part("once"))
    assert await platform.texts() == ["once"]


async def test_an_edit_may_be_repeated_and_leaves_one_message(platform: Platform) -> None:
    if not isinstance(platform.adapter, EditsMessages):
        return
    async with receiving(platform, MemoryInbox()):
        await platform.write("hi")
        receipt = await platform.adapter.send(platform.part("grow"))
        for text in ("growing", "grown", "grown"):
            await platform.adapter.edit(platform.part(text), receipt.native_id)
    assert await platform.texts() == ["grown"]


async def test_what_is_best_effort_raises_nothing(platform: Platform) -> None:
    live = Live(
        conversation=platform.conversation,
        account=platform.adapter.account,
        place=platform.place,
        reply=ReplyId("r1"),
        kind="text",
        text="so far",
    )
    async with receiving(platform, MemoryInbox()):
        if isinstance(platform.adapter, ShowsTyping):
            await platform.write("hi")
            await platform.adapter.typing(platform.conversation, platform.place)
        if isinstance(platform.adapter, ShowsPartial):
            await platform.adapter.partial(live)
    assert await platform.texts() == []


async def test_an_adapter_that_never_ran_can_be_closed(platform: Platform) -> None:
    await platform.adapter.close()


@pytest.mark.parametrize("kind", adapters.kinds())
@pytest.mark.parametrize(
    "text",
    [
        "",
        "short",
        "word " * 5000,
        "```py\n" + "x = 1\n" * 3000 + "```\nend",
        "😀" * 5000,
        "a\n\n" * 4000,
    ],
    ids=["empty", "short", "words", "code", "emoji", "paragraphs"],
)
def test_a_reply_is_cut_into_numbered_parts_with_keys_of_their_own(kind: str, text: str) -> None:
    split = adapters.find(kind).splitter()
    account, place = Account(kind=kind), Place(kind="direct", chat="7")
    whole = Outbound(
        reply=ReplyId("r1"),
        conversation=conversation_id(account, place, Sender(id="7")),
        account=account,
        place=place,
        text=text,
    )

    parts = split(whole)

    assert parts
    assert [part.part for part in parts] == list(range(len(parts)))
    assert {part.parts for part in parts} == {len(parts)}
    assert len({part.key for part in parts}) == len(parts)
    assert all(len(part.key) <= 25 for part in parts)
    kept = sum(part.text.count("x = 1") for part in parts)
    assert kept == text.count("x = 1")


@pytest.mark.parametrize("kind", adapters.kinds())
def test_finding_a_spec_does_not_load_the_platforms_library(kind: str) -> None:
    script = (
        "import sys, adapters; adapters.find(sys.argv[1]).splitter();"
        "print(','.join(m for m in ('telegram', 'discord', 'aiohttp') if m in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, kind], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""
