"""The one door to the Web API: slack-sdk's client, our errors. Nothing here is tried twice."""

from __future__ import annotations

import io
import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

from adapters.slack.config import SlackConfig
from adapters.slack.errors import CAUGHT, MISREAD, of_status, translate
from gateway.errors import BadConfig, Failed, Unavailable, Uncertain

# The library's debug log holds texts.
logging.getLogger("slack_sdk").setLevel(logging.INFO)

_CHUNK = 64 * 1024
_REDIRECTS = 3
_TIMEOUT = aiohttp.ClientTimeout(total=30.0, connect=10.0)
_UPLOAD = aiohttp.ClientTimeout(total=150.0, connect=10.0)
CONNECTIONS = 64


@dataclass(frozen=True, slots=True)
class Answer:
    """What a method gave back."""

    data: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


class WebApi:
    """Calls to Slack as one app."""

    def __init__(self, config: SlackConfig) -> None:
        self._config = config
        self._token = config.bot_token.get_secret_value()
        self._hosts = config.file_hosts
        self._made: tuple[aiohttp.ClientSession, AsyncWebClient] | None = None

    @property
    def session(self) -> aiohttp.ClientSession:
        return self._open()[0]

    @property
    def proxy(self) -> str | None:
        """What slack-sdk found in the environment: the same way for all that goes to Slack."""
        return self._open()[1].proxy

    def _open(self) -> tuple[aiohttp.ClientSession, AsyncWebClient]:
        """Made when first used: a session belongs to the loop that runs."""
        if self._made is None:
            session = aiohttp.ClientSession(
                timeout=_TIMEOUT,
                connector=aiohttp.TCPConnector(limit=CONNECTIONS),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
            # Its default handlers repeat a call whose connection was cut: a message would come
            # twice.
            client = AsyncWebClient(
                token=self._token,
                base_url=self._config.base_url,
                session=session,
                retry_handlers=[],
            )
            self._made = session, client
        return self._made

    async def call(self, method: str, *, repeatable: bool = False, **data: Any) -> Answer:
        """A method that writes. None values are left out.

        Raises `Busy`, `Unavailable`, `Uncertain` (unless `repeatable`), `Failed`, `BadConfig`.
        """
        given = {name: value for name, value in data.items() if value is not None}
        return await self._ask(method, repeatable=repeatable, json=given)

    async def read(self, method: str, **params: Any) -> Answer:
        """A method that changes nothing, or nothing that anybody sees. These take no JSON."""
        given = {name: value for name, value in params.items() if value is not None}
        return await self._ask(method, repeatable=True, params=given)

    async def open_socket(self) -> str:
        """An address for one connection. `BadConfig` when Slack gives this app none."""
        assert self._config.app_token is not None
        token = self._config.app_token.get_secret_value()
        try:
            answer = await self._ask(
                "apps.connections.open", repeatable=True, params={"token": token}
            )
        except (BadConfig, Failed) as refused:
            raise BadConfig(
                "adapters.slack.app_token",
                f"Slack opens no socket ({getattr(refused, 'reason', refused)})",
                "switch Socket Mode on for the app (api.slack.com/apps), and use an app-level "
                "token (xapp-) with connections:write",
            ) from refused
        url = answer.data.get("url")
        if not isinstance(url, str):
            raise Unavailable("apps.connections.open gave no address")
        return url

    async def form(self, method: str, **data: Any) -> Answer:
        """A method that writes and takes no JSON."""
        given = {name: value for name, value in data.items() if value is not None}
        return await self._ask(method, repeatable=False, data=given)

    async def _ask(self, method: str, *, repeatable: bool, **request: Any) -> Answer:
        _, client = self._open()
        try:
            found = await client.api_call(method, **request)
        except MISREAD as error:
            raise translate(error, repeatable=repeatable) from error
        if not isinstance(found.data, dict):
            words = f"{method} gave something unknown"
            raise Unavailable(words) if repeatable else Uncertain(words)
        return Answer(found.data, found.headers)

    async def upload(self, url: str, content: bytes) -> None:
        """Bytes to the address that Slack gave for them. Nobody sees them yet."""
        try:
            async with self.session.post(
                url, data=io.BytesIO(content), timeout=_UPLOAD, proxy=self.proxy
            ) as answer:
                if answer.status != 200:
                    raise of_status(answer.status, answer.headers, "an upload", repeatable=True)
        except CAUGHT as error:
            raise translate(error, repeatable=True) from error

    async def respond(self, url: str, body: Mapping[str, Any]) -> None:
        """Answer a slash command at the address it came with."""
        host, ours = urlsplit(url), urlsplit(self._config.base_url)
        known = {ours.netloc, "hooks.slack.com"} if ours.netloc == "slack.com" else {ours.netloc}
        if host.netloc not in known or host.scheme not in {"https", ours.scheme}:
            raise Failed("a slash command came with an address that is not Slack's")
        try:
            async with self.session.post(
                url, json=body, allow_redirects=False, proxy=self.proxy
            ) as answer:
                if answer.status != 200:
                    what = "the answer of a command"
                    raise of_status(answer.status, answer.headers, what, repeatable=False)
        except CAUGHT as error:
            raise translate(error, repeatable=False) from error

    async def chunks(self, url: str, media_type: str) -> AsyncIterator[bytes]:
        """The bytes of a file. `Failed` when they do not come; the token goes to Slack only."""
        try:
            async for chunk in self._chunks(url, media_type):
                yield chunk
        except CAUGHT as error:
            raise Failed(f"a file could not be fetched: {type(error).__name__}") from error

    async def _chunks(self, url: str, media_type: str) -> AsyncIterator[bytes]:
        for _ in range(_REDIRECTS + 1):
            self._check_host(url)
            headers = {"Authorization": f"Bearer {self._token}"}
            async with self.session.get(
                url, headers=headers, allow_redirects=False, proxy=self.proxy
            ) as answer:
                if answer.status in (301, 302, 303, 307, 308):
                    url = urljoin(url, answer.headers.get("Location", ""))
                    continue
                if answer.status != 200:
                    raise Failed(f"Slack answered {answer.status} for a file")
                if answer.content_type == "text/html" and media_type != "text/html":
                    raise Failed("Slack showed a login page for a file: is files:read granted?")
                async for chunk in answer.content.iter_chunked(_CHUNK):
                    yield chunk
                return
        raise Failed("too many redirects for a file")

    def _check_host(self, url: str) -> None:
        try:
            found = urlsplit(url)
        except ValueError as problem:
            raise Failed("a file at an address that cannot be read") from problem
        secure = found.scheme == "https" or self._config.base_url.startswith("http://")
        if found.netloc.lower() not in self._hosts or not secure or found.scheme not in _SCHEMES:
            raise Failed(f"a file at {found.hostname}, which is not among files_hosts")

    async def close(self) -> None:
        if self._made is not None:
            await self._made[0].close()


_SCHEMES = ("https", "http")
