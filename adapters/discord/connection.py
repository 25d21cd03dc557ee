"""The connection to Discord's gateway: kept up, resumed, begun anew; nothing it brings ends it.

The frames are the library's business (compression, heartbeats, resuming, close codes), what is in
them is ours: its own parsers end the whole connection at the first object they do not understand.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import aiohttp
import structlog
from discord import Intents
from discord.errors import ConnectionClosed, DiscordException
from discord.gateway import DiscordWebSocket, ReconnectWebSocket
from yarl import URL

from adapters.discord.api import Api, Client
from adapters.discord.errors import intents_refused, token
from adapters.discord.native import Ready, Unreadable, read
from adapters.discord.position import Position, Session
from adapters.discord.reception import Reception
from gateway.errors import BadConfig, Busy, GatewayError, Unavailable
from gateway.ports import Clock, Keep

log = structlog.get_logger(__name__)

RESUMABLE = 4000
"""Close code of ours. By 1000 or 1001 Discord would forget the session at once."""
IDENTIFIES = 900
"""New sessions a day. Discord allows 1,000 and then takes the bot's token away."""
IDENTIFY_PAUSE = 5.0
_LONGEST = 60.0
_OPENING = 60.0
_CLOSING = 2.0
_STEADY = 10.0
"""Seconds of a connection after which the next one is tried at once."""
_SESSION_GONE = (4007, 4009)


def intents(*, message_content: bool) -> Intents:
    """What we ask for: exactly what `Reception` reads."""
    return Intents(
        guilds=True,
        guild_messages=True,
        guild_reactions=True,
        dm_messages=True,
        dm_reactions=True,
        message_content=message_content,
    )


class Socket(DiscordWebSocket):
    """The library's; a frame that nobody can read is passed over."""

    owner: ClassVar[Connection]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.owner.socket = self

    async def received_message(self, msg: Any, /) -> None:
        try:
            await super().received_message(msg)
        except (ReconnectWebSocket, DiscordException, GatewayError, aiohttp.ClientError, OSError):
            raise
        except zlib.error:
            raise  # everything behind it is lost, too: resuming brings it again
        except Exception as problem:  # noqa: BLE001 - whatever it is, it is one frame
            self.owner.unreadable(problem)


class _Parsers(dict[str, Callable[[Any], None]]):
    """Takes every event, where the library would look for a parser of its own."""

    def __init__(self, take: Callable[[str, Any], None]) -> None:
        super().__init__()
        self._take = take

    def __missing__(self, event: str) -> Callable[[Any], None]:
        return partial(self._take, event)


class Connection:
    """Of one account. Raises `BadConfig` when the gateway refuses the token or the intents."""

    def __init__(
        self,
        api: Api,
        reception: Reception,
        position: Position,
        keep: Keep,
        clock: Clock,
        count: Callable[[str], None],
        *,
        gateway_url: str,
        message_content: bool,
    ) -> None:
        self._api = api
        self._reception = reception
        self._position = position
        self._keep = keep
        self._clock = clock
        self._count = count
        self._gateway = URL(gateway_url)
        self._intents = intents(message_content=message_content)
        self._own: type[Socket] = type("OwnSocket", (Socket,), {"owner": self})
        self.socket: Socket | None = None
        self._identified = -IDENTIFY_PAUSE
        self._failures = 0
        self._up = math.inf
        """Since when it is connected."""

    async def run(self) -> None:
        """Until cancelled."""
        client = await self._api.client(self._intents)
        client._connection.parsers = _Parsers(self._take)
        while True:
            try:
                await self._once(client)
            except ReconnectWebSocket as again:
                self._note("asked to reconnect" if again.resume else "session not resumable")
                if not again.resume:
                    self._lose_session()
            except ConnectionClosed as closed:
                self._closed(closed)
            except (aiohttp.ClientError, OSError, zlib.error) as problem:
                self._note(f"{type(problem).__name__}: {problem}"[:300])
            except GatewayError:
                raise
            except Exception as problem:
                self._count("crashed")
                log.error("connection_broke", exc_info=problem)
                self._note(type(problem).__name__)
            finally:
                await self._close()
            await self._pause()

    def unreadable(self, problem: Exception) -> None:
        self._reception.unreadable("frame", problem)

    async def _once(self, client: Client) -> None:
        session = self._position.session
        if session is None:
            await self._may_identify()
        async with asyncio.timeout(_OPENING):
            socket = await self._own.from_client(
                client,
                initial=True,
                gateway=self._where(session),
                session=session.id if session else None,
                sequence=self._position.progress.latest if session else None,
                resume=session is not None,
            )
        if socket._keep_alive is None:
            raise Unavailable("the gateway began with something else than its greeting")
        while True:
            await self._reception.room()
            await socket.poll_event()

    def _take(self, event: str, data: Any) -> None:
        assert self.socket is not None
        seq = self.socket.sequence or 0
        if event == "READY":
            try:
                ready = read(data, Ready)
            except Unreadable as problem:
                raise Unavailable(f"the gateway's greeting cannot be read: {problem}") from problem
            url = self._resume_url(ready.resume_gateway_url)
            self._position.opened(Session(ready.session_id, url, seq))
        if event in ("READY", "RESUMED"):
            self._up = self._clock.monotonic()
            self._count("connected" if event == "READY" else "resumed")
            log.info("discord_connected", resumed=event == "RESUMED")
        self._reception.dispatch(event, seq, data)

    def _where(self, session: Session | None) -> URL:
        return URL(session.url) if session is not None and session.url else self._gateway

    def _resume_url(self, address: str) -> str:
        """The token goes there: only to servers of the same house, never in the clear."""
        try:
            url = URL(address)
        except ValueError:
            return ""
        ours = self._gateway.host or ""
        house = ".".join(ours.split(".")[-2:])
        same = url.host == ours or (
            house == "discord.gg" and (url.host or "").endswith(f".{house}")
        )
        return address if same and url.scheme == self._gateway.scheme else ""

    def _closed(self, closed: ConnectionClosed) -> None:
        code = closed.code
        if code == 4004:
            raise token("the gateway closed with 4004")
        if code == 4014:
            raise intents_refused()
        if code in (4010, 4011, 4012, 4013):
            raise BadConfig(
                "adapters.discord",
                f"the gateway closed with {code}",
                "4011 means that the bot is in too many servers for one connection",
            )
        if code in _SESSION_GONE:
            self._lose_session()
        self._note(f"closed with {code}")

    def _lose_session(self) -> None:
        self._position.lost()
        self._count("session_lost")

    def _note(self, reason: str) -> None:
        if self._clock.monotonic() - self._up > _STEADY:
            self._failures = 0
        self._up = math.inf
        self._failures += 1
        tell = log.warning if self._failures == 2 else log.info
        tell("discord_disconnected", reason=reason)

    async def _pause(self) -> None:
        """None after the first, then more and more."""
        if self._failures > 1:
            seconds = min(0.5 * 2.0 ** (self._failures - 1), _LONGEST)
            await self._clock.sleep(seconds * random.uniform(0.7, 1.0))

    async def _may_identify(self) -> None:
        early = self._identified + IDENTIFY_PAUSE - self._clock.monotonic()
        if early > 0:
            await self._clock.sleep(early)
        wait = await self._keep.hit("identify", limit=IDENTIFIES, window=86_400.0)
        if wait > 0:
            raise Busy("too many new sessions today: one more could cost the token", after=wait)
        self._identified = self._clock.monotonic()

    async def _close(self) -> None:
        socket, self.socket = self.socket, None
        if socket is not None:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(_CLOSING):
                    await socket.close(RESUMABLE)
