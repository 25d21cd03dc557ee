"""When an engine is left alone: decisions from what was seen, with the time handed in."""

from __future__ import annotations

from collections import deque

TRIP_IN_A_ROW = 3
TRIP_SHARE = 0.5
TRIP_AT_LEAST = 5
WINDOW = 60.0
_REMEMBERED = 1000


class Breaker:
    """Health of one engine. While it cools, only a probe may bring it back."""

    def __init__(self, *, base: float = 5.0, most: float = 120.0) -> None:
        self._base = base
        self._most = most
        self._in_a_row = 0
        self._seen: deque[tuple[float, bool]] = deque(maxlen=_REMEMBERED)
        self._pause = base
        self.cooling = False
        self.until = 0.0
        """When the next probe is due, while cooling; by the clock of the caller."""

    def succeeded(self, now: float) -> None:
        """A request was answered. One that began before the cooling changes nothing about it."""
        if not self.cooling:
            self._in_a_row = 0
            self._pause = self._base
            self._seen.append((now, True))

    def failed(self, now: float) -> bool:
        """A request was not answered. Whether that was one too many."""
        if self.cooling:
            return False
        self._in_a_row += 1
        self._seen.append((now, False))
        return self._in_a_row >= TRIP_IN_A_ROW or self._mostly_failing(now)

    def cool(self, now: float, seconds: float | None = None) -> float:
        """Leave it alone, for so long or for its usual pause. The seconds until the probe."""
        self.cooling = True
        pause = self._pause if seconds is None else seconds
        self.until = max(self.until, now + pause)
        return self.until - now

    def probed(self, now: float, *, ok: bool) -> float:
        """The outcome of the probe: 0 when it is back, else the seconds until the next."""
        if ok:
            self.cooling = False
            self._in_a_row = 0
            self._seen.clear()
            self.until = 0.0
            return 0.0
        self._pause = min(self._pause * 2, self._most)
        return self.cool(now)

    def _mostly_failing(self, now: float) -> bool:
        while self._seen and self._seen[0][0] < now - WINDOW:
            self._seen.popleft()
        if len(self._seen) < TRIP_AT_LEAST:
            return False
        failures = sum(not ok for _, ok in self._seen)
        return failures > TRIP_SHARE * len(self._seen)
