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
from gateway.logs import structlog_too
from gateway.ports import EngineStatus, Probe, Probes, Services

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapters import AdapterSpec
    from config.fields import Section
    from engine.config import EngineConfig
    from gateway.message import Account
    from gateway.settings import AdapterEntry, Settings

PATIENCE = 20.0
_HEALTH_PATIENCE = 5.0
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
        last = here.last_good()
        goes_on = "\n  what follows is about the last good one" if last else ""
        found.append(Finding("configuration", "bad", f"{wrong}{goes_on}"))
        if last is None:
            return found
        settings = last
    else:
        shown = str(settings.file) if settings.file else "no file, all defaults"
        found.append(Finding("configuration", "ok", shown))
    found += [Finding("configuration", "advice", str(each)) for each in settings.warnings]
    found += _proxies(settings)
    structlog_too()
    async with asyncio.TaskGroup() as group:
        probes = [
            group.create_task(_store(settings)),
            group.create_task(_port(settings)),
        ]
        several = [
            group.create_task(_public_address(settings)),
            *(group.create_task(_adapter(entry, settings)) for entry in settings.adapters),
            group.create_task(_engines(settings.engines)),
            group.create_task(_reading(settings)),
        ]
    found += [probe.result() for probe in probes]
    return [*found, *(each for probe in several for each in probe.result())]


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", "ok", version)


def _disk(home: Path) -> Finding:
    folder = next((each for each in (home, *home.parents) if each.exists()), Path("/"))
    free = shutil.disk_usage(folder).free
    if not os.access(folder, os.W_OK):
        return Finding("data folder", "bad", f"{folder} is not writable; choose another --home")
    if home.exists() and not home.is_dir():
        return Finding("data folder", "bad", f"{home} is a file; choose another --home")
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


def _proxies(settings: Settings) -> Sequence[Finding]:
    """The server speaks plain HTTP, so https in front means a proxy."""
    http = settings.http
    if not http.public_url.startswith("https://") or http.trusted_proxies:
        return ()
    advice = (
        "http.public_url is https, so a proxy stands in front, and http.trusted_proxies does not "
        "name it: all visitors share one limit on wrong log-ins. Add the proxy's address; "
        "forwarded_by_untrusted_peer in the gateway's log names it"
    )
    return [Finding("proxy", "advice", advice)]


async def _port(settings: Settings) -> Finding:
    from gateway.queues import owner

    host, port = settings.http.host, settings.http.port
    if running := owner.running(settings.home):
        at = running.http or settings.http_url
        who = f"process {running.pid} on {running.host}"
        return Finding("http", "ok", f"in use by this gateway: moltgate run ({who}) at {at}")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError as problem:
            if problem.errno == errno.EADDRINUSE:
                return await _taken_port(settings)
            advice = f"port {port} on {host}: {problem}; choose another with http.port or --port"
            return Finding("http", "bad", advice)
    return Finding("http", "ok", f"port {port} on {host} is free")


async def _taken_port(settings: Settings) -> Finding:
    """Somebody listens. A gateway without `moltgate run`, as in a container, is known by the
    accounts it holds."""
    where = f"port {settings.http.port} on {settings.http.host}"
    if not await _is_moltgate(settings.local_url()):
        advice = f"{where}: in use by another program; choose another with http.port or --port"
        return Finding("http", "bad", advice)
    if not settings.redis.url:  # with a private store it would be the folder's owner
        advice = f"{where}: in use by a Moltgate on another data folder; choose another with"
        return Finding("http", "bad", f"{advice} http.port or --port")
    holders = {who for who in await _holders(settings) if who}
    ours = sorted(who for who in holders if who.endswith(f" on {socket.gethostname()}"))
    if ours:
        return Finding("http", "ok", f"{where}: in use by this gateway ({', '.join(ours)})")
    advice = f"{where}: a Moltgate answers that holds none of these accounts: a standby of this"
    return Finding("http", "advice", f"{advice} gateway, or another one; then choose another port")


async def _is_moltgate(url: str) -> bool:
    import aiohttp

    from gateway.web.protocol import SERVER

    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_HEALTH_PATIENCE)) as session,
            session.get(f"{url}/healthz", allow_redirects=False) as response,
        ):
            return response.status == 200 and response.headers.get("Server") == SERVER
    except (aiohttp.ClientError, TimeoutError):
        return False


