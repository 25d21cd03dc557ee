"""What every adapter promises, run on each against its platform (or a strict fake of it)."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import subprocess
import sys
from collections.abc import AsyncIterator, Callable

import pytest

import adapters
from gateway.message import (
    Account,
    Outbound,
    Place,
    ReplyId,
    Sender,
    conversation_id,
)
from gateway.ports import EditsMessages, Live, ShowsPartial, ShowsTyping
from tests.contracts.platform import Platform
from tests.fakes.inbox import MemoryInbox

SDKS = ("telegram discord slack_sdk nio aioimaplib aiosmtplib slixmpp irc aiohttp").split()


@pytest.fixture(params=adapters.kinds())
async def platform(request: pytest.FixtureRequest) -> AsyncIterator[Platform]:
    """Each adapter's own bench, ``tests/adapters/<kind>/platform.py``."""
    bench = importlib.import_module(f"tests.adapters.{request.param}.platform")
    async with contextlib.asynccontextmanager(bench.platform)() as found:
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
        if platform.again:
            await platform.write("hold on")
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
        "print(','.join(sorted(set(sys.argv[2:]) & set(sys.modules))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, kind, *SDKS], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""
