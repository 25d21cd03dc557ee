"""Log lines that everything under way would write at once, e.g. while the store is away."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

import structlog

SECONDS = 5.0
"""Between two lines of one event."""


class Seldom:
    """Writes an event at once and then every few seconds, with how many were `held_back`."""

    def __init__(
        self,
        log: structlog.typing.BindableLogger,
        seconds: float = SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._seconds = seconds
        self._clock = clock
        self._next: dict[str, float] = {}
        self._held: Counter[str] = Counter()

    def warning(self, event: str, **fields: object) -> None:
        now = self._clock()
        if now < self._next.get(event, 0.0):
            self._held[event] += 1
            return
        self._next[event] = now + self._seconds
        if held := self._held.pop(event, 0):
            fields["held_back"] = held
        self._log.warning(event, **fields)  # type: ignore[attr-defined]
