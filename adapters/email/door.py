"""Signing in: opens connections to the account's servers."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from typing import TypeVar

from adapters.email.config import EmailConfig, Server
from adapters.email.imap import Imap
from adapters.email.oauth import Tokens
from adapters.email.smtp import Smtp
from gateway.errors import BadConfig
from gateway.ports import Clock

_T = TypeVar("_T")


class Door:
    """Raises `BadConfig` when we are not let in, `Unavailable` when nobody answers."""

    def __init__(self, config: EmailConfig, clock: Clock) -> None:
        self._config = config
        self._tokens = Tokens(config.oauth, clock) if config.oauth.given else None
        self._password = config.password.get_secret_value() if config.password else ""
        self._imap_tls = context(config.imap, "imap", plain=config.imap.tls == "none")
        tls = context(config.smtp, "smtp", plain=config.smtp.tls == "none")
        self._smtp = Smtp(config.smtp, config.smtp.user or config.address, config.address, tls)

    async def imap(self) -> Imap:
        user = self._config.imap.user or self._config.address

        async def enter(token: str) -> Imap:
            connection = await Imap.connect(self._config.imap, self._imap_tls)
            try:
                await connection.login(user, password=self._password, token=token)
                await connection.introduce()
            except BaseException:
                await connection.abort()
                raise
            return connection

        return await self._with_token(enter)

    async def send(
        self, raw: bytes, *, sender: str, to: str, leaving: Callable[[], Awaitable[None]]
    ) -> None:
        """One mail to one person; errors as `Smtp.send`."""

        async def hand_over(token: str) -> None:
            await self._smtp.send(
                raw, sender=sender, to=to, password=self._password, token=token, leaving=leaving
            )

        await self._with_token(hand_over)

    async def check_smtp(self) -> None:
        async def knock(token: str) -> None:
            await self._smtp.check(self._password, token)

        await self._with_token(knock)

    async def _with_token(self, use: Callable[[str], Awaitable[_T]]) -> _T:
        """An access token that was taken back early is replaced once."""
        if self._tokens is None:
            return await use("")
        token = await self._tokens.get()
        try:
            return await use(token)
        except BadConfig:
            if not self._tokens.refused(token):
                raise
            return await use(await self._tokens.get())


def context(server: Server, name: str, *, plain: bool) -> ssl.SSLContext | None:
    """Certificates and names are always checked; None for a connection in the clear."""
    if plain:
        return None
    made = ssl.create_default_context()
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    if server.ca_file:
        try:
            made.load_verify_locations(cafile=server.ca_file)
        except (OSError, ssl.SSLError) as problem:
            where = f"adapters.email.{name}.ca_file"
            raise BadConfig(where, f"{server.ca_file} cannot be used ({problem})") from problem
    return made
