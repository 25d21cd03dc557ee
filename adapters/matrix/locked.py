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


class _Locked(msgspec.Struct, frozen=True):
    room: str
    session: str
    at: float


class Waiting:
    def __init__(self, keep: Keep) -> None:
        self._keep = keep
        self._events: dict[str, _Locked] = {}
        """By event id, oldest first."""

    async def load(self) -> None:
        found = [
            (key.removeprefix(_PREFIX), msgspec.json.decode(raw, type=_Locked))
            for key, raw in await self._keep.items()
            if key.startswith(_PREFIX)
        ]
        self._events = dict(sorted(found, key=lambda one: one[1].at))

    async def remember(self, room: str, session: str, event: str, at: float) -> None:
        """`at` orders them. Durable when it returns. Raises `Retryable`."""
        if event in self._events:
            return
        if len(self._events) >= MOST:
            await self.forget(next(iter(self._events)))
        locked = _Locked(room, session, at)
        await self._keep.set(_PREFIX + event, msgspec.json.encode(locked), ttl=PATIENCE)
        self._events[event] = locked

    def all(self) -> list[tuple[str, str, str]]:
        """Room, session and id of each, oldest first."""
        return [(one.room, one.session, event) for event, one in self._events.items()]

    def of(self, room: str, session: str) -> list[str]:
        """Events that a key opens, oldest first."""
        return [
            event
            for event, locked in self._events.items()
            if (locked.room, locked.session) == (room, session)
        ]

    async def forget(self, event: str) -> None:
        if self._events.pop(event, None) is not None:
            await self._keep.remove(_PREFIX + event)
