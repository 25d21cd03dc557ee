"""The webhook for the adapters' contract: a program that posts, and one that takes answers."""

from __future__ import annotations

from collections.abc import AsyncIterator

from adapters.webhook.adapter import WebhookAdapter
from gateway.message import Place, Sender
from tests.adapters.webhook.scene import ACCOUNT, SECRET, config, message, post
from tests.contracts.platform import Platform
from tests.fakes.receiver import Receiver
from tests.fakes.services import services


async def platform() -> AsyncIterator[Platform]:
    async with Receiver(SECRET) as receiver:
        adapter = WebhookAdapter(ACCOUNT, config(receiver.url), services(ACCOUNT))

        async def texts() -> list[str]:
            return receiver.texts("c1")

        yield Platform(
            adapter,
            Place(kind="direct", chat="c1"),
            Sender(id="webhook:desk:ada"),
            lambda text: post(adapter, message(text)),
            texts,
            again=True,
        )
        await adapter.close()
