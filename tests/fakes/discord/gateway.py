"""The fake's gateway: one deflate stream per connection, sessions that can be resumed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import zlib
from typing import Any

from aiohttp import WSMsgType, web

from tests.fakes.discord.world import APPLICATION, BOT, CONTENT_INTENT, GUILD, Session, World

_JOINED = "2024-01-01T00:00:00+00:00"
_FORGETS = (1000, 1001)
"""Close codes of a client after which its session is gone."""


class Gateway:
    def __init__(self, world: World) -> None:
        self.world = world
        self.url = ""
        self.interval = 1.0
        """Seconds between heartbeats."""
        self.mute = False
        """Leave heartbeats unanswered, as a connection that is dead without saying so."""
        self.identifies = 0
        self.resumes = 0
        self.connections: set[_Connection] = set()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        if request.query.get("v") != "10" or request.query.get("encoding") != "json":
            return web.Response(status=400)
        socket = web.WebSocketResponse(autoping=True, max_msg_size=4096 * 4)
        await socket.prepare(request)
        connection = _Connection(self, socket, request.query.get("compress", ""))
        self.connections.add(connection)
        try:
            await connection.run()
        finally:
            self.connections.discard(connection)
        return socket

    async def drop(self) -> None:
        """Every connection ends without a word."""
        for connection in list(self.connections):
            connection.abort()

    async def reconnect(self) -> None:
        for connection in list(self.connections):
            connection.send({"op": 7, "d": None})

    async def invalidate(self) -> None:
        """Sessions are gone, and who is connected is told."""
        for session in self.world.sessions.values():
            session.invalid = True
        for connection in list(self.connections):
            connection.send({"op": 9, "d": False})

    async def close(self, code: int) -> None:
        for connection in list(self.connections):
            connection.closed_by_us = True
            await connection.socket.close(code=code)

    def frame(self, text: str) -> None:
        """Something to everybody who is connected, whatever it is."""
        for connection in list(self.connections):
            connection.write(text)


class _Connection:
    def __init__(self, gateway: Gateway, socket: web.WebSocketResponse, compress: str) -> None:
        self.gateway = gateway
        self.world = gateway.world
        self.socket = socket
        self.session: Session | None = None
        self.closed_by_us = False
        self._deflate = zlib.compressobj() if compress == "zlib-stream" else None
        self._out: asyncio.Queue[str] = asyncio.Queue()

    async def run(self) -> None:
        writer = asyncio.create_task(self._write())
        self.send({"op": 10, "d": {"heartbeat_interval": int(self.gateway.interval * 1000)}})
        try:
            async for message in self.socket:
                if message.type is not WSMsgType.TEXT:
                    break
                await self._heard(json.loads(message.data))
        finally:
            writer.cancel()
            await asyncio.wait([writer])
            if self.session is not None and self.session.push == self._push:
                self.session.push = None
                if self.socket.close_code in _FORGETS and not self.closed_by_us:
                    self.session.invalid = True

    def send(self, payload: dict[str, Any]) -> None:
        self.write(json.dumps({"s": None, "t": None, **payload}))

    def write(self, text: str) -> None:
        self._out.put_nowait(text)

    def abort(self) -> None:
        transport = self.socket._req.transport if self.socket._req is not None else None
        if transport is not None:
            transport.abort()

    async def _write(self) -> None:
        while True:
            text = await self._out.get()
            with contextlib.suppress(ConnectionError):
                if self._deflate is None:
                    await self.socket.send_str(text)
                else:
                    data = self._deflate.compress(text.encode())
                    await self.socket.send_bytes(data + self._deflate.flush(zlib.Z_SYNC_FLUSH))

    async def _heard(self, payload: dict[str, Any]) -> None:
        data = payload.get("d")
        match payload.get("op"):
            case 1:
                if self.session is not None and isinstance(data, int):
                    self.session.acked = max(self.session.acked, data)
                if not self.gateway.mute:
                    self.send({"op": 11, "d": None})
            case 2:
                await self._identify(data)
            case 6:
                await self._resume(data)
            case 3 | 4 | 8:
                pass
            case _:
                await self.socket.close(code=4001)

    async def _token_is_good(self, data: Any) -> bool:
        good = data.get("token") == self.world.token and not self.world.revoked
        if self.session is not None:
            await self.socket.close(code=4005)
            return False
        if not good:
            await self.socket.close(code=4004)
        return good

    async def _identify(self, data: Any) -> None:
        if not await self._token_is_good(data):
            return
        intents = data.get("intents")
        if not isinstance(intents, int) or not isinstance(data.get("properties"), dict):
            await self.socket.close(code=4013)
            return
        if intents & CONTENT_INTENT and not self.world.content_allowed:
            await self.socket.close(code=4014)
            return
        self.gateway.identifies += 1
        session = Session(id=secrets.token_hex(16), intents=intents)
        self.world.sessions[session.id] = session
        self._attach(session)
        self.world.dispatch_to(session, "READY", self._ready(session))
        self.world.dispatch_to(session, "GUILD_CREATE", guild(self.world))

    async def _resume(self, data: Any) -> None:
        if not await self._token_is_good(data):
            return
        session = self.world.sessions.get(data.get("session_id"))
        seq = data.get("seq")
        known = session is not None and not session.invalid and isinstance(seq, int)
        if not known or seq > session.seq:
            self.send({"op": 9, "d": False})
            return
        self.gateway.resumes += 1
        session.acked = seq
        for number, event, told in session.events:
            if number > seq:
                self._push(number, event, told)
        self._attach(session)
        self.world.dispatch_to(session, "RESUMED", {"_trace": []})

    def _attach(self, session: Session) -> None:
        """One connection a session: the newest."""
        self.session = session
        session.push = self._push

    def _push(self, seq: int, event: str, data: Any) -> None:
        self.write(json.dumps({"op": 0, "s": seq, "t": event, "d": data}))

    def _ready(self, session: Session) -> dict[str, Any]:
        return {
            "v": 10,
            "user": self.world.users[BOT] | {"flags": 0, "verified": True},
            "guilds": [{"id": GUILD, "unavailable": True}],
            "private_channels": [],
            "session_id": session.id,
            "resume_gateway_url": self.gateway.url,
            "application": {"id": APPLICATION, "flags": 1 << 19},
            "session_type": "normal",
            "shard": [0, 1],
        }


def guild(world: World) -> dict[str, Any]:
    every = [each for each in world.channels.values() if each.get("guild_id") == GUILD]
    role = {"id": GUILD, "name": "@everyone", "permissions": str(world.permissions),
            "color": 0, "colors": {"primary_color": 0, "secondary_color": None,
                                   "tertiary_color": None},
            "hoist": False, "position": 0, "managed": False, "mentionable": False,
            "flags": 0}  # fmt: skip
    member = {"user": world.users[BOT], "roles": [], "joined_at": _JOINED, "deaf": False,
              "mute": False, "flags": 0}  # fmt: skip
    return {
        "id": GUILD,
        "name": "a server",
        "owner_id": "42",
        "roles": [role],
        "emojis": [],
        "stickers": [],
        "features": [],
        "channels": [each for each in every if each["type"] < 10],
        "threads": [each for each in every if each["type"] >= 10],
        "members": [member],
        "member_count": 2,
        "presences": [],
        "voice_states": [],
        "stage_instances": [],
        "guild_scheduled_events": [],
        "soundboard_sounds": [],
        "large": False,
        "unavailable": False,
        "verification_level": 0,
        "default_message_notifications": 0,
        "explicit_content_filter": 0,
        "mfa_level": 0,
        "nsfw_level": 0,
        "premium_tier": 0,
        "preferred_locale": "en-US",
        "system_channel_flags": 0,
        "afk_timeout": 60,
        "joined_at": _JOINED,
    }  # fmt: skip
