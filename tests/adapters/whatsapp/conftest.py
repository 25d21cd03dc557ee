from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.adapters.whatsapp.scene import Desk
from tests.fakes.whatsapp import FakeWhatsApp


@pytest.fixture
async def whatsapp() -> AsyncIterator[FakeWhatsApp]:
    async with FakeWhatsApp() as fake:
        yield fake


@pytest.fixture
async def desk(whatsapp: FakeWhatsApp) -> AsyncIterator[Desk]:
    """A number that receives."""
    async with Desk(whatsapp).running() as made:
        yield made
