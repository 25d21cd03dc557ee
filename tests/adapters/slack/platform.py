"""Slack for the adapters' contract."""

from __future__ import annotations

from collections.abc import AsyncIterator

from adapters.slack.adapter import SlackAdapter
from adapters.slack.config import SlackConfig
from gateway.message import Account, Place, Sender
from tests.contracts.platform import Platform
from tests.fakes.services import services
from tests.fakes.slack import FakeSlack

ACCOUNT = Account(kind="slack")


async def platform() -> AsyncIterator[Platform]:
    async with FakeSlack() as fake:
        adapter = SlackAdapter(ACCOUNT, SlackConfig(**fake.settings), services(ACCOUNT))

        async def texts() -> list[str]:
            return fake.texts("D7")

        yield Platform(
            adapter,
            Place(kind="direct", chat="D7"),
            Sender(id="T01/U7"),
            lambda text: fake.say("D7", "U7", text),
            texts,
        )
        await adapter.close()
