"""What `doctor` looks at, and `init` before it writes: live checks that change nothing."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from gateway.cli.place import Place
from gateway.errors import BadConfig, GatewayError
from gateway.ports import EngineStatus, Probe, Probes, Services

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapters import AdapterSpec
    from config.fields import Section
    from engine.config import EngineConfig
    from gateway.message import Account
    from gateway.settings import AdapterEntry, Settings

PATIENCE = 20.0
_LOW_DISK = 512 * 2**20


@dataclass(frozen=True, slots=True)
class Finding:
    name: str
    state: Literal["ok", "advice", "bad"]
    detail: str
    """What was found; with what to do unless all is well."""


async def probe_all(here: Place) -> Sequence[Finding]:
    found = [_python(), _disk(here.home), _clock()]
    try:
        settings = here.settings()
    except BadConfig as wrong:
        return [*found, Finding("configuration", "bad", f"{wrong}")]
    shown = str(settings.file) if settings.file else "no file, all defaults"
    found.append(Finding("configuration", "ok", shown))
    found += [Finding("configuration", "advice", str(each)) for each in settings.warnings]
    async with asyncio.TaskGroup() as group:
        probes = [
            group.create_task(_store(settings)),
            group.create_task(_port(settings)),
            *(group.create_task(_adapter(entry)) for entry in settings.adapters),
        ]
        engines = group.create_task(_engines(settings.engines))
    return [*found, *(probe.result() for probe in probes), *engines.result()]


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", "ok", version)


def _disk(home: Path) -> Finding:
    folder = next((each for each in (home, *home.parents) if each.exists()), Path("/"))
    free = shutil.disk_usage(folder).free
    if not os.access(folder, os.W_OK):
        return Finding("data folder", "bad", f"{folder} is not writable; choose another --home")
    shown = f"{home}, {free / 2**30:.1f} GB free"
    if free < _LOW_DISK:
        return Finding("data folder", "bad", f"{shown}: Redis stops when the disk is full")
    if home.exists() and home.stat().st_mode & 0o077:
        return Finding(
            "data folder", "advice", f"{shown}; others can look inside: chmod 700 {home}"
        )
    return Finding("data folder", "ok", shown)


def _clock() -> Finding:
    synced = Path("/run/systemd/timesync/synchronized")
    if synced.parent.exists() and not synced.exists():
        return Finding("clock", "advice", "not synchronised yet; see timedatectl")
    return Finding("clock", "ok", "as the system keeps it")


async def _store(settings: Settings) -> Finding:
    from gateway.queues import guard, owner
    from gateway.queues.embedded import find_server
    from gateway.storage import open_store

    if not settings.redis.url:
        try:
            server = await asyncio.to_thread(find_server, settings.home)
        except GatewayError as problem:
            return Finding("redis", "bad", str(problem))
        if owner.running(settings.home) is None:
            detail = f"private {server} at {server.path}, starts with moltgate run"
            return Finding("redis", "ok", detail)
    try:
        async with asyncio.timeout(PATIENCE), open_store(settings) as opened:
            health = await guard.check(opened.store, fsync=settings.redis.fsync)
    except (GatewayError, TimeoutError) as problem:
        return Finding("redis", "bad", f"does not answer: {problem}; is it running?")
    if health.problems:
        return Finding("redis", "bad", "; ".join(health.problems))
    used = f"version {health.version}, {health.used_share:.0%} of its memory used"
    if health.full:
        return Finding("redis", "bad", f"{used}; nothing more is taken in: raise redis.memory")
    if health.warnings:
        return Finding("redis", "advice", f"{used}; " + "; ".join(health.warnings))
    return Finding("redis", "ok", used)


async def _port(settings: Settings) -> Finding:
    from gateway.queues import owner

    host, port = settings.http.host, settings.http.port
    if running := owner.running(settings.home):
        return Finding("http", "ok", f"moltgate run answers at {running.http or settings.http_url}")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError as problem:
            why = "in use by another program" if problem.errno == errno.EADDRINUSE else str(problem)
            advice = f"port {port} on {host}: {why}; choose another with http.port or --port"
            return Finding("http", "bad", advice)
    return Finding("http", "ok", f"port {port} on {host} is free")


async def _adapter(entry: AdapterEntry) -> Finding:
    name = entry.account.key
    try:
        probe = await probe_adapter(entry.spec, entry.account, entry.config)
    except GatewayError as problem:
        return Finding(name, "bad", str(problem))
    if probe is None:
        return Finding(name, "ok", "ours, nothing to probe")
    return Finding(name, "ok" if probe.ok else "bad", probe.summary)


async def probe_adapter(spec: AdapterSpec, account: Account, config: Section) -> Probe | None:
    """Ask the platform whether it takes these credentials; None where there is nobody to ask."""
    from gateway.blobs import FolderBlobs
    from gateway.clock import SystemClock
    from gateway.queues.log import RedisEventLog
    from gateway.queues.topology import Store

    store = Store("unix:///nonexistent")  # never reached: a probe keeps nothing
    with tempfile.TemporaryDirectory() as folder:
        services = Services(
            blobs=FolderBlobs(Path(folder)), log=RedisEventLog(store), clock=SystemClock()
        )
        adapter = spec.build(account, config, services)
        try:
            if not isinstance(adapter, Probes):
                return None
            async with asyncio.timeout(PATIENCE):
                return await adapter.probe()
        except TimeoutError:
            return Probe(ok=False, summary=f"no answer in {PATIENCE:.0f} s; is there a network?")
        finally:
            await adapter.close()
            await store.close()


async def _engines(engines: Mapping[str, EngineConfig]) -> Sequence[Finding]:
    try:
        found = await probe_engines(engines)
    except GatewayError as problem:
        return [Finding("engines", "bad", str(problem))]
    return [
        Finding(f"engine {each.name}", "ok" if each.ok else "bad", _engine_detail(each))
        for each in found
    ]


def _engine_detail(status: EngineStatus) -> str:
    return f"{status.detail}; serves {', '.join(status.models)}" if status.models else status.detail


async def probe_engines(engines: Mapping[str, EngineConfig]) -> Sequence[EngineStatus]:
    """Ask every engine whether it is there and what it serves."""
    from engine.registry import build
    from gateway.clock import SystemClock

    service = build(engines, SystemClock())
    try:
        async with asyncio.timeout(PATIENCE):
            return await service.status()
    except TimeoutError:
        return [EngineStatus(name="engines", ok=False, detail=f"no answer in {PATIENCE:.0f} s")]
    finally:
        await service.close()
