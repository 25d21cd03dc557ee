"""Logging in, sessions, tokens, and how fast both stop working."""

from __future__ import annotations

import hashlib
from http.cookies import SimpleCookie

import aiohttp

from gateway.web import auth
from gateway.web.settings import Limits, WebSettings
from tests.fakes.stores import MemoryRecords
from tests.fakes.web import House, house

QUICK = Limits(recheck_seconds=0.02)


async def log_in(
    home: House, code: str, headers: dict[str, str] | None = None
) -> tuple[int, SimpleCookie]:
    given = {"Origin": home.url} if headers is None else headers
    async with home.client.post(
        home.url + "/api/v1/login", json={"code": code}, headers=given
    ) as response:
        return response.status, response.cookies


async def test_a_link_opens_one_session() -> None:
    async with house() as home:
        code = await auth.issue_login(home.records)

        status, cookies = await log_in(home, code)
        again, none = await log_in(home, code)

        assert (status, again, len(none)) == (204, 401, 0)
        (cookie,) = cookies.values()
        assert cookie["httponly"]
        assert cookie["samesite"] == "Strict"
        assert cookie["path"] == "/"
        headers = {"Cookie": f"{cookie.key}={cookie.value}"}
        async with home.client.get(home.url + "/api/v1/me", headers=headers) as response:
            me = await response.json()
        assert me["principal"] == "owner"
        assert me["scopes"] == ["admin", "chat", "metrics"]


async def test_behind_a_trusted_proxy_with_tls_the_cookie_is_bound_to_the_host() -> None:
    settings = WebSettings(trusted_proxies=("127.0.0.1",))
    async with house(settings=settings) as home:
        code = await auth.issue_login(home.records)
        origin = home.url.replace("http", "https")

        status, cookies = await log_in(home, code, {"Origin": origin, "X-Forwarded-Proto": "https"})

        assert status == 204
        assert cookies["__Host-moltgate"]["secure"]
        assert not cookies["__Host-moltgate"]["domain"]


async def test_forwarded_headers_of_strangers_change_nothing() -> None:
    async with house() as home:
        code = await auth.issue_login(home.records)
        lies = {
            "X-Forwarded-Proto": "https",
            "X-Forwarded-For": "127.0.0.1",
            "Forwarded": "for=::1",
        }

        status, cookies = await log_in(home, code, {"Origin": home.url, **lies})

        assert status == 204
        assert list(cookies) == [f"moltgate-{home.port}"]
        async with home.client.get(home.url + "/api/v1/me", headers=lies) as response:
            assert response.status == 401


async def test_a_login_needs_an_origin_and_json() -> None:
    async with house() as home:
        code = await auth.issue_login(home.records)

        assert (await log_in(home, code, {}))[0] == 403
        async with home.client.post(
            home.url + "/api/v1/login", data={"code": code}, headers={"Origin": home.url}
        ) as response:
            assert response.status == 415
        assert (await log_in(home, code))[0] == 204


async def test_a_link_grows_old() -> None:
    records = MemoryRecords(now=lambda: clock[0])
    clock = [1000.0]
    code = await auth.issue_login(records, ttl=60)
    clock[0] += 61

    assert await auth.redeem_login(records, code, ttl=60) is None


async def test_only_hashes_are_kept() -> None:
    records = MemoryRecords()
    code = await auth.issue_login(records)
    _, token = await auth.create_token(records, "ci", ["chat"])
    other = await auth.issue_login(records)
    session = await auth.redeem_login(records, other, ttl=60)
    assert session is not None

    kept = repr([await records.items(table) for table in ("login", "session", "token")])
    for secret in (code, session, token, token.rsplit("_", 1)[1]):
        assert secret not in kept
    assert hashlib.sha256(code.encode()).hexdigest() in kept


async def test_guesses_are_refused_unread_and_a_restart_does_not_help() -> None:
    limits = Limits(guesses=5)
    records = MemoryRecords()
    async with house(limits=limits, records=records) as home:
        code = await auth.issue_login(records)
        statuses = [(await log_in(home, f"guess-{n}"))[0] for n in range(50)]
        assert statuses == [401] * 5 + [429] * 45
        assert (await log_in(home, code))[0] == 429
    async with house(limits=limits, records=records) as home:
        statuses = [(await log_in(home, f"guess-{n}"))[0] for n in range(3)]
        assert statuses == [429] * 3


