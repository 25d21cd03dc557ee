"""The library's exceptions become ours: one table, total over `telegram.error`.

What a failed call leads to hangs on one question: may Telegram have done it? A request that never
left is repeated, one that was answered by a refusal never is, and what was cut in between is
`Uncertain`, unless the call may be repeated without harm.
"""

from __future__ import annotations

from collections.abc import Callable

import httpx
from telegram import error as sdk

from gateway.errors import BadConfig, Busy, Failed, GatewayError, Unavailable, Uncertain

NEVER_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
)
"""Raised before a byte of the request could reach Telegram. A TLS failure is a `ConnectError`."""


class Flooded(sdk.TelegramError):
    """429, with the wait. The library's own class keeps it in a deprecated form."""

    def __init__(self, message: str, after: float | None) -> None:
        super().__init__(message)
        self.after = after


class ServerFault(sdk.TelegramError):
    """5xx: the status is lost in the library's `NetworkError`."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Rejected(sdk.TelegramError):
    """Any other 4xx, e.g. 413: answered, and answered with no."""


class Astray(sdk.TelegramError):
    """1xx and 3xx: something in between answered, and passed nothing on."""


def _cut(error: sdk.TelegramError) -> GatewayError:
    cause = error.__cause__
    # A plain RuntimeError is a client that was closed already.
    if isinstance(cause, NEVER_SENT):
        reason = " ".join(str(cause).split())[:300] or type(cause).__name__
        return Unavailable(f"Telegram cannot be reached: {reason}")
    if isinstance(cause, httpx.InvalidURL) or type(cause) is RuntimeError:
        return Unavailable(_words(error))
    return Uncertain(_words(error))


def _fault(error: sdk.TelegramError) -> GatewayError:
    # 503 is a proxy that passed nothing on. A 500 may come from a server that is going down
    # with the request already at Telegram; 502 and 504 say that the answer was lost.
    if isinstance(error, ServerFault) and error.status == 503:
        return Unavailable(_words(error))
    return Uncertain(_words(error))


def _flooded(error: sdk.TelegramError) -> GatewayError:
    if isinstance(error, Flooded):
        return Busy(_words(error), after=error.after)
    assert isinstance(error, sdk.RetryAfter)
    return Busy("too many requests", after=error._retry_after.total_seconds())


def _failed(error: sdk.TelegramError) -> GatewayError:
    return Failed(_words(error))


def _token(error: sdk.TelegramError) -> GatewayError:
    return BadConfig(
        "adapters.telegram.token",
        f"Telegram does not accept it ({_words(error)})",
        "get the token from @BotFather with /mybots, API Token; for an own Bot API server "
        "check base_url too",
    )


def _conflict(error: sdk.TelegramError) -> GatewayError:
    if "webhook" in _words(error).lower():
        return BadConfig(
            "adapters.telegram.mode",
            "another program has set a webhook for this bot while we were polling",
            "stop that program, or use mode: webhook here",
        )
    return BadConfig(
        "adapters.telegram.token",
        "another program is polling with the same bot token",
        "stop the other one, or give this gateway a bot of its own from @BotFather",
    )


def _astray(error: sdk.TelegramError) -> GatewayError:
    return Unavailable(_words(error))


def _unreadable(error: sdk.TelegramError) -> GatewayError:
    return Uncertain(_words(error))


TABLE: dict[type[sdk.TelegramError], Callable[[sdk.TelegramError], GatewayError]] = {
    Flooded: _flooded,
    ServerFault: _fault,
    Rejected: _failed,
    Astray: _astray,
    sdk.RetryAfter: _flooded,
    sdk.InvalidToken: _token,
    sdk.EndPointNotFound: _token,
    sdk.Conflict: _conflict,
    sdk.Forbidden: _failed,
    sdk.BadRequest: _failed,
    sdk.ChatMigrated: _failed,
    sdk.PassportDecryptionError: _failed,
    sdk.TimedOut: _cut,
    sdk.NetworkError: _cut,
    sdk.TelegramError: _unreadable,  # an answer that is not JSON
}


def translate(error: sdk.TelegramError, *, repeatable: bool) -> GatewayError:
    """Ours for theirs. `repeatable`: doing it twice shows nothing twice."""
    kind = next(kind for kind in type(error).__mro__ if kind in TABLE)
    ours = TABLE[kind](error)
    if repeatable and isinstance(ours, Uncertain):
        return Unavailable(str(ours))
    return ours


def _words(error: sdk.TelegramError) -> str:
    cause = f" ({type(error.__cause__).__name__})" if error.__cause__ is not None else ""
    return f"{error.message[:300]}{cause}"
