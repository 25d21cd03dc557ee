"""Telegram's rates. Three count, as far as Telegram tells: all that a bot sends, what goes into one
group, what goes into one direct chat. Edits count like messages."""

from __future__ import annotations

from adapters.telegram.config import RateConfig
from gateway.pace import Limit, Pace, within

DIRECT_BURST = 3.0
"""Messages in a row that a direct chat takes although its rate is one a second."""


def pace(rate: RateConfig) -> Pace:
    def of(chat: str) -> Limit | None:
        if not chat.isdecimal():  # groups and channels have negative ids or names
            return within(rate.group, 60.0) if rate.group else None
        return Limit(DIRECT_BURST, rate.direct) if rate.direct else None

    return Pace(within(rate.overall, 1.0) if rate.overall else None, of)
