"""A conversation in the terminal, over the HTTP API: one stream of events, one line at a time."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import sys
import threading
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp

from gateway.cli.place import Place
from gateway.cli.show import hint, say
from gateway.errors import Failed
from gateway.logs import printable

if TYPE_CHECKING:
    from gateway.settings import Settings

PATIENCE = 15.0
"""Seconds a gateway may take to start anew."""


async def converse(here: Place, message: str, conversation: str, url: str, token: str) -> bool:
    """One message and its answer, or a dialogue. Whether everything was answered."""
    async with _access(here, url, token) as (base, bearer):
        headers = {"Authorization": f"Bearer {bearer}"}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)
        async with aiohttp.ClientSession(base, headers=headers, timeout=timeout) as session:
            talk = _Talk(session, base, conversation)
            if message:
                return await talk.ask(message)
            hint("Talk to the model; /help shows commands, Ctrl-D ends.")
            lines = _Lines()
            while (line := await lines.next()) is not None:
                if line.strip() and not await talk.ask(line):
                    return False
            return True


@asynccontextmanager
async def _access(here: Place, url: str, token: str) -> AsyncIterator[tuple[str, str]]:
    """Address and token; without one, a token of its own that goes with the conversation."""
    from gateway.queues import owner
    from gateway.web import auth

    def here_at(settings: Settings) -> str:
        running = owner.running(settings.home)  # it may have been started with another --port
        return (running.http if running else "") or settings.http_url

    if token:
        yield url or here_at(here.settings_in_use()), token
        return
    async with here.store() as (settings, store):
        base, records = here_at(settings), store.records
        identity, secret = await auth.create_token(records, "moltgate chat", ("chat",), ttl=86400)
        try:
            yield base, secret
        finally:
            await auth.revoke_token(records, identity)


class _Lines:
    """What is typed. Read by a thread that nobody waits for, so that Ctrl-C ends a chat at once."""

    def __init__(self) -> None:
        self._left = b""

    async def next(self) -> str | None:
        """None at the end of input."""
        if sys.stdin.isatty():
            sys.stdout.write("> ")
            sys.stdout.flush()
        loop = asyncio.get_running_loop()
        typed: asyncio.Future[str | None] = loop.create_future()

        def tell(line: str | None) -> None:
            if not typed.done():
                typed.set_result(line)

        def read() -> None:
            line = self._read()
            with contextlib.suppress(RuntimeError):  # the chat has ended meanwhile
                loop.call_soon_threadsafe(tell, line)

        threading.Thread(target=read, daemon=True).start()
        return await typed

    def _read(self) -> str | None:
        # Not by sys.stdin: its lock, held by this thread, would spoil the end of the program.
        while b"\n" not in self._left:
            more = os.read(sys.stdin.fileno(), 65536)
            if not more:
                break
            self._left += more
        line, newline, self._left = self._left.partition(b"\n")
        return line.decode(errors="replace") if line or newline else None


@dataclass
class _Talk:
    session: aiohttp.ClientSession
    base: str
    conversation: str

    async def ask(self, text: str) -> bool:
        """Send, and show the answer as it grows. False when the gateway refused the message.

        A gateway that starts anew meanwhile is waited for: the id keeps the message from being
        taken twice, the number of the last event from being shown twice.
        """
        body = {"conversation": self.conversation, "text": text, "id": secrets.token_hex(8)}
        after, screen = 0, _Screen()
        silent_since = time.monotonic()
        while True:
            try:
                if not after:
                    after = await self._send(body)
                async for name, data in self._events_after(after):
                    silent_since = time.monotonic()
                    if name == "partial":
                        screen.grow(str(data.get("text", "")))
                    elif name == "message":
                        after = int(data["seq"])
                        if _ends_answer(data["event"], screen):
                            return bool(data["event"].get("kind") != "refusal")
            except aiohttp.ClientConnectionError as problem:
                if time.monotonic() - silent_since > PATIENCE:
                    raise Failed(
                        f"no gateway answers at {self.base}; moltgate status shows what runs"
                    ) from problem
                await asyncio.sleep(0.3)
            except TimeoutError:
                raise Failed("the gateway has gone silent; see moltgate doctor") from None
            except (aiohttp.ClientError, json.JSONDecodeError) as problem:
                raise Failed(f"what answers at {self.base} is no Moltgate: {problem}") from problem

    async def _send(self, body: Mapping[str, str]) -> int:
        """Number of the message among the conversation's events."""
        async with self.session.post("/api/v1/messages", json=body) as response:
            taken = await _json(response)
            if response.status != 202:
                raise Failed(f"not taken: {_reason(taken, response)}")
        return int(taken["seq"])

    async def _events_after(self, after: int) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """The server ends a stream now and then; it is resumed where it ended."""
        path = f"/api/v1/conversations/{self.conversation}/events"
        async with self.session.get(path, params={"after": str(after)}) as response:
            if response.status != 200:
                raise Failed(f"not shown: {_reason(await _json(response), response)}")
            async for each in _events(response):
                yield each


def _ends_answer(event: Mapping[str, Any], screen: _Screen) -> bool:
    """Show one message; whether it was the last part of the answer."""
    if event.get("role") != "assistant":
        return False
    screen.final(str(event.get("text", "")))
    return bool(event.get("part", 0) + 1 >= event.get("parts", 1))


class _Screen:
    """Shows growing text on a terminal; only what is final elsewhere."""

    def __init__(self) -> None:
        self._live = sys.stdout.isatty()
        self._shown = ""

    def grow(self, text: str) -> None:
        clean = printable(text, lines=True)
        if self._live and clean.startswith(self._shown):
            self._write(clean[len(self._shown) :])
            self._shown = clean

    def final(self, text: str) -> None:
        clean = printable(text, lines=True)
        if clean.startswith(self._shown):
            self._write(clean[len(self._shown) :] + "\n")
        else:
            say()
            self._write(clean + "\n")
        self._shown = ""

    @staticmethod
    def _write(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


async def _events(response: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    name, data = "message", ""
    async for raw in response.content:
        line = raw.decode().rstrip("\r\n")
        if not line:
            if data:
                yield name, json.loads(data)
            name, data = "message", ""
        elif line.startswith("event:"):
            name = line[6:].strip()
        elif line.startswith("data:"):
            data += line[5:].strip()


async def _json(response: aiohttp.ClientResponse) -> dict[str, Any]:
    try:
        found = await response.json(content_type=None)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _reason(body: dict[str, Any], response: aiohttp.ClientResponse) -> str:
    error = body.get("error")
    said = error.get("message") if isinstance(error, dict) else response.reason
    return f"{response.status} {printable(str(said))}"
