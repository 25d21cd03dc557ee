"""Whether a request is Slack's: v0 signatures over the raw bytes. Pure."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

WINDOW = 300.0
"""Seconds that a request may be away from our clock, on both sides."""

_SIGNATURE = re.compile(r"v0=[0-9a-f]{64}")
_TIMESTAMP = re.compile(r"[1-9][0-9]{8,11}")


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request says about itself."""

    timestamp: str
    signature: str


def claim(headers: Mapping[str, str], now: float) -> Claim | None:
    """The signature of a request, when there is one, well formed and of now. Header names are lower
    case; one that came twice is not there."""
    timestamp = headers.get("x-slack-request-timestamp", "")
    signature = headers.get("x-slack-signature", "")
    if not _TIMESTAMP.fullmatch(timestamp) or not _SIGNATURE.fullmatch(signature):
        return None
    if abs(now - int(timestamp)) > WINDOW:
        return None
    return Claim(timestamp, signature)


def holds(claimed: Claim, body: bytes, secrets: Iterable[bytes]) -> bool:
    """Compared in constant time with every secret; without one nothing holds."""
    found = False
    for secret in secrets:
        right = sign(secret, claimed.timestamp, body).encode()
        found |= bool(secret) and hmac.compare_digest(right, claimed.signature.encode())
    return found


def sign(secret: bytes, timestamp: str, body: bytes) -> str:
    base = b"v0:" + timestamp.encode() + b":" + body
    return "v0=" + hmac.new(secret, base, hashlib.sha256).hexdigest()
