"""How tests hold the fake: in their own process, or in one of its own that outlives ours."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp

from tests.fakes.telegram.rates import Rates
from tests.fakes.telegram.server import Server
from tests.fakes.telegram.world import TOKEN, Bot, Call, Fault, World


class FakeTelegram:
    """In this process. Everything but starting and waiting is at once.

    >>> async with FakeTelegram() as telegram:
    ...     telegram.say(7, 7, "hello")
    ...     await telegram.until(lambda: telegram.calls("sendMessage"))
    """

    token = TOKEN

    def __init__(
        self,
        *,
        https_only: bool = False,
        journal: Path | None = None,
        rates: Rates | None = None,
    ) -> None:
        self.world = World(journal)
        self.world.rates = rates
        self._server = Server(self.world, https_only=https_only)
        self.say = self.world.say
        self.press = self.world.press
        self.react = self.world.react
        self.seen = self.world.seen

    @classmethod
    async def start(cls, **options: Any) -> FakeTelegram:
        fake = cls(**options)
        await fake._server.start()
        return fake

    async def stop(self) -> None:
        await self._server.stop()

    async def __aenter__(self) -> FakeTelegram:
        await self._server.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    @property
    def base_url(self) -> str:
        return f"{self._server.url}/bot"

    @property
    def bot(self) -> Bot:
        return self.world.main

    def another_bot(self, token: str, username: str) -> Bot:
        made = self.world.bot(token, username)
        self._server.watch(made)
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

    async def until(self, condition: Callable[[], Any], seconds: float = 30.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.005)

    async def all_confirmed(self) -> None:
        """Telegram was told that everything has arrived."""
        await self.until(lambda: not self.bot.updates)


class RemoteTelegram:
    """A fake in a process of its own, by its control side."""

    token = TOKEN

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = aiohttp.ClientSession()

    @classmethod
    @contextlib.asynccontextmanager
    async def start(
        cls, *, port: int = 0, journal: Path | None = None
    ) -> AsyncIterator[RemoteTelegram]:
        options = ["--port", str(port), *(["--journal", str(journal)] if journal else [])]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.fakes.telegram", *options, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        url = (await process.stdout.readline()).decode().strip()
        remote = cls(url)
        try:
            yield remote
        finally:
            await remote.close()
            process.terminate()
            await process.wait()

    @property
    def base_url(self) -> str:
        return f"{self._url}/bot"

    async def close(self) -> None:
        await self._session.close()

    async def say(
        self, chat: int, user: int, text: str, *, content: bytes = b"", **more: Any
    ) -> dict[str, Any]:
        file = {"content": base64.b64encode(content).decode()} if content else {}
        said: dict[str, Any] = await self._ask(
            "say", chat=chat, user=user, text=text, **more, **file
        )
        return said

    async def press(self, chat: int, user: int, message_id: int, data: str) -> None:
        await self._ask("press", chat=chat, user=user, message_id=message_id, data=data)

    async def seen(self, chat: int) -> list[dict[str, Any]]:
        shown: list[dict[str, Any]] = await self._ask("seen", chat=chat)
        return shown

    async def chats(self) -> list[int]:
        found: list[int] = await self._ask("chats")
        return found

    async def calls(self, method: str | None = None) -> list[dict[str, Any]]:
        made: list[dict[str, Any]] = await self._ask("calls", method=method)
        return made

    async def state(self) -> dict[str, Any]:
        found: dict[str, Any] = await self._ask("state")
        return found

    async def fault(self, method: str, kind: str, **more: Any) -> None:
        await self._ask("fault", method=method, kind=kind, **more)

    async def heal(self) -> None:
        await self._ask("heal")

    async def _ask(self, what: str, **given: Any) -> Any:
        async with self._session.post(f"{self._url}/control/{what}", json=given) as answer:
            answer.raise_for_status()
            return await answer.json()
