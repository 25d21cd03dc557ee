"""What each failure of a server means for the message: the one table of the engine's door.

Nothing here quotes the server, an address or a header: the texts may reach a user, and exceptions
of the HTTP library carry our credentials, so they are dropped instead of chained.
"""

from __future__ import annotations

import math
import ssl
from collections.abc import Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

import aiohttp

from engine.completion import Malformed, Reported
from engine.sse import TooLarge
from gateway.errors import Busy, Failed, GatewayError, Refused, Unavailable

TOO_LONG = "too_long"
"""`Refused.reason` when the conversation does not fit the model."""
UNKNOWN_MODEL = "unknown_model"
"""`Refused.reason` when a pinned model is not there."""
BUSY_AFTER = 5.0
"""Seconds to leave a server alone that asked us to slow down and did not say for how long."""

_LONGEST_WAIT = 3600.0
_TOO_LONG_SIGNS = ("context_length", "maximum context", "context window", "too long")

_PICTURE_SIGNS = ("image", "multimodal", "mmproj")


class TimedOut(Unavailable):
    """One of the clocks ran out."""

    def __init__(self, message: str, *, hung: bool = False) -> None:
        super().__init__(message)
        self.hung = hung
        """Whether a tiny request beside it got no answer either: the engine produces nothing."""


class Saturated(Busy):
    """We are at our own limit for this engine, which says nothing about its health."""


Translate = Callable[[str, Exception], GatewayError]


def _refused_certificate(engine: str, problem: Exception) -> GatewayError:
    return Failed(
        f"engine {engine}: its certificate is not trusted (set tls_ca to the authority's file)"
    )


def _unusable_address(engine: str, problem: Exception) -> GatewayError:
    return Failed(f"engine {engine}: its url cannot be used ({type(problem).__name__})")


def _unreachable(engine: str, problem: Exception) -> GatewayError:
    cause = getattr(problem, "os_error", problem)
    why = (isinstance(cause, OSError) and cause.strerror) or type(problem).__name__
    return Unavailable(f"engine {engine} cannot be reached: {why}")


def _broke_off(engine: str, problem: Exception) -> GatewayError:
    return Unavailable(f"engine {engine} broke off ({type(problem).__name__})")


def _malformed(engine: str, problem: Exception) -> GatewayError:
    return Unavailable(f"engine {engine} gave no proper answer: {problem}")


def _said_so(engine: str, problem: Exception) -> GatewayError:
    assert isinstance(problem, Reported)
    return from_status(engine, problem)


EXCEPTIONS: Mapping[type[Exception], Translate] = {
    Reported: _said_so,
    Malformed: _malformed,
    TooLarge: _malformed,
    aiohttp.ClientConnectorCertificateError: _refused_certificate,
    aiohttp.ServerFingerprintMismatch: _refused_certificate,
    ssl.SSLCertVerificationError: _refused_certificate,
    aiohttp.InvalidURL: _unusable_address,
    aiohttp.TooManyRedirects: _unusable_address,
    aiohttp.ClientConnectorError: _unreachable,
    aiohttp.ConnectionTimeoutError: _unreachable,
    aiohttp.ClientError: _broke_off,
    TimeoutError: _broke_off,
    OSError: _broke_off,
}
"""First match by method resolution order: the nearest class an exception is of."""

DOOR = (Reported, Malformed, TooLarge, aiohttp.ClientError, TimeoutError, OSError)
"""What the client catches; all of it is in the table."""


def translate(engine: str, problem: Exception) -> GatewayError:
    """Total over `DOOR` and everything derived from it."""
    for kind in type(problem).__mro__:
        if kind in EXCEPTIONS:
            return EXCEPTIONS[kind](engine, problem)
    raise TypeError(f"not a failure of an engine: {type(problem).__name__}") from problem


def from_status(
    engine: str, said: Reported, *, after: float | None = None, pinned: bool = False
) -> GatewayError:
    """Total over every status but 200. `pinned`: the user chose the model by name."""
    status = said.status
    if status == 429:
        return Busy(
            f"engine {engine} asks to slow down", after=BUSY_AFTER if after is None else after
        )
    if status == 413 or (status in (400, 422) and _says_too_long(said)):
        return Refused(
            "This conversation is too long for the model. Start a new one with /new.",
            reason=TOO_LONG,
        )
    if status == 404 and pinned:
        return Refused("The model you chose is not available.", reason=UNKNOWN_MODEL)
    if 300 <= status < 400:
        return Failed(f"engine {engine} redirects: set its url to the final address")
    if status in (401, 402, 403):
        return Failed(f"engine {engine} refuses our credentials (status {status}): check api_key")
    if status in (404, 405, 410):
        return Failed(f"engine {engine} has no such model or address (status {status})")
    if status in (408, 409, 425) or status >= 500 or status < 300:
        return Unavailable(f"engine {engine} answered with status {status}", after=after)
    return Refused("The model could not take this request.", reason="bad_request")


def _says_too_long(said: Reported) -> bool:
    words = f"{said.kind} {said.message}".lower()
    return any(sign in words for sign in _TOO_LONG_SIGNS)


def refuses_pictures(said: Reported) -> bool:
    """Whether the same request without its pictures may be taken. Servers say it in many ways, some
    of them with a status that would mean something else."""
    if said.status in (400, 413, 415, 422):
        return True
    words = f"{said.kind} {said.message}".lower()
    return said.status != 429 and any(sign in words for sign in _PICTURE_SIGNS)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds the server asked us to wait, from either form of the header; None without one.

    `now` in seconds since the epoch. At most an hour: a server's mistake must not cool it for good.
    """
    if (value := headers.get("Retry-After")) is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        seconds = _until(value, now)
    return min(max(seconds, 0.0), _LONGEST_WAIT) if math.isfinite(seconds) else None


def _until(value: str, now: float) -> float:
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return math.nan
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now
