"""How tests hold the fake: in their own process, or in one of its own that outlives ours."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from tests.fakes.discord.server import Server
from tests.fakes.discord.world import TOKEN, Call, Fault, World
from tests.fakes.platforms import Local, Remote


class FakeDiscord(Local):
    """In this process. Everything but starting and waiting is at once.

    >>> async with FakeDiscord() as discord:
    ...     discord.say(discord.direct("7"), "7", "hello")
    ...     await discord.until(lambda: discord.calls("POST /channels/*/messages"))
    """

    token = TOKEN
    server: Server

    def __init__(self, *, journal: Path | None = None) -> None:
        self.world = World(journal)
        self.server = Server(self.world)
        self.gateway = self.server.gateway
        self.say = self.world.say
        self.direct = self.world.direct
        self.seen = self.world.seen

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

    async def connected(self) -> None:
        """A session is live."""
        sessions = self.world.sessions
        await self.until(lambda: any(each.push and not each.invalid for each in sessions.values()))


class RemoteDiscord(Remote):
    module = "tests.fakes.discord"
    token = TOKEN

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


def settings(url: str) -> dict[str, Any]:
    """What points an adapter at a fake; the fake has no rates of its own."""
    return {
        "token": TOKEN,
        "api_base": f"{url}/api/v10",
        "gateway_url": f"{url.replace('http', 'ws')}/gateway/",
        "cdn": [url],
        "rate": {"overall": 0, "channel": 0},
    }
