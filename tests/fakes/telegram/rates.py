"""How fast a bot may write: what comes faster is answered by 429."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class Rates:
    """Telegram tells the numbers and not how it counts. Here a bucket holds a whole period's
    messages, so that requests which a network bunches up are not held against the bot."""

    overall: float = 30.0
    """A second."""
    group: float = 20.0
    """A minute, per group."""
    direct: float = 1.0
    """A second, per person, after `direct_burst` in a row."""
    direct_burst: float = 5.0
    _buckets: dict[str, _Bucket] = field(default_factory=dict)

    def wait(self, method: str, chat: str) -> int:
        """Seconds to wait before this call; 0: it is counted and may be done."""
        if not method.startswith(("send", "edit")) or method == "sendChatAction":
            return 0
        if chat.startswith("-"):
            mine = self._bucket(chat, self.group, self.group / 60)
        else:
            mine = self._bucket(chat, self.direct_burst, self.direct)
        buckets = [self._bucket("", self.overall, self.overall), mine]
        if seconds := max(bucket.wait() for bucket in buckets):
            return math.ceil(seconds)
        for bucket in buckets:
            bucket.level += 1
        return 0

    def _bucket(self, name: str, size: float, leak: float) -> _Bucket:
        return self._buckets.setdefault(name, _Bucket(size, leak))


@dataclass(slots=True)
class _Bucket:
    size: float
    leak: float
    level: float = 0.0
    seen: float = field(default_factory=time.monotonic)

    def wait(self) -> float:
        now = time.monotonic()
        self.level = max(0.0, self.level - (now - self.seen) * self.leak)
        self.seen = now
        return max(0.0, self.level + 1 - self.size) / self.leak
