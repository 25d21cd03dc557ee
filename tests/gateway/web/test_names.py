"""Which names and pages may drive the server."""

from __future__ import annotations

import pytest

from gateway.web.names import client_address, host_allowed, networks, origin_allowed
from gateway.web.settings import WebSettings
from tests.fakes.web import house

ALLOWED = frozenset({"chat.example.org", "lan.example:8443"})

GOOD_HOSTS = """
localhost localhost:8080 LOCALHOST:1 127.0.0.1 127.0.0.1:65535 [::1] [::1]:8080
chat.example.org chat.example.org:443 Chat.Example.Org lan.example:8443
""".split()

BAD_HOSTS = [
    "",
    "evil.example",
    "localhost.evil.example",
    "evil.example:8080",
    "127.0.0.1.nip.io",
    "127.0.0.2",
    "2130706433",
    "0.0.0.0",
    "0x7f.1",
    "127.1",
    "[::]",
    "::1",
    "[::ffff:127.0.0.1]",
    "localhost@evil.example",
    "evil.example#localhost",
    "localhost/",
    "localhost:",
    "localhost:8080:8080",
    "localhost:999999",
    "localhost.",
    "xchat.example.org",
    "chat.example.org.evil.example",
    "lan.example",
    "lan.example:443",
    "chat.example.org\tx",
    "chat。example。org",
]


@pytest.mark.parametrize("host", GOOD_HOSTS)
def test_own_names_are_answered(host: str) -> None:
    assert host_allowed(host, ALLOWED)


@pytest.mark.parametrize("host", BAD_HOSTS)
def test_other_names_are_not(host: str) -> None:
    assert not host_allowed(host, ALLOWED)


OTHERS = frozenset({"https://panel.example.org"})

BAD_ORIGINS = [
    "null",
    "",
    "http://evil.example",
    "http://localhost",
    "http://localhost:3000",
    "https://localhost:8080",
    "http://localhost:80801",
    "http://127.0.0.1:8080",
    "http://localhost:8080/",
    "http://localhost:8080.evil.example",
    "http://localhost:8080@evil.example",
    "HTTP://LOCALHOST:8080",
    "file://",
    "chrome-extension://abc",
    "https://panel.example.org.evil.example",
    "http://panel.example.org",
]


@pytest.mark.parametrize("origin", BAD_ORIGINS)
def test_other_pages_may_not_call(origin: str) -> None:
    assert not origin_allowed(origin, scheme="http", host="localhost:8080", allowed=OTHERS)


@pytest.mark.parametrize("origin", ["http://localhost:8080", "https://panel.example.org"])
def test_our_own_page_and_those_listed_may(origin: str) -> None:
    assert origin_allowed(origin, scheme="http", host="localhost:8080", allowed=OTHERS)


@pytest.mark.parametrize(
    "host", [host for host in BAD_HOSTS if host.isascii() and "\t" not in host]
)
async def test_the_server_refuses_a_bad_name_before_anything_else(host: str) -> None:
    async with house() as home:
        headers = {**await home.token(), "Host": host}
        async with home.client.get(home.url + "/api/v1/me", headers=headers) as response:
            assert response.status in (400, 403)


async def test_pages_of_others_are_refused_for_reading_writing_and_sockets() -> None:
    async with house() as home:
        session = await home.session()
        for origin in ("null", "http://evil.example", f"http://localhost:{home.port}"):
            headers = {**session, "Origin": origin}
            tries = [
                home.client.get(home.url + "/api/v1/me", headers=headers),
                home.client.post(home.url + "/api/v1/messages", json={}, headers=headers),
                home.client.get(
                    home.url + "/api/v1/ws",
                    headers={
                        **headers,
                        "Connection": "Upgrade",
                        "Upgrade": "websocket",
                        "Sec-WebSocket-Version": "13",
                        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
                    },
                ),
                home.client.post(home.url + "/api/v1/login", json={}, headers=headers),
            ]
            for attempt in tries:
                async with attempt as response:
                    assert response.status == 403
                    assert (await response.json())["error"]["code"] == "origin"


async def test_a_session_without_an_origin_cannot_write_or_open_a_socket() -> None:
    async with house() as home:
        cookie = {"Cookie": (await home.session())["Cookie"]}
        body = {"conversation": "a", "text": "x"}

        async with home.client.get(home.url + "/api/v1/me", headers=cookie) as response:
            assert response.status == 200
        async with home.client.post(
            home.url + "/api/v1/messages", json=body, headers=cookie
        ) as response:
            assert response.status == 403
        async with home.client.get(home.url + "/api/v1/ws", headers=cookie) as response:
            assert response.status == 403
        assert home.road.taken == []


async def test_a_listed_origin_and_host_work() -> None:
    settings = WebSettings(
        public_url="https://chat.example.org",
        hosts=("lan.example",),
        origins=("https://panel.example.org",),
    )
    async with house(settings=settings) as home:
        for host, origin in (
            ("lan.example", "https://panel.example.org"),
            ("chat.example.org", "https://chat.example.org"),
        ):
            headers = {**await home.token(), "Host": host, "Origin": origin}
            async with home.client.get(home.url + "/api/v1/me", headers=headers) as response:
                assert response.status == 200


def test_forwarded_addresses_count_only_from_trusted_proxies() -> None:
    trusted = networks(("10.0.0.0/8", "::1"))

    assert client_address("192.0.2.7", "127.0.0.1", trusted) == "192.0.2.7"
    assert client_address("10.1.1.1", "203.0.113.5", trusted) == "203.0.113.5"
    assert client_address("10.1.1.1", "127.0.0.1, 203.0.113.5, 10.2.2.2", trusted) == "203.0.113.5"
    assert client_address("10.1.1.1", "garbage", trusted) == "10.1.1.1"
    assert client_address("10.1.1.1", "", trusted) == "10.1.1.1"
    assert client_address("::ffff:10.1.1.1", "203.0.113.5", trusted) == "203.0.113.5"
    assert client_address("::ffff:192.0.2.7", "203.0.113.5", trusted) == "::ffff:192.0.2.7"
