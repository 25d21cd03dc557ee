"""A strict Slack that records what a person would see: Web API, Socket Mode, signed posts."""

from __future__ import annotations

from tests.fakes.slack.client import FakeSlack, RemoteSlack
from tests.fakes.slack.world import (
    APP_TOKEN,
    BOT_ID,
    BOT_TOKEN,
    BOT_USER,
    SECRET,
    TEAM,
    Fault,
    Shown,
    visible,
)

__all__ = [
    "APP_TOKEN",
    "BOT_ID",
    "BOT_TOKEN",
    "BOT_USER",
    "SECRET",
    "TEAM",
    "FakeSlack",
    "Fault",
    "RemoteSlack",
    "Shown",
    "visible",
]
