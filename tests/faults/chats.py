"""People and programs in front of the gateway: they write, repeat what was not confirmed, and
remember everything they said and saw."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import aiohttp

from tests.faults.checker import Sent, Shown, token

PATIENCE = 60.0
"""Seconds after which a message counts as lost."""

_TIMEOUT = aiohttp.ClientTimeout(total=5.0)


@dataclass(slots=True, kw_only=True)
class Said:
    """One message on its way."""

    conversation: str
    token: str
    at: float
    """By `time.monotonic`, as all times here."""
    confirmed: bool = False
    refused: bool = False
    tries: int = 0
    ack: float = 0.0
    """Seconds of the try that was confirmed."""
    update: dict[str, Any] = field(default_factory=dict)
    """As the platform delivers it, where there is one."""


class Chat(Protocol):
    """One platform as its users see it."""

    name: str
    said: list[Said]

    def word(self, conversation: str) -> str:
        """What stands in the gateway's id of this conversation and of no other."""

    async def say(self, conversation: str, text: str = "") -> Said:
        """Write a message that holds a token of its own."""

    async def seen(self, conversation: str) -> Sequence[str]:
        """What the bot's messages say there, oldest first."""

    async def sent(self) -> Sequence[Sent]: ...

    async def shown(self) -> Sequence[Shown]:
        """Everything the bot's messages say in the end."""

    async def pending(self) -> int:
        """Messages that the platform still keeps for the gateway."""


async def answered(chat: Chat, said: Said, seconds: float = PATIENCE) -> float:
    """Wait until the message's token is seen; the moment, by `time.monotonic`."""
    async with asyncio.timeout(seconds):
        while not any(said.token in text for text in await chat.seen(said.conversation)):
            await asyncio.sleep(0.03)
    return time.monotonic()


@dataclass
class WebChat:
    """A program on the HTTP API: repeats a message under its id until it is confirmed, and goes
    to the next gateway when one does not answer."""

    urls: list[str]
    bearer: str
    session: aiohttp.ClientSession
    name: str = "web"
    said: list[Said] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    slowest: float = 0.0
    """Longest wait for any answer, also for a refusal."""
    _entries: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    _read: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def word(self, conversation: str) -> str:
        return f".{conversation}/"

    async def pending(self) -> int:
        return sum(not one.confirmed for one in self.said)

    async def say(self, conversation: str, text: str = "", *, id: str = "") -> Said:
        said = Said(conversation=conversation, token=token(), at=time.monotonic())
        self.said.append(said)
        body = {
            "conversation": conversation,
            "text": f"{text} {said.token}".strip(),
            "id": id or secrets.token_hex(8),
        }
        while not said.confirmed:
            said.tries += 1
            if not await self._try(said, body):
                await asyncio.sleep(0.2)
        return said

    async def post(self, body: dict[str, str]) -> tuple[int, dict[str, object], float]:
        """One try: status, answer and seconds. 0 when there was no answer."""
        began = time.monotonic()
        try:
            async with self.session.post(
                f"{self.url}/api/v1/messages", json=body, headers=self._headers, timeout=_TIMEOUT
            ) as response:
                status, answer = response.status, await response.json()
        except (aiohttp.ClientError, TimeoutError, json.JSONDecodeError):
            status, answer = 0, {}
            self._next()
        seconds = time.monotonic() - began
        self.statuses[status] += 1
        if status:
            self.slowest = max(self.slowest, seconds)
        return status, answer, seconds

    async def _try(self, said: Said, body: dict[str, str]) -> bool:
        status, answer, seconds = await self.post(body)
        if status == 202:
            said.confirmed, said.ack = True, seconds
            said.refused = answer["outcome"] == "refused"
        elif status and status < 500:
            raise AssertionError(f"{status} for a good message: {answer}")
        return said.confirmed

    async def seen(self, conversation: str) -> Sequence[str]:
        """The bot's messages; [] keeps what was read while the gateway is away."""
        found = self._entries[conversation]
        while True:
            page = await self._page(conversation)
            for entry in page:
                self._read[conversation] = entry["seq"]
                if entry["event"]["role"] == "assistant":
                    found.append(entry["event"]["text"])
            if len(page) < 200:
                return found

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
        conversations = dict.fromkeys(one.conversation for one in self.said)
        return [
            Shown(conversation=conversation, text=text)
            for conversation in conversations
            for text in await self.seen(conversation)
        ]

    async def _page(self, conversation: str) -> list[dict[str, object]]:
        try:
            async with self.session.get(
                f"{self.url}/api/v1/conversations/{conversation}/messages",
                params={"after": str(self._read[conversation]), "limit": "200"},
                headers=self._headers,
                timeout=_TIMEOUT,
            ) as response:
                if response.status != 200:
                    return []
                return (await response.json())["messages"]
        except (aiohttp.ClientError, TimeoutError):
            self._next()
            return []

    @property
    def url(self) -> str:
        """Of the gateway in use."""
        return self.urls[0]

    def _next(self) -> None:
        self.urls.append(self.urls.pop(0))

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.bearer}"}
