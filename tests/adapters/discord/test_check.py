"""The live check of a bot."""

from __future__ import annotations

import pytest

from tests.adapters.discord.scene import Build
from tests.fakes.discord import FakeDiscord


async def test_all_is_well(discord: FakeDiscord, build: Build) -> None:
    probe = await build().probe()
    assert probe.ok
    assert probe.summary == "signed in as fake_bot, in 1 server"
    assert list(probe.advice) == []
    assert {call.route.split()[0] for call in discord.world.calls} == {"GET"}


async def test_missing_permissions_are_named(discord: FakeDiscord, build: Build) -> None:
    discord.world.permissions = 1 << 10 | 1 << 11
    probe = await build().probe()
    assert probe.ok
    (advice,) = probe.advice
    assert "a server" in advice
    assert "Attach Files" in advice
    assert "Send Messages," not in advice


async def test_an_administrator_lacks_nothing(discord: FakeDiscord, build: Build) -> None:
    discord.world.permissions = 1 << 3
    assert list((await build().probe()).advice) == []


async def test_an_intent_that_is_off_is_explained(discord: FakeDiscord, build: Build) -> None:
    discord.world.content_allowed = False
    probe = await build().probe()
    assert not probe.ok
    assert "Message Content Intent" in probe.summary
    other = await build(message_content=False).probe()
    assert other.ok
    assert "only mentions" in other.advice[0]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"token": "MTAw.wrong.token"}, "Reset Token"),
        ({"api_base": "http://127.0.0.1:1/api/v10"}, "api_base"),
    ],
)
async def test_what_is_wrong_is_told(build: Build, settings: dict[str, str], words: str) -> None:
    probe = await build(**settings).probe()
    assert not probe.ok
    assert words in probe.summary
