"""Slack's rates. Two count: what goes into one channel, about one a second, and edits, which are
counted for the whole workspace: previews share them."""

from __future__ import annotations

from adapters.slack.config import RateConfig
from gateway.pace import Limit, Pace, within

BURST = 3.0
"""Messages in a row that a channel takes: Slack allows short bursts."""
SHARE = 0.8
"""Of the edits that previews may take; final texts are edits, too."""


class SlackPace:
    def __init__(self, rate: RateConfig) -> None:
        def of(chat: str) -> Limit | None:
            return Limit(BURST, rate.channel) if rate.channel else None

        self._pace = Pace(None, of)
        self._previews = within(rate.updates * SHARE, 60.0) if rate.updates else None

    async def wait(self, chat: str) -> None:
        await self._pace.wait(chat)

    async def spare(self, chat: str) -> bool:
        if self._previews is not None and not self._previews.spare:
            return False
        if not await self._pace.spare(chat):
            return False
        if self._previews is not None:
            await self._previews.take()
        return True
