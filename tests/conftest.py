"""What every test may ask for: a real Redis, a partition space of its own."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from gateway.queues.embedded import find_server
from gateway.queues.topology import Store

# Properties are about results, not about how fast this machine finds them.
settings.register_profile(
    "moltgate", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("moltgate")

_numbers = count()


def start_redis(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """A redis-server on ``folder/redis.sock``, AOF on; waits until it answers."""
    server = str(find_server().path)
    socket = folder / "redis.sock"
    process = subprocess.Popen(
        [
            server,
            *("--port", "0", "--unixsocket", str(socket), "--dir", str(folder)),
            *("--appendonly", "yes", "--save", "", "--loglevel", "warning"),
            *("--logfile", str(folder / "redis.log"), "--maxmemory-policy", "noeviction"),
            *arguments,
        ]
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if socket.exists() and process.poll() is None:
            answer = subprocess.run(
                ["redis-cli", "-s", str(socket), "ping"], capture_output=True, check=False
            )
            if answer.stdout.strip() == b"PONG":
                return process
        time.sleep(0.02)
    raise RuntimeError((folder / "redis.log").read_text())


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A Redis for the whole session; tests keep apart by namespace (see `store`)."""
    folder = Path(tempfile.mkdtemp(prefix="mg-redis-"))
    process = start_redis(folder, "--appendfsync", "everysec")
    yield f"unix://{folder / 'redis.sock'}"
    process.terminate()
    process.wait(10)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def store(redis_url: str) -> AsyncIterator[Store]:
    """An empty partition space on the session's Redis."""
    space = Store(redis_url, namespace=f"t{next(_numbers)}.", partitions=2)
    yield space
    await space.close()
