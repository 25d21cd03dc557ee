"""Access tokens for XOAUTH2: given, read from a file, or fetched with a refresh token."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import structlog

from adapters.email.config import OAuthConfig
from gateway.errors import BadConfig, Unavailable
from gateway.ports import Clock

log = structlog.get_logger(__name__)

EARLY = 60.0
"""Seconds before its end at which a token is no longer used."""
_PATIENCE = aiohttp.ClientTimeout(total=20.0)
_LARGEST = 64 * 2**10


class Tokens:
    """Raises `Unavailable` when nobody can say, `BadConfig` when we are refused."""

    def __init__(self, config: OAuthConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._token = ""
        self._until = 0.0
        self._lock = asyncio.Lock()

    async def get(self) -> str:
        config = self._config
        if config.token is not None:
            return config.token.get_secret_value()
        if config.token_file:
            return _read(config.token_file)
        async with self._lock:
            if not self._token or self._clock.monotonic() >= self._until:
                await self._refresh()
            return self._token

    def refused(self, token: str) -> bool:
        """A server did not take it: whether another one may be had."""
        if token == self._token:
            self._token = ""
            return True
        return False

    async def _refresh(self) -> None:
        config = self._config
        assert config.refresh_token is not None
        form = {
            "grant_type": "refresh_token",
            "client_id": config.client_id,
            "refresh_token": config.refresh_token.get_secret_value(),
        }
        if config.client_secret is not None:
            form["client_secret"] = config.client_secret.get_secret_value()
        if config.scope:
            form["scope"] = config.scope
        status, answer = await _post(config.token_url, form)
        token = answer.get("access_token")
        if status == 200 and isinstance(token, str) and token.isascii() and token.isprintable():
            lasts = answer.get("expires_in")
            seconds = float(lasts) if isinstance(lasts, int | float) else 3600.0
            self._token, self._until = token, self._clock.monotonic() + seconds - EARLY
            return
        said = str(answer.get("error", status))[:100]
        if status in (400, 401, 403):
            raise BadConfig(
                "adapters.email.oauth",
                f"the provider gives no access token ({said})",
                "sign in anew for a new refresh_token; check client_id and client_secret",
            )
        raise Unavailable(f"the provider gives no access token ({said})")


async def _post(url: str, form: dict[str, str]) -> tuple[int, dict[str, object]]:
    try:
        async with (
            aiohttp.ClientSession(timeout=_PATIENCE) as session,
            session.post(url, data=form, allow_redirects=False) as response,
        ):
            if (response.content_length or 0) > _LARGEST:
                return response.status, {}
            answer = await response.json(content_type=None)
            return response.status, answer if isinstance(answer, dict) else {}
    except (aiohttp.ClientError, TimeoutError, ValueError) as problem:
        raise Unavailable(f"the provider of access tokens cannot be reached: {problem}") from None


def _read(file: str) -> str:
    try:
        token = Path(file).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as problem:
        reason = f"{file} cannot be read ({problem})"
        raise BadConfig("adapters.email.oauth.token_file", reason) from problem
    if not token or not token.isprintable():
        raise BadConfig("adapters.email.oauth.token_file", f"{file} holds no token")
    return token
