"""What proves that a post is Meta's, and the question whether the address is ours."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence

from gateway.ports import WebhookAnswer

HEADER = "x-hub-signature-256"
MAX_BODY = 4 * 2**20
"""Meta posts at most 3 MB."""
_SIGNATURE = re.compile(r"sha256=([0-9a-f]{64})")


def admits(headers: Mapping[str, str]) -> bool:
    return _SIGNATURE.fullmatch(headers.get(HEADER, "")) is not None


def is_signed(headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> bool:
    """Whether these very bytes come from somebody who knows an app secret."""
    found = _SIGNATURE.fullmatch(headers.get(HEADER, ""))
    if found is None:
        return False
    given = bytes.fromhex(found[1])
    results = [
        hmac.compare_digest(given, hmac.digest(secret.encode(), body, hashlib.sha256))
        for secret in secrets
    ]
    return any(results)


def handshake(query: Mapping[str, str], verify_token: str) -> WebhookAnswer:
    token = query.get("hub.verify_token", "").encode("utf-8", "replace")
    right = hmac.compare_digest(token, verify_token.encode())
    challenge = query.get("hub.challenge", "")
    if query.get("hub.mode") != "subscribe" or not right or not challenge.isalnum():
        return WebhookAnswer(status=403)
    body = challenge[:256].encode("utf-8", "replace")
    return WebhookAnswer(status=200, body=body, content_type="text/plain")
