"""The configuration as last found good: what the roles run with, whatever the file says now.

The file is copied, the copy is checked by a child process and, when it holds, given to the roles.
A role that dies while somebody edits the file comes back with what worked before.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gateway.errors import GatewayError
from gateway.logs import Format
from gateway.process import CRASH_LOOP, GiveUp, dies_with_parent, status
from gateway.queues import owner

SNAPSHOT = "MOLTGATE_LAST_GOOD"
"""Environment variable: a copy of the configuration the roles read in place of the file."""
FINGERPRINT_KEY = "MOLTGATE_FINGERPRINT_KEY"
"""Environment variable: makes fingerprints of sections useless to anybody else."""
FILE = "moltgate.yaml"
"""What the configuration is called where only a folder is named."""


def kept(home: Path) -> Path:
    """Where the last good configuration of a data folder is kept."""
    return home / "run" / FILE


@dataclass(frozen=True, slots=True)
class Facts:
    """What the supervisor has to know of a valid configuration."""

    private_redis: bool
    fsync: Any
    memory: int
    workers: int
    port: int
    http: str
    """Where people reach it."""
    log: Format
    media_idle: float
    """Seconds without work after which the media role ends."""
    media_missing: str
    """Why there can be no media role here, with the remedy; empty when there can."""
    fingerprints: Mapping[str, str]
    """Per section; two that differ mean that the section was changed."""

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Facts:
        return cls(**{name: found[name] for name in cls.__dataclass_fields__})

    def changed(self, other: Facts) -> list[str]:
        names = {*self.fingerprints, *other.fingerprints}
        mine, theirs = self.fingerprints, other.fingerprints
        return sorted(name for name in names if mine.get(name) != theirs.get(name))


class Invalid(GatewayError):
    """The configuration does not hold, for these reasons."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How the roles are called."""

    home: Path
    config: Path | None = None
    port: int | None = None
    program: tuple[str, ...] = (sys.executable, "-P", "-m", "gateway")

    def command(self, *words: str) -> list[str]:
        given = ["--home", str(self.home)]
        if self.config is not None:
            given += ["--config", str(self.config)]
        if self.port is not None and words[0] in ("gateway", "check"):
            words = (*words, "--port", str(self.port))
        return [*self.program, *given, *words]

    @property
    def file(self) -> Path:
        """Which may not be there: without it, all is as by default."""
        if self.config is None or self.config.is_dir():
            return (self.config or self.home) / FILE
        return self.config


def _free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("", 0))
        return int(trial.getsockname()[1])


class Configuration:
    """The file as last found good: a copy of it, and what the supervisor needs of it."""

    def __init__(self, launch: Launch) -> None:
        self.launch = launch
        """How the roles are called: with a port of its own where any is taken."""
        self._asked = launch
        self._free = 0
        self._key = secrets.token_hex(16)
        self.good = kept(launch.home)
        self._seen: tuple[int, ...] = ()

    def environment(self, snapshot: Path | None = None) -> dict[str, str]:
        return {**os.environ, SNAPSHOT: str(snapshot or self.good), FINGERPRINT_KEY: self._key}

    def touched(self) -> bool:
        """Whether the file looks different from the last time this was asked."""
        before, self._seen = self._seen, self._look()
        return before != self._seen

    async def check(self) -> Facts:
        """Check the file as it is now, and keep a copy of it if it holds.

        Raises `Invalid`, with every problem in the text.
        """
        self._seen = self._look()
        candidate = self.good.with_suffix(".candidate")
        self._copy(candidate)
        checking = await asyncio.create_subprocess_exec(
            *self._asked.command("check", "--json"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env=self.environment(candidate),
            preexec_fn=dies_with_parent(),
        )
        try:
            said, _ = await checking.communicate()
        finally:
            if checking.returncode is None:
                checking.kill()
        try:
            found = json.loads(said)
        except ValueError:
            raise GiveUp(
                f"checking the configuration ended with {status(checking.returncode or 0)}",
                CRASH_LOOP,
            ) from None
        if not found["ok"]:
            raise Invalid(found["problems"])
        candidate.replace(self.good)
        return self._placed(Facts.of(found["facts"]))

    def _placed(self, facts: Facts) -> Facts:
        """With a port where any is taken. It is chosen once: a gateway that is started again has
        to stay where people look for it."""
        if facts.port:
            self.launch = self._asked
            return facts
        self._free = self._free or _free_port()
        self.launch = replace(self._asked, port=self._free)
        http = f"{facts.http[:-2]}:{self._free}" if facts.http.endswith(":0") else facts.http
        return replace(facts, port=self._free, http=http)

    def _copy(self, to: Path) -> None:
        file = self.launch.file
        try:
            text = file.read_bytes()
        except OSError as problem:
            if file == self.launch.config or not isinstance(problem, FileNotFoundError):
                raise Invalid([_unreadable(file, problem)]) from problem
            text = b""
        try:
            to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as copy:
                copy.write(text)
        except OSError as problem:
            raise owner.unusable(to, problem) from problem

    def _look(self) -> tuple[int, ...]:
        try:
            found = self.launch.file.stat()
        except OSError:
            return (0,)
        return (found.st_mtime_ns, found.st_size, found.st_ino)


def _unreadable(file: Path, problem: OSError) -> str:
    if isinstance(problem, FileNotFoundError):
        return f"{file}: there is no such file (moltgate init writes one by asking)"
    if isinstance(problem, IsADirectoryError):
        return f"{file}: is a folder (name the file inside it)"
    return f"{file}: cannot be read: {problem.strerror} (check its owner and permissions)"
