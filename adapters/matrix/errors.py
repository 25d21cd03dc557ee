"""Foreign exceptions become ours: one table for what the connection raises, one for what the
homeserver says. Both are total.

What a failed call leads to hangs on one question: may the homeserver have done it? What may be
repeated without harm is `Unavailable` where something else is `Uncertain`.
"""

from __future__ import annotations

from collections.abc import Callable

import aiohttp
from nio import exceptions as nio

from gateway.errors import BadConfig, Busy, Failed, GatewayError, Unavailable, Uncertain


class Refusal(Exception):
    """The homeserver answered, and not with yes."""

    def __init__(
        self, status: int, code: str = "", words: str = "", after: float | None = None
    ) -> None:
        super().__init__(f"{code or 'no error code'} ({status}): {' '.join(words.split())[:200]}")
        self.status = status
        self.code = code
        self.after = after


class NotDone(Unavailable):
    """The homeserver is there and could not do this, or did not say so: the fault may lie in one
    room only, and last."""


class Slower(Busy):
    """The homeserver asked for patience; it may be about one thing only, e.g. joining rooms."""


class Unreadable(Exception):
    """An answer that is not what the specification says."""


NEVER_SENT = (
    aiohttp.ClientConnectorError,  # also a name that is not found, a certificate that is not good
    aiohttp.ConnectionTimeoutError,
    aiohttp.ServerFingerprintMismatch,
    aiohttp.InvalidURL,
    aiohttp.NonHttpUrlClientError,
    aiohttp.ClientHttpProxyError,
)
"""Raised before a byte of the request could reach the homeserver."""


def _never_sent(error: Exception) -> GatewayError:
    reason = " ".join(str(error).split())[:300] or type(error).__name__
    return Unavailable(f"the homeserver cannot be reached: {reason}")


def _cut(error: Exception) -> GatewayError:
    return Uncertain(f"the connection was cut ({type(error).__name__})")


def _garbled(error: Exception) -> GatewayError:
    return Uncertain(f"the answer cannot be read: {str(error)[:200]}")


def _ours(error: Exception) -> GatewayError:
    return Unavailable(f"the room's keys are not ready: {str(error)[:200]}", after=1.0)


def _never(error: Exception) -> GatewayError:
    return Failed(f"{type(error).__name__}: {str(error)[:200]}")


def _refusal(error: Exception) -> GatewayError:
    assert isinstance(error, Refusal)
    words = str(error)
    if make := CODES.get(error.code):
        return make(words, error.after)
    if error.status == 429:
        return Slower(words, after=error.after)
    if error.status == 401:
        return _token(words, None)
    if error.status == 408 or error.status >= 500:
        # 503 is a proxy that passed nothing on. A 500 may come after the event was written.
        return NotDone(words) if error.status == 503 else Uncertain(words)
    return Failed(words) if error.status >= 400 else Unavailable(words)


def _token(words: str, after: float | None) -> GatewayError:
    return BadConfig(
        "adapters.matrix.access_token",
        f"the homeserver does not accept it ({words})",
        "sign in anew as the bot and take its new access token; or is this another homeserver?",
    )


def _account(words: str, after: float | None) -> GatewayError:
    return BadConfig(
        "adapters.matrix.user",
        f"the homeserver lets this account do nothing ({words})",
        "ask who runs the homeserver",
    )


def _busy(words: str, after: float | None) -> GatewayError:
    return Slower(words, after=after)


def _full(words: str, after: float | None) -> GatewayError:
    return Unavailable(words, after=60.0)


CODES: dict[str, Callable[[str, float | None], GatewayError]] = {
    "M_UNKNOWN_TOKEN": _token,
    "M_MISSING_TOKEN": _token,
    "M_USER_DEACTIVATED": _account,
    "M_USER_LOCKED": _account,
    "M_USER_SUSPENDED": _account,
    "M_CONSENT_NOT_GIVEN": _account,
    "M_LIMIT_EXCEEDED": _busy,
    "M_RESOURCE_LIMIT_EXCEEDED": _full,
}
"""Codes that say more than their status. M_FORBIDDEN, M_TOO_LARGE, M_NOT_FOUND, M_BAD_JSON and all
other 4xx are `Failed`."""

TABLE: dict[type[Exception], Callable[[Exception], GatewayError]] = {
    Refusal: _refusal,
    Unreadable: _garbled,
    **dict.fromkeys(NEVER_SENT, _never_sent),
    aiohttp.ClientError: _cut,
    TimeoutError: _cut,
    OSError: _cut,
    nio.LocalProtocolError: _ours,
    nio.ProtocolError: _ours,
    nio.EncryptionError: _ours,
    nio.GroupEncryptionError: _ours,
    nio.OlmTrustError: _never,
    nio.VerificationError: _never,
    nio.TransferCancelledError: _never,
}
FOREIGN = (aiohttp.ClientError, OSError, nio.ProtocolError, nio.EncryptionError, nio.OlmTrustError,
           nio.GroupEncryptionError, nio.VerificationError, nio.TransferCancelledError,
           Refusal, Unreadable)  # fmt: skip
"""What `translate` knows. TimeoutError is an OSError."""


def translate(error: Exception, *, repeatable: bool) -> GatewayError:
    """Ours for theirs. `repeatable`: doing it twice shows nothing twice."""
    kind = next(kind for kind in type(error).__mro__ if kind in TABLE)
    ours = TABLE[kind](error)
    if repeatable and isinstance(ours, Uncertain):
        return NotDone(str(ours))
    return ours
