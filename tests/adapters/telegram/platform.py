"""Telegram for the adapters' contract."""

from __future__ import annotations

from collections.abc import AsyncIterator

from adapters.telegram.adapter import TelegramAdapter
from adapters.telegram.config import TelegramConfig
from gateway.message import Account, Place, Sender
from tests.contracts.platform import Platform
from tests.fakes.services import services
from tests.fakes.telegram import FakeTelegram

ACCOUNT = Account(kind="telegram")


async def platform() -> AsyncIterator[Platform]:
    async with FakeTelegram() as fake:
        config = TelegramConfig(token=fake.token, base_url=fake.base_url, poll_timeout=1)
        adapter = TelegramAdapter(ACCOUNT, config, services(ACCOUNT))

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
