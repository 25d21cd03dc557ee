"""People on a real XMPP server: each conversation is a person of its own."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from tests.fakes.xmpp import XmppPerson
from tests.faults.chats import Said
from tests.faults.checker import Sent, Shown, token
from tests.servers.prosody import Prosody


@dataclass
class XmppChat:
    server: Prosody
    name: str = "xmpp"
    said: list[Said] = field(default_factory=list)
    people: dict[str, XmppPerson] = field(default_factory=dict)

    @classmethod
    @contextlib.asynccontextmanager
    async def on(cls, server: Prosody) -> AsyncIterator[XmppChat]:
        chat = cls(server)
        try:
            yield chat
        finally:
            for person in chat.people.values():
                await person.leave()

    async def person(self, conversation: str) -> XmppPerson:
        """One of p0, p1, ..., which the server has to know."""
        found = self.people.get(conversation)
        if found is None:
            found = self.people[conversation] = XmppPerson(f"p{len(self.people)}", self.server)
            await found.connect()
        return found

    def word(self, conversation: str) -> str:
        return f"u={self.people[conversation].name}%40"

    async def say(self, conversation: str, text: str = "") -> Said:
        person = await self.person(conversation)
        said = Said(conversation=conversation, token=token(), at=time.monotonic())
        self.said.append(said)
        await person.says(f"{text} {said.token}".strip())
        return said

    async def seen(self, conversation: str) -> Sequence[str]:
        return (await self.person(conversation)).texts()

    async def sent(self) -> Sequence[Sent]:
        """All of them: the server keeps what it took."""
        return [Sent(conversation=one.conversation, token=one.token) for one in self.said]

    async def shown(self) -> Sequence[Shown]:
        return [
            Shown(conversation=conversation, text=text)
            for conversation in self.people
            for text in await self.seen(conversation)
        ]

    async def pending(self) -> int:
        return 0


def settings(server: Prosody, **more: object) -> dict[str, dict[str, object]]:
    """For `System.started`."""
    bot = {
        "jid": "bot@localhost",
        "password": "bot",
        "server": "127.0.0.1",
        "port": server.port,
        "ca_file": str(server.certificate.chain),
        "patience": 5,
        "silence": 5,
    }
    return {"adapters": {"xmpp": bot | more}}
