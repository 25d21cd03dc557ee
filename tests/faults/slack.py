"""People on the fake Slack: what they write stands there at once, and comes to the gateway by
socket until it is confirmed."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.slack import FakeSlack
from tests.faults.chats import Said
from tests.faults.checker import Sent, Shown, token
from tests.faults.system import System


@dataclass
class SlackChat:
    slack: FakeSlack
    name: str = "slack"
    said: list[Said] = field(default_factory=list)
    _numbers: dict[str, int] = field(default_factory=dict)

    def number(self, conversation: str) -> int:
        return self._numbers.setdefault(conversation, 1001 + len(self._numbers))

    def channel(self, conversation: str) -> str:
        """The direct chat of its person."""
        return f"D{self.number(conversation)}"

    def word(self, conversation: str) -> str:
        return f"direct/{self.channel(conversation)}/"

    async def say(self, conversation: str, text: str = "") -> Said:
        said = Said(conversation=conversation, token=token(), at=time.monotonic())
        self.said.append(said)
        channel = self.channel(conversation)
        said.update = self.slack.say(
            channel, f"U{self.number(conversation)}", f"{text} {said.token}".strip()
        )
        return said

    def about(self, said: Said) -> str:
        return f"{self.channel(said.conversation)}/{said.update['ts']}"

    async def seen(self, conversation: str) -> Sequence[str]:
        return self.slack.texts(self.channel(conversation))

    async def sent(self) -> Sequence[Sent]:
        open_ = {each.about for each in self.slack.world.deliveries if each.open}
        return [
            Sent(
                conversation=one.conversation,
                token=one.token,
                confirmed=self.about(one) not in open_,
            )
            for one in self.said
        ]

    async def shown(self) -> Sequence[Shown]:
        return [
            Shown(conversation=conversation, text=text)
            for conversation in self._numbers
            for text in await self.seen(conversation)
        ]

    async def pending(self) -> int:
        return sum(each.open for each in self.slack.world.deliveries)


@contextlib.asynccontextmanager
async def talking(**options: Any) -> AsyncIterator[tuple[System, SlackChat]]:
    """A system with one Slack app, and people in its workspace."""
    async with FakeSlack() as slack:
        settings = {"adapters": {"slack": slack.settings}}
        async with System.started(settings=settings, **options) as system:
            chat = SlackChat(slack)
            system.chats.append(chat)
            await system.connected()
            yield system, chat
