"""A strict Discord: REST and gateway, and what a person there would see. See `FakeDiscord`."""

from __future__ import annotations

from tests.fakes.discord.client import FakeDiscord, RemoteDiscord
from tests.fakes.discord.world import BOT, GENERAL, GUILD, OTHER, THREAD, TOKEN, Fault

__all__ = [
    "BOT",
    "GENERAL",
    "GUILD",
    "OTHER",
    "THREAD",
    "TOKEN",
    "FakeDiscord",
    "Fault",
    "RemoteDiscord",
]
