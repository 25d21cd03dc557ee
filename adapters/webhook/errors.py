"""What the receiver's answer, or its absence, leads to. Every post carries its key and may be
repeated, so nothing here is uncertain."""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import aiohttp

from gateway.errors import BadConfig, Busy, Failed, GatewayError, Unavailable

LONGEST = 86_400.0
"""Seconds; a receiver that asks for more is asked again after a day."""

_LATER = frozenset({408, 409, 423, 425})
"""Timed out, in work under the same key, locked, too early."""


def of_status(status: int, headers: Mapping[str, str]) -> GatewayError | None:
    """None when the receiver has it."""
    if 200 <= status <= 299:
        return None
    words = f"the receiver answered {status}"
    if status in (429, 503):
        after = wait(headers.get("Retry-After", ""), time.time())
        if status == 429 or after is not None:
            return Busy(words, after=after)
        return Unavailable(words)
    if status >= 500 or status in _LATER or status < 200:
        return Unavailable(words)
    if status == 401:
        return BadConfig(
            "adapters.webhook.url",
            "the receiver does not accept our signature (401)",
            "give it the same url_secret, or check url_headers",
        )
    if status < 400:
        return Failed(f"{words}: redirects are not followed, set url to where it moved")
    if status == 410:
        return Failed(f"{words}: it wants no more answers; set another url")
    return Failed(words)


def of_exception(problem: Exception) -> GatewayError:
    if isinstance(problem, aiohttp.InvalidURL):
        return Failed("the receiver's address cannot be used")
    if isinstance(problem, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
        return Unavailable("the receiver's certificate cannot be verified")
    # Also RuntimeError, aiohttp's word for a session that was closed.
    return Unavailable(f"the receiver cannot be reached: {type(problem).__name__}")


def wait(given: str, now: float) -> float | None:
    """Seconds in a ``Retry-After``, which may be a date."""
    given = given.strip()
    if given.isascii() and given.isdigit():
        return min(float(given[:9]), LONGEST)
    try:
        at = parsedate_to_datetime(given).timestamp()
    except (ValueError, OverflowError):
        return None
    return min(max(at - now, 0.0), LONGEST)
