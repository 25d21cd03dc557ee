"""Where a command works: data folder and configuration file, and the settings read from them."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from gateway.errors import Failed, Unavailable

if TYPE_CHECKING:
    from gateway.settings import Settings
    from gateway.storage import OpenStore

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Place:
    home: Path
    config: Path | None

    @classmethod
    def of(cls, home: Path | None, config: Path | None) -> Place:
        folder = (home or Path(os.environ.get("MOLTGATE_HOME") or "~/.moltgate")).expanduser()
        return cls(folder.absolute(), config.expanduser().absolute() if config else None)

    def command(self, words: str) -> str:
        """How to call us about this data folder, ready to be copied into a shell."""
        beside = Path(sys.executable).with_name("moltgate")
        name = str(beside) if shutil.which("moltgate") is None and beside.exists() else "moltgate"
        usual = self.home in (Place.of(None, None).home, Place.of(Path("~/.moltgate"), None).home)
        return f"{name} {words}" + ("" if usual else f" --home {shlex.quote(str(self.home))}")

    def settings(self) -> Settings:
        """Read and checked. Raises `BadConfig`."""
        from gateway.settings import load

        return load(self.home, self.config)

    @asynccontextmanager
    async def store(self) -> AsyncIterator[tuple[Settings, OpenStore]]:
        """The settings and what is kept in Redis. Raises `Failed` when nothing runs here."""
        from gateway.queues import owner
        from gateway.storage import open_store

        settings = self.settings()
        if not settings.redis.url and owner.running(settings.home) is None:
            raise Failed(
                f"nothing runs on {settings.home}, so there is no store to ask; "
                f"start it with: {self.command('run')}"
            )
        try:
            async with open_store(settings) as opened:
                yield settings, opened
        except Unavailable as problem:
            raise Failed(f"the store does not answer: {problem}; see moltgate doctor") from problem


def place(context: typer.Context) -> Place:
    found = context.find_object(Place)
    assert found is not None, "set by the program's callback"
    return found


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)
