"""Matrix for the adapters' contract: a Synapse, one room with one person."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from adapters.matrix.adapter import MatrixAdapter
from adapters.matrix.config import MatrixConfig
from gateway.message import Account, Place, Sender
from tests.adapters.matrix.scene import ran_before
from tests.contracts.platform import Platform
from tests.fakes.services import services
from tests.servers import synapse

ACCOUNT = Account(kind="matrix")


async def platform() -> AsyncIterator[Platform]:
    server = await synapse.shared()
    bot, person = await server.user(), await server.user()
    room = await person.room(bot.id)
    await bot.join(room)
    folder = Path(tempfile.mkdtemp(prefix="mg-matrix-"))
    config = MatrixConfig(
        homeserver=server.url, access_token=bot.token, rate={"per_second": 0}, sync_timeout=5
    )
    given = services(ACCOUNT, folder=folder)
    await ran_before(given.keep, bot)
    adapter = MatrixAdapter(ACCOUNT, config, given)

    async def say(text: str) -> None:
        await person.say(room, text)

    async def texts() -> list[str]:
        return [one["body"] for one in synapse.stands(await person.events(room), bot.id)]

    yield Platform(adapter, Place(kind="direct", chat=room), Sender(id=person.id), say, texts)
    await adapter.close()
    shutil.rmtree(folder, ignore_errors=True)
