"""What a sync left out: fetched from the room's history, back to where we stood."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog

from adapters.matrix.client import Door, room_path
from gateway.errors import Failed

log = structlog.get_logger(__name__)

PAGE = 100
_HERE = ("join", "invite")
_FILTER = json.dumps(
    {
        "types": [
            "m.room.message",
            "m.room.encrypted",
            "m.sticker",
            "m.reaction",
            "m.room.redaction",
            "m.room.member",
        ]
    }
)


def after_we_came(
    events: Sequence[Mapping[str, Any]], me: str
) -> tuple[list[Mapping[str, Any]], bool]:
    """Events since we were invited or came in, oldest first, and whether that moment is among
    them. What was said in a room before is not said to us."""
    came = [at for at, event in enumerate(events) if _comes(event, me)]
    ours = list(events[came[-1] + 1 :]) if came else list(events)
    return [event for event in ours if _was_here(event)], bool(came)


def _comes(event: Mapping[str, Any], me: str) -> bool:
    if event.get("type") != "m.room.member" or event.get("state_key") != me:
        return False
    return _membership(event.get("content")) in _HERE and not _before(event)


def _before(event: Mapping[str, Any]) -> bool:
    """Whether we were there, or asked to come, before our membership changed."""
    unsigned = event.get("unsigned")
    previous = unsigned.get("prev_content") if isinstance(unsigned, Mapping) else None
    return _membership(previous) in _HERE


def _membership(content: object) -> object:
    return content.get("membership") if isinstance(content, Mapping) else None


def _was_here(event: Mapping[str, Any]) -> bool:
    """Newer servers say of each event whether we were there."""
    told = _membership(event.get("unsigned"))
    return told in _HERE if isinstance(told, str) else True


class Gaps:
    def __init__(self, door: Door, me: str, most: int, count: Callable[[str], None]) -> None:
        """`most` events of one room are fetched at once."""
        self._door = door
        self._me = me
        self._most = most
        self._count = count

    async def fill(self, room_id: str, before: str, since: str) -> list[Mapping[str, Any]]:
        """Events between two places of the stream, oldest first. Raises `Retryable`, `BadConfig`.

        At most so many, the newest of them; that there were more is logged and counted.
        """
        found: list[Mapping[str, Any]] = []
        start: str | None = before
        capped = not self._most
        while start is not None and not capped:
            page, start = await self._page(room_id, start, since)
            ours, came = after_we_came(page[::-1], self._me)
            found += ours[::-1]
            capped = len(found) > self._most or (len(found) == self._most and start is not None)
            if came or not page:
                break
        missed = found[: self._most][::-1]
        if capped:
            self._count("backfill_capped")
            log.warning("backfill_capped", room=room_id, taken=len(missed))
        if missed:
            self._count("backfilled")
            log.info("gap_filled", room=room_id, events=len(missed))
        return missed

    async def _page(
        self, room_id: str, start: str, since: str
    ) -> tuple[list[Mapping[str, Any]], str | None]:
        query = {"dir": "b", "from": start, "to": since, "limit": str(PAGE), "filter": _FILTER}
        try:
            answer = await self._door.ask("GET", room_path(room_id, "messages"), query=query)
        except Failed as failure:
            self._count("backfill_refused")
            log.error("gap_not_filled", room=room_id, reason=str(failure))
            return [], None
        chunk, end = answer.get("chunk"), answer.get("end")
        page = [one for one in chunk if isinstance(one, Mapping)] if isinstance(chunk, list) else []
        return page, end if isinstance(end, str) and end != start else None
