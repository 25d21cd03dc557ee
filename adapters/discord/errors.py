"""The exceptions of discord.py and aiohttp become ours: one table, total over both.

What a failed call leads to hangs on one question: may Discord have done it? A request that never
left is repeated, one that was answered by a refusal never is, and what was cut in between is
`Uncertain`, unless the call may be repeated without harm.
"""

from __future__ import annotations

from collections.abc import Callable

import aiohttp
from discord import errors as sdk

from gateway.errors import BadConfig, Busy, Failed, GatewayError, Unavailable, Uncertain

UNKNOWN_MESSAGE = 10008
_WEBHOOK_TOKEN = 50027
"""Refused with 401, but it is an interaction that is over, not the bot."""
_BANNED_SECONDS = 300.0


def _is_gone(error: sdk.HTTPException) -> bool:
    return error.status == 404 or error.code == _WEBHOOK_TOKEN


def _http(error: Exception) -> GatewayError:
    assert isinstance(error, sdk.HTTPException)
    words = _words(error)
    if _is_gone(error):
        return Failed(f"gone: {words}")
    if error.status == 401:
        return token(words)
    if error.status == 429 or (error.status == 403 and not error.code and "<" in error.text):
        return Busy(f"Cloudflare holds us off: {words}", after=_wait(error))
    if error.status >= 500:
        # 503 is passed on to nobody. The others say that an answer was lost.
        return (Unavailable if error.status == 503 else Uncertain)(words)
    if error.status < 400 or error.status == 408:
        return Unavailable(words)
    return Failed(words)


def _wait(error: sdk.HTTPException) -> float:
    try:
        return max(1.0, float(error.response.headers.get("Retry-After", "")))
    except (ValueError, AttributeError):
        return _BANNED_SECONDS


def _limited(error: Exception) -> GatewayError:
    assert isinstance(error, sdk.RateLimited)
    return Busy("too many requests", after=error.retry_after)


def _refused(error: Exception) -> GatewayError:
    return token(_words(error))


def _intents(error: Exception) -> GatewayError:
    return intents_refused()


def intents_refused() -> BadConfig:
    return BadConfig(
        "adapters.discord.message_content",
        "Discord refuses the intents (4014): the message content intent is off",
        "in https://discord.com/developers/applications choose the application, Bot, switch on "
        "Message Content Intent and save; or set message_content: false here",
    )


def _not_there(error: Exception) -> GatewayError:
    return Unavailable(f"Discord cannot be reached: {_words(error)}")


def _cut(error: Exception) -> GatewayError:
    return Uncertain(f"the connection was cut: {_words(error)}")


def _closed(error: Exception) -> GatewayError:
    return Unavailable(f"the connection is closed: {_words(error)}")


def _failed(error: Exception) -> GatewayError:
    return Failed(_words(error))


def token(words: str) -> BadConfig:
    return BadConfig(
        "adapters.discord.token",
        f"Discord does not accept it ({words})",
        "in https://discord.com/developers/applications choose the application, Bot, Reset Token",
    )


TABLE: dict[type[Exception], Callable[[Exception], GatewayError]] = {
    sdk.HTTPException: _http,
    sdk.Forbidden: _http,
    sdk.NotFound: _http,
    sdk.DiscordServerError: _http,
    sdk.RateLimited: _limited,
    sdk.LoginFailure: _refused,
    sdk.PrivilegedIntentsRequired: _intents,
    sdk.ConnectionClosed: _closed,
    sdk.GatewayNotFound: _not_there,
    sdk.InvalidData: _cut,
    sdk.InteractionResponded: _failed,
    sdk.MissingApplicationID: _failed,
    sdk.ClientException: _failed,
    sdk.DiscordException: _failed,
    aiohttp.ClientConnectorError: _not_there,
    aiohttp.ClientProxyConnectionError: _not_there,
    aiohttp.ClientHttpProxyError: _not_there,
    aiohttp.ConnectionTimeoutError: _not_there,
    aiohttp.InvalidURL: _not_there,
    aiohttp.WSServerHandshakeError: _not_there,
    aiohttp.ServerFingerprintMismatch: _not_there,
    aiohttp.ClientError: _cut,
    TimeoutError: _cut,
    OSError: _cut,
    RuntimeError: _closed,  # the library's session was closed before a request could begin
}


def translate(error: Exception, *, repeatable: bool) -> GatewayError:
    """Ours for theirs. `repeatable`: doing it twice shows nothing twice."""
    kind = next(kind for kind in type(error).__mro__ if kind in TABLE)
    ours = TABLE[kind](error)
    if repeatable and isinstance(ours, Uncertain):
        return Unavailable(str(ours))
    return ours


def is_over(error: GatewayError) -> bool:
    """Whether what was to be changed or answered is not there any more."""
    return isinstance(error, Failed) and str(error).startswith("gone: ")


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
