"""How tests hold the fake: in their own process, or in one of its own that outlives ours."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.fakes.platforms import Local, Remote
from tests.fakes.slack.server import Server
from tests.fakes.slack.world import APP_TOKEN, BOT_TOKEN, SECRET, Call, Fault, World, visible


class FakeSlack(Local):
    """In this process. Everything but starting and waiting is at once.

    >>> async with FakeSlack() as slack:
    ...     slack.say("D7", "U7", "hello")
    ...     await slack.until(lambda: slack.calls("chat.postMessage"))
    """

    bot_token = BOT_TOKEN
    app_token = APP_TOKEN
    secret = SECRET
    server: Server

    def __init__(self, *, journal: Path | None = None, pause: float = 0.1) -> None:
        self.world = World(journal)
        self.server = Server(self.world, pause=pause)
        self.say = self.world.say
        self.press = self.world.press
        self.react = self.world.react
        self.slash = self.world.slash
        self.delete = self.world.delete
        self.seen = self.world.seen

    @property
    def base_url(self) -> str:
        return f"{self.server.url}/api/"

    @property
    def settings(self) -> dict[str, Any]:
        """Of an adapter that talks to it by socket."""
        return {
            "bot_token": BOT_TOKEN,
            "app_token": APP_TOKEN,
            "base_url": self.base_url,
            "rate": {"channel": 0, "updates": 0},
        }

    def calls(self, method: str) -> list[Call]:
        return [call for call in self.world.calls if call.method == method]

    def texts(self, channel: str) -> list[str]:
        """What we say in a channel, as it reads now."""
        return [visible(each.text) for each in self.seen(channel) if each.from_bot]

    def fault(self, method: str, kind: str, **more: Any) -> Fault:
        made = Fault(method, kind, **more)
        self.world.faults.append(made)
        return made

    async def connected(self) -> None:
        await self.until(lambda: self.server.connections)

    async def all_confirmed(self) -> None:
        """Slack was told that everything has arrived, or does not try again."""
        await self.until(lambda: not any(each.open for each in self.world.deliveries))


class RemoteSlack(Remote):
    module = "tests.fakes.slack"

    async def say(
        self,
        channel: str,
        user: str,
        text: str,
        *,
        files: Sequence[Mapping[str, Any]] = (),
        **more: Any,
    ) -> dict[str, Any]:
        packed = [{**file, "content": base64.b64encode(file["content"]).decode()} for file in files]
        said: dict[str, Any] = await self.ask(
            "say", channel=channel, user=user, text=text, files=packed, **more
        )
        return said

    async def seen(self, channel: str) -> list[dict[str, Any]]:
        shown: list[dict[str, Any]] = await self.ask("seen", channel=channel)
        return shown

    async def calls(self, method: str | None = None) -> list[dict[str, Any]]:
        made: list[dict[str, Any]] = await self.ask("calls", method=method)
        return made

    async def state(self) -> dict[str, Any]:
        found: dict[str, Any] = await self.ask("state")
        return found
