"""What is done with one event of a room: opened, parsed, handed in. Its files are fetched when the
inbox has let it in: a stranger makes us fetch nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import structlog

from adapters.matrix.keys import Keys, Locked, Opened, Spoilt
from adapters.matrix.locked import Waiting
from adapters.matrix.media import Files
from adapters.matrix.parse import AT, Media, Parsed, Self, parse, points_at
from adapters.matrix.rooms import Rooms
from gateway.errors import BadConfig, GatewayError, Retryable
from gateway.message import Attachment, Grade, Inbound
from gateway.ports import Clock, Inbox

log = structlog.get_logger(__name__)

TRIES = 3
"""How often an event is tried that makes us fail in a way nobody foresaw."""
_QUOTE = 2000


class Arrival:
    """An event on its way in. What it brought is fetched once, however often it is handed in."""

    def __init__(self, parsed: Parsed, files: Files, quote: Callable[[], Any]) -> None:
        self._parsed = parsed
        self._files = files
        self._quote = quote
        self._fetched: Inbound | None = None

    async def fetch(self, event: Inbound) -> Inbound:
        """Raises `Retryable` when the blob store takes nothing."""
        if self._fetched is None:
            found = event
            if self._parsed.files:
                pairs = zip(event.attachments, self._parsed.files, strict=True)
                fetched = await asyncio.gather(*(self._fetch(*pair) for pair in pairs))
                found = msgspec.structs.replace(found, attachments=tuple(fetched))
            if self._parsed.quoted:
                found = msgspec.structs.replace(found, quote=await self._quote())
            self._fetched = found
        return self._fetched

    async def _fetch(self, attachment: Attachment, media: Media | None) -> Attachment:
        return await self._files.fetch(attachment, media)


class Reception:
    """Takes events in, one call each; calls for one room must not overlap."""

    def __init__(
        self,
        me: Self,
        rooms: Rooms,
        keys: Keys,
        files: Files,
        waiting: Waiting,
        inbox: Inbox,
        clock: Clock,
        count: Callable[[str], None],
    ) -> None:
        self.me = me
        self._rooms = rooms
        self._keys = keys
        self._files = files
        self._waiting = waiting
        self._inbox = inbox
        self._clock = clock
        self._count = count
        self._broken: dict[str, int] = {}

    async def take(self, room_id: str, event: Mapping[str, Any]) -> bool:
        """When it returns, the event needs no more of us; whether it was one that people sent.

        Raises `Retryable`, also when the blob store takes nothing, and `BadConfig`.
        """
        found = await self._open(room_id, event)
        taken = isinstance(found, Opened) and await self._take(room_id, found)
        if not isinstance(found, Locked):
            await self._waiting.forget(str(event.get("event_id")))
        return taken

    async def _take(self, room_id: str, opened: Opened) -> bool:
        event, grade = opened.event, opened.grade
        self._rooms.note(event)
        kind, pointed = points_at(event)
        target = self._rooms.known(pointed) if pointed else None
        if kind == "redaction":
            self._rooms.gone(pointed)
        if kind == "m.replace" and target is None:
            target = await self._rooms.look_up(room_id, pointed)
        parsed = parse(event, self._rooms.view(room_id), self.me, grade=grade, target=target)
        if parsed is None:
            return False
        return await self._hand_in(room_id, parsed)

    def gives_up_on(self, event_id: str, problem: Exception) -> bool:
        """After an error nobody foresaw: whether the event is left out now.

        It is tried a few times first; then it must not keep its room waiting.
        """
        tries = self._broken.pop(event_id, 0) + 1
        log.error("event_broke_us", event_id=event_id, tries=tries, exc_info=problem)
        if tries < TRIES:
            self._broken[event_id] = tries
            return False
        self._count("broken")
        return True

    async def _open(
        self, room_id: str, event: Mapping[str, Any]
    ) -> Opened | Locked | Spoilt | None:
        if event.get("type") != "m.room.encrypted":
            return Opened(event, _GRADE)
        if not event.get("content"):
            return None  # redacted meanwhile
        if self._keys.on and isinstance(sender := event.get("sender"), str):
            await self._keys.know(sender)
        found = self._keys.open(room_id, event)
        if isinstance(found, Opened):
            return found
        event_id = str(event.get("event_id"))
        if isinstance(found, Locked):
            self._count("undecryptable")
            log.warning("event_undecryptable", event_id=event_id, room=room_id)
            told = event.get("origin_server_ts")
            at = float(told) if isinstance(told, int) else 0.0
            await self._waiting.remember(room_id, found.session, event_id, at)
        elif isinstance(found, Spoilt):
            self._count(found.reason)
            log.warning("event_unreadable", event_id=event_id, room=room_id, reason=found.reason)
        return found

    async def _hand_in(self, room_id: str, parsed: Parsed) -> bool:
        now = self._clock.now()
        event = msgspec.structs.replace(parsed.event, received_at=now, headers={AT: f"{now:.0f}"})

        async def quote() -> str:
            return await self._quote(room_id, parsed.quoted)

        arrival = Arrival(parsed, self._files, quote)
        fetch = arrival.fetch if parsed.files or parsed.quoted else None
        try:
            accepted = await self._inbox.accept(event, fetch)
        except (BadConfig, Retryable):
            raise
        except GatewayError as problem:
            self._count("rejected")
            log.error("event_rejected", message_id=event.id, reason=str(problem))
            return False
        return accepted.outcome != "ignored"

    async def _quote(self, room_id: str, event_id: str) -> str:
        """Text of the message that is answered; empty where there is none for us."""
        try:
            event: Mapping[str, Any] | None = await self._rooms.event(room_id, event_id)
        except Retryable:
            return ""
        if event is not None and event.get("type") == "m.room.encrypted":
            found = self._keys.open(room_id, event)
            event = found.event if isinstance(found, Opened) else None
        content = event.get("content") if event is not None else None
        body = content.get("body") if isinstance(content, Mapping) else None
        return body[:_QUOTE] if isinstance(body, str) else ""


_GRADE: Grade = "verified"
"""In a room that is not encrypted the homeservers vouch for who wrote."""
