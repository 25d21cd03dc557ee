"""Events whose key has not come yet: kept over a restart, and taken in when it comes."""

from __future__ import annotations

import msgspec
import structlog

from gateway.ports import Keep

log = structlog.get_logger(__name__)

MOST = 500
PATIENCE = 7 * 86_400.0
"""Seconds for which a key is waited for."""
_PREFIX = "locked/"


class Waiting:
    def __init__(self, keep: Keep) -> None:
        self._keep = keep
        self._events: dict[str, tuple[str, str]] = {}
        """Room and session by event id, oldest first."""

    async def load(self) -> None:
        for key, raw in await self._keep.items():
            if key.startswith(_PREFIX):
                room, session = msgspec.json.decode(raw, type=list[str])
                self._events[key.removeprefix(_PREFIX)] = (room, session)

    async def remember(self, room: str, session: str, event: str) -> None:
        """Durable when it returns. Raises `Retryable`."""
        if event in self._events:
            return
        if len(self._events) >= MOST:
            await self.forget(next(iter(self._events)))
        value = msgspec.json.encode([room, session])
        await self._keep.set(_PREFIX + event, value, ttl=PATIENCE)
        self._events[event] = (room, session)

    def of(self, room: str, session: str) -> list[str]:
        """Events that a key opens."""
        return [event for event, of in self._events.items() if of == (room, session)]

    def __contains__(self, event: object) -> bool:
        return event in self._events

    async def forget(self, event: str) -> None:
        if self._events.pop(event, None) is not None:
            await self._keep.remove(_PREFIX + event)
