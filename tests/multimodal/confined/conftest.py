from __future__ import annotations

from collections.abc import Iterator

import pytest

from multimodal.confined import Confined


@pytest.fixture(scope="package")
def pictures() -> Iterator[Confined]:
    """As a media worker has it by default."""
    with Confined(
        "multimodal.confined.pictures", memory=768 * 2**20, cpu=20, wall=120, calls=10_000
    ) as confined:
        yield confined
