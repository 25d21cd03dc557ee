"""Where a command works: data folder and configuration file, and the settings read from them."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import sys
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from gateway.cli.show import REDACT, complain
from gateway.errors import BadConfig, Failed, Unavailable
from gateway.lastgood import SNAPSHOT, Launch, kept
from gateway.logs import structlog_too

if TYPE_CHECKING:
    from gateway.settings import Settings
    from gateway.storage import OpenStore

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Place:
    home: Path
    config: Path | None
    """As given: a file, or the folder that holds it."""

    @classmethod
    def of(cls, home: Path | None, config: Path | None) -> Place:
        folder = (home or Path(os.environ.get("MOLTGATE_HOME") or "~/.moltgate")).expanduser()
        return cls(folder.absolute(), config.expanduser().absolute() if config else None)

    def command(self, words: str) -> str:
        """How to call us about this data folder, ready to be copied into a shell."""
        beside = Path(sys.executable).with_name("moltgate")
        name = str(beside) if shutil.which("moltgate") is None and beside.exists() else "moltgate"
        usual = (Place.of(None, None).home, Place.of(Path("~/.moltgate"), None).home)
        if self.home not in usual:
            words += f" --home {shlex.quote(str(self.home))}"
        if self.config is not None and "MOLTGATE_CONFIG" not in os.environ:
            words += f" --config {shlex.quote(str(self.config))}"
        return f"{name} {words}"

    @property
    def file(self) -> Path:
        """The configuration file, whether or not it is there."""
        return Launch(home=self.home, config=self.config).file

    def settings(self) -> Settings:
        """Read and checked. Raises `BadConfig`."""
        return self._load(os.environ)

    def settings_in_use(self) -> Settings:
        """The file's, or when it is wrong, with a complaint, those a gateway here goes on with."""
        try:
            return self.settings()
        except BadConfig as wrong:
            found = self.last_good()
            if found is None:
                raise
            complain(f"{_in_one_line(self.file, wrong)}; this goes by the last good configuration")
            return found

    def last_good(self) -> Settings | None:
        """What `run` last found good here; None without it, and when nobody goes by it."""
        from gateway.queues import owner

        good = kept(self.home)
        if not good.exists():
            return None
        try:
            found = self._load({**os.environ, SNAPSHOT: str(good)})
        except BadConfig:  # e.g. it refers to a variable that is not set here
            return None
        return found if found.redis.url or owner.running(self.home) else None

    def _load(self, env: Mapping[str, str]) -> Settings:
        from gateway.settings import load

        found = load(self.home, self.config, env)
        REDACT.learn(found.secrets)
        return found

    def nothing_runs(self, so: str) -> Failed:
        return Failed(f"nothing runs on {self.home}, {so}; start it with: {self.command('run')}")

    @asynccontextmanager
    async def store(self) -> AsyncIterator[tuple[Settings, OpenStore]]:
        """The settings and what is kept in Redis. Raises `Failed` when nothing runs here."""
        from gateway.queues import owner
        from gateway.storage import open_store

        settings = self.settings_in_use()
        if not settings.redis.url and owner.running(settings.home) is None:
            raise self.nothing_runs("so there is no store to ask")
        structlog_too()
        try:
            async with open_store(settings) as opened:
                yield settings, opened
        except Unavailable as problem:
            raise Failed(f"the store does not answer: {problem}; see moltgate doctor") from problem


def _in_one_line(file: Path, wrong: BadConfig) -> str:
    from config.problems import BadFile

    if not isinstance(wrong, BadFile):
        return " ".join(str(wrong).split())
    first, *others = wrong.problems
    more = f", and {len(others)} more (moltgate check shows all)" if others else ""
    return " ".join(f"{file}: {first}{more}".split())


def place(context: typer.Context) -> Place:
    found = context.find_object(Place)
    assert found is not None, "set by the program's callback"
    return found


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)
