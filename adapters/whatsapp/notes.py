"""What the account has to remember: when each person last wrote, and what became of sends."""

from __future__ import annotations

import msgspec

from gateway.ports import Keep

WINDOW = 24 * 3600.0
"""Seconds after a person's last message in which WhatsApp lets us write freely."""
WROTE_AT = "wrote_at"
"""Header of a message: when it was written. Nothing is noted of strangers, and what they are told
has to pass the window, too."""
_DAY = 86_400.0


class Chat(msgspec.Struct, frozen=True, kw_only=True):
    at: float
    """When the person last wrote, by WhatsApp's clock."""
    message: str
    """Native id of that message: typing is shown by marking it as read."""


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """What a status said of a message with our key."""

    id: str
    failed: int = 0
    """Error code, where WhatsApp took it and could not deliver it."""


_chat = msgspec.json.Decoder(Chat)
_sent = msgspec.json.Decoder(Sent)


class Notes:
    def __init__(self, keep: Keep) -> None:
        self._keep = keep

    async def chat(self, id: str) -> Chat | None:
        """None for somebody who has not written for more than a day."""
        found = await self._keep.get(f"chat/{id}")
        return _chat.decode(found) if found is not None else None

    async def wrote(self, id: str, at: float, message: str) -> None:
        known = await self.chat(id)
        if known is None or known.at <= at:
            value = msgspec.json.encode(Chat(at=at, message=message))
            await self._keep.set(f"chat/{id}", value, ttl=WINDOW + 3600)

    async def told(self, key: str, sent: Sent) -> None:
        """A status came. That it failed counts more than that it was sent."""
        value = msgspec.json.encode(sent)
        if sent.failed:
            await self._keep.set(f"sent/{key}", value, ttl=_DAY)
        else:
            await self._keep.add(f"sent/{key}", value, ttl=_DAY)

    async def sent(self, key: str) -> Sent | None:
        found = await self._keep.get(f"sent/{key}")
        return _sent.decode(found) if found is not None else None

    async def asked_since(self, key: str, now: float) -> float:
        """When somebody first asked what became of a send; now, when nobody did."""
        if await self._keep.add(f"asked/{key}", repr(now).encode(), ttl=_DAY):
            return now
        found = await self._keep.get(f"asked/{key}")
        return float(found) if found else now

    async def template_due(self, chat: str) -> bool:
        """Whether the person was sent no template for a day; from now on they were."""
        return await self._keep.add(f"template/{chat}", b"1", ttl=_DAY)
