from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.adapters.matrix.scene import Scene
from tests.servers import synapse
from tests.servers.synapse import Proxy


@pytest.fixture
async def scene(tmp_path: Path) -> Scene:
    """A bot in a direct chat with a person."""
    return await Scene.on(await synapse.shared(), tmp_path / "keys")


@pytest.fixture
async def secret(tmp_path: Path) -> Scene:
    """The same in an encrypted room."""
    return await Scene.on(await synapse.shared(), tmp_path / "keys", encrypted=True)


@pytest.fixture
async def proxy(scene: Scene) -> AsyncIterator[Proxy]:
    """A bad line between the scene's bot and the homeserver."""
    async with Proxy.before(scene.server.url) as line:
        scene.url = line.url
        yield line
