"""A gateway full of canaries: whatever goes wrong, none of them is seen anywhere.

Everything that can fail fails at once: a platform at a wrong address, one that refuses the token,
one that cuts, floods and answers rubbish; engines that are away, refuse the key, repeat it in
their error, redirect, hang. Then everything that anybody can read is searched.
"""

from __future__ import annotations

import base64
import contextlib
import json
import signal
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp

from tests.fakes.engine import FakeEngine
from tests.fakes.ports import free_port
from tests.fakes.telegram import FakeTelegram
from tests.journeys.stage import Moltgate, Said, script, until

CANARIES = {
    "token": "7654321:CANARY-bot-token_0123456789abcdefgh",
    "lost": "7654322:CANARY-lost-token_0123456789abcdefg",
    "refused": "7654323:CANARY-refused-token_0123456789abcd",
    "hook": "CANARY-webhook-secret-0123456789",
    "key": "CANARY/engine+key=0123456789 with'quotes\"",
    "header": "CANARY-header-value-0123456789",
    "away": "CANARY-away-key-0123456789",
}
TRACES = ("Traceback", "site-packages", "/gateway/", "aiohttp/", "Python/", "uvloop")
"""What the inside of a program looks like."""


class Troubled(Moltgate):
    """Its accounts never all come up; that it serves HTTP is enough."""

    async def ready(self) -> bool:
        return await self.http("/healthz") == 200

    def abort(self, role: str) -> None:
        """SIGABRT to the child with this role: the death that leaves the most behind."""
        self.kill(role, signal.SIGABRT)


def settings(folder: Path, telegram: str, engine: str) -> Mapping[str, Any]:
    for name, value in CANARIES.items():
        (folder / name).write_text(value)
        (folder / name).chmod(0o600)

    def secret(name: str) -> str:
        return f"${{file:{folder / name}}}"

    nowhere = f"http://127.0.0.1:{free_port()}"
    quick = {"connect": "1s", "first_token": "1s", "between_tokens": "1s", "total": "3s"}
    return {
        "log": {"level": "debug", "format": "json"},
        "access": {"dm_policy": "open"},
        "turns": {"give_up_after": "3s"},
        "fallback": {"cooldown": "100ms", "cooldown_max": "200ms"},
        "adapters": {
            "telegram": {
                "base_url": telegram,
                "poll_timeout": "1s",
                "accounts": {
                    "main": {"token": secret("token")},
                    "lost": {
                        "token": secret("lost"),
                        "base_url": nowhere,
                        "mode": "webhook",
                        "webhook_secret": secret("hook"),
                    },
                    "refused": {"token": secret("refused")},
                },
            }
        },
        "engines": {
            "home": {
                "url": engine,
                "model": "fake-model",
                "api_key": secret("key"),
                "headers": {"X-Gate": secret("header")},
                "timeouts": quick,
            },
            "away": {"url": f"{nowhere}/v1", "model": "x", "api_key": secret("away")},
        },
    }


TELLTALES: tuple[dict[str, Any], ...] = (
    {"status": 401, "error": f"Incorrect API key provided: {CANARIES['header']}"},
    {"status": 500, "error": f"upstream said Authorization: Bearer {CANARIES['header']}"},
)
"""Servers that repeat what they were sent."""
ENGINE_FAULTS: tuple[dict[str, Any], ...] = (
    {"status": 302, "location": "http://127.0.0.1:9/"},
    {"status": 429, "retry_after": "1"},
    {"refuse": True},
    {"hang": True},
    {"cut_after": 1, "chunks": 3},
    {"stall_after": 1, "chunks": 3},
)
TELEGRAM_FAULTS: tuple[dict[str, Any], ...] = (
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 403, "description": "Forbidden: bot was blocked by the user"},
    {"kind": "status", "status": 400, "description": f"Bad Request: {CANARIES['token']}"},
    {"kind": "flood", "seconds": 1.0},
    {"kind": "cut"},
    {"kind": "cut_after"},
    {"kind": "garbage"},
)


@contextlib.asynccontextmanager
async def troubled(tmp_path: Path) -> AsyncIterator[tuple[Troubled, FakeTelegram, FakeEngine]]:
    secrets, home = tmp_path / "secrets", tmp_path / "home"
    secrets.mkdir(mode=0o700)
    home.mkdir()
    engine = await FakeEngine.start(models=("fake-model",))
    async with FakeTelegram() as telegram:
        telegram.another_bot(CANARIES["token"], "canary_bot")
        moltgate = Troubled(home, free_port())
        moltgate.configure(settings(secrets, telegram.base_url, engine.url))
        try:
            await moltgate.start()
            yield moltgate, telegram, engine
        finally:
            await moltgate.kill_all()
            await engine.stop()


async def provoke_engines(moltgate: Troubled, engine: FakeEngine, token: str) -> None:
    """Each fault in a conversation of its own, and each gets a visible end."""
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(headers=headers) as session:

        async def ask(name: str, text: str) -> None:
            body = {"conversation": name, "text": text}
            async with session.post(f"{moltgate.url}/api/v1/messages", json=body) as response:
                assert response.status == 202

        async def ended(name: str) -> None:
            async def seen() -> bool:
                address = f"{moltgate.url}/api/v1/conversations/{name}/messages"
                async with session.get(address) as response:
                    return len((await response.json())["messages"]) > 1

            await until(seen, f"an answer or a refusal in {name}")

        for number, fault in enumerate(TELLTALES):
            engine.fault(**fault)
            await ask(f"telltale{number}", "hello")
            await ended(f"telltale{number}")
        engine.fault()
        for number, fault in enumerate(ENGINE_FAULTS):
            await ask(f"c{number}", script(**fault))
        for number in range(len(ENGINE_FAULTS)):
            await ended(f"c{number}")


