"""What the adapter's tests happen on: the run's Synapse, a bot and a person of the test's own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from adapters.matrix.adapter import MatrixAdapter
from adapters.matrix.config import MatrixConfig
from adapters.matrix.sync import Stand
from gateway.message import (
    Account,
    Attachment,
    Outbound,
    Place,
    ReplyId,
    Sender,
    conversation_id,
)
from gateway.ports import Keep, Services
from tests.fakes.inbox import MemoryInbox
from tests.fakes.services import Counts, services
from tests.fakes.stores import MemoryRecords
from tests.servers.synapse import Synapse, User, stands

ACCOUNT = Account(kind="matrix")
PATIENCE = 40.0
COMMANDS = (("stop", "Stop"), ("new", "Forget"))


async def ran_before(keep: Keep, bot: User) -> None:
    """As if the account had been in use: what comes from now on is not old history."""
    token = (await bot.ask("GET", "/sync", timeout="0"))["next_batch"]
    await keep.set("sync", msgspec.json.encode(Stand(user=bot.id, token=token)))


async def until(true: Callable[[], Any], what: str = "") -> Any:
    """What the condition gives, once it is true; it may be one to be awaited."""
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                found = true()
                if isinstance(found, Awaitable):
                    found = await found
                if found:
                    return found
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"not within {PATIENCE:.0f} s: {what}") from None


@dataclass
class Scene:
    """One bot and what it keeps; adapters on it come and go."""

    server: Synapse
    bot: User
    person: User
    folder: Path
    url: str = ""
    """The homeserver as the adapter sees it: a proxy, maybe."""
    records: MemoryRecords = field(default_factory=MemoryRecords)
    counts: Counts = field(default_factory=Counts)
    inbox: MemoryInbox = field(default_factory=MemoryInbox)
    room: str = ""
    """A direct chat with the person."""
    _task: asyncio.Task[None] | None = None

    @classmethod
    async def on(cls, server: Synapse, folder: Path, *, encrypted: bool = False) -> Scene:
        bot, person = await server.user(), await server.user()
        scene = cls(server, bot, person, folder, url=server.url)
        scene.room = await person.room(bot.id, encrypted=encrypted)
        await bot.join(scene.room)
        await ran_before(scene.services().keep, bot)
        return scene

    def services(self, **given: Any) -> Services:
        usual = {"folder": self.folder, "count": self.counts.happened, "commands": COMMANDS}
        return services(ACCOUNT, records=self.records, **usual | given)

    def config(self, **settings: Any) -> MatrixConfig:
        usual: dict[str, Any] = {
            "homeserver": self.url,
            "access_token": self.bot.token,
            "rate": {"per_second": 0},
            "sync_timeout": 5,
        }
        return MatrixConfig(**usual | settings)

    def adapter(self, given: Services | None = None, **settings: Any) -> MatrixAdapter:
        return MatrixAdapter(ACCOUNT, self.config(**settings), given or self.services())

    @contextlib.asynccontextmanager
    async def running(
        self, given: Services | None = None, **settings: Any
    ) -> AsyncIterator[MatrixAdapter]:
        """An adapter that receives into the scene's inbox."""
        adapter = self.adapter(given, **settings)
        self._task = task = asyncio.create_task(adapter.run(self.inbox))
        try:
            yield adapter
        finally:
            task.cancel()
            await asyncio.wait([task])
            await adapter.close()
            self._raise_its_end()

    def _raise_its_end(self) -> None:
        task = self._task
        if task is not None and task.done() and not task.cancelled():
            raise task.exception() or AssertionError("receiving came to an end")

    def part(
        self,
        text: str = "",
        *,
        reply: str = "r1",
        files: tuple[Attachment, ...] = (),
        room: str = "",
        thread: str = "",
        **more: Any,
    ) -> Outbound:
        place = Place(kind="direct", chat=room or self.room, thread=thread)
        return Outbound(
            reply=ReplyId(reply),
            conversation=conversation_id(ACCOUNT, place, Sender(id=self.person.id)),
            account=ACCOUNT,
            place=place,
            text=text,
            files=files,
            **more,
        )

    async def seen(self, room: str = "") -> list[dict[str, Any]]:
        """The bot's messages as the person sees them."""
        return stands(await self.person.events(room or self.room), self.bot.id)

    async def texts(self, room: str = "") -> list[str]:
        return [one["body"] for one in await self.seen(room)]

    async def taken(self, number: int = 1) -> list[Any]:
        """Waits for so many events in the inbox."""

        def there() -> bool:
            self._raise_its_end()
            return len(self.inbox.events) >= number

        await until(there, f"{number} events")
        return self.inbox.events
