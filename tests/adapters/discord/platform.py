"""Discord for the adapters' contract."""

from __future__ import annotations

from collections.abc import AsyncIterator

from adapters.discord.adapter import DiscordAdapter
from adapters.discord.config import DiscordConfig
from gateway.message import Account, Place, Sender
from tests.contracts.platform import Platform
from tests.fakes.discord import FakeDiscord
from tests.fakes.services import services

ACCOUNT = Account(kind="discord")
PERSON = "70007"


async def platform() -> AsyncIterator[Platform]:
    async with FakeDiscord() as fake:
        adapter = DiscordAdapter(ACCOUNT, DiscordConfig(**fake.settings), services(ACCOUNT))
        channel = fake.direct(PERSON)

        async def say(text: str) -> None:
            await fake.connected()  # what is said before a first session is nobody's
            fake.say(channel, PERSON, text)

        async def texts() -> list[str]:
            return fake.texts(channel)

        yield Platform(
            adapter,
            Place(kind="direct", chat=channel),
            Sender(id=PERSON),
            say,
            texts,
        )
        await adapter.close()
