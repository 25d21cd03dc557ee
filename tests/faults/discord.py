"""People on the fake Discord: what they write is told to every session, connected or resumable."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.discord import FakeDiscord
from tests.faults.chats import Said
from tests.faults.checker import Sent, Shown, token
from tests.faults.system import System, until

CREATE = "POST /channels/*/messages"
_ESCAPED = re.compile(r"\\([^0-9A-Za-z\s])")


@dataclass
class DiscordChat:
    fake: FakeDiscord
    name: str = "discord"
    said: list[Said] = field(default_factory=list)
    _people: dict[str, str] = field(default_factory=dict)

    def person(self, conversation: str) -> str:
        return self._people.setdefault(conversation, str(500_001 + len(self._people)))

    def channel(self, conversation: str) -> str:
        return self.fake.direct(self.person(conversation))

    def word(self, conversation: str) -> str:
        return f"direct/{self.channel(conversation)}/"

    async def say(self, conversation: str, text: str = "", **more: Any) -> Said:
        said = Said(conversation=conversation, token=token(), at=time.monotonic())
        self.said.append(said)
        channel, person = self.channel(conversation), self.person(conversation)
        words = f"{text} {said.token}".strip()
        said.update = self.fake.say(channel, person, words, **more)
        return said

    def again(self, said: Said) -> None:
        """The same message once more."""
        self.fake.world.dispatch("MESSAGE_CREATE", said.update)

    async def seen(self, conversation: str) -> Sequence[str]:
        return [_ESCAPED.sub(r"\1", text) for text in self.fake.texts(self.channel(conversation))]

    async def sent(self) -> Sequence[Sent]:
        """Discord is told of nothing that it was taken in: all of it counts."""
        return [Sent(conversation=one.conversation, token=one.token) for one in self.said]

    async def shown(self) -> Sequence[Shown]:
        return [
            Shown(conversation=conversation, text=text)
            for conversation in self._people
            for text in await self.seen(conversation)
        ]

    async def pending(self) -> int:
        return self.fake.world.pending()


@contextlib.asynccontextmanager
async def chatting(**options: Any) -> AsyncIterator[tuple[System, DiscordChat]]:
    """A system with one bot, connected."""
    async with FakeDiscord() as fake:
        fake.gateway.interval = 0.25
        settings = {"adapters": {"discord": fake.settings}}
        async with System.started(settings=settings, **options) as system:
            chat = DiscordChat(fake)
            system.chats.append(chat)
            await system.connected()

            async def there() -> bool:
                return fake.world.pending() == 0

            await until(there, 60.0)
            yield system, chat