async def _holders(settings: Settings) -> Sequence[str]:
    """Who holds the configured accounts; none when the store does not say."""
    from gateway.queues.accounts import holder
    from gateway.storage import open_store

    try:
        async with asyncio.timeout(PATIENCE), open_store(settings) as opened:
            return [await holder(opened.store, entry.account) for entry in settings.adapters]
    except (GatewayError, TimeoutError):
        return []


async def _public_address(settings: Settings) -> Sequence[Finding]:
    """Whether platforms find us where we say we are, as far as that can be seen from here."""
    if not settings.http.public_url:
        return ()
    url = settings.http.public_url
    if await _is_moltgate(url):
        return [Finding("public address", "ok", f"{url} leads here, seen from this machine")]
    advice = f"no Moltgate answers at {url}: webhooks do not arrive. Is it running, does the proxy "
    return [Finding("public address", "advice", f"{advice}lead to port {settings.http.port}?")]


async def _adapter(entry: AdapterEntry, settings: Settings) -> Sequence[Finding]:
    name, public = entry.account.key, settings.http.public_url
    try:
        probe = await probe_adapter(entry.spec, entry.account, entry.config, public)
    except GatewayError as problem:
        return [Finding(name, "bad", str(problem))]
    if probe is None:
        return [Finding(name, "ok", "ours, nothing to probe")]
    found = Finding(name, "ok" if probe.ok else "bad", probe.summary)
    return [found, *(Finding(name, "advice", each) for each in probe.advice)]


async def probe_adapter(
    spec: AdapterSpec, account: Account, config: Section, public_url: str = ""
) -> Probe | None:
    """Ask the platform whether it takes these credentials; None where there is nobody to ask."""
    from gateway.blobs import FolderBlobs
    from gateway.clock import SystemClock
    from gateway.queues.log import RedisEventLog
    from gateway.queues.records import AccountKeep, RedisRecords
    from gateway.queues.topology import Store

    store = Store("unix:///nonexistent")  # never reached: a probe keeps nothing
    with tempfile.TemporaryDirectory() as folder:
        services = Services(
            blobs=FolderBlobs(Path(folder) / "blobs"),
            log=RedisEventLog(store),
            clock=SystemClock(),
            public_url=public_url,
            keep=AccountKeep(RedisRecords(store), account),
            folder=Path(folder) / "library",
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


async def _reading(settings: Settings) -> Sequence[Finding]:
    """Whether pictures, voice and documents can be read, and who does it."""
    from multimodal import checkup
    from multimodal.config import MediaConfig

    config = settings.section(MediaConfig)
    found = [
        Finding(
            each.name,
            "bad" if not each.ok else "advice" if each.advice else "ok",
            f"{each.text}; {each.advice}" if each.advice else each.text,
        )
        for each in await asyncio.to_thread(checkup.checks, config)
    ]
    wanted = () if checkup.missing() else checkup.queues(config)
    return [*found, await _reader(settings, wanted)] if wanted else found


async def _reader(settings: Settings, wanted: Sequence[str]) -> Finding:
    from gateway.app.media import media_store
    from gateway.queues import owner
    from gateway.queues.wire import Address, Link
    from multimodal.names import Names

    name = "media role"
    on_demand = owner.running(settings.home) is not None
    if not settings.redis.url and not on_demand:
        return Finding(name, "ok", "starts with moltgate run, when something is to be read")
    names = Names(settings.redis.namespace)
    try:
        url, password = media_store(settings)
        link = Link(Address(url, password), deadline=settings.redis.timeout)
        try:
            who = await link.call("MGET", *(names.served(kind) for kind in wanted))
        finally:
            await link.close()
    except GatewayError as problem:
        return Finding(name, "bad", str(problem))
    assert isinstance(who, list)
    idle = [kind for kind, one in zip(wanted, who, strict=True) if not one]
    readers = sorted({one.decode() for one in who if isinstance(one, bytes)})
    if not idle:
        return Finding(name, "ok", ", ".join(readers))
    if on_demand:
        said = ", ".join(readers) or "asleep"
        return Finding(name, "ok", f"{said}; moltgate run starts one when something is to be read")
    lacking = f"nobody does {', '.join(idle)}; start: moltgate media --queues {','.join(idle)}"
    return Finding(name, "advice", lacking)


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
