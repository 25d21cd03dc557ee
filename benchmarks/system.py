"""Real processes for benchmarks: a gateway with everything it needs, and what they use."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
import yaml

from tests.fakes.ports import free_port

ROOT = Path(__file__).parent.parent


def machine() -> Mapping[str, object]:
    """What figures have to be read with."""
    model = ""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((one.split(":")[1].strip() for one in lines if "model name" in one), "")
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
        "fsync_ms": fsync_ms(),
    }


def fsync_ms() -> float:
    """Median of 50 fsyncs of 600 bytes, which bounds every durable step."""
    times = []
    with tempfile.NamedTemporaryFile(dir=tempfile.gettempdir()) as file:
        for _ in range(50):
            began = time.perf_counter()
            os.write(file.fileno(), b"x" * 600)
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - began)
    return round(sorted(times)[25] * 1000, 3)


@dataclass
class System:
    """A running `moltgate run` and the fakes around it."""

    home: Path
    port: int
    engine: str
    processes: list[subprocess.Popen[bytes]]
    ready_seconds: float

    def roles(self) -> dict[str, psutil.Process]:
        """Every process of ours by role; engine and platform fakes are not among them."""
        top = psutil.Process(self.processes[0].pid)
        found = {"supervisor": top}
        for child in top.children(recursive=True):
            line = child.cmdline()
            server = any("redis-server" in word or "valkey" in word for word in line[:2])
            role = (
                "redis"
                if server
                else next(
                    (one for one in ("media", "worker", "gateway") if one in line[3:]), "other"
                )
            )
            found[role if role not in found else f"{role}-{child.pid}"] = child
        return found

    def cpu(self) -> dict[str, float]:
        """CPU seconds used so far, by role."""
        used = {}
        for role, process in self.roles().items():
            times = process.cpu_times()
            used[role] = times.user + times.system
        return used

    def resident(self) -> dict[str, float]:
        """Resident memory in MiB, by role."""
        return {
            role: round(process.memory_info().rss / 2**20, 1)
            for role, process in self.roles().items()
        }

    def command(self, *arguments: str) -> str:
        """Output of a ``moltgate`` command on this system's home."""
        done = subprocess.run(
            [sys.executable, "-m", "gateway", "--home", str(self.home), *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout


@contextlib.contextmanager
def running(
    *, latency: float = 0.0, config: Mapping[str, object] | None = None
) -> Iterator[System]:
    """A gateway in a fresh home with a fake engine of the given seconds to the first token."""
    home = Path(tempfile.mkdtemp(prefix="mg-bench-"))
    port, engine_port = free_port(), free_port()
    log = (home / "output.log").open("wb")
    processes: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments], cwd=ROOT, stdout=log, stderr=subprocess.STDOUT
        )
        processes.append(process)
        return process

    settings = {
        "http": {"port": port},
        "engines": {"fake": {"url": f"http://127.0.0.1:{engine_port}/v1", "model": "fake"}},
        "adapters": {"web": {"access": {"per_sender": 0, "per_chat": 0}}},
        "log": {"level": "info", "format": "json"},
        **(config or {}),
    }
    (home / "moltgate.yaml").write_text(yaml.safe_dump(settings))
    try:
        began = time.monotonic()
        start("gateway", "--home", str(home), "run")
        _wait(f"http://127.0.0.1:{port}/readyz", processes[0], home)
        ready = time.monotonic() - began
        start(
            *("tests.fakes.engine", "--port", str(engine_port), "--keep", "100"),
            *("--latency", str(latency)),
        )
        _wait(f"http://127.0.0.1:{engine_port}/health", processes[-1], home)
        yield System(home, port, f"http://127.0.0.1:{engine_port}/v1", processes, ready)
    finally:
        for process in reversed(processes):
            process.send_signal(signal.SIGTERM)
        for process in processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(15)
            process.kill()
        log.close()
        shutil.rmtree(home, ignore_errors=True)


def _wait(url: str, process: subprocess.Popen[bytes], home: Path, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=1) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"{url} did not come up:\n{(home / 'output.log').read_text()[-4000:]}")


def tokens(system: System, count: int) -> list[str]:
    """Bearer tokens of the HTTP API."""
    made = []
    for number in range(count):
        answer = json.loads(system.command("token", "create", f"bench{number}", "--json"))
        made.append(answer["token"])
    return made
