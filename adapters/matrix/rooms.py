"""What is known of rooms and of events in them: from the sync, in memory, and asked for again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from adapters.matrix.client import Door, State, room_path
from adapters.matrix.parse import Known, Room, known_of
from gateway.errors import Failed

EVENTS = 20_000
"""Events that are remembered: who wrote them, in which thread."""


class Rooms:
    def __init__(self, door: Door, state: State) -> None:
        self._door = door
        self._state = state
        self._known: OrderedDict[str, Known] = OrderedDict()
        self._gone: OrderedDict[str, None] = OrderedDict()
        """Events that were removed."""

    def view(self, room_id: str) -> Room:
        """A room is direct while nobody else is in it, or asked to come in: what is said there is
        said between two."""
        room = self._state.rooms.get(room_id)
        if room is None:
            return Room(id=room_id, direct=False)
        people = {*room.users, *room.invited_users} - {self._state.user_id}
        names = {one.user_id: one.display_name or "" for one in room.users.values()}
        return Room(id=room_id, direct=len(people) <= 1, names=names)

    def left(self, room_id: str) -> None:
        self._state.rooms.pop(room_id, None)
        self._state.invited_rooms.pop(room_id, None)

    def note(self, event: Mapping[str, Any]) -> None:
        """Remember who wrote an event, and where."""
        if isinstance(event_id := event.get("event_id"), str):
            self.remember(event_id, known_of(event, self._state.user_id))

    def remember(self, event_id: str, known: Known) -> None:
        self._known[event_id] = known
        self._known.move_to_end(event_id)
        if len(self._known) > EVENTS:
            self._known.popitem(last=False)

    def known(self, event_id: str) -> Known | None:
        return self._known.get(event_id)

    def gone(self, event_id: str) -> None:
        self._gone[event_id] = None
        if len(self._gone) > EVENTS:
            self._gone.popitem(last=False)

    def is_gone(self, event_id: str) -> bool:
        return event_id in self._gone

    async def look_up(self, room_id: str, event_id: str) -> Known | None:
        """None where the homeserver shows no such event. Raises `Retryable`."""
        if (known := self.known(event_id)) is not None:
            return known
        event = await self.event(room_id, event_id)
        if event is None:
            return None
        self.note(event)
        return self.known(event_id)

    async def event(self, room_id: str, event_id: str) -> dict[str, Any] | None:
        if not event_id.startswith("$"):
            return None
        try:
            event = await self._door.ask("GET", room_path(room_id, "event", event_id))
        except Failed:
            return None
        return event if event.get("room_id", room_id) == room_id else None
