"""A whole Moltgate as processes: Redis, gateways, workers, a fake engine, a fake Telegram.

`System.started` brings one up in a folder of its own; `judged` waits until all is settled and
hands the history to the checker.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from gateway.errors import GatewayError
from gateway.message import Account
from gateway.queues.ledger import Depths, Ledger
from gateway.settings import load
from gateway.storage import OpenStore, open_store
from gateway.web import auth
from tests.fakes.ports import free_port
from tests.faults import programs
from tests.faults.chats import Chat, WebChat
from tests.faults.checker import History, Listed, Verdict, judge
from tests.faults.programs import Program
from tests.faults.telegram import TOKEN, TelegramChat

NOTICES = ("I could not answer this.",)
"""Beginnings of texts that the gateway says of its own accord."""


class System:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs: dict[str, Program] = {}
        self.ports: dict[str, int] = {}
        self.engine_port = free_port()
        self.telegram_port = 0
        self._own_redis = True
        self.web: WebChat
        self.telegram: TelegramChat
        self.opened: OpenStore
        self.session: aiohttp.ClientSession
        self.chats: list[Chat] = []

    @classmethod
    @contextlib.asynccontextmanager
    async def started(
        cls,
        *,
        gateways: int = 1,
        workers: int = 1,
        telegram: bool = False,
        engine: Sequence[str] = (),
        redis: Sequence[str] = (),
        settings: Mapping[str, Any] | None = None,
        roles: bool = True,
    ) -> AsyncIterator[System]:
        """`engine` and `redis` are further arguments of theirs, `settings` sections of the file.

        Without `roles` neither gateway nor worker is started: `launch` them.
        """
        folder = Path(tempfile.mkdtemp(prefix="mgf-"))
        system = cls(folder)
        try:
            async with contextlib.AsyncExitStack() as stack:
                stack.push_async_callback(system._stop)
                system.session = await stack.enter_async_context(
                    aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
                )
                await system._start_fakes(telegram, engine, redis)
                system.configure(**(settings or {}))
                await system._open(stack)
                if roles:
                    names = [f"worker-{number}" for number in range(1, workers + 1)]
                    names += [f"gateway-{number}" for number in range(1, gateways + 1)]
                    await asyncio.gather(*map(system.launch, names))
                    await system.up()
                yield system
        finally:
            system._keep_logs()
            shutil.rmtree(folder, ignore_errors=True)

    @classmethod
    @contextlib.asynccontextmanager
    async def supervised(cls) -> AsyncIterator[System]:
        """The same by ``moltgate run``, with its private Redis; without Telegram."""
        folder = Path(tempfile.mkdtemp(prefix="mgf-"))
        system = cls(folder)
        system._own_redis = False
        try:
            async with contextlib.AsyncExitStack() as stack:
                stack.push_async_callback(system._stop)
                system.session = await stack.enter_async_context(aiohttp.ClientSession())
                await system.add(programs.fake("engine", folder, system.engine_port))
                system.configure()
                port = free_port()
                system.ports["run"] = port
                await system.add(programs.role("run", folder, "--port", str(port)))
                await system.up()
                await system._open(stack)
                system.web.urls.append(f"http://127.0.0.1:{port}")
                yield system
        finally:
            system._keep_logs()
            shutil.rmtree(folder, ignore_errors=True)

    # --- processes --------------------------------------------------------------------------

    async def add(self, *added: Program) -> None:
        for program in added:
            self.programs[program.name] = program
            await program.start()

    async def launch(self, name: str, *arguments: str) -> Program:
        """Start ``gateway-1`` or ``worker-2``; it is kept running."""
        if name.startswith("gateway"):
            port = free_port()
            self.ports[name] = port
            self.web.urls.append(f"http://127.0.0.1:{port}")
            arguments = ("--port", str(port), *arguments)
        program = programs.role(name, self.folder, *arguments)
        await self.add(program)
        return program

    def program(self, name: str) -> Program:
        return self.programs[name]

    async def up(self, seconds: float = 120.0) -> float:
        """Wait until the gateways answer; the moment, by `time.monotonic`."""
        await until(self._answers, seconds)
        return time.monotonic()

    async def connected(self, seconds: float = 120.0) -> float:
        """Wait until every account is up, too."""
        await until(self._ready, seconds)
        return time.monotonic()

    async def complete(self, seconds: float = 120.0) -> None:
        """Wait until every process works, those in reserve, too."""
        await self.connected(seconds)
        workers = [one for name, one in self.programs.items() if name.startswith("worker")]

        async def working() -> bool:
            return all(one.log.count('"worker_started"') >= len(one.starts) for one in workers)

        await until(working, seconds)

    def arm(self, kind: str, line: str) -> None:
        """Arm a fail point of all processes of a kind: ``gateway`` or ``worker``."""
        file = self.folder / f"{kind}.point"
        (self.folder / "point").write_text(line)
        (self.folder / "point").rename(file)

    async def fired(self, kind: str, seconds: float = 60.0) -> float:
        """Wait until the armed point was reached; the moment, by `time.monotonic`."""
        file = self.folder / f"{kind}.point"

        async def gone() -> bool:
            return not file.exists()

        await until(gone, seconds, pause=0.005)
        return time.monotonic()

    def disarm(self, kind: str) -> None:
        (self.folder / f"{kind}.point").unlink(missing_ok=True)

    async def engine(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Ask or tell the fake engine (see its module)."""
        url = f"http://127.0.0.1:{self.engine_port}/_fake/{path}"
        method = "GET" if body is None else "POST"
        async with self.session.request(method, url, json=body) as response:
            return await response.json() if response.content_type.endswith("json") else None

    async def redis(self, *command: str | int) -> Any:
        """A command of an operator's, on the store itself."""
        store = self.opened.store
        return await store.call(store.partitions[0], *command)

    async def fill(self) -> None:
        """No room for another byte, however many are freed meanwhile."""
        info = (await self.redis("INFO", "memory")).decode()
        used = next(line for line in info.splitlines() if line.startswith("used_memory:"))
        await self.redis("CONFIG", "SET", "maxmemory", int(used.split(":")[1]) // 2)

    async def empty(self) -> None:
        await self.redis("CONFIG", "SET", "maxmemory", 0)

    # --- what happened ----------------------------------------------------------------------

    async def ledger(self) -> Ledger:
        return await self.opened.ledger()

    async def depths(self) -> Depths:
        accounts = [Account(kind=chat.name) for chat in self.chats]
        return await self.opened.depths(accounts)

    async def settle(self, seconds: float = 60.0) -> None:
        """Wait until nothing waits, runs, is to be fetched or to be sent."""

        async def quiet() -> bool:
            try:
                ledger, depths = await self.ledger(), await self.depths()
            except GatewayError:
                return False
            if ledger.waiting or depths.leased or any(depths.outbox.values()):
                return False
            return not any([await chat.pending() for chat in self.chats])

        try:
            await until(quiet, seconds)
        except TimeoutError:
            state = f"{await self.ledger()} {await self.depths()}"
            raise AssertionError(f"not settled after {seconds:.0f} s: {state}") from None

    async def judged(self, seconds: float = 60.0) -> Verdict:
        """Settle, then have everything judged that happened so far."""
        await self.settle(seconds)
        return judge(await self.history(), notices=NOTICES)

    async def history(self) -> History:
        sent = [one for chat in self.chats for one in await chat.sent()]
        shown = [one for chat in self.chats for one in await chat.shown()]
        letters = await self.opened.dead.list(limit=100_000)
        ledger = await self.ledger()
        return History(
            sent=sent,
            shown=shown,
            prompts=self.prompts(),
            listed=[Listed(kind=one.kind, text=one.body.decode()) for one in letters],
            ledger={
                **{name: getattr(ledger, name) for name in ledger.__slots__},
                "difference": ledger.difference,
            },
        )

    def prompts(self) -> list[str]:
        """Everything the engine was asked, one text for each request."""
        lines = (self.folder / "engine.jsonl").read_text().splitlines()
        return [
            "\n".join(str(message["content"]) for message in json.loads(line)["messages"])
            for line in lines
        ]

    def questions(self) -> list[str]:
        """The last user message of each request."""
        lines = (self.folder / "engine.jsonl").read_text().splitlines()
        return [str(json.loads(line)["question"]) for line in lines]

    # --- starting and stopping ----------------------------------------------------------------

    async def _start_fakes(
        self, telegram: bool, engine: Sequence[str], redis: Sequence[str]
    ) -> None:
        await self.add(
            programs.redis(self.folder, *redis),
            programs.fake("engine", self.folder, self.engine_port, *engine),
        )
        if telegram:
            self.telegram_port = free_port()
            await self.add(programs.fake("telegram", self.folder, self.telegram_port))
            self.telegram = TelegramChat(self.telegram_port, self.session)
            await until(self.telegram.there, 60.0)
            self.chats.append(self.telegram)

    def configure(self, **settings: Any) -> None:
        """Write the file; `settings` are sections of it, over the usual ones."""
        telegram = {
            "token": TOKEN,
            "base_url": f"http://127.0.0.1:{self.telegram_port}",
            "poll_timeout": 2,
            "rate": {"overall": 0, "group": 0, "direct": 0},  # the fake has none
        }
        whole: dict[str, Any] = {
            "redis": {"url": f"unix://{self.folder}/redis.sock"} if self._own_redis else {},
            "log": {"format": "json"},
            "access": {"dm_policy": "open", "per_sender": 0, "per_chat": 0},
            "engines": {"fake": {"url": f"http://127.0.0.1:{self.engine_port}/v1"}},
            "adapters": {"telegram": telegram} if self.telegram_port else {},
        }
        for name, section in settings.items():
            whole[name] = {**whole.get(name, {}), **section}
        (self.folder / "moltgate.yaml").write_text(yaml.safe_dump(whole))

    async def _open(self, stack: contextlib.AsyncExitStack) -> None:
        self.opened = await stack.enter_async_context(open_store(load(self.folder)))

        async def there() -> bool:
            try:
                await self.ledger()
            except GatewayError:
                return False
            return True

        await until(there, 60.0)
        _, bearer = await auth.create_token(self.opened.records, "faults", ("chat", "admin"))
        self.web = WebChat([], bearer, self.session)
        self.chats.append(self.web)

    async def _answers(self) -> bool:
        return all([await self._get(port, "/healthz") == 200 for port in self.ports.values()])

    async def _ready(self) -> bool:
        return all([await self._get(port, "/readyz") == 200 for port in self.ports.values()])

    async def _get(self, port: int, path: str) -> int:
        url = f"http://127.0.0.1:{port}{path}"
        try:
            async with self.session.get(url, timeout=aiohttp.ClientTimeout(total=5)) as response:
                return response.status
        except (aiohttp.ClientError, TimeoutError):
            return 0

    async def _stop(self) -> None:
        """Roles first, then what they lean on."""
        order = sorted(self.programs.values(), key=lambda one: one.name in {"redis", "engine"})
        for program in order:
            program.kept = False
        await asyncio.gather(*(program.stop(3.0) for program in order))

    def _keep_logs(self) -> None:
        kept = os.environ.get("MOLTGATE_FAULT_LOGS")
        if kept:
            shutil.copytree(
                self.folder,
                Path(kept) / self.folder.name,
                ignore=shutil.ignore_patterns("*.sock"),
                dirs_exist_ok=True,
            )


async def until(true: Callable[[], Any], seconds: float, *, pause: float = 0.05) -> None:
    """Wait for a condition that is asked for again and again."""
    async with asyncio.timeout(seconds):
        while not await true():
            await asyncio.sleep(pause)
