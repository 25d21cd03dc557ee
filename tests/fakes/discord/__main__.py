"""``python -m tests.fakes.discord --port N [--journal FILE]``: prints its address and serves."""

from __future__ import annotations

from tests.fakes.discord.server import Server
from tests.fakes.discord.world import World
from tests.fakes.platforms import serve

if __name__ == "__main__":
    serve(lambda journal: Server(World(journal)), __doc__)
