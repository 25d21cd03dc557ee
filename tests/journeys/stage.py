"""What a journey happens on: `moltgate run` as people start it, beside a fake engine and Telegram.

Everything is a process of its own and everything is asked from outside: by command, by HTTP, by
what stands in a chat.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import yaml

from gateway.process import dies_with_parent
from tests.fakes.engine import EngineProcess
from tests.fakes.ports import free_port
from tests.fakes.telegram import TOKEN, RemoteTelegram

PROGRAM = (sys.executable, "-P", "-m", "gateway")
PATIENCE = 60.0


async def until(
    asked: Callable[[], Awaitable[Any]], what: str = "", seconds: float = PATIENCE
) -> Any:
    """What `asked` gives, once it is true."""
    found: Any = None
    try:
        async with asyncio.timeout(seconds):
            while not (found := await asked()):
                await asyncio.sleep(0.03)
    except TimeoutError:
        raise AssertionError(f"not within {seconds:.0f} s: {what or asked}") from None
    return found


@dataclass(frozen=True)
class Said:
    """What a command left behind."""

    status: int
    out: str
    err: str


def living_children(pid: int) -> Iterator[tuple[psutil.Process, Sequence[str]]]:
    """All that descends from a process, with its command line; what has just ended is left out."""
    for child in psutil.Process(pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            yield child, child.cmdline()


def _at_a_terminal() -> Callable[[], None]:
    """Ctrl-C reaches the child, also where the tests themselves run in the background."""
    arrange = dies_with_parent()

    def prepare() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        if arrange is not None:
            arrange()

    return prepare


class Moltgate:
    """A data folder, the program run on it, and commands about it."""

    def __init__(self, home: Path, port: int) -> None:
        self.home = home
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.file = home / "moltgate.yaml"
        self.log = home / "said"
        self._process: asyncio.subprocess.Process | None = None

    @classmethod
    @contextlib.asynccontextmanager
    async def running(
        cls, home: Path, settings: Mapping[str, Any], *, port: int = 0
    ) -> AsyncIterator[Moltgate]:
        """Started with these settings, every account up."""
        moltgate = cls(home, port or free_port())
        moltgate.configure(settings)
        try:
            await moltgate.start()
            yield moltgate
        finally:
            await moltgate.kill_all()

    def configure(self, settings: Mapping[str, Any]) -> None:
        new = self.file.with_suffix(".new")
        new.write_text(yaml.safe_dump(dict(settings)))
        new.replace(self.file)

    async def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._words("run", "--port", str(self.port)),
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=dies_with_parent(),
            )
        await until(self.ready, "moltgate run is ready")

    async def ready(self) -> bool:
        process = self._process
        assert process is not None
        assert process.returncode is None, self.log.read_text()
        return await self.http("/readyz") == 200

    async def stop(self) -> int:
        """SIGTERM; the exit status."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(15):
            return await self._process.wait()

    async def kill_all(self) -> None:
        """Nothing is left running, whatever happened."""
        if self._process is None:
            return
        if self._process.returncode is None:
            everybody = psutil.Process(self._process.pid).children(recursive=True)
            self._process.kill()
            for one in everybody:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()
        await self._process.wait()

    def kill(self, role: str, number: int = signal.SIGKILL) -> None:
        """kill -9, or another signal, to the child with this role."""
        self._of_role(role)[0].send_signal(number)

    def signal_every(self, role: str, number: int) -> int:
        """To the child with this role and to its own children; how many they were."""
        found = self._of_role(role)
        for one in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.send_signal(number)
        return len(found)

    def _of_role(self, role: str) -> Sequence[psutil.Process]:
        """Parents before their children, whose command lines are the same."""
        assert self._process is not None
        found = [
            child
            for child, words in living_children(self._process.pid)
            if "--home" in words and role in words[words.index("--home") :]
        ]
        assert found, f"no {role} among the children"
        return found

    def events(self, name: str) -> Sequence[Mapping[str, Any]]:
        """Lines of the log with this event, oldest first."""
        lines = [line for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [each for each in map(json.loads, lines) if each.get("event") == name]

    async def happened(self, name: str, times: int = 1) -> Sequence[Mapping[str, Any]]:
        """Waits until the log has so many lines with this event."""

        async def enough() -> Sequence[Mapping[str, Any]]:
            found = self.events(name)
            return found if len(found) >= times else ()

        found: Sequence[Mapping[str, Any]] = await until(enough, f"{name} in the log")
        return found

    async def said(self, *words: str, into: str = "") -> Said:
        """One command line, to its end."""
        process = await self.begins(*words)
        async with asyncio.timeout(60):
            out, err = await process.communicate(into.encode())
        assert process.returncode is not None
        return Said(process.returncode, out.decode(), err.decode())

    async def begins(self, *words: str) -> asyncio.subprocess.Process:
        """One command line, still running."""
        return await asyncio.create_subprocess_exec(
            *self._words(*words),
            env=self._environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            preexec_fn=_at_a_terminal(),
        )

    async def does(self, *words: str, into: str = "") -> str:
        """What a command prints that has to succeed."""
        said = await self.said(*words, into=into)
        assert said.status == 0, f"{words}: {said}"
        return said.out

    async def tells(self, *words: str) -> Any:
        """The JSON document of a command that has to succeed."""
        return json.loads(await self.does(*words, "--json"))

    async def refuses(self, *words: str, status: int = 1) -> str:
        """What a command complains about that has to fail."""
        said = await self.said(*words)
        assert said.status == status, f"{words}: {said}"
        return said.err

    async def http(self, path: str, token: str = "") -> int:
        """Status of a GET; 0 while nobody answers."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"{self.url}{path}", headers=headers) as response,
            ):
                return response.status
        except aiohttp.ClientError:
            return 0

    def _words(self, *words: str) -> tuple[str, ...]:
        return (*PROGRAM, "--home", str(self.home), *words)

    @property
    def _environment(self) -> Mapping[str, str]:
        ours = {"TELEGRAM_TOKEN": TOKEN, "NO_COLOR": "1", "COLUMNS": "200"}
        kept = {name: value for name, value in os.environ.items() if "MOLTGATE" not in name}
        return {**kept, **ours}


class Model:
    """The fake engine: what it was asked, and how it answers."""

    def __init__(self, process: EngineProcess) -> None:
        self._process = process
        self.url = process.url

    @classmethod
    @contextlib.asynccontextmanager
    async def started(cls) -> AsyncIterator[Model]:
        process = await EngineProcess.start()
        try:
            yield cls(process)
        finally:
            await process.stop()

    async def requests(self, containing: str = "") -> Sequence[Mapping[str, Any]]:
        """Those with this text in the last user message, oldest first."""
        every: list[dict[str, Any]] = await self._get("requests")
        return [one for one in every if containing in one["question"]]

    async def stats(self) -> Mapping[str, int]:
        found: dict[str, int] = await self._get("stats")
        return found

    async def _get(self, what: str) -> Any:
        url = f"http://127.0.0.1:{self._process.port}/_fake/{what}"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return await response.json()


class Person:
    """Somebody on Telegram, in one chat: alone with the bot unless told otherwise."""

    def __init__(self, telegram: RemoteTelegram, user: int, chat: int = 0) -> None:
        self.user = user
        self.chat = chat or user
        self._telegram = telegram

    async def says(self, text: str, **more: Any) -> int:
        """The message's native id."""
        update = await self._telegram.say(self.chat, self.user, text, **more)
        message = update.get("message") or update["edited_message"]
        return int(message["message_id"])

    async def sees(self) -> Sequence[Mapping[str, Any]]:
        """The bot's messages as they stand now, oldest first."""
        return [one for one in await self._telegram.seen(self.chat) if one["from_bot"]]

    async def reads(self, text: str, seconds: float = PATIENCE) -> Mapping[str, Any]:
        """Waits for a message of the bot that contains this."""

        async def there() -> Mapping[str, Any] | None:
            return next((one for one in await self.sees() if text in one["text"]), None)

        found: Mapping[str, Any] = await until(there, f"{text!r} in chat {self.chat}", seconds)
        return found

    async def asks(self, text: str, answer: str = "") -> Mapping[str, Any]:
        """Says it and waits for what the engine makes of it."""
        await self.says(text)
        return await self.reads(answer or f"echo: {text}")

    async def taken_in(self) -> None:
        """Telegram was told that everything has arrived."""

        async def nothing_pending() -> bool:
            return (await self._telegram.state())["pending"] == 0

        await until(nothing_pending, "all updates are confirmed")


def script(**fault: Any) -> str:
    """A message that tells the fake engine how to answer it."""
    return f"script: {json.dumps(fault)}"
