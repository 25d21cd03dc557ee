"""What Discord says about too many requests, kept for all that comes after.

The library waits where one route is exhausted. What it does not know: that all routes are, for
longer than anybody wants to wait; and that whoever collects 10,000 refusals (401, 403, 429) in ten
minutes is locked out with everything at his address.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from types import SimpleNamespace

import aiohttp

from gateway.errors import Busy
from gateway.ports import Clock

MOST_REFUSALS = 5_000
WINDOW = 600.0
_HOLDS = 1_000


class Budget:
    def __init__(self, clock: Clock, longest: float) -> None:
        self._clock = clock
        self._longest = longest
        self._refusals: deque[float] = deque(maxlen=MOST_REFUSALS)
        self._everything = 0.0
        """Until when nothing may be asked, by the monotonic clock."""
        self._routes: dict[str, float] = {}

    def check(self, route: str) -> None:
        """Raises `Busy` while it would be refused anyway."""
        now = self._clock.monotonic()
        until = max(self._everything, self._routes.get(route, 0.0))
        if len(self._refusals) == MOST_REFUSALS:
            until = max(until, self._refusals[0] + WINDOW)
        if until > now:
            raise Busy("Discord asked for patience", after=until - now)

    def hold(self, route: str, seconds: float) -> None:
        now = self._clock.monotonic()
        if len(self._routes) >= _HOLDS:
            self._routes = {name: until for name, until in self._routes.items() if until > now}
        self._routes[route] = now + seconds

    def heard(self, status: int, headers: Mapping[str, str]) -> None:
        """An answer's status line, of every single request."""
        if status not in (401, 403, 429):
            return
        if headers.get("X-RateLimit-Scope") != "shared":
            self._refusals.append(self._clock.monotonic())
        if status == 429 and _is_global(headers):
            wait = _seconds(headers.get("Retry-After", ""))
            if wait > self._longest:
                self._everything = self._clock.monotonic() + wait

    def trace(self) -> aiohttp.TraceConfig:
        """Hears what the library gets, its own repetitions included."""

        async def ended(
            _: aiohttp.ClientSession,
            __: SimpleNamespace,
            params: aiohttp.TraceRequestEndParams,
        ) -> None:
            self.heard(params.response.status, params.response.headers)

        config = aiohttp.TraceConfig()
        config.on_request_end.append(ended)
        return config


def _is_global(headers: Mapping[str, str]) -> bool:
    return "X-RateLimit-Global" in headers or headers.get("X-RateLimit-Scope") == "global"


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
