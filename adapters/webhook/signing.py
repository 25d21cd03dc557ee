"""Who sent these bytes: the signature schemes, both ways. Pure; the time is handed in.

Standard Webhooks is done with the standard library: the project's own package knows one secret,
has its clock built in, reads base64 leniently and breaks on a signature without a comma.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Scheme = Literal["standard", "github", "bearer", "hmac-hex"]

TOLERANCE = 300
"""Seconds that a signed time may lie behind or ahead."""
PREFIX = "whsec_"
_ID = re.compile(r"[\x21-\x7e]{1,256}")
_TIME = re.compile(r"[0-9]{1,12}")
_V1 = re.compile(r"v1,([A-Za-z0-9+/]{43}=)")
_MOST = 16
"""Signatures in one header, and secrets that are tried: rotations have two or three."""
_HEX = re.compile(r"[0-9a-f]{64}")


def key_of(secret: str) -> bytes:
    """The bytes of a ``whsec_`` secret. `ValueError` for anything else."""
    if not secret.startswith(PREFIX):
        raise ValueError(f"begins with {PREFIX}")
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except ValueError:  # also what is not ASCII
        raise ValueError(f"is {PREFIX} and base64") from None
    if not 24 <= len(key) <= 64:
        raise ValueError("holds 24 to 64 bytes")
    return key


def signed(id: str, at: float, body: bytes, secrets: Sequence[str]) -> dict[str, str]:
    """Headers of Standard Webhooks: one signature for each secret, so that the receiver may rotate
    whenever it likes."""
    time = str(int(at))
    signatures = (_v1(id, time, body, key_of(secret)) for secret in secrets)
    return {
        "webhook-id": id,
        "webhook-timestamp": time,
        "webhook-signature": " ".join(
            f"v1,{base64.b64encode(each).decode()}" for each in signatures
        ),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """What opens an account's webhook."""

    scheme: Scheme
    secrets: Sequence[str]
    """Any of them is right: two during a rotation."""
    header: str = ""
    """Of the secret or the signature, lower case."""
    prefix: str = ""
    """What stands before it in the header."""
    timestamp_header: str = ""
    """``hmac-hex``: the header with the seconds that are signed, as ``<seconds>.<body>``."""

    def admits(self, headers: Mapping[str, str], now: float) -> bool:
        """Whether there is a well-formed signature of now; for ``bearer``, the right secret."""
        match self.scheme:
            case "standard":
                return (
                    _ID.fullmatch(headers.get("webhook-id", "")) is not None
                    and _is_now(headers.get("webhook-timestamp", ""), now)
                    and bool(_signatures(headers))
                )
            case "bearer":
                return self._is_secret(self._given(headers))
            case _:
                if self.timestamp_header and not _is_now(
                    headers.get(self.timestamp_header, ""), now
                ):
                    return False
                return _HEX.fullmatch(self._given(headers)) is not None

    def opens(self, headers: Mapping[str, str], body: bytes, now: float) -> bool:
        """Whether these very bytes come from somebody who knows a secret."""
        if not self.admits(headers, now):
            return False
        if self.scheme == "bearer":
            return True
        if self.scheme == "standard":
            id, time = headers["webhook-id"], headers["webhook-timestamp"]
            wanted = [_v1(id, time, body, key_of(secret)) for secret in self.secrets[:_MOST]]
            given = _signatures(headers)
        else:
            before = headers[self.timestamp_header] + "." if self.timestamp_header else ""
            wanted = [
                hmac.digest(secret.encode(), before.encode() + body, hashlib.sha256)
                for secret in self.secrets[:_MOST]
            ]
            given = [bytes.fromhex(self._given(headers))]
        return _any_equal(given, wanted)

    def _given(self, headers: Mapping[str, str]) -> str:
        value = headers.get(self.header, "")
        return value.removeprefix(self.prefix) if value.startswith(self.prefix) else ""

    def _is_secret(self, given: str) -> bool:
        if not given:
            return False
        return _any_equal(
            [given.encode("utf-8", "replace")], [secret.encode() for secret in self.secrets]
        )


def _v1(id: str, time: str, body: bytes, key: bytes) -> bytes:
    return hmac.digest(key, f"{id}.{time}.".encode() + body, hashlib.sha256)


def _signatures(headers: Mapping[str, str]) -> list[bytes]:
    """Those of the version we know; others may stand beside them."""
    given = headers.get("webhook-signature", "")[:4096].split(" ")
    found = [match for each in given[:_MOST] if (match := _V1.fullmatch(each))]
    return [base64.b64decode(match[1]) for match in found]


def _is_now(seconds: str, now: float) -> bool:
    return _TIME.fullmatch(seconds) is not None and abs(int(seconds) - now) <= TOLERANCE


def _any_equal(given: Sequence[bytes], wanted: Sequence[bytes]) -> bool:
    """Without telling by the time it takes how much was right."""
    results = [hmac.compare_digest(one, other) for one in given for other in wanted]
    return any(results)
