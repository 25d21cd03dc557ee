"""The one door to Discord: discord.py's transport, our errors.

Results are taken as plain JSON and not as the library's objects: a message that was sent must not
turn into an exception because its description holds something newer than the library.

The library keeps the address of its server in class attributes. Ours are the account's own: two
bots on two servers in one process do not meet.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import discord
from discord.http import HTTPClient, Route

from adapters.discord.budget import Budget
from adapters.discord.config import DiscordConfig
from adapters.discord.errors import translate
from adapters.discord.native import Unreadable, User, read
from gateway.errors import BadConfig, Busy, GatewayError, Unavailable
from gateway.ports import Clock

# The debug log holds the texts; the client's warnings are about voice channels.
logging.getLogger("discord").setLevel(logging.WARNING)
logging.getLogger("discord.client").setLevel(logging.ERROR)

PATIENCE = 40.0
"""Seconds of one call with all the repetitions that the library makes."""
UPLOAD_PATIENCE = 150.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    content: bytes
    filename: str
    media_type: str


class Http(HTTPClient):
    """The library's, on a server of its own."""

    def __init__(self, base: str, trace: aiohttp.TraceConfig, longest_wait: float) -> None:
        super().__init__(asyncio.get_running_loop(), http_trace=trace)
        self.max_ratelimit_timeout = longest_wait  # its constructor takes 30 s at least
        self._base = base

    async def request(
        self,
        route: Route,
        *,
        files: Sequence[discord.File] | None = None,
        form: Any = None,
        **more: Any,
    ) -> Any:
        route.url = self._base + route.url.removeprefix(Route.BASE)
        return await super().request(route, files=files, form=form, **more)


class Client(discord.Client):
    """What the library's gateway connection leans on. It dispatches nothing: we do."""

    def __init__(self, http: Http, intents: discord.Intents, heartbeat_timeout: float) -> None:
        super().__init__(intents=intents, heartbeat_timeout=heartbeat_timeout)
        self.http = http

    def dispatch(self, event: str, /, *args: Any, **kwargs: Any) -> None:
        return


class Api:
    """Calls to Discord as one bot. Signs in at the first one."""

    def __init__(
        self, config: DiscordConfig, clock: Clock, heartbeat_timeout: float = 60.0
    ) -> None:
        self._config = config
        self._heartbeat_timeout = heartbeat_timeout
        self._budget = Budget(clock, config.longest_wait)
        self._http: Http | None = None
        self._me: User | None = None
        self._signing = asyncio.Lock()
        self._refused: BadConfig | None = None
        self._closed = False

    async def me(self) -> User:
        """Who we are. Raises `BadConfig` when the token is refused."""
        async with self._signing:
            if self._me is None:
                self._me = await self._sign_in()
        return self._me

    async def client(self, intents: discord.Intents) -> Client:
        """For a connection to the gateway, over the same session."""
        await self.me()
        assert self._http is not None
        made = Client(self._http, intents, self._heartbeat_timeout)
        await made._async_setup_hook()
        return made

    async def call(
        self,
        method: str,
        path: str,
        *,
        repeatable: bool = False,
        body: Mapping[str, Any] | Sequence[Any] | None = None,
        query: Mapping[str, str] | None = None,
        upload: Upload | None = None,
        **ids: str,
    ) -> Any:
        """The JSON of an answer. `ids` fill the path and tell the library which rate it is about.

        Raises `Busy`, `Unavailable`, `Uncertain` (unless `repeatable`), `Failed`, `BadConfig`.
        """
        await self.me()
        assert self._http is not None
        if self._refused is not None:
            raise self._refused
        route = Route(method, path, **ids)
        name = f"{route.key} {route.major_parameters}"
        self._budget.check(name)
        more: dict[str, Any] = {}
        if query is not None:
            more["params"] = query
        if upload is not None:
            more["form"] = _form(body, upload)
        elif body is not None:
            more["json"] = body
        try:
            async with asyncio.timeout(UPLOAD_PATIENCE if upload else PATIENCE):
                return await self._http.request(route, **more)
        except (discord.DiscordException, aiohttp.ClientError, OSError, RuntimeError) as error:
            raise self._ours(error, name, repeatable=repeatable) from error

    async def close(self) -> None:
        self._closed = True
        if self._http is not None:
            await self._http.close()

    async def _sign_in(self) -> User:
        if self._refused is not None:
            raise self._refused
        if self._closed:
            raise Unavailable("the adapter is closed")
        self._budget.check("")
        http = Http(self._config.api_base, self._budget.trace(), self._config.longest_wait)
        try:
            async with asyncio.timeout(PATIENCE):
                raw = await http.static_login(self._config.token.get_secret_value())
            me = read(raw, User)
        except Unreadable as problem:
            await http.close()
            raise Unavailable(f"the server is not Discord's: {problem}") from problem
        except BaseException as error:
            await http.close()
            if isinstance(
                error, discord.DiscordException | aiohttp.ClientError | OSError | RuntimeError
            ):
                raise self._ours(error, "", repeatable=True) from error
            raise
        self._http = http
        return me

    def _ours(self, error: Exception, route: str, *, repeatable: bool) -> GatewayError:
        ours = translate(error, repeatable=repeatable)
        if isinstance(ours, BadConfig):
            self._refused = ours  # asking again only brings the address closer to being locked out
        if isinstance(ours, Busy):
            self._budget.hold(route, ours.after or 1.0)
        return ours


def _form(body: Any, upload: Upload) -> list[dict[str, Any]]:
    return [
        {"name": "payload_json", "value": json.dumps(body)},
        {
            "name": "files[0]",
            "value": upload.content,
            "filename": upload.filename,
            "content_type": upload.media_type,
        },
    ]
