"""What tests of the media road share: a place of their own, a Redis to be mistreated."""

from __future__ import annotations

import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.faults.programs import ROOT
from tests.gateway.queues.redis_servers import Redis, redis
from tests.multimodal.bench import PATIENCE, STARTED, Place, new_namespace, program


@pytest.fixture
async def place(redis_url: str, tmp_path: Path) -> AsyncIterator[Place]:
    async with Place.opened(redis_url, tmp_path) as one:
        yield one


@pytest.fixture(scope="module")
def serving(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """Folder and namespace of a worker that serves all tests of a module."""
    folder, namespace = tmp_path_factory.mktemp("serving"), new_namespace()
    log = folder / "media.log"
    with log.open("wb") as out:
        worker = subprocess.Popen(
            program(redis_url, namespace, folder), cwd=ROOT, stderr=out, stdin=subprocess.DEVNULL
        )
    deadline = time.monotonic() + PATIENCE
    while STARTED not in log.read_text():
        assert worker.poll() is None, log.read_text()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    yield folder, namespace
    worker.terminate()
    worker.wait(PATIENCE)


@pytest.fixture
async def served(redis_url: str, serving: tuple[Path, str]) -> AsyncIterator[Place]:
    """A place with a worker that other tests use as well."""
    folder, namespace = serving
    async with Place.opened(redis_url, folder, namespace=namespace) as one:
        yield one


@pytest.fixture
def own_redis() -> Iterator[Redis]:
    with redis() as server:
        yield server
