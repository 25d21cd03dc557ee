"""Counting in this process: rate limits, and telling somebody something only once.

An account lives in one process at a time, so counters need no store; a restart forgets them. What
must outlast a restart (strangers, pairing guesses) is counted in `gateway.ports.Records`.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

_KEYS = 10_000


class SlidingWindow:
    """At most so many events per key and window. Repeating an event counts once."""

    def __init__(self, *, keys: int = _KEYS) -> None:
        self._keys = keys
        self._hits: OrderedDict[Hashable, deque[tuple[float, str]]] = OrderedDict()

    def hit(self, key: Hashable, event: str, *, limit: int, window: float, now: float) -> float:
        """0 when the event fits, else the seconds until one does. A refused event is not counted.

        A limit of 0 means no limit.
        """
        if limit == 0:
            return 0.0
        hits = self._hits.setdefault(key, deque())
        self._hits.move_to_end(key)
        while len(self._hits) > self._keys:
            self._hits.popitem(last=False)
        while hits and hits[0][0] <= now - window:
            hits.popleft()
        if any(seen == event for _, seen in hits):
            return 0.0
        if len(hits) >= limit:
            return hits[0][0] + window - now
        hits.append((now, event))
        return 0.0


class Once:
    """Remembers for a while by which event something was done."""

    def __init__(self, *, keys: int = _KEYS) -> None:
        self._keys = keys
        self._done: OrderedDict[Hashable, tuple[float, str]] = OrderedDict()

    def claim(self, key: Hashable, event: str, *, window: float, now: float) -> bool:
        """Whether this event may do it: nobody did within the window, or this very event did."""
        until, owner = self._done.get(key, (-math.inf, ""))
        if now < until:
            return owner == event
        self._done[key] = (now + window, event)
        self._done.move_to_end(key)
        while len(self._done) > self._keys:
            self._done.popitem(last=False)
        return True

    @contextmanager
    def attempt(self, key: Hashable) -> Iterator[None]:
        """Around doing it, after `claim`: when it fails, it was not done."""
        try:
            yield
        except BaseException:
            self._done.pop(key, None)
            raise
