"""Real servers for measurements: each in a folder of its own, gone when the block ends."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from gateway.queues.embedded import find_server

START_SECONDS = 10.0


@contextlib.contextmanager
def redis_server(fsync: str) -> Iterator[str]:
    """A redis-server with AOF on a unix socket; gives its URL."""
    folder = Path(tempfile.mkdtemp(prefix="mg-bench-"))
    path = folder / "redis.sock"
    process = subprocess.Popen(
        [
            str(find_server().path),
            *("--port", "0", "--unixsocket", str(path), "--dir", str(folder), "--save", ""),
            *("--appendonly", "yes", "--appendfsync", fsync, "--loglevel", "warning"),
            *("--logfile", str(folder / "redis.log")),
        ]
    )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not path.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((folder / "redis.log").read_text())
            time.sleep(0.02)
        yield f"unix://{path}"
    finally:
        process.terminate()
        process.wait(START_SECONDS)
        shutil.rmtree(folder, ignore_errors=True)
