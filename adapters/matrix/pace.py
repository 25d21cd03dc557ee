"""The homeserver's rate: one for all that an account writes, edits too."""

from __future__ import annotations

from adapters.matrix.config import RateConfig
from gateway.pace import Limit, Pace


def pace(rate: RateConfig) -> Pace:
    def limit() -> Limit | None:
        return Limit(float(rate.burst), rate.per_second) if rate.per_second else None

    # The same for each room, so that the line of a busy one is seen and holds up no other.
    return Pace(limit(), lambda room: limit())
