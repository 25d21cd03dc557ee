"""``python -m tests.fakes.telegram --port N [--journal FILE]``: prints its address and serves."""

from __future__ import annotations

from tests.fakes.platforms import serve
from tests.fakes.telegram.server import Server
from tests.fakes.telegram.world import World

if __name__ == "__main__":
    serve(lambda journal: Server(World(journal)), __doc__)
