"""What was posted already: a repeated post gets the answer of the first and does nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec

from gateway.ports import Clock, Keep

_PREFIX = "seen/"


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    body: str
    """Digest of what was posted first under the name."""
    at: float
    outcome: str = ""
    """Empty while nothing has come of it: the same post again goes on from there."""
    reason: str = ""


_decoder = msgspec.json.Decoder(Seen)


class Memory:
    """In the account's own durable facts, so that it holds over restarts and changes of owner."""

    def __init__(self, keep: Keep, clock: Clock, *, ttl: float) -> None:
        self._keep = keep
        self._clock = clock
        self._ttl = ttl

    async def begin(self, name: str, body: str) -> Seen:
        """What is known of a post of this name; from now on at least that it came."""
        key = _key(name)
        first = Seen(body=body, at=self._clock.now())
        if await self._keep.add(key, msgspec.json.encode(first), ttl=self._ttl):
            return first
        known = await self._keep.get(key)
        return _decoder.decode(known) if known is not None else first

    async def end(self, name: str, seen: Seen, said: Mapping[str, str]) -> None:
        ended = msgspec.structs.replace(
            seen, outcome=said["outcome"], reason=said.get("reason", "")
        )
        await self._keep.set(_key(name), msgspec.json.encode(ended), ttl=self._ttl)


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:40]


def _key(name: str) -> str:
    return _PREFIX + hashlib.sha256(name.encode()).hexdigest()[:40]
