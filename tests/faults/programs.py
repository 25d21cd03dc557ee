"""Real processes under a test: started, killed, stopped, and started again when they end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from gateway.process import dies_with_parent

ROOT = Path(__file__).parents[2]


class Program:
    """One process. While `kept`, it is started again as soon as it ends."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.kept = True
        self.pause = 0.05
        """Seconds between an end and the next start."""
        self.starts: list[float] = []
        """Times of all starts, by `time.monotonic`."""
        self.exits: list[int] = []
        self._command = command
        self._log = log
        self._environment = {**os.environ, **(environment or {})}
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self.kept = True
        await self._spawn()
        self._keeper = asyncio.create_task(self._keep())

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def signal(self, number: signal.Signals) -> None:
        """Nothing happens to a process that has just ended."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)

    async def ended(self) -> int:
        """Exit status of the process that runs now."""
        assert self._process is not None
        return await self._process.wait()

    async def stop(self, patience: float = 10.0) -> int:
        """SIGTERM, in the end SIGKILL; the exit status."""
        self.kept = False
        if self._process is None:
            return 0
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(patience):
                await self._process.wait()
        except TimeoutError:
            self.kill()
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        return await self._process.wait()

    async def _spawn(self) -> None:
        self.starts.append(time.monotonic())
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                cwd=ROOT,
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=dies_with_parent(),
            )

    async def _keep(self) -> None:
        while True:
            assert self._process is not None
            self.exits.append(await self._process.wait())
            if not self.kept:
                return
            await asyncio.sleep(self.pause)
            if not self.kept:
                return
            await self._spawn()


def redis(folder: Path, *settings: str) -> Program:
    """A server on ``folder/redis.sock`` that loses nothing it answered."""
    server = shutil.which("redis-server")
    assert server is not None, "redis-server is missing: apt-get install redis-server"
    command = [
        server,
        *("--port", "0", "--unixsocket", str(folder / "redis.sock"), "--dir", str(folder)),
        *("--appendonly", "yes", "--appendfsync", "always", "--save", ""),
        *("--maxmemory-policy", "noeviction", "--loglevel", "warning"),
        *settings,
    ]
    return Program("redis", command, folder / "redis.log")


def fake(name: str, folder: Path, port: int, *arguments: str) -> Program:
    """A fake platform or engine, with its journal in the folder. A name may end in ``-2``."""
    command = [
        *(sys.executable, "-m", f"tests.fakes.{name.split('-')[0]}", "--port", str(port)),
        *("--journal", str(folder / f"{name}.jsonl"), *arguments),
    ]
    return Program(name, command, folder / f"{name}.log")


def role(name: str, folder: Path, *arguments: str) -> Program:
    """A gateway or a worker; the fail points of all of a kind are armed in ``<kind>.point``."""
    kind = name.split("-")[0]
    command = [sys.executable, "-m", "gateway", "--home", str(folder), kind, *arguments]
    environment = {"MOLTGATE_FAILPOINTS": str(folder / f"{kind}.point")}
    return Program(name, command, folder / f"{name}.log", environment)
