"""The reader that `moltgate run` starts when it is needed, and takes along when it dies."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path

import aiohttp
import psutil

from gateway.queues import owner
from tests.journeys.stage import Moltgate, living_children, until
from tests.media import pictures


def supervisor(moltgate: Moltgate) -> int:
    found = owner.read_owner(moltgate.home)
    assert found is not None
    return found.pid


def media(moltgate: Moltgate) -> Sequence[psutil.Process]:
    """The role, its pool, and whoever unpacks files for it."""
    roles = [each for each, words in living_children(supervisor(moltgate)) if "media" in words]
    return [*roles, *(below for role in roles[:1] for below in role.children(recursive=True))]


async def shows(moltgate: Moltgate, token: str, text: str) -> None:
    """Sends a picture of this text."""
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(moltgate.url, headers=headers) as session:
        picture = pictures.as_png(pictures.page([text]))
        async with session.post("/api/v1/files", data=picture) as response:
            assert response.status == 201
            digest = (await response.json())["digest"]
        message = {
            "conversation": "c",
            "id": digest,
            "text": "?",
            "attachments": [{"digest": digest}],
        }
        async with session.post("/api/v1/messages", json=message) as response:
            assert response.status == 202, await response.text()


async def test_a_reader_comes_when_it_is_needed_and_goes_with_its_supervisor(
    tmp_path: Path,
) -> None:
    async with Moltgate.running(tmp_path, {}) as moltgate:
        token = (await moltgate.tells("token", "create", "reader"))["token"]
        assert media(moltgate) == []

        await shows(moltgate, token, "the only page")
        await moltgate.happened("job_done")
        everybody = [child for child, _ in living_children(supervisor(moltgate))]
        assert len(set(media(moltgate))) >= 3

        os.kill(supervisor(moltgate), signal.SIGKILL)

        async def gone() -> bool:
            return not any(_lives(one) for one in everybody)

        await until(gone, "everybody has ended")


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
