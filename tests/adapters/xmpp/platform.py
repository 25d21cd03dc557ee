"""XMPP for the adapters' contract: a real server, and a person at a client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from adapters.xmpp.adapter import XmppAdapter
from adapters.xmpp.config import XmppConfig
from gateway.message import Account, Place, Sender
from tests.contracts.platform import Platform
from tests.fakes.services import services
from tests.fakes.xmpp import XmppPerson
from tests.servers.prosody import Prosody

ACCOUNT = Account(kind="xmpp")


def settings(server: Prosody, **more: object) -> XmppConfig:
    given = {
        "jid": "bot@localhost",
        "password": "bot",
        "server": "127.0.0.1",
        "port": server.port,
        "ca_file": str(server.certificate.chain),
    }
    return XmppConfig.model_validate(given | more)


async def platform() -> AsyncIterator[Platform]:
    async with (
        Prosody.running("bot", "ada") as server,
        XmppPerson.connected("ada", server) as ada,
    ):
        adapter = XmppAdapter(ACCOUNT, settings(server), services(ACCOUNT))

        async def say(text: str) -> None:
            await signed_in(adapter)
            await ada.says(text)

        async def texts() -> list[str]:
            await ada.settled()
            return ada.texts()

        yield Platform(
            adapter,
            Place(kind="direct", chat=ada.jid),
            Sender(id=ada.jid),
            say,
            texts,
        )
        await adapter.close()


async def signed_in(adapter: XmppAdapter) -> None:
    """Until it has caught up: what was said before its very first day is not for it."""
    async with asyncio.timeout(30):
        while adapter.listening is False:
            await asyncio.sleep(0.01)
