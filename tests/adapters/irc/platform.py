"""IRC for the adapters' contract: a real server, and a person at a client."""

from __future__ import annotations

from collections.abc import AsyncIterator

from adapters.irc.adapter import IrcAdapter
from adapters.irc.config import IrcConfig
from gateway.message import Account, Place, Sender
from tests.contracts.platform import Platform
from tests.fakes.irc import IrcPerson
from tests.fakes.services import services
from tests.servers.ngircd import Ngircd

ACCOUNT = Account(kind="irc")


async def platform() -> AsyncIterator[Platform]:
    async with Ngircd.running() as server, IrcPerson.connected("ada", server.port) as ada:
        config = IrcConfig(
            server="127.0.0.1", port=server.port, tls=False, nick="molt", line_every=0
        )
        adapter = IrcAdapter(ACCOUNT, config, services(ACCOUNT))

        async def texts() -> list[str]:
            await ada.settled()
            return ada.texts()

        yield Platform(
            adapter,
            Place(kind="direct", chat="ada"),
            Sender(id=ada.mask.lower()),
            lambda text: ada.says("molt", text),
            texts,
        )
        await adapter.close()
