"""People on an IRC server, real or fake: each conversation is a person of its own."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from tests.fakes.irc import IrcPerson
from tests.faults.chats import Said
from tests.faults.checker import Sent, Shown, token

BOT = "molt"


@dataclass
class IrcChat:
    port: int
    name: str = "irc"
    said: list[Said] = field(default_factory=list)
    unheard: set[str] = field(default_factory=set)
    """Tokens said when the bot was about to die: IRC says nothing twice."""
    people: dict[str, IrcPerson] = field(default_factory=dict)

    @classmethod
    @contextlib.asynccontextmanager
    async def on(cls, port: int) -> AsyncIterator[IrcChat]:
        chat = cls(port)
        try:
            yield chat
        finally:
            for person in chat.people.values():
                await person.leave()

    async def person(self, conversation: str) -> IrcPerson:
        found = self.people.get(conversation)
        if found is None:
            found = self.people[conversation] = IrcPerson(f"p{len(self.people)}", self.port)
            await found.connect()
        return found

    def word(self, conversation: str) -> str:
        return f"direct/{self.people[conversation].nick}/"

    async def say(self, conversation: str, text: str = "") -> Said:
        person = await self.person(conversation)
        said = Said(conversation=conversation, token=token(), at=time.monotonic())
        self.said.append(said)
        await person.says(BOT, f"{text} {said.token}".strip())
        return said

    async def seen(self, conversation: str) -> Sequence[str]:
        person = await self.person(conversation)
        await person.settled()
        return person.texts()

    async def sent(self) -> Sequence[Sent]:
        return [
            Sent(
                conversation=one.conversation,
                token=one.token,
                confirmed=one.token not in self.unheard,
            )
            for one in self.said
        ]

    async def shown(self) -> Sequence[Shown]:
        return [
            Shown(conversation=conversation, text=text)
            for conversation in self.people
            for text in await self.seen(conversation)
        ]

    async def pending(self) -> int:
        return 0


def settings(port: int, **more: object) -> dict[str, dict[str, object]]:
    """For `System.started`: the bot on this server, open to people that nobody vouches for."""
    bot = {"server": "127.0.0.1", "port": port, "tls": False, "nick": BOT, "line_every": 0}
    return {
        "adapters": {"irc": bot | {"silence": 5, "patience": 5} | more},
        "access": {"min_grade": "unverified"},
    }
