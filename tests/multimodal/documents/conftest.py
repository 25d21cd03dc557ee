from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.multimodal.documents.bench import Bench


@pytest.fixture(scope="package")
def documents() -> Iterator[Bench]:
    """As a media worker has it by default."""
    bench = Bench()
    yield bench
    bench.close()


@pytest.fixture(scope="package")
def little() -> Iterator[Bench]:
    """Reads little of everything."""
    bench = Bench(documents={"pages": 3, "scanned_pages": 1, "rows": 10, "members": 2})
    yield bench
    bench.close()