async def provoke_telegram(moltgate: Troubled, telegram: FakeTelegram) -> None:
    bot = telegram.world.bots[CANARIES["token"]]
    for number, fault in enumerate(TELEGRAM_FAULTS):
        for method in ("sendMessage", "getUpdates", "sendChatAction"):
            telegram.fault(method, **fault)
        telegram.world.say(100 + number, 100 + number, f"hello {number}", bot=bot)

        async def taken(bot: Any = bot) -> bool:
            return not bot.updates

        await until(taken, f"the update came through {fault}")


async def provoked_bodies(moltgate: Troubled, token: str) -> list[str]:
    """What fifty bad requests are answered, headers included."""
    bodies: list[str] = []
    good = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession() as session:
        for number in range(50):
            method = ("GET", "POST", "PUT", "DELETE", "OPTIONS")[number % 5]
            path = (
                "/api/v1/messages",
                "/api/v1/conversations/%2e%2e/messages",
                f"/api/v1/files/{'g' * number}?conversation=%00",
                "/webhooks/telegram/lost",
                "/../../etc/passwd",
                f"/api/v1/ws?token={CANARIES['hook']}",
                "/metrics",
                "/api/v1/conversations/a/events?after=-1",
                "/readyz",
                "/" + "x" * 7000,
            )[number // 5]
            headers = {} if number % 2 else good
            wrong = {**headers, "Content-Type": "application/json", "X-Forwarded-For": "::1"}
            data = b"[" * 50_000 if number % 3 else b'{"conversation": 1e999}'
            with contextlib.suppress(aiohttp.ClientError):
                async with session.request(
                    method, f"{moltgate.url}{path}", headers=wrong, data=data
                ) as response:
                    bodies.append(f"{response.headers}\n{await response.text()}")
                    assert response.status != 500, (method, path)
    return bodies


def forms(canary: str) -> Iterable[bytes]:
    yield canary.encode()
    yield quote(canary, safe="").encode()
    yield base64.b64encode(canary.encode()).rstrip(b"=")
    yield json.dumps(canary)[1:-1].encode()


def found(text: bytes, where: str, canaries: Iterable[str]) -> list[str]:
    return [
        f"{canary[:20]}… in {where}"
        for canary in canaries
        if any(form in text for form in forms(canary))
    ]


def said(each: Said) -> bytes:
    return (each.out + each.err).encode()


async def test_no_secret_is_seen_anywhere_whatever_goes_wrong(tmp_path: Path) -> None:
    async with troubled(tmp_path) as (moltgate, telegram, engine):
        made = await moltgate.tells("token", "create", "canary", "--scope", "admin")
        token = made["token"]
        everything = [*CANARIES.values(), token]

        await provoke_engines(moltgate, engine, token)
        await provoke_telegram(moltgate, telegram)
        bodies = await provoked_bodies(moltgate, token)
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session:
            for path in ("/metrics", "/readyz", "/api/v1/me", "/api/v1/conversations"):
                async with session.get(f"{moltgate.url}{path}") as response:
                    bodies.append(await response.text())
            names = [f"telltale{number}" for number in range(len(TELLTALES))]
            names += [f"c{number}" for number in range(len(ENGINE_FAULTS))]
            for name in names:
                path = f"/api/v1/conversations/{name}/messages"
                async with session.get(f"{moltgate.url}{path}") as response:
                    bodies.append(await response.text())
        commands = [
            await moltgate.said(*words)
            for words in (
                ("status",),
                ("status", "--json"),
                ("check",),
                ("check", "--json"),
                ("doctor",),
                ("dead", "list"),
                ("token", "list"),
                ("pair", "list"),
            )
        ]
        for role in ("worker", "gateway"):
            moltgate.abort(role)
        await until(moltgate.ready, "it is back after a crash")
        await moltgate.stop()

        assert moltgate.events("engine_misconfigured")
        assert moltgate.events("account_stopped")
        assert "[redacted]" in moltgate.log.read_text()
        hits = found(moltgate.log.read_bytes(), "the log", everything)
        for body in bodies:
            hits += found(body.encode(), "an HTTP answer", everything)
            hits += [f"{trace} in an HTTP answer" for trace in TRACES if trace in body]
        for command in commands:
            hits += found(said(command), "a command's output", everything)
        for file in (each for each in moltgate.home.rglob("*") if each.is_file()):
            hits += found(file.read_bytes(), str(file.relative_to(moltgate.home)), everything)
        for chat in list(telegram.world.chats):
            for text in telegram.texts(chat):
                hits += found(text.encode(), "a chat", everything)

    assert hits == []
    assert len(bodies) > 50
    assert any("unauthenticated" in body for body in bodies)
    for asked in engine.requests:
        assert not found(json.dumps(asked.body).encode(), "a prompt", everything)
