"""A conversation's entries and live text as the API and the WebSocket send them."""

from __future__ import annotations

import msgspec

from gateway.ports import Live, LogEntry

_LIVE = {"text": "partial", "started": "typing", "ended": "idle"}
"""Names of `Live.kind` for clients."""


class Entry(msgspec.Struct, frozen=True):
    seq: int
    at: float
    event: msgspec.Raw


class Shown(msgspec.Struct, frozen=True, tag_field="type", tag="entry"):
    """An entry on a WebSocket, which may have moved on to another conversation."""

    conversation: str
    seq: int
    at: float
    event: msgspec.Raw


def shown(conversation: str, found: LogEntry) -> Shown:
    return Shown(conversation, found.seq, found.at, msgspec.Raw(found.body))


def entry(found: LogEntry) -> Entry:
    return Entry(found.seq, found.at, msgspec.Raw(found.body.replace(b"\n", b" ")))


def live_name(live: Live) -> str:
    return _LIVE[live.kind]


def live_data(live: Live) -> dict[str, str]:
    data = {"reply": str(live.reply), "reply_to": live.reply_to}
    return {**data, "text": live.text} if live.kind == "text" else data