async def test_wrong_tokens_do_not_lock_the_browser_out() -> None:
    async with house(limits=Limits(guesses=3)) as home:
        wrong = {"Authorization": "Bearer mgt_000000000000_" + "A" * 43}
        statuses = []
        for _ in range(6):
            async with home.client.get(home.url + "/api/v1/me", headers=wrong) as response:
                statuses.append(response.status)
        assert statuses == [401] * 3 + [429] * 3
        async with home.client.get(
            home.url + "/api/v1/me", headers=await home.session()
        ) as response:
            assert response.status == 200


async def test_logging_out_ends_the_session_and_its_sockets() -> None:
    async with house() as home:
        session, other = await home.session(), await home.session()
        async with (
            home.client.ws_connect(home.url + "/api/v1/ws", headers=session) as mine,
            home.client.ws_connect(home.url + "/api/v1/ws", headers=other) as theirs,
        ):
            async with home.client.post(home.url + "/api/v1/logout", headers=session) as response:
                assert response.status == 204
            assert (await mine.receive()).type is aiohttp.WSMsgType.CLOSE
            assert mine.close_code == 4401
            await theirs.send_json({"type": "hello", "conversation": "a"})
            assert (await theirs.receive_json())["type"] == "ready"
        async with home.client.get(home.url + "/api/v1/me", headers=session) as response:
            assert response.status == 401


async def test_revoking_a_token_ends_its_sockets_and_streams() -> None:
    async with house(limits=QUICK) as home:
        identity, secret = await auth.create_token(home.records, "ci", ["chat"])
        headers = {"Authorization": f"Bearer {secret}"}
        async with (
            home.client.ws_connect(home.url + "/api/v1/ws", headers=headers) as ws,
            home.client.get(home.url + "/api/v1/conversations/a/events", headers=headers) as stream,
        ):
            assert await auth.revoke_token(home.records, identity)
            assert (await ws.receive()).type is aiohttp.WSMsgType.CLOSE
            assert await stream.content.read() == b"retry: 1000\n\n"
        async with home.client.get(home.url + "/api/v1/me", headers=headers) as response:
            assert response.status == 401


async def test_a_store_that_is_away_for_a_moment_ends_no_stream() -> None:
    async with house(limits=QUICK) as home:
        headers = await home.token()
        async with home.client.ws_connect(home.url + "/api/v1/ws", headers=headers) as ws:
            await ws.send_json({"type": "hello", "conversation": "a"})
            assert (await ws.receive_json())["type"] == "ready"
            home.records.down = True
            async with home.client.get(home.url + "/api/v1/me", headers=headers) as response:
                assert response.status == 503
                assert int(response.headers["Retry-After"]) >= 1
            home.records.down = False
            await ws.send_json({"type": "send", "id": "1", "conversation": "a", "text": "hi"})
            assert (await ws.receive_json())["type"] in ("ack", "entry")


async def test_tokens_are_listed_without_their_secrets_and_expire() -> None:
    clock = [1000.0]
    records = MemoryRecords(now=lambda: clock[0])
    identity, secret = await auth.create_token(records, "ci", ["metrics"], ttl=60)

    (listed,) = await auth.list_tokens(records)
    assert (listed.id, listed.name, listed.scopes) == (identity, "ci", ("metrics",))
    assert await auth.find_token(records, secret) is not None
    clock[0] += 61
    assert await auth.find_token(records, secret) is None
    assert not await auth.revoke_token(records, identity)


async def test_all_browsers_can_be_logged_out_at_once() -> None:
    async with house() as home:
        sessions = [await home.session() for _ in range(3)]

        assert await auth.end_sessions(home.records) == 3

        for session in sessions:
            async with home.client.get(home.url + "/api/v1/me", headers=session) as response:
                assert response.status == 401
