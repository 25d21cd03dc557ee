"""People with mailboxes on a real mail server, each with one thread to a mailbox of ours."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from tests.adapters.email.scene import Person, plain, settings
from tests.faults.chats import Said
from tests.faults.checker import Sent, Shown, token
from tests.servers.mail import MailServer


@dataclass
class MailChat:
    server: MailServer
    address: str
    """Ours."""
    name: str = "email"
    said: list[Said] = field(default_factory=list)
    people: dict[str, Person] = field(default_factory=dict)

    def person(self, conversation: str) -> Person:
        if conversation not in self.people:
            self.people[conversation] = Person(self.server, self.server.person())
        return self.people[conversation]

    def word(self, conversation: str) -> str:
        return f"direct/{quote(self.person(conversation).address, safe='')}/"

    async def say(self, conversation: str, text: str = "", *, copies: int = 1) -> Said:
        person = self.person(conversation)
        said = Said(conversation=conversation, token=token(), at=time.monotonic())
        self.said.append(said)
        root = f"<root.{person.address}>"
        mail = await person.writes(
            self.address,
            f"{text} {said.token}".strip(),
            subject="Re: talk",
            headers={"References": root, "In-Reply-To": root},
        )
        for _ in range(copies - 1):
            await person.submits(mail.as_bytes(), self.address)
        return said

    async def seen(self, conversation: str) -> Sequence[str]:
        return [plain(mail) for mail in self.server.stored(self.person(conversation).address)]

    async def sent(self) -> Sequence[Sent]:
        taken = self._taken()
        return [
            Sent(conversation=one.conversation, token=one.token, confirmed=one.token in taken)
            for one in self.said
        ]

    async def shown(self) -> Sequence[Shown]:
        return [
            Shown(conversation=conversation, text=text)
            for conversation in self.people
            for text in await self.seen(conversation)
        ]

    async def pending(self) -> int:
        return self.server.waiting() + len({one.token for one in self.said} - self._taken())

    def _taken(self) -> set[str]:
        """Tokens of mails that were marked as read: of which we said that we have them."""
        text = "\n".join(plain(mail) for mail in self.server.stored(self.address, flag="S"))
        return {one.token for one in self.said if one.token in text}


def mailbox(server: MailServer, ours: str, **more: Any) -> dict[str, dict[str, Any]]:
    """For `System.started`: our account, with brakes that let tests through."""
    limits = {"per_correspondent": 1000, "per_thread": 1000, "repeats": 1000}
    return {"adapters": {"email": settings(server, ours, limits=limits, **more)}}
