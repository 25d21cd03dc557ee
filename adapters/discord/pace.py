"""Discord's rates, kept by waiting: the library would otherwise hold a message back after it was
sent, when its answer is already there. Messages and edits have buckets of their own, and count
together here: that leaves room for what else is asked."""

from __future__ import annotations

from adapters.discord.config import RateConfig
from gateway.message import Place
from gateway.pace import Limit, Pace, within

PERIOD = 5.0


def pace(rate: RateConfig) -> Pace:
    def of(_: str) -> Limit | None:
        return within(rate.channel, PERIOD) if rate.channel else None

    return Pace(within(rate.overall, 1.0) if rate.overall else None, of)


def channel(place: Place) -> str:
    """Where a message goes: threads are channels of their own."""
    return place.thread or place.chat
