"""Somebody at a client that knows corrections: what they see is what stands in their window."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from slixmpp import JID, ClientXMPP
from slixmpp.stanza import Message

from tests.servers.prosody import DOMAIN, ROOMS, Prosody

PLUGINS = "xep_0030 xep_0045 xep_0066 xep_0085 xep_0199 xep_0308 xep_0359".split()


@dataclass
class Seen:
    id: str
    sender: str
    text: str
    kind: str
    url: str = ""
    versions: list[str] = field(default_factory=list)


class XmppPerson:
    def __init__(self, name: str, server: Prosody) -> None:
        self.name = name
        self.jid = f"{name}@{DOMAIN}"
        self.bot = f"bot@{DOMAIN}"
        self.seen: list[Seen] = []
        """Others' messages as they stand, oldest first."""
        self.states: list[str] = []
        self._server = server
        self._client: ClientXMPP | None = None

    @classmethod
    @contextlib.asynccontextmanager
    async def connected(cls, name: str, server: Prosody, *rooms: str) -> AsyncIterator[XmppPerson]:
        person = cls(name, server)
        try:
            await person.connect(*rooms)
            yield person
        finally:
            await person.leave()

    async def connect(self, *rooms: str) -> None:
        client = ClientXMPP(f"{self.jid}/phone", self.name)
        for plugin in PLUGINS:
            client.register_plugin(plugin)
        client.ssl_context = ssl.create_default_context(cafile=self._server.certificate.chain)
        client.enable_direct_tls = False
        started = asyncio.Event()
        client.add_event_handler("session_start", lambda event: started.set())
        client.add_event_handler("message", self._take)
        for state in ("composing", "active", "paused"):
            client.add_event_handler(
                f"chatstate_{state}", lambda message: self.states.append(message["chat_state"])
            )
        self._client = client
        client.connect("127.0.0.1", self._server.port)
        async with asyncio.timeout(30):
            await started.wait()
        client.send_presence()
        for room in rooms:
            await client.plugin["xep_0045"].join_muc_wait(
                JID(f"{room}@{ROOMS}"), self.name, maxstanzas=0
            )

    async def leave(self) -> None:
        client = self._client
        if client is None:
            return
        client.cancel_connection_attempt()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
                await client.disconnect(wait=0.5, ignore_send_queue=True)
        client.abort()
        if client._run_out_filters is not None:
            client._run_out_filters.cancel()
            await asyncio.wait([client._run_out_filters])
        self._client = None

    async def says(self, text: str, *, room: str = "", **more: Any) -> str:
        """The message's id. `corrects` an earlier one, `url` sends a file's address."""
        message = self.message(text, room=room, **more)
        message.send()
        await self.settled()
        return str(message["id"])

    def message(
        self, text: str, *, room: str = "", corrects: str = "", url: str = "", id: str = ""
    ) -> Message:
        assert self._client is not None
        to = JID(f"{room}@{ROOMS}" if room else self.bot)
        message = self._client.make_message(
            mto=to, mbody=text, mtype="groupchat" if room else "chat"
        )
        message["id"] = id or message["id"] or self._client.new_id()
        if corrects:
            message["replace"]["id"] = corrects
        if url:
            message["oob"]["url"] = url
        return message

    async def settled(self) -> None:
        """The server has done everything that was asked before."""
        assert self._client is not None
        await self._client.plugin["xep_0199"].send_ping(JID(DOMAIN), timeout=30)

    def texts(self) -> list[str]:
        return [one.text for one in self.seen if one.sender == self.bot]

    def room(self, room: str) -> list[str]:
        return [one.text for one in self.seen if one.sender.startswith(f"{room}@{ROOMS}/")]

    async def reads(self, text: str, seconds: float = 30.0) -> Seen:
        async with asyncio.timeout(seconds):
            while True:
                for one in self.seen:
                    if text in one.text:
                        return one
                await asyncio.sleep(0.01)

    def _take(self, message: Message) -> None:
        if not message["body"] or message["type"] == "error":
            return
        group = message["type"] == "groupchat"
        sender = str(message["from"]) if group else message["from"].bare
        if group and message["from"].resource == self.name:
            return
        replaced = message["replace"]["id"] if message.get_plugin("replace", check=True) else ""
        for one in self.seen:
            if replaced and one.id == replaced and one.sender == sender:
                one.versions.append(one.text)
                one.text = message["body"]
                return
        url = message["oob"]["url"] if message.get_plugin("oob", check=True) else ""
        self.seen.append(Seen(message["id"], sender, message["body"], message["type"], url))
