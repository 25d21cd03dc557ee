"""WhatsApp for the adapters' contract."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from gateway.message import Place, Sender
from tests.adapters.whatsapp.scene import ADA, Desk
from tests.contracts.platform import Platform
from tests.fakes.whatsapp import FakeWhatsApp


async def platform() -> AsyncIterator[Platform]:
    async with FakeWhatsApp() as whatsapp:
        desk = Desk(whatsapp)

        async def say(text: str) -> None:
            """Until it was noted: only who has written is answered."""
            whatsapp.say(ADA, text)
            async with asyncio.timeout(30):
                while await desk.records.get("adapter/whatsapp:default", f"chat/{ADA}") is None:
                    await asyncio.sleep(0.01)

        async def texts() -> list[str]:
            return whatsapp.texts(ADA)

        yield Platform(desk.adapter, Place(kind="direct", chat=ADA), Sender(id=ADA), say, texts)
        await desk.adapter.close()
