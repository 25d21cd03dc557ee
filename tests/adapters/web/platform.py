"""Web chat for the adapters' contract."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec

from adapters.web.adapter import WebAdapter
from adapters.web.config import WebChatConfig
from gateway.message import Account, Place, Sender, conversation_id
from tests.contracts.platform import Platform
from tests.fakes.services import services
from tests.fakes.stores import MemoryLog

ACCOUNT = Account(kind="web")


async def platform() -> AsyncIterator[Platform]:
    log = MemoryLog()
    adapter = WebAdapter(ACCOUNT, WebChatConfig(), services(ACCOUNT, log=log))
    place, sender = Place(kind="direct", chat="owner.a"), Sender(id="owner", grade="verified")
    conversation = conversation_id(ACCOUNT, place, sender)
    count = iter(range(1000))

    async def say(text: str) -> None:
        await adapter.receive(principal="owner", conversation="a", id=f"id{next(count)}", text=text)

    async def texts() -> list[str]:
        events = [msgspec.json.decode(entry.body) for entry in await log.read(conversation)]
        return [event["text"] for event in events if event["role"] == "assistant"]

    yield Platform(adapter, place, sender, say, texts, again=True)
    await adapter.close()
