"""When a conversation starts anew by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from gateway.ports import Session
from gateway.sessions.config import SessionConfig


def expired(session: Session, now: float, config: SessionConfig) -> bool:
    """Whether the history belongs to the past. A conversation without a turn never expires."""
    if session.active_at <= 0:
        return False
    if config.idle_reset and now - session.active_at > config.idle_reset:
        return True
    if config.daily_reset is None:
        return False
    return session.active_at < _last_boundary(now, config.daily_reset, _zone(config.timezone))


def _last_boundary(now: float, hour: int, zone: tzinfo) -> float:
    local = datetime.fromtimestamp(now, zone)
    boundary = local.replace(hour=hour, minute=0, second=0, microsecond=0, fold=0)
    if boundary.timestamp() > now:
        # Wall-clock arithmetic on purpose: yesterday at this hour, also over a clock change.
        boundary -= timedelta(days=1)
    return boundary.timestamp()


def _zone(name: str) -> tzinfo:
    return UTC if name == "UTC" else ZoneInfo(name)
