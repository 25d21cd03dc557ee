"""``python -m tests.fakes.discord --port N [--journal FILE]``: prints its address and serves."""

from __future__ import annotations

import argparse
import asyncio
import signal
from pathlib import Path

from tests.fakes.discord.server import Server
from tests.fakes.discord.world import World


async def _serve(port: int, journal: Path | None) -> None:
    server = Server(World(journal))
    await server.start(port)
    print(server.url, flush=True)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await stopped.wait()
    await server.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--journal", type=Path, default=None)
    given = parser.parse_args()
    asyncio.run(_serve(given.port, given.journal))
