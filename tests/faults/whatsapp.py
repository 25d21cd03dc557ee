"""People on the fake WhatsApp: what they write is posted until it is confirmed."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.fakes.whatsapp import APP_SECRET, NUMBER, TOKEN, VERIFY, FakeWhatsApp
from tests.faults.chats import Said
from tests.faults.checker import Sent, Shown, token
from tests.faults.system import System

_TIMEOUT = aiohttp.ClientTimeout(total=5.0)


@dataclass
class WhatsAppChat:
    fake: FakeWhatsApp
    urls: list[str]
    session: aiohttp.ClientSession
    name: str = "whatsapp"
    said: list[Said] = field(default_factory=list)
    _numbers: dict[str, str] = field(default_factory=dict)

    def number(self, conversation: str) -> str:
        return self._numbers.setdefault(conversation, f"4915{len(self._numbers):08d}")

    def word(self, conversation: str) -> str:
        return f"direct/{self.number(conversation)}/"

    async def say(self, conversation: str, text: str = "") -> Said:
        said = Said(conversation=conversation, token=token(), at=time.monotonic())
        self.said.append(said)
        chat = self.number(conversation)
        said.update = self.fake.say(chat, f"{text} {said.token}".strip())
        return said

    async def post(self, headers: dict[str, str], body: bytes) -> int:
        """Meta posts to one address; what stands before the gateways finds one that takes it."""
        status = 0
        for url in self.urls:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with self.session.post(
                    f"{url}/webhooks/whatsapp/default", data=body, headers=headers, timeout=_TIMEOUT
                ) as answer:
                    status = answer.status
            if status == 200:
                break
        return status

    async def seen(self, conversation: str) -> Sequence[str]:
        return self.fake.texts(self.number(conversation))

    async def sent(self) -> Sequence[Sent]:
        waiting = b"".join(self.fake.unconfirmed)
        return [
            Sent(
                conversation=one.conversation,
                token=one.token,
                confirmed=one.token.encode() not in waiting,
            )
            for one in self.said
        ]

    async def shown(self) -> Sequence[Shown]:
        names = {number: conversation for conversation, number in self._numbers.items()}
        return [Shown(conversation=names[one.chat], text=one.text) for one in self.fake.seen()]

    async def pending(self) -> int:
        return self.fake.pending


@contextlib.asynccontextmanager
async def connected(**options: Any) -> AsyncIterator[tuple[System, WhatsAppChat]]:
    """A system with one number, and the people who write to it."""
    async with FakeWhatsApp() as fake:
        number = {
            "token": TOKEN,
            "phone_number_id": NUMBER,
            "app_secret": APP_SECRET,
            "verify_token": VERIFY,
            "base_url": fake.url,
            "timeout": 3,
            "status_wait": 5,
            "rate": {"overall": 0, "chat": 0},
        }
        settings = {"adapters": {"whatsapp": number}}
        async with System.started(settings=settings, **options) as system:
            chat = WhatsAppChat(fake, list(system.web.urls), system.session)
            fake.handler = chat.post
            system.chats.append(chat)
            await system.connected()
            try:
                yield system, chat
            finally:
                fake.handler = None  # the session ends before the fake does
