"""Two bots that answer each other never stop by themselves: the pair is paused."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable

EVENTS = 20
WINDOW = 60.0
PAUSE = 60.0
_PAIRS = 1_000


class LoopGuard:
    """Counts what another bot sends to us, per pair of bots, and pauses the pair when it talks
    on and on. Seconds are monotonic."""

    def __init__(
        self, *, events: int = EVENTS, window: float = WINDOW, pause: float = PAUSE
    ) -> None:
        self._events = events
        self._window = window
        self._pause = pause
        self._seen: OrderedDict[Hashable, deque[tuple[float, str]]] = OrderedDict()
        self._paused: dict[Hashable, float] = {}

    def admits(self, pair: Hashable, event: str, now: float) -> bool:
        """Whether this event of the pair may be answered. Repeating an event counts once."""
        if now < self._paused.get(pair, now):
            return False
        self._paused.pop(pair, None)
        seen = self._seen.setdefault(pair, deque())
        self._seen.move_to_end(pair)
        self._forget_old_pairs()
        while seen and seen[0][0] <= now - self._window:
            seen.popleft()
        if any(known == event for _, known in seen):
            return True
        if len(seen) >= self._events:
            self._paused[pair] = now + self._pause
            seen.clear()
            return False
        seen.append((now, event))
        return True

    def _forget_old_pairs(self) -> None:
        while len(self._seen) > _PAIRS:
            oldest, _ = self._seen.popitem(last=False)
            self._paused.pop(oldest, None)
