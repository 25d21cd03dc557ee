"""Wrong credentials are counted per address, and beyond a limit refused before they are looked at.

The count is kept in the store, so a restart does not reset it; what this process has already been
told to refuse it refuses without asking.
"""

from __future__ import annotations

import time
from collections import OrderedDict

from gateway.ports import Records
from gateway.web.problems import Problem

_TABLE = "guess"
_REMEMBERED = 4096


class Guesses:
    def __init__(self, records: Records, *, limit: int, window: float) -> None:
        self._records = records
        self._limit = limit
        self._window = window
        self._until: OrderedDict[str, float] = OrderedDict()

    def check(self, kind: str, address: str) -> None:
        """429 when this address has been wrong too often. Before the credential is looked at."""
        left = self._until.get(f"{kind}|{address}", 0.0) - time.monotonic()
        if left > 0:
            raise too_many(left)

    async def wrong(self, kind: str, address: str) -> None:
        """Count a wrong credential; the one beyond the limit is answered 429."""
        key = f"{kind}|{address}"
        wait = await self._records.hit(_TABLE, key, limit=self._limit, window=self._window)
        if wait <= 0:
            return
        self._until[key] = time.monotonic() + wait
        self._until.move_to_end(key)
        if len(self._until) > _REMEMBERED:
            self._until.popitem(last=False)
        raise too_many(wait)


def too_many(after: float) -> Problem:
    return Problem(429, "rate_limit", "Too many attempts, please wait.", after=after)
