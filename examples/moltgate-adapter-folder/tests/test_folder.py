"""Moltgate's contract for adapters, and what is special about a folder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from moltgate_adapter_folder import SPEC
from moltgate_adapter_folder.adapter import FolderAdapter
from moltgate_adapter_folder.config import FolderConfig

from gateway.errors import Failed, Unavailable
from gateway.message import Account, Place, Sender
from tests.contracts.platform import Platform
from tests.contracts.test_adapters import (  # noqa: F401 - these run here, on our platform
    receiving,
    test_a_part_is_shown,
    test_an_adapter_that_never_ran_can_be_closed,
    test_an_edit_may_be_repeated_and_leaves_one_message,
    test_what_a_person_writes_is_taken_in_with_its_author_and_place,
    test_what_could_not_be_stored_is_handed_in_again,
    test_what_is_best_effort_raises_nothing,
    until,
)
from tests.fakes.inbox import MemoryInbox
from tests.fakes.services import Counts, services

ACCOUNT = Account(kind="folder")


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[Platform]:
    counts = Counts()
    given = services(ACCOUNT, count=counts.happened)
    adapter = FolderAdapter(ACCOUNT, FolderConfig(path=tmp_path, every=0.01), given)

    def say(text: str) -> None:
        ask(tmp_path, "ada", text)

    async def texts() -> list[str]:
        files = sorted((tmp_path / "out" / "ada").glob("*.md"), key=lambda one: one.name)
        return [file.read_text().strip() for file in files]

    yield Platform(adapter, Place(kind="direct", chat="ada"), Sender(id="ada"), say, texts)
    await adapter.close()


def ask(root: Path, person: str, text: str, name: str = "question.md") -> Path:
    """As a careful writer does it: the name is given when the file is whole."""
    folder = root / "in" / person
    folder.mkdir(parents=True, exist_ok=True)
    half = folder / f".{name}"
    half.write_text(text)
    return half.rename(folder / name)


async def test_the_same_key_is_shown_once(platform: Platform) -> None:
    for _ in range(3):
        await platform.adapter.send(platform.part("once"))
    assert await platform.texts() == ["once"]


async def test_a_question_is_put_away_when_it_was_stored(
    platform: Platform, tmp_path: Path
) -> None:
    inbox = MemoryInbox()
    async with receiving(platform, inbox):
        question = ask(tmp_path, "ada", "hello")
        await until(lambda: not question.exists())
    assert inbox.texts == ["hello"]
    assert (tmp_path / "read" / "ada" / "question.md").read_text() == "hello"


async def test_what_is_no_question_is_left_alone(platform: Platform, tmp_path: Path) -> None:
    inbox = MemoryInbox()
    secret = tmp_path / "secret.md"
    secret.write_text("not for the model")
    ask(tmp_path, "ada", "a picture", "cat.png")
    (tmp_path / "in" / "ada" / "link.md").symlink_to(secret)
    (tmp_path / "in" / "ada" / ".half.md").write_text("not whole")
    (tmp_path / "in" / "eve").symlink_to(tmp_path)
    async with receiving(platform, inbox):
        ask(tmp_path, "ada", "a question")
        await until(lambda: bool(inbox.events))
        await asyncio.sleep(0.1)
    assert inbox.texts == ["a question"]


async def test_what_cannot_be_read_stops_nobody(platform: Platform, tmp_path: Path) -> None:
    inbox = MemoryInbox()
    folder = tmp_path / "in" / "ada"
    folder.mkdir(parents=True)
    (folder / "a.md").write_bytes(b"\xff\xfe\x00")
    (folder / "b.md").write_text("x" * 2**21)
    async with receiving(platform, inbox):
        ask(tmp_path, "ada", "readable")
        await until(lambda: bool(inbox.events))
        await until(lambda: not list(folder.glob("*.md")))
    assert inbox.texts == ["readable"]


@pytest.mark.parametrize("chat", ["../../etc", "a/b", "", ".hidden", "x" * 200])
async def test_no_answer_leaves_the_folder(platform: Platform, chat: str) -> None:
    platform.place = Place(kind="direct", chat=chat)
    with pytest.raises(Failed):
        await platform.adapter.send(platform.part("out"))


async def test_a_folder_that_is_away_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    config = FolderConfig(path=tmp_path / "file")
    adapter = FolderAdapter(ACCOUNT, config, services(ACCOUNT))
    bench = Platform(adapter, Place(kind="direct", chat="ada"), Sender(id="ada"), print, list)  # type: ignore[arg-type]
    with pytest.raises(Unavailable):
        await adapter.send(bench.part("hello"))
    assert not (await adapter.probe()).ok


def test_it_introduces_itself() -> None:
    assert SPEC.splitter()
    with pytest.raises(ValueError, match="begins with /"):
        FolderConfig(path=Path("questions"))
