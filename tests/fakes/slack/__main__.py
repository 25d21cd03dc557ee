"""``python -m tests.fakes.slack --port N [--journal FILE]``: prints its address and serves."""

from __future__ import annotations

from tests.fakes.platforms import serve
from tests.fakes.slack.server import Server
from tests.fakes.slack.world import World

if __name__ == "__main__":
    serve(lambda journal: Server(World(journal)), __doc__)
