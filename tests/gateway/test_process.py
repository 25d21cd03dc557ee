"""The bell between the roles and their supervisor."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.process import Bell, ring

_RINGS = "import os; from gateway.process import ring; {then}"


@asynccontextmanager
async def bell() -> AsyncIterator[tuple[Bell, asyncio.Queue[None]]]:
    heard: asyncio.Queue[None] = asyncio.Queue()
    opened = Bell(lambda: heard.put_nowait(None))
    try:
        yield opened, heard
    finally:
        opened.close()


async def child(bell: Bell, then: str) -> str:
    """What a child with the bell prints."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _RINGS.format(then=then)),
        pass_fds=(bell.fd,),
        env=bell.environment,
        stdout=subprocess.PIPE,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0
    return said.decode()


async def test_a_childs_ring_is_heard() -> None:
    async with bell() as (opened, heard):
        await child(opened, "ring()")

        async with asyncio.timeout(30):
            await heard.get()


async def test_many_rings_wait_for_nobody() -> None:
    async with bell() as (opened, heard):
        # More than a pipe holds, while nobody reads: the loop is kept busy by this very call.
        done = subprocess.run(
            [sys.executable, "-c", _RINGS.format(then="[ring() for _ in range(100_000)]")],
            pass_fds=(opened.fd,),
            env=opened.environment,
            timeout=60,
            check=False,
        )

        assert done.returncode == 0
        async with asyncio.timeout(30):
            await heard.get()


async def test_what_a_role_starts_itself_does_not_get_the_bell() -> None:
    async with bell() as (opened, _):
        then = "print('MOLTGATE_BELL_FD' in os.environ, os.get_inheritable({fd}))"
        said = await child(opened, then.format(fd=opened.fd))

    assert said.split() == ["False", "False"]


def test_a_descriptor_that_is_no_bell_is_left_alone(tmp_path: Path) -> None:
    """E.g. because a program in between has closed it and opened something else."""
    with (tmp_path / "file").open("wb") as file:
        done = subprocess.run(
            [sys.executable, "-c", _RINGS.format(then="ring()")],
            env={"MOLTGATE_BELL_FD": "1"},
            stdout=file,
            check=False,
        )

    assert done.returncode == 0
    assert (tmp_path / "file").read_bytes() == b""


def test_without_a_supervisor_a_ring_has_no_effect() -> None:
    ring()


async def test_a_ring_after_the_supervisors_end_has_no_effect() -> None:
    async with bell() as (opened, _):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _RINGS.format(then="input(); ring(); ring()")),
            pass_fds=(opened.fd,),
            env=opened.environment,
            stdin=subprocess.PIPE,
        )
    await process.communicate(b"\n")
    assert process.returncode == 0
