"""What kind of channel an id is: a message does not say whether it stands in a thread."""

from __future__ import annotations

import msgspec

from adapters.discord.api import Api
from adapters.discord.native import Channel, Unreadable, read
from gateway.errors import Failed

MOST = 50_000


class Channels:
    """Of all servers the bot is in, as the gateway tells; what it has not told is asked for."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._known: dict[str, Channel] = {}

    def note(self, channel: Channel) -> None:
        self._known.pop(channel.id, None)
        self._known[channel.id] = channel
        if len(self._known) > MOST:
            del self._known[next(iter(self._known))]

    def forget(self, channel: str) -> None:
        self._known.pop(channel, None)

    async def find(self, channel: str) -> Channel:
        """Raises `Retryable`. One that may not be looked at counts as a plain channel."""
        if (known := self._known.get(channel)) is None:
            known = await self._ask(channel)
            self.note(known)
        return known

    async def _ask(self, channel: str) -> Channel:
        try:
            raw = await self._api.call(
                "GET", "/channels/{channel_id}", repeatable=True, channel_id=channel
            )
            return msgspec.structs.replace(read(raw, Channel), id=channel)
        except (Failed, Unreadable):
            return Channel(id=channel)
