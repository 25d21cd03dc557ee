"""How tests hold the fake: in their own process, or in one of its own that outlives ours."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from tests.fakes.platforms import Local, Remote
from tests.fakes.telegram.rates import Rates
from tests.fakes.telegram.server import Server
from tests.fakes.telegram.world import TOKEN, Bot, Call, Fault, World


class FakeTelegram(Local):
    """In this process. Everything but starting and waiting is at once.

    >>> async with FakeTelegram() as telegram:
    ...     telegram.say(7, 7, "hello")
    ...     await telegram.until(lambda: telegram.calls("sendMessage"))
    """

    token = TOKEN
    server: Server

    def __init__(
        self,
        *,
        https_only: bool = False,
        journal: Path | None = None,
        rates: Rates | None = None,
    ) -> None:
        self.world = World(journal)
        self.world.rates = rates
        self.server = Server(self.world, https_only=https_only)
        self.say = self.world.say
        self.press = self.world.press
        self.react = self.world.react
        self.seen = self.world.seen

    @property
    def base_url(self) -> str:
        return f"{self.server.url}/bot"

    @property
    def bot(self) -> Bot:
        return self.world.main

    def another_bot(self, token: str, username: str) -> Bot:
        made = self.world.bot(token, username)
        self.server.watch(made)
        return made

    def calls(self, method: str) -> list[Call]:
        return [call for call in self.world.calls if call.method == method]

    def texts(self, chat: int) -> list[str]:
        """What our bots say in a chat, as it reads now."""
        return [each.text for each in self.seen(chat) if each.from_bot]

    def fault(self, method: str, kind: str, **more: Any) -> Fault:
        made = Fault(method, kind, **more)
        self.world.faults.append(made)
        return made

    def heal(self) -> None:
        self.world.faults.clear()

    def push(self, update: dict[str, Any]) -> int:
        """An update as it is; `update_id` is given when it has none."""
        return self.bot.push(update)

    def again(self, update: dict[str, Any]) -> None:
        """The same update once more, under the same id."""
        self.bot.updates.append(dict(update))
        self.bot.changed.set()

    async def all_confirmed(self) -> None:
        """Telegram was told that everything has arrived."""
        await self.until(lambda: not self.bot.updates)


class RemoteTelegram(Remote):
    module = "tests.fakes.telegram"
    token = TOKEN

    @property
    def base_url(self) -> str:
        return f"{self.url}/bot"

    async def say(
        self, chat: int, user: int, text: str, *, content: bytes = b"", **more: Any
    ) -> dict[str, Any]:
        file = {"content": base64.b64encode(content).decode()} if content else {}
        said: dict[str, Any] = await self.ask(
            "say", chat=chat, user=user, text=text, **more, **file
        )
        return said

    async def press(self, chat: int, user: int, message_id: int, data: str) -> None:
        await self.ask("press", chat=chat, user=user, message_id=message_id, data=data)

    async def seen(self, chat: int) -> list[dict[str, Any]]:
        shown: list[dict[str, Any]] = await self.ask("seen", chat=chat)
        return shown

    async def chats(self) -> list[int]:
        found: list[int] = await self.ask("chats")
        return found

    async def calls(self, method: str | None = None) -> list[dict[str, Any]]:
        made: list[dict[str, Any]] = await self.ask("calls", method=method)
        return made

    async def state(self) -> dict[str, Any]:
        found: dict[str, Any] = await self.ask("state")
        return found

    async def fault(self, method: str, kind: str, **more: Any) -> None:
        await self.ask("fault", method=method, kind=kind, **more)

    async def heal(self) -> None:
        await self.ask("heal")
