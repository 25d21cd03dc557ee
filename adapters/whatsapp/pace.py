"""WhatsApp's rates: what a number sends in a second, and what goes to one person."""

from __future__ import annotations

from adapters.whatsapp.config import RateConfig
from gateway.pace import Limit, Pace, within

CHAT_BURST = 30.0
"""Messages in a row that one person gets although the rate is one in six seconds; WhatsApp takes
45."""


def pace(rate: RateConfig) -> Pace:
    def of(chat: str) -> Limit | None:
        return Limit(CHAT_BURST, rate.chat / 60.0) if rate.chat else None

    return Pace(within(rate.overall, 1.0) if rate.overall else None, of)
