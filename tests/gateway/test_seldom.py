"""A line for many, now and then."""

from __future__ import annotations

import structlog
from structlog.testing import capture_logs

from gateway.seldom import Seldom


def test_the_first_is_written_and_the_rest_counted() -> None:
    with capture_logs() as lines:
        seldom = Seldom(structlog.get_logger(), clock=lambda: 100.0)
        for number in range(5):
            seldom.warning("store_away", part=number)
            seldom.warning("other")

    assert [(line["event"], line.get("part")) for line in lines] == [
        ("store_away", 0),
        ("other", None),
    ]


def test_after_a_while_it_is_said_how_many_were_held_back() -> None:
    now = 100.0
    with capture_logs() as lines:
        seldom = Seldom(structlog.get_logger(), 5.0, clock=lambda: now)
        for _ in range(4):
            seldom.warning("store_away")
        now = 105.0
        seldom.warning("store_away")
        now = 200.0
        seldom.warning("store_away")

    assert [line.get("held_back") for line in lines] == [None, 3, None]
