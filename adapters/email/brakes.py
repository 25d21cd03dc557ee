"""What keeps two machines from writing to each other for ever, beside the marks of RFC 3834."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections import OrderedDict

import msgspec

from adapters.email.config import LimitsConfig
from gateway.ports import Keep

DAY = 86_400.0
_KEPT = 32
"""Most texts remembered of one correspondent."""
_WORDS = re.compile(r"\w+")
_CLOSE = 8
"""Bits in which two fingerprints of nearly the same text differ at most, of 64."""


class Brakes:
    """Counts each mail once a run, however often it is tried; windows live in the store."""

    def __init__(self, keep: Keep, limits: LimitsConfig) -> None:
        self._keep = keep
        self._limits = limits
        self._counted: OrderedDict[str, str] = OrderedDict()

    async def why_not(self, identity: str, address: str, thread: str, text: str) -> str:
        """``per_correspondent``, ``per_thread`` or ``repeats``; empty when it may be answered."""
        if identity in self._counted:
            return self._counted[identity]
        why = await self._count(address, thread, text)
        self._counted[identity] = why
        if len(self._counted) > 1000:
            self._counted.popitem(last=False)
        return why

    async def _count(self, address: str, thread: str, text: str) -> str:
        limits, window = self._limits, self._limits.window
        if await self._repeated(address, text):
            return "repeats"
        most = limits.per_thread
        if await self._keep.hit(f"in-thread/{address}/{thread}", limit=most, window=window) > 0:
            return "per_thread"
        most = limits.per_correspondent
        if await self._keep.hit(f"from/{address}", limit=most, window=window) > 0:
            return "per_correspondent"
        return ""

    async def _repeated(self, address: str, text: str) -> bool:
        key = f"said/{address}"
        known = _decoded(await self._keep.get(key))
        now = fingerprint(text)
        times = sum(alike(each, now) for each in known)
        value = msgspec.json.encode([*known, now][-_KEPT:])
        await self._keep.set(key, value, ttl=DAY)
        return times >= self._limits.repeats


def fingerprint(text: str) -> str:
    """16 hex digits of which few differ where few words of a long text do (SimHash over pairs of
    words); all numbers are the same, so that times and tickets hide nothing. Short texts are alike
    only when they are the same, numbers too."""
    words = _WORDS.findall(text[:20_000].casefold())
    if len(words) < 8:
        digest = hashlib.sha256(" ".join(words).encode("utf-8", "replace")).hexdigest()
        return f"={digest[:16]}"
    words = [re.sub(r"\d+", "0", word) for word in words]
    sums = [0] * 64
    for pair in itertools.pairwise(words):
        piece = " ".join(pair).encode("utf-8", "replace")
        number = int.from_bytes(hashlib.blake2b(piece, digest_size=8).digest(), "big")
        for bit in range(64):
            sums[bit] += 1 if number >> bit & 1 else -1
    return f"~{sum(1 << bit for bit in range(64) if sums[bit] > 0):016x}"


def alike(one: str, other: str) -> bool:
    if one[:1] != other[:1]:
        return False
    if one.startswith("="):
        return one == other
    return (int(one[1:], 16) ^ int(other[1:], 16)).bit_count() <= _CLOSE


def _decoded(value: bytes | None) -> list[str]:
    try:
        return msgspec.json.decode(value, type=list[str]) if value else []
    except msgspec.DecodeError:
        return []
