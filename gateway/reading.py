"""What is being read in a conversation, as ``/status`` shows it.

Noted in the store, because who reads and who is asked are different processes. A note ends by
itself, so that one left behind by a crash is not shown for long.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gateway.message import ConversationId
from gateway.ports import Records

TABLE = "reading"
SECONDS = 30.0
"""How long a note is believed; it is renewed meanwhile."""


class Being(msgspec.Struct, frozen=True):
    """One file that is being read."""

    kind: str
    """As an attachment's."""
    since: float
    """Seconds since the epoch."""


_decoder = msgspec.json.Decoder(tuple[Being, ...])


async def note(records: Records, conversation: ConversationId, being: Sequence[Being]) -> None:
    await records.set(TABLE, conversation, msgspec.json.encode(being), ttl=SECONDS)


async def forget(records: Records, conversation: ConversationId) -> None:
    await records.remove(TABLE, conversation)


async def noted(records: Records, conversation: ConversationId) -> tuple[Being, ...]:
    """Nothing, too, when a newer gateway wrote it otherwise."""
    raw = await records.get(TABLE, conversation)
    if raw is None:
        return ()
    try:
        return _decoder.decode(raw)
    except msgspec.DecodeError:
        return ()
