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

from tests.fakes.discord.server import Server
from tests.fakes.discord.world import TOKEN, Call, Fault, World


class FakeDiscord:
    """In this process. Everything but starting and waiting is at once.

    >>> async with FakeDiscord() as discord:
    ...     discord.say(discord.direct("7"), "7", "hello")
    ...     await discord.until(lambda: discord.calls("POST /channels/*/messages"))
    """

    token = TOKEN

    def __init__(self, *, journal: Path | None = None) -> None:
        self.world = World(journal)
        self.server = Server(self.world)
        self.gateway = self.server.gateway
        self.say = self.world.say
        self.direct = self.world.direct
        self.seen = self.world.seen

    async def __aenter__(self) -> FakeDiscord:
        await self.server.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.server.stop()

    @property
    def settings(self) -> dict[str, Any]:
        """What points an adapter here."""
        return settings(self.server.url)

    def calls(self, route: str) -> list[Call]:
        return [call for call in self.world.calls if call.route == route]

    def texts(self, channel: str) -> list[str]:
        """What the bot says in a channel, as it reads now."""
        return [
            each["text"] for each in self.seen(channel) if each["from_bot"] and not each["loading"]
        ]

    def fault(self, route: str, kind: str, **more: Any) -> Fault:
        made = Fault(route, kind, **more)
        self.world.faults.append(made)
        return made

    async def until(self, condition: Callable[[], Any], seconds: float = 30.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.005)

    async def connected(self) -> None:
        """A session is live."""
        sessions = self.world.sessions
        await self.until(lambda: any(each.push and not each.invalid for each in sessions.values()))


class RemoteDiscord:
    """A fake in a process of its own, by its control side."""

    token = TOKEN

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self._session = session

    @classmethod
    @contextlib.asynccontextmanager
    async def start(
        cls, *, port: int = 0, journal: Path | None = None
    ) -> AsyncIterator[RemoteDiscord]:
        options = ["--port", str(port), *(["--journal", str(journal)] if journal else [])]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.fakes.discord", *options, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        url = (await process.stdout.readline()).decode().strip()
        try:
            async with aiohttp.ClientSession() as session:
                yield cls(url, session)
        finally:
            process.terminate()
            await process.wait()

    @property
    def settings(self) -> dict[str, Any]:
        return settings(self.url)

    async def say(
        self, channel: str, user: str, text: str = "", *, file: Any = None, **more: Any
    ) -> dict[str, Any]:
        """`file`: name, media type, content."""
        files = []
        if file is not None:
            name, media_type, content = file
            coded = base64.b64encode(content).decode()
            about = {"duration": 1.0} if more.get("voice") else {}
            files.append({"name": name, "media_type": media_type, "content": coded, **about})
        said: dict[str, Any] = await self.ask(
            "say", channel=channel, user=user, text=text, files=files, **more
        )
        return said

    async def ask(self, what: str, **given: Any) -> Any:
        async with self._session.post(f"{self.url}/control/{what}", json=given) as answer:
            answer.raise_for_status()
            return await answer.json()


def settings(url: str) -> dict[str, Any]:
    """What points an adapter at a fake; the fake has no rates of its own."""
    return {
        "token": TOKEN,
        "api_base": f"{url}/api/v10",
        "gateway_url": f"{url.replace('http', 'ws')}/gateway/",
        "cdn": [url],
        "rate": {"overall": 0, "channel": 0},
    }
