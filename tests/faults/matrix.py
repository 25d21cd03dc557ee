"""People on the run's Synapse, each conversation a room of its own; the gateways reach it over a
line that can be bad."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from gateway.message import Account
from gateway.queues.records import AccountKeep
from tests.adapters.matrix.scene import ran_before
from tests.faults.chats import Said
from tests.faults.checker import Sent, Shown, token
from tests.faults.system import System
from tests.servers import synapse
from tests.servers.synapse import Proxy, Synapse, User, stands

ACCOUNT = Account(kind="matrix")
_FILTER = json.dumps({"room": {"timeline": {"limit": 5000}, "state": {"types": []}}})


@dataclass
class MatrixChat:
    server: Synapse
    proxy: Proxy
    bot: User
    person: User
    name: str = "matrix"
    said: list[Said] = field(default_factory=list)
    system: System | None = None
    _rooms: dict[str, str] = field(default_factory=dict)
    _events: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "homeserver": self.proxy.url,
            "access_token": self.bot.token,
            "rate": {"per_second": 0},
            "sync_timeout": 5,
            "read_receipts": False,
        }

    @property
    def keep(self) -> AccountKeep:
        """What the account keeps, in the system's store."""
        assert self.system is not None
        return AccountKeep(self.system.opened.records, ACCOUNT)

    async def room(self, conversation: str) -> str:
        if conversation not in self._rooms:
            room = await self.person.room(self.bot.id)
            await self.bot.join(room)
            self._rooms.setdefault(conversation, room)
        return self._rooms[conversation]

    def word(self, conversation: str) -> str:
        return f"direct/{quote(self._rooms[conversation], safe='')}/"

    def path(self, conversation: str) -> str:
        """Of sends into its room, as a pattern."""
        return f"{quote(self._rooms[conversation], safe='')}/send/"

    async def say(self, conversation: str, text: str = "") -> Said:
        said = Said(conversation=conversation, token=token(), at=time.monotonic())
        room = await self.room(conversation)
        self.said.append(said)
        said.update = {"event": await self.person.say(room, f"{text} {said.token}".strip())}
        return said

    async def listen(self) -> None:
        """What the person's client is told, for as long as it runs."""
        since: dict[str, str] = {}
        while True:
            answer = await self.person.ask("GET", "/sync", timeout="5000", filter=_FILTER, **since)
            since = {"since": answer["next_batch"]}
            for room, found in answer.get("rooms", {}).get("join", {}).items():
                assert since or not found["timeline"]["limited"]
                self._events[room] += found["timeline"]["events"]

    async def seen(self, conversation: str) -> Sequence[str]:
        room = self._rooms.get(conversation, "")
        return [one["body"] for one in stands(self._events[room], self.bot.id)]

    async def sent(self) -> Sequence[Sent]:
        """The homeserver is told of nothing that it was taken in: all of it counts."""
        return [Sent(conversation=one.conversation, token=one.token) for one in self.said]

    async def shown(self) -> Sequence[Shown]:
        return [
            Shown(conversation=conversation, text=text)
            for conversation in self._rooms
            for text in await self.seen(conversation)
        ]

    async def pending(self) -> int:
        """What has neither an answer nor a place on the operator's list."""
        assert self.system is not None
        shown = "\n".join(one.text for one in await self.shown())
        listed = b"\n".join(one.body for one in await self.system.opened.dead.list(limit=10_000))
        return sum(one.token not in shown and one.token.encode() not in listed for one in self.said)

    def sends(self, conversation: str) -> int:
        """How often a message was put into its room."""
        return sum(self.path(conversation) in path for path in self.proxy.raw_paths)


@contextlib.asynccontextmanager
async def talking(**options: Any) -> AsyncIterator[tuple[System, MatrixChat]]:
    """A system with one account that was in use before, and a person."""
    server = await synapse.shared()
    bot, person = await server.user(), await server.user()
    async with Proxy.before(server.url) as proxy:
        chat = MatrixChat(server, proxy, bot, person)
        settings = {"adapters": {"matrix": chat.settings}}
        async with System.started(settings=settings, roles=False, **_plain(options)) as system:
            chat.system = system
            await ran_before(chat.keep, bot)
            system.chats.append(chat)
            listening = asyncio.create_task(chat.listen())
            try:
                names = [f"gateway-{n}" for n in range(1, 1 + options.get("gateways", 1))]
                names += [f"worker-{n}" for n in range(1, 1 + options.get("workers", 1))]
                await asyncio.gather(*map(system.launch, names))
                await system.connected()
                yield system, chat
            finally:
                listening.cancel()
                await asyncio.wait([listening])


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in ("gateways", "workers")}
