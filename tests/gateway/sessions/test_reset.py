from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from gateway.message import Account
from gateway.ports import Session
from gateway.sessions.config import ChannelQueueConfig, QueueConfig, SessionConfig, lane_policy
from gateway.sessions.reset import expired

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp()


DAILY = {"daily_reset": 4, "timezone": "Europe/Berlin"}


@pytest.mark.parametrize(
    ("config", "active", "now", "result"),
    [
        ({}, "2026-01-01T00:00", "2027-01-01T00:00", False),
        ({"idle_reset": "30m"}, "2026-01-01T12:00", "2026-01-01T12:30", False),
        ({"idle_reset": "30m"}, "2026-01-01T12:00", "2026-01-01T12:31", True),
        (DAILY, "2026-01-01T03:59", "2026-01-01T04:00", True),
        (DAILY, "2026-01-01T04:00", "2026-01-01T23:59", False),
        (DAILY, "2026-01-01T04:00", "2026-01-02T03:59", False),
        (DAILY, "2026-01-01T23:00", "2026-01-02T04:01", True),
        # The night of the change to summer time has no 02:30, the one back has it twice.
        ({**DAILY, "daily_reset": 2}, "2026-03-29T01:59", "2026-03-29T03:00", True),
        ({**DAILY, "daily_reset": 2}, "2026-10-25T03:00", "2026-10-25T23:00", False),
        (DAILY, "2026-03-28T05:00", "2026-03-29T03:59", False),
    ],
)
def test_a_conversation_starts_anew_as_in_the_table(
    config: dict[str, object], active: str, now: str, result: bool
) -> None:
    settings = SessionConfig.model_validate(config)
    assert expired(Session(active_at=at(active)), at(now), settings) is result


def test_a_conversation_without_a_turn_never_expires() -> None:
    settings = SessionConfig.model_validate({**DAILY, "idle_reset": 1})
    assert not expired(Session(), at("2026-01-01T00:00"), settings)


def test_an_unknown_time_zone_is_an_error() -> None:
    with pytest.raises(ValueError, match="no such time zone"):
        SessionConfig(timezone="Europe/Atlantis")


def test_account_goes_before_adapter_goes_before_all() -> None:
    config = SessionConfig(
        queue=QueueConfig(mode="each", depth=7),
        channels={
            "telegram": ChannelQueueConfig(mode="interrupt", debounce=0.3),
            "telegram:work": ChannelQueueConfig(mode="collect"),
        },
    )
    web = lane_policy(config, Account(kind="web"))
    home = lane_policy(config, Account(kind="telegram", id="home"))
    work = lane_policy(config, Account(kind="telegram", id="work"))
    assert (web.mode, web.debounce, web.depth) == ("each", 0.0, 7)
    assert (home.mode, home.debounce, home.depth) == ("interrupt", 0.3, 7)
    assert (work.mode, work.debounce, work.depth) == ("collect", 0.3, 7)
