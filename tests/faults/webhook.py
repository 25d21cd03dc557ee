"""A program on the webhook: it repeats a signed post until it is confirmed, goes to the next
gateway when one does not take it, and its receiver takes each answer once."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import secrets
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.fakes.receiver import Receiver
from tests.faults.chats import Said
from tests.faults.checker import Sent, Shown, token
from tests.faults.system import System

SECRET = "whsec_" + base64.b64encode(b"a secret of 32 bytes for faults!").decode()
_TIMEOUT = aiohttp.ClientTimeout(total=5.0)


@dataclass
class WebhookChat:
    urls: list[str]
    session: aiohttp.ClientSession
    receiver: Receiver
    name: str = "webhook"
    said: list[Said] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=lambda: defaultdict(int))

    def word(self, conversation: str) -> str:
        return f"/direct/{conversation}/"

    async def say(self, conversation: str, text: str = "") -> Said:
        said = Said(conversation=conversation, token=token(), at=time.monotonic())
        self.said.append(said)
        body = {"conversation": conversation, "sender": "ada", "text": f"{text} {said.token}"}
        said.update = {"body": json.dumps(body), "id": f"msg_{secrets.token_hex(8)}"}
        while not said.confirmed:
            said.tries += 1
            status, answer = await self.post(said)
            if status == 200:
                said.confirmed = True
                said.refused = answer["outcome"] == "refused"
            elif status and status < 500:
                raise AssertionError(f"{status} for a good post: {answer}")
            else:
                await asyncio.sleep(0.1)
        return said

    async def post(self, said: Said) -> tuple[int, dict[str, Any]]:
        """One delivery of it; 0 when there was no answer."""
        body, id = said.update["body"].encode(), said.update["id"]
        url = f"{self.urls[0]}/webhooks/webhook/default"
        try:
            async with self.session.post(
                url, data=body, headers=signed(body, id), timeout=_TIMEOUT
            ) as response:
                status = response.status
                answer = await response.json(content_type=None) if status == 200 else {}
        except (aiohttp.ClientError, TimeoutError):
            status, answer = 0, {}
        self.statuses[status] += 1
        if status != 200:
            self.urls.append(self.urls.pop(0))
        return status, answer

    async def seen(self, conversation: str) -> Sequence[str]:
        return self.receiver.texts(conversation)

    async def sent(self) -> Sequence[Sent]:
        return [
            Sent(
                conversation=one.conversation,
                token=one.token,
                confirmed=one.confirmed,
                refused=one.refused,
            )
            for one in self.said
        ]

    async def shown(self) -> Sequence[Shown]:
        return [
            Shown(conversation=one["conversation"], text=one["text"])
            for one in self.receiver.shown()
        ]

    async def pending(self) -> int:
        return sum(not one.confirmed for one in self.said)


def signed(body: bytes, id: str) -> dict[str, str]:
    stamp = str(int(time.time()))
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    digest = hmac.new(key, f"{id}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": id,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


@contextlib.asynccontextmanager
async def posting(**options: Any) -> AsyncIterator[tuple[System, WebhookChat]]:
    """A system with one webhook, and the program at its other end."""
    async with Receiver(SECRET) as receiver:
        webhook = {"secret": SECRET, "url": receiver.url, "timeout": 3}
        settings = {"adapters": {"webhook": webhook}}
        async with System.started(settings=settings, **options) as system:
            chat = WebhookChat(list(system.web.urls), system.session, receiver)
            system.chats.append(chat)
            await system.connected()
            yield system, chat
