"""Bad inputs for every adapter."""

from __future__ import annotations

import pytest

from tests.fakes import web_corpora


@pytest.fixture(scope="session")
def naughty_strings() -> list[str]:
    return web_corpora.naughty_strings()


@pytest.fixture(scope="session")
def script_payloads() -> list[str]:
    return web_corpora.xss_payloads()
