"""A platform whose rate is kept by waiting: what waits is not under way, and previews give way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest

from gateway.clock import SystemClock
from gateway.delivery import MOST_AT_ONCE, Delivery, DeliveryConfig
from gateway.drafts import Drafts
from gateway.errors import Busy
from gateway.message import Outbound
from gateway.metrics import Metrics
from gateway.ports import Receipt
from gateway.queues.accounts import Owners
from gateway.queues.lanes import RedisLanes
from gateway.queues.ledger import read_ledger
from gateway.queues.outbox import Head, Outbox, Ownership
from gateway.queues.topology import Store
from tests.builders import ACCOUNT, answer, message
from tests.fakes.platform import EDITING, EditingAdapter, FakePlatform, split
from tests.gateway.conftest import Road


class PacedAdapter(EditingAdapter):
    """Its rate has room when a test says so."""

    def __init__(self, platform: FakePlatform) -> None:
        super().__init__(platform)
        self.open = asyncio.Event()
        self.waiting = 0
        self.room = True
        self.asked = 0
        self.edits = 0

    async def pace(self, outbound: Outbound) -> None:
        self.waiting += 1
        try:
            await self.open.wait()
        finally:
            self.waiting -= 1

    async def spare(self, outbound: Outbound) -> bool:
        self.asked += 1
        return self.room

    async def edit(self, outbound: Outbound, native_id: str) -> Receipt:
        self.edits += 1
        return await super().edit(outbound, native_id)


class Crowded(PacedAdapter):
    """Its line was too long once."""

    turned_away = 0

    async def pace(self, outbound: Outbound) -> None:
        if not self.turned_away:
            self.turned_away += 1
            raise Busy("too many wait", after=0.05)
        await super().pace(outbound)


class Gateway:
    """One process's worth of delivery."""

    def __init__(
        self,
        store: Store,
        platform: FakePlatform,
        own: Ownership,
        adapter: type[PacedAdapter] = PacedAdapter,
    ) -> None:
        self.adapter = adapter(platform)
        self.outbox = Outbox(store)
        self.metrics = Metrics()
        self.delivery = Delivery(
            own,
            self.adapter,
            EDITING,
            self.outbox,
            Drafts(own, self.adapter, EDITING, self.outbox, split),
            SystemClock(),
            self.metrics,
            DeliveryConfig(),
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        task = asyncio.create_task(self.delivery.run())
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def waits(self, parts: int = 1) -> None:
        async with asyncio.timeout(60):
            while self.adapter.waiting != parts:
                await asyncio.sleep(0.01)


async def owned(store: Store, *, lease_seconds: float = 60.0) -> Ownership:
    own = None
    async with asyncio.timeout(30):
        while own is None:
            own, _ = await Owners(store, lease_seconds=lease_seconds).acquire(ACCOUNT)
    return own


async def sent(store: Store, parts: int) -> None:
    async with asyncio.timeout(60):
        while (await read_ledger(store)).sent != parts:
            await asyncio.sleep(0.01)


async def head_of(store: Store, part: Outbound) -> Head:
    head = await Outbox(store).head(ACCOUNT, part.conversation)
    assert head is not None
    return head


async def test_a_part_that_waits_stays_ready_when_its_gateway_goes_down(store: Store) -> None:
    part = answer(message("1"))
    await RedisLanes(store).tell([part])
    own, platform = await owned(store), FakePlatform()
    first, second = Gateway(store, platform, own), Gateway(store, platform, own)
    async with first.running():
        await first.waits()
        async with asyncio.timeout(60):
            await first.delivery.drain(600)
        first.adapter.open.set()
        assert first.adapter.waiting == 0

    head = await head_of(store, part)
    assert (head.sending, head.attempts) == (False, 0)
    assert platform.sends == 0

    second.adapter.open.set()
    async with second.running():
        await sent(store, 1)
    assert (await read_ledger(store)).uncertain == 0
    assert platform.texts() == ["hi"]


async def test_going_down_waits_for_what_has_begun_and_not_for_what_waits(store: Store) -> None:
    begun, waiting = answer(message("1")), answer(message("2", "bob"))
    platform = FakePlatform(gate=asyncio.Event())
    gateway = Gateway(store, platform, await owned(store))
    async with gateway.running():
        await RedisLanes(store).tell([begun])
        await gateway.waits()
        gateway.adapter.open.set()
        async with asyncio.timeout(30):
            while platform.sends == 0:
                await asyncio.sleep(0.01)
        gateway.adapter.open.clear()
        await RedisLanes(store).tell([waiting])
        await gateway.waits()
        down = asyncio.create_task(gateway.delivery.drain(600))
        async with asyncio.timeout(30):
            while gateway.adapter.waiting:
                await asyncio.sleep(0.01)
        assert not down.done()
        assert platform.gate is not None
        platform.gate.set()
        async with asyncio.timeout(60):
            await down

    assert (await read_ledger(store)).sent == 1
    assert not (await head_of(store, waiting)).sending


async def test_a_part_whose_deadline_passes_while_it_waits_is_not_sent(store: Store) -> None:
    part = msgspec.structs.replace(answer(message("1")), deadline=time.time() + 2.0)
    await RedisLanes(store).tell([part])
    gateway = Gateway(store, FakePlatform(), await owned(store))
    async with gateway.running():
        await gateway.waits()
        await asyncio.sleep(max(0.0, part.deadline - time.time()) + 0.01)
        gateway.adapter.open.set()
        async with asyncio.timeout(30):
            while (await read_ledger(store)).failed != 1:
                await asyncio.sleep(0.01)

    assert gateway.adapter.platform.sends == 0


async def test_who_lost_the_account_while_a_part_waited_does_not_send_it(store: Store) -> None:
    part = answer(message("1"))
    await RedisLanes(store).tell([part])
    gateway = Gateway(store, FakePlatform(), await owned(store, lease_seconds=0.1))
    async with gateway.running() as task:
        await gateway.waits()
        await owned(store)
        gateway.adapter.open.set()
        await asyncio.wait([task], timeout=60)
        assert "belongs to another process" in str(task.exception())

    assert gateway.adapter.platform.sends == 0
    assert not (await head_of(store, part)).sending


async def test_a_part_that_another_gateway_showed_meanwhile_is_not_edited_again(
    store: Store,
) -> None:
    part = answer(message("1"), "final")
    platform, outbox = FakePlatform(), Outbox(store)
    own = await owned(store, lease_seconds=0.1)
    first = Gateway(store, platform, own)
    shown = await first.adapter.send(msgspec.structs.replace(part, text="preview"))
    await outbox.note_visible(own, part.conversation, part.reply, shown.native_id)
    await RedisLanes(store).tell([part])
    async with first.running():
        await first.waits()
        second = Gateway(store, platform, await owned(store))
        second.adapter.open.set()
        async with second.running():
            await sent(store, 1)
        first.adapter.open.set()
        async with asyncio.timeout(30):
            while first.delivery.busy:
                await asyncio.sleep(0.01)

    assert (first.adapter.edits, second.adapter.edits) == (0, 1)
    assert platform.texts() == ["final"]


async def test_who_was_stopped_leaves_nothing_waiting(store: Store) -> None:
    """An account that goes elsewhere ends its deliveries without draining them."""
    part = answer(message("1"))
    await RedisLanes(store).tell([part])
    gateway = Gateway(store, FakePlatform(), await owned(store))
    async with gateway.running():
        await gateway.waits()
        gateway.delivery.notice(part.conversation)
    await gateway.waits(0)
    async with asyncio.timeout(30):
        while gateway.delivery.busy:
            await asyncio.sleep(0.01)

    assert gateway.adapter.waiting == 0


async def test_what_is_due_beyond_a_limit_waits_in_the_outbox(store: Store) -> None:
    more = 10
    parts = [answer(message(str(n), f"p{n}")) for n in range(MOST_AT_ONCE + more)]
    await RedisLanes(store).tell(parts)
    gateway = Gateway(store, FakePlatform(), await owned(store))
    async with gateway.running():
        for part in parts:
            gateway.delivery.notice(part.conversation)
        await gateway.waits(MOST_AT_ONCE)
        assert gateway.delivery.busy == MOST_AT_ONCE
        gateway.adapter.open.set()
        await sent(store, len(parts))


async def test_who_is_sent_away_from_a_long_line_comes_again(store: Store) -> None:
    part = answer(message("1"))
    await RedisLanes(store).tell([part])
    gateway = Gateway(store, FakePlatform(), await owned(store), Crowded)
    async with gateway.running():
        await gateway.waits()
        assert (await head_of(store, part)).attempts == 0
        gateway.adapter.open.set()
        await sent(store, 1)


async def test_a_part_whose_send_was_cut_is_not_taken_for_new_at_a_long_line(
    store: Store,
) -> None:
    part = answer(message("1"))
    await RedisLanes(store).tell([part])
    own, platform = await owned(store), FakePlatform()
    assert await Outbox(store).sending(own, await head_of(store, part)) == 1
    gateway = Gateway(store, platform, own, Crowded)
    gateway.adapter.open.set()
    async with gateway.running(), asyncio.timeout(60):
        while (await read_ledger(store)).uncertain != 1:
            await asyncio.sleep(0.01)

    assert platform.sends == 0


async def test_how_long_parts_waited_is_measured(store: Store) -> None:
    await RedisLanes(store).tell([answer(message("1"))])
    gateway = Gateway(store, FakePlatform(), await owned(store))
    gateway.adapter.open.set()
    async with gateway.running():
        await sent(store, 1)

    assert b'moltgate_station_seconds_count{station="pace"} 1.0' in gateway.metrics.exposition()


class Scarce(PacedAdapter):
    """Finals get through, previews find no room."""

    def __init__(self, platform: FakePlatform) -> None:
        super().__init__(platform)
        self.open.set()
        self.room = False


@pytest.mark.parametrize("shown_before", [False, True])
async def test_a_preview_without_room_is_left_out_and_holds_up_nothing(
    road: Road, shown_before: bool
) -> None:
    road.adapter, road.capabilities = Scarce, EDITING
    more, done = asyncio.Event(), asyncio.Event()
    road.engine.scripts = [["one", more, " two", done, " three"]]
    async with road.working(), road.sending() as adapter:
        assert isinstance(adapter, Scarce)
        adapter.room = shown_before
        await road.put(message("1"))
        if shown_before:
            await road.until(lambda: road.platform.texts() == ["one"])
            adapter.room = False
        asked = adapter.asked
        more.set()
        await road.until(lambda: adapter.asked > asked)
        done.set()
        await road.settled(answered=1, sent=1)

    (seen,) = road.platform.messages.values()
    assert seen.texts == (["one"] if shown_before else []) + ["one two three"]


async def test_a_preview_that_was_left_out_is_made_up_for_by_the_next(road: Road) -> None:
    road.adapter, road.capabilities = Scarce, EDITING
    done = asyncio.Event()
    road.engine.scripts = [["one", " two", done, " three"]]
    async with road.working(), road.sending() as adapter:
        assert isinstance(adapter, Scarce)
        await road.put(message("1"))
        await road.until(lambda: adapter.asked > 0)
        adapter.room = True
        await road.until(lambda: road.platform.texts() == ["one two"])
        done.set()
        await road.settled(answered=1, sent=1)

    assert road.platform.texts() == ["one two three"]
