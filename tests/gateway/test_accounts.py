"""What an account says about itself while its ownership comes and goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.accounts import AccountRunner
from gateway.clock import SystemClock
from gateway.delivery import Delivery, DeliveryConfig
from gateway.drafts import Drafts
from gateway.metrics import Metrics
from gateway.ports import Live
from gateway.queues.accounts import Owners
from gateway.queues.outbox import Outbox, Ownership
from gateway.queues.topology import Store
from tests.fakes.inbox import MemoryInbox
from tests.fakes.platform import PLAIN, FakePlatform, PlainAdapter, split


class OwnChannel(PlainAdapter):
    """A channel of our own: receives in every process, also while another one sends."""

    async def partial(self, live: Live) -> None:
        return None


class Hooked(PlainAdapter):
    """Its events come by HTTP, to any process."""

    everywhere = True


class Polling(PlainAdapter):
    """The same platform, asked instead."""

    everywhere = False


class Gateway:
    """One process's runner of the account."""

    def __init__(self, store: Store, adapter: type[PlainAdapter]) -> None:
        self.metrics = Metrics()
        self.adapter = made = adapter(FakePlatform())
        outbox = Outbox(store)

        def deliveries(own: Ownership) -> Delivery:
            drafts = Drafts(own, made, PLAIN, outbox, split)
            settings = DeliveryConfig()
            return Delivery(own, made, PLAIN, outbox, drafts, SystemClock(), self.metrics, settings)

        owners = Owners(store, lease_seconds=0.9)
        self.runner = AccountRunner(made, MemoryInbox(), owners, deliveries, self.metrics)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Gateway]:
        task = asyncio.create_task(self.runner.run())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def says(self, state: str) -> None:
        async with asyncio.timeout(30):
            while not self.runner.state.startswith(state):
                await asyncio.sleep(0.01)

    @property
    def connected(self) -> bool:
        return b'moltgate_account_up{account="fake:one"} 1.0' in self.metrics.exposition()


@pytest.mark.parametrize("adapter", [PlainAdapter, OwnChannel])
async def test_a_reserve_that_takes_over_is_up(store: Store, adapter: type[PlainAdapter]) -> None:
    async with Gateway(store, adapter).running() as first:
        await first.says("up")
        reserve = Gateway(store, adapter)
        running = reserve.running()
        await running.__aenter__()
        await reserve.says("standby")
    await reserve.says("up")
    assert reserve.connected
    await running.__aexit__(None, None, None)


@pytest.mark.parametrize("adapter", [PlainAdapter, OwnChannel])
async def test_an_account_that_was_lost_and_won_again_is_up(
    store: Store, adapter: type[PlainAdapter]
) -> None:
    async with Gateway(store, adapter).running() as gateway:
        await gateway.says("up")
        hold = f"{store.partitions[0]}:hold:fake:one"
        await store.call(
            store.partitions[0], "HSET", hold, "owner", "other", "who", "x", "fence", 99
        )
        await gateway.says("standby")
        await store.call(store.partitions[0], "DEL", hold)
        await gateway.says("up")
        assert gateway.connected


@pytest.mark.parametrize(
    ("adapter", "receives"), [(Hooked, True), (Polling, False), (PlainAdapter, False)]
)
async def test_what_comes_by_http_is_taken_in_by_every_process(
    store: Store, adapter: type[PlainAdapter], receives: bool
) -> None:
    async with Gateway(store, adapter).running() as one, Gateway(store, adapter).running() as two:
        both = (one, two)
        async with asyncio.timeout(30):
            while not any(each.runner.state.startswith("standby") for each in both):
                await asyncio.sleep(0.01)
        (standby,) = (each for each in both if each.runner.state.startswith("standby"))
        assert standby.adapter.running.is_set() == receives
