"""A reverse proxy that the configuration does not name is spoken of, and trusted none the more."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from gateway.web.forwarded import EVERY, MOST, Unnamed
from gateway.web.settings import WebSettings
from tests.fakes.web import house

FORWARDED = {"X-Forwarded-For": "203.0.113.5"}


@pytest.mark.parametrize(("trusted", "lines"), [((), 1), (("127.0.0.0/8",), 0)])
async def test_a_proxy_that_is_not_named_is_told_once_with_what_to_add(
    trusted: tuple[str, ...], lines: int
) -> None:
    async with house(settings=WebSettings(trusted_proxies=trusted)) as home:
        with capture_logs() as said:
            for path in ("/readyz", "/api/v1/me", "/api/v1/me"):
                async with home.client.get(home.url + path, headers=FORWARDED) as response:
                    await response.read()
            async with home.client.get(home.url + "/readyz") as response:
                await response.read()

    told = [each for each in said if each["event"] == "forwarded_by_untrusted_peer"]
    assert len(told) == lines
    for each in told:
        assert each["log_level"] == "warning"
        assert each["peer"] == "127.0.0.1"
        assert "add it to http.trusted_proxies" in each["advice"]


def test_each_peer_is_told_once_an_hour() -> None:
    clock = [0.0]
    unnamed = Unnamed(now=lambda: clock[0])
    with capture_logs() as said:
        for peer in ("172.17.0.1", "::ffff:172.17.0.1", "172.17.0.2", "172.17.0.1", ""):
            unnamed.note(peer)
        clock[0] = EVERY - 1
        unnamed.note("172.17.0.1")
        clock[0] = EVERY
        unnamed.note("172.17.0.1")

    assert [each["peer"] for each in said] == ["172.17.0.1", "172.17.0.2", "172.17.0.1"]


def test_strangers_who_make_the_header_up_do_not_fill_the_log() -> None:
    unnamed = Unnamed(now=lambda: 0.0)
    with capture_logs() as said:
        for number in range(1000):
            unnamed.note(f"2001:db8::{number:x}")

    assert len(said) == MOST
