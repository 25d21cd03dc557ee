"""Sends one mail over one SMTP connection, over aiosmtplib."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress

import aiosmtplib
import structlog

from adapters.email import errors
from adapters.email.config import SmtpConfig
from gateway.errors import BadConfig, Busy

log = structlog.get_logger(__name__)

_PORTS = {"implicit": 465, "starttls": 587, "none": 587}
_THEIRS = (aiosmtplib.SMTPException, ssl.SSLError, OSError, TimeoutError)


class Smtp:
    """Raises what `errors.smtp` says."""

    def __init__(
        self, config: SmtpConfig, user: str, address: str, context: ssl.SSLContext | None
    ) -> None:
        self._config = config
        self._user = user
        self._address = address
        self._domain = address.rpartition("@")[2]
        self._context = context
        self._null_refused = False
        """The server takes no null envelope sender."""

    async def send(
        self,
        raw: bytes,
        *,
        sender: str,
        to: str,
        password: str = "",
        token: str = "",
        leaving: Callable[[], Awaitable[None]],
    ) -> None:
        """`leaving` is called when everything but the content was taken: from then on a cut means
        that nobody knows."""
        client = await self._connected(password, token)
        content = False
        try:
            if self._config.login:
                await self._login(client, password, token)
            await self._envelope(client, sender, to)
            await leaving()
            content = True
            await client.data(raw)
        except _THEIRS as problem:
            ours = errors.smtp(problem, content=content)
            if isinstance(ours, Busy):
                ours.after = self._config.busy_wait
            raise ours from problem
        finally:
            await _quit(client)

    async def check(self, password: str, token: str) -> None:
        """Sign in and go."""
        client = await self._connected(password, token)
        try:
            if self._config.login:
                await self._login(client, password, token)
        except _THEIRS as problem:
            raise errors.smtp(problem, content=False) from problem
        finally:
            await _quit(client)

    async def _connected(self, password: str, token: str) -> aiosmtplib.SMTP:
        tls = self._config.tls
        client = aiosmtplib.SMTP(
            hostname=self._config.host,
            port=self._config.port or _PORTS[tls],
            use_tls=tls == "implicit",
            start_tls=tls == "starttls",
            tls_context=self._context,
            timeout=self._config.timeout,
            local_hostname=self._domain,
        )
        try:
            await client.connect()
        except _THEIRS as problem:
            client.close()
            raise errors.smtp(problem, content=False) from problem
        except BaseException:
            client.close()
            raise
        return client

    async def _login(self, client: aiosmtplib.SMTP, password: str, token: str) -> None:
        """One try by one way: a server that counts refusals shuts people out."""
        await client.ehlo()
        ways = client.supported_auth_methods
        if token:
            await client.auth_xoauth2(self._user, token)
        elif "plain" in ways:
            await client.auth_plain(self._user, password)
        elif "login" in ways:
            await client.auth_login(self._user, password)
        elif "cram-md5" in ways:
            await client.auth_crammd5(self._user, password)
        else:
            raise BadConfig(
                "adapters.email.smtp",
                "the SMTP server has no way to sign in that we know",
                "check port and tls; for a relay without sign-in set login: false",
            )

    async def _envelope(self, client: aiosmtplib.SMTP, sender: str, to: str) -> None:
        if not sender and self._null_refused:
            sender = self._address
        try:
            await client.mail(sender)
            await client.rcpt(to)
        except (aiosmtplib.SMTPSenderRefused, aiosmtplib.SMTPRecipientRefused) as refused:
            if sender or refused.code < 500:
                raise
            await client.rset()
            await client.mail(self._address)
            await client.rcpt(to)  # some say only here that they want a sender
            log.warning("null_sender_refused", reason=errors.words(refused))
            self._null_refused = True


async def _quit(client: aiosmtplib.SMTP) -> None:
    with suppress(*_THEIRS):
        if client.is_connected:
            await client.quit(timeout=2.0)
    client.close()
