"""The HTTP server on a free port, with stores in memory and a brain that a test plays itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

from adapters.web.adapter import WebAdapter
from adapters.web.config import WebChatConfig
from gateway.errors import GatewayError, Refused
from gateway.message import Account, Attachment, Button, Inbound, Outbound, reply_id
from gateway.ports import Accepted, HasWebhook, Live, Prepare, Show
from gateway.web import auth
from gateway.web.deps import OK, WebDeps
from gateway.web.server import build_app, serve
from gateway.web.settings import Limits, WebSettings
from tests.fakes.services import services
from tests.fakes.stores import MemoryBlobs, MemoryLog, MemoryRecords

ACCOUNT = Account(kind="web")

Brain = Callable[[Inbound, "FakeRoad"], Awaitable[None]]


async def echo(event: Inbound, road: FakeRoad) -> None:
    await road.answer(event, f"You said: {event.text}")


class FakeRoad:
    """An inbox that answers through the adapter; `failure` is raised instead, once set."""

    def __init__(self, brain: Brain) -> None:
        self.brain = brain
        self.adapter: WebAdapter
        self.taken: list[Inbound] = []
        self.failure: GatewayError | None = None
        self.outcome: str = "stored"
        self.tasks = asyncio.TaskGroup()
        self._thinking: set[asyncio.Task[None]] = set()

    async def accept(
        self, event: Inbound, prepare: Prepare | None = None, show: Show | None = None
    ) -> Accepted:
        if isinstance(self.failure, Refused):
            raise self.failure
        if show is not None:
            await show(event)
        if self.failure is not None:
            raise self.failure
        if any(event.id == each.id for each in self.taken):
            return Accepted(outcome="duplicate", id=event.id)
        self.taken.append(event)
        thinking = self.tasks.create_task(self.brain(event, self))
        self._thinking.add(thinking)
        thinking.add_done_callback(self._thinking.discard)
        return Accepted(outcome=self.outcome, id=event.id)  # type: ignore[arg-type]

    async def settled(self) -> None:
        """Wait until everything that was taken is answered."""
        await until(lambda: not self._thinking)

    def hang_up(self) -> None:
        """Think no more."""
        for thinking in self._thinking:
            thinking.cancel()

    async def grow(self, event: Inbound, text: str, *, fence: int = 1) -> None:
        """Partial text of the reply to an event."""
        await self.adapter.partial(self._live(event, "text", text, fence))

    async def begin(self, event: Inbound) -> None:
        await self.adapter.partial(self._live(event, "started", "", 1))

    async def answer(
        self,
        event: Inbound,
        text: str,
        *,
        part: int = 0,
        parts: int = 1,
        files: tuple[Attachment, ...] = (),
        buttons: tuple[tuple[Button, ...], ...] = (),
    ) -> None:
        await self.adapter.send(
            Outbound(
                reply=reply_id(event.id),
                conversation=event.conversation,
                account=event.account,
                place=event.place,
                part=part,
                parts=parts,
                text=text,
                files=files,
                buttons=buttons,
                reply_to=event.native_id,
            )
        )

    def _live(self, event: Inbound, kind: str, text: str, fence: int) -> Live:
        return Live(
            conversation=event.conversation,
            account=event.account,
            place=event.place,
            reply=reply_id(event.id),
            kind=kind,  # type: ignore[arg-type]
            text=text,
            reply_to=event.native_id,
            fence=fence,
        )


class House:
    """A running server. `client` sends what it is told and follows no rules of its own."""

    def __init__(self, brain: Brain, records: MemoryRecords) -> None:
        self.records = records
        self.log = MemoryLog()
        self.blobs = MemoryBlobs()
        self.road = FakeRoad(brain)
        self.checks: dict[str, str] = {"store": OK}
        self.port = 0
        self.deps: WebDeps
        self.app: web.Application
        self.client: aiohttp.ClientSession

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def token(self, *scopes: auth.Scope, name: str = "test") -> dict[str, str]:
        """Headers of a program with a new token."""
        _, secret = await auth.create_token(self.records, name, scopes or ("chat",))
        return {"Authorization": f"Bearer {secret}"}

    async def session(self) -> dict[str, str]:
        """Headers of a browser that is logged in."""
        code = await auth.issue_login(self.records)
        secret = await auth.redeem_login(self.records, code, ttl=3600)
        return {"Cookie": f"moltgate-{self.port}={secret}", "Origin": self.url}

    async def ready(self) -> Mapping[str, str]:
        return self.checks

    async def metrics(self) -> bytes:
        return b"moltgate_up 1\n"


@asynccontextmanager
async def house(
    brain: Brain = echo,
    *,
    limits: Limits | None = None,
    settings: WebSettings | None = None,
    webhooks: Mapping[str, HasWebhook] | None = None,
    chat: bool = True,
    records: MemoryRecords | None = None,
) -> AsyncIterator[House]:
    home = House(brain, records or MemoryRecords())
    given = services(ACCOUNT, blobs=home.blobs, log=home.log)
    adapter = WebAdapter(ACCOUNT, WebChatConfig(), given)
    home.road.adapter = adapter
    deps = WebDeps(
        records=home.records,
        blobs=home.blobs,
        chat=adapter if chat else None,
        ready=home.ready,
        metrics=home.metrics,
        webhooks=webhooks or {},
        settings=settings or WebSettings(limits=limits or Limits()),
    )
    home.deps, home.app = deps, build_app(deps)
    async with (
        home.road.tasks as tasks,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as client,
        serve(home.app, "127.0.0.1", 0) as port,
    ):
        home.client, home.port = client, port
        running = tasks.create_task(adapter.run(home.road))
        await until(lambda: home.log.watchers > 0)
        yield home
        running.cancel()
        home.road.hang_up()


async def until(condition: Callable[[], bool], *, seconds: float = 30.0) -> None:
    """Wait for something to become true."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)
