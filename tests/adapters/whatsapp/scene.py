"""What the WhatsApp tests share besides fixtures."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from adapters.whatsapp.adapter import WhatsAppAdapter
from adapters.whatsapp.config import WhatsAppConfig
from gateway.message import Account, Outbound, Place, ReplyId, Sender, conversation_id
from tests.fakes.inbox import MemoryInbox
from tests.fakes.services import Counts, services
from tests.fakes.stores import MemoryBlobs, MemoryRecords
from tests.fakes.whatsapp import APP_SECRET, NUMBER, TOKEN, VERIFY, FakeWhatsApp

ACCOUNT = Account(kind="whatsapp")
ADA = "4915112345678"
BOB = "4915187654321"


def settings(url: str, **more: Any) -> dict[str, Any]:
    return {
        "token": TOKEN,
        "phone_number_id": NUMBER,
        "app_secret": APP_SECRET,
        "verify_token": VERIFY,
        "base_url": url,
        "timeout": 60,
        "status_wait": 60,
    } | more


class Desk:
    """A number connected to the fake, its inbox, and everything that outlives it."""

    def __init__(self, whatsapp: FakeWhatsApp, **more: Any) -> None:
        self.whatsapp = whatsapp
        self.records = MemoryRecords()
        self.blobs = MemoryBlobs()
        self.counts = Counts()
        self.inbox = MemoryInbox()
        public_url = more.pop("public_url", "")
        self.adapter = WhatsAppAdapter(
            ACCOUNT,
            WhatsAppConfig.model_validate(settings(whatsapp.url, **more)),
            services(
                ACCOUNT,
                records=self.records,
                blobs=self.blobs,
                count=self.counts.happened,
                public_url=public_url,
            ),
        )
        self.statuses: list[int] = []
        whatsapp.handler = self.posted

    async def posted(self, headers: dict[str, str], body: bytes) -> int:
        """As the HTTP server hands it in."""
        if not self.adapter.admits(headers):
            return 403
        answer = await self.adapter.receive(headers, body)
        self.statuses.append(answer.status)
        return answer.status

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Desk]:
        task = asyncio.create_task(self.adapter.run(self.inbox))
        await self.whatsapp.until(lambda: self.adapter._reception is not None or task.done())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.wait([task])
            await self.adapter.close()

    async def hears(self, text: str = "hi", chat: str = ADA) -> None:
        """Somebody writes, which opens the window."""
        before = len(self.inbox.events)
        self.whatsapp.say(chat, text)
        await self.whatsapp.until(lambda: len(self.inbox.events) > before)


def part(text: str = "", *, chat: str = ADA, **more: Any) -> Outbound:
    place = Place(kind="direct", chat=chat)
    return Outbound(
        reply=more.pop("reply", ReplyId("r1")),
        conversation=conversation_id(ACCOUNT, place, Sender(id=chat)),
        account=ACCOUNT,
        place=place,
        text=text,
        **more,
    )
