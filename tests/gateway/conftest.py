"""A road in one process: real Redis, a platform in memory, an engine by script."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec
import pytest

from gateway.clock import SystemClock
from gateway.delivery import Delivery, DeliveryConfig
from gateway.drafts import Drafts
from gateway.errors import GatewayError, Unavailable
from gateway.heard import Heard
from gateway.message import ConversationId, Inbound, Turn
from gateway.metrics import Metrics
from gateway.ports import (
    Capabilities,
    ChatMessage,
    EngineEvent,
    Enricher,
    Finished,
    LanePolicy,
    Lease,
    Live,
    Prompt,
    Restarted,
    Session,
    Text,
)
from gateway.queues.accounts import Owners
from gateway.queues.channels import listen
from gateway.queues.claims import Claims
from gateway.queues.lanes import RedisLanes
from gateway.queues.ledger import Ledger, read_ledger
from gateway.queues.outbox import Outbox
from gateway.queues.topology import Store
from gateway.turn import Channel, Speech, TurnConfig, Turns
from gateway.turn import Prompts as PromptsPort
from gateway.worker import Worker
from multimodal.pipeline import NoReaders
from tests.fakes.platform import PLAIN, FakePlatform, PlainAdapter, split

Step = str | GatewayError | Exception | asyncio.Event | Restarted


class ScriptedEngine:
    """Plays one script per request; without a script it echoes."""

    def __init__(self) -> None:
        self.scripts: list[Sequence[Step]] = []
        self.asked: list[Prompt] = []
        self.closed = 0
        self.broken_by = ""
        """Requests with this in their last message fail, as by a server that answers 500."""

    async def generate(self, prompt: Prompt) -> AsyncIterator[EngineEvent]:
        self.asked.append(prompt)
        if self.broken_by and self.broken_by in prompt.messages[-1].content:
            raise Unavailable("500", after=0.01)
        script = self.scripts.pop(0) if self.scripts else [f"echo {prompt.messages[-1].content}"]
        try:
            for step in script:
                if isinstance(step, asyncio.Event):
                    await step.wait()
                elif isinstance(step, Exception):
                    raise step
                elif isinstance(step, Restarted):
                    yield step
                else:
                    yield Text(step)
            yield Finished(reason="stop", engine="scripted")
        finally:
            self.closed += 1

    async def close(self) -> None:
        return None


class PlainPrompts:
    def expired(self, session: Session, now: float) -> bool:
        return False

    def build(
        self, messages: Sequence[Inbound], history: Sequence[Turn], session: Session
    ) -> Prompt:
        past = [ChatMessage(role=turn.role, content=turn.text) for turn in history]
        text = "+".join(message.text for message in messages)
        return Prompt(messages=[*past, ChatMessage(role="user", content=text)])

    def turns(self, messages: Sequence[Inbound], answer: str, now: float) -> Sequence[Turn]:
        said = tuple(Turn(role="user", text=message.text) for message in messages)
        return (*said, Turn(role="assistant", text=answer)) if answer else said


@dataclass
class Road:
    store: Store
    engine: ScriptedEngine
    platform: FakePlatform
    lanes: RedisLanes
    policy: LanePolicy = field(default_factory=lambda: LanePolicy(mode="each"))
    capabilities: Capabilities = PLAIN
    adapter: type[PlainAdapter] = PlainAdapter
    config: TurnConfig = field(default_factory=TurnConfig)
    delivery_config: DeliveryConfig = field(default_factory=lambda: DeliveryConfig())
    metrics: Metrics = field(default_factory=Metrics)
    enricher: Enricher = field(default_factory=NoReaders)
    prompts: PromptsPort = field(default_factory=lambda: PlainPrompts())
    heard: Heard | None = None
    speech: Speech | None = None

    async def put(self, event: Inbound) -> str:
        stamped = msgspec.structs.replace(event, received_at=time.time())
        return await self.lanes.put(stamped, self.policy)

    async def ledger(self) -> Ledger:
        return await read_ledger(self.store)

    async def until(self, true: Callable[[], bool], seconds: float = 30.0) -> None:
        async with asyncio.timeout(seconds):
            while not true():
                await asyncio.sleep(0.01)

    async def settled(self, **expected: int) -> None:
        """Wait until the ledger says so."""
        try:
            async with asyncio.timeout(30):
                while True:
                    ledger = await self.ledger()
                    assert ledger.difference == 0
                    if all(getattr(ledger, name) == value for name, value in expected.items()):
                        return
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"{await self.ledger()} is not {expected}") from None

    @asynccontextmanager
    async def working(self, claims: Claims | None = None) -> AsyncIterator[Worker]:
        """A worker process's worth of work."""

        async def publish(live: Live) -> None:
            await self.store.call(
                self.store.partitions[0],
                "PUBLISH",
                f"{self.store.namespace}:live",
                msgspec.json.encode(live),
            )

        async def reset(lease: Lease) -> None:
            await self.lanes.reset(lease.conversation)

        turns = Turns(
            self.engine,
            self.enricher,
            self.prompts,
            {"fake": Channel(capabilities=self.capabilities, split=split)},
            publish,
            reset,
            self.lanes.promote,
            SystemClock(),
            self.config,
            self.metrics,
            heard=self.heard,
            speech=self.speech,
        )
        wakes = listen(self.store.address, [f"{one}:wake" for one in self.store.partitions])
        worker = Worker(claims or Claims(self.store), turns, wakes, concurrency=50)
        task = asyncio.create_task(worker.run())
        try:
            yield worker
        finally:
            await worker.drain(0.5)
            task.cancel()
            await asyncio.wait([task])

    @asynccontextmanager
    async def sending(self) -> AsyncIterator[PlainAdapter]:
        """A gateway process's worth of delivery."""
        adapter = self.adapter(self.platform)
        owners = Owners(self.store, lease_seconds=1.0)
        own, holder = await owners.acquire(adapter.account)
        assert own is not None, holder
        outbox = Outbox(self.store)
        drafts = Drafts(own, adapter, self.capabilities, outbox, split)
        delivery = Delivery(
            own,
            adapter,
            self.capabilities,
            outbox,
            drafts,
            SystemClock(),
            self.metrics,
            self.delivery_config,
        )
        tasks = [
            asyncio.create_task(delivery.run()),
            asyncio.create_task(self._dispatch(delivery)),
        ]
        try:
            yield adapter
        finally:
            await delivery.drain(1.0)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await owners.release(own)

    async def _dispatch(self, delivery: Delivery) -> None:
        live = f"{self.store.namespace}:live"
        channels = [live, *(f"{one}:out" for one in self.store.partitions)]
        async for item in listen(self.store.address, channels):
            if item is None:
                delivery.look()
            elif item[0] == live:
                delivery.live(msgspec.json.decode(item[1], type=Live))
            else:
                delivery.notice(ConversationId(item[1].decode().partition("\n")[2]))


@pytest.fixture
def road(store: Store) -> Road:
    return Road(store, ScriptedEngine(), FakePlatform(), RedisLanes(store))
