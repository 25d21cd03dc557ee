"""People on the fake Telegram: what they write stands there at once, the gateway comes for it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.fakes.telegram import TOKEN as TOKEN
from tests.faults.chats import Said
from tests.faults.checker import Sent, Shown, token


@dataclass
class TelegramChat:
    port: int
    session: aiohttp.ClientSession
    name: str = "telegram"
    said: list[Said] = field(default_factory=list)
    _numbers: dict[str, int] = field(default_factory=dict)

    def number(self, conversation: str) -> int:
        """The chat's and its person's native id."""
        return self._numbers.setdefault(conversation, 1001 + len(self._numbers))

    def word(self, conversation: str) -> str:
        return f"direct/{self.number(conversation)}/"

    async def say(self, conversation: str, text: str = "", **more: Any) -> Said:
        said = Said(conversation=conversation, token=token(), at=time.monotonic())
        self.said.append(said)
        chat = self.number(conversation)
        said.update = await self.ask(
            "say", chat=chat, user=chat, text=f"{text} {said.token}".strip(), **more
        )
        return said

    async def seen(self, conversation: str) -> Sequence[str]:
        stands = await self.ask("seen", chat=self.number(conversation))
        return [one["text"] for one in stands if one["from_bot"]]

    async def sent(self) -> Sequence[Sent]:
        """Confirmed by an offset beyond it; the platform keeps what waits in order."""
        waiting = (await self.ask("state"))["pending"]
        confirmed = len(self.said) - waiting
        return [
            Sent(conversation=one.conversation, token=one.token, confirmed=number < confirmed)
            for number, one in enumerate(self.said)
        ]

    async def shown(self) -> Sequence[Shown]:
        return [
            Shown(conversation=conversation, text=text)
            for conversation in self._numbers
            for text in await self.seen(conversation)
        ]

    async def pending(self) -> int:
        """Updates nobody has confirmed."""
        found: int = (await self.ask("state"))["pending"]
        return found

    async def fault(self, method: str, kind: str, **more: Any) -> None:
        await self.ask("fault", method=method, kind=kind, **more)

    async def heal(self) -> None:
        await self.ask("heal")

    async def calls(self, method: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self.ask("calls", method=method)
        return found

    async def there(self) -> bool:
        try:
            await self.ask("state")
        except aiohttp.ClientError:
            return False
        return True

    async def ask(self, what: str, **given: Any) -> Any:
        """The fake's control side."""
        url = f"http://127.0.0.1:{self.port}/control/{what}"
        async with self.session.post(url, json=given) as answer:
            answer.raise_for_status()
            return await answer.json()
