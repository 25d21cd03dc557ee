"""A message's whole life, on the oldest server we know and on the newest here."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gateway.message import Turn
from gateway.ports import LanePolicy
from gateway.queues.accounts import Owners
from gateway.queues.claims import Claims
from gateway.queues.dead import DeadLetters
from gateway.queues.guard import require
from gateway.queues.lanes import RedisLanes
from gateway.queues.ledger import read_ledger, recount
from gateway.queues.log import RedisEventLog
from gateway.queues.outbox import Outbox
from gateway.queues.records import RedisRecords
from gateway.queues.topology import Store
from tests.builders import ACCOUNT, answer, message
from tests.gateway.queues.redis_servers import newest, oldest, redis

EACH = LanePolicy(mode="each")


@pytest.fixture(params=[newest, oldest], ids=["newest", "oldest"])
async def both(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    binary: Callable[[], Path] = request.param
    with redis(binary=binary()) as server:
        store = Store(server.url, partitions=4)
        yield store
        await store.close()


async def test_many_messages_live_their_lives(both: Store) -> None:
    health = await require(both, fsync="everysec")
    lanes, claims, outbox = RedisLanes(both), Claims(both), Outbox(both)
    own, _ = await Owners(both).acquire(ACCOUNT)
    assert own is not None
    people = [f"who{number}" for number in range(30)]
    answers = await asyncio.gather(
        *(lanes.put(message(str(n), who), EACH) for n in range(10) for who in people)
    )
    assert answers == ["stored"] * 300, health.version

    order: dict[str, list[int]] = defaultdict(list)
    while leases := await claims.take(50):
        for lease in leases:
            event = lease.messages[0]
            said = (Turn(role="user", text=event.text), Turn(role="assistant", text="hi"))
            assert len(lease.history) == 2 * int(event.native_id)
            await lease.commit([answer(event), answer(event, part=1)], said)
    while heads := (await outbox.due(ACCOUNT, 50))[0]:
        for head in heads:
            assert head.outbound is not None
            await outbox.sending(own, head)
            await outbox.settle(own, head, "sent", native_id="x")
            order[head.conversation].append(int(head.outbound.reply_to) * 2 + head.outbound.part)

    assert len(order) == 30
    assert all(numbers == list(range(20)) for numbers in order.values())
    ledger = await read_ledger(both)
    assert (ledger.accepted, ledger.answered, ledger.sent) == (300, 300, 600)
    assert (ledger.waiting, ledger.difference, await recount(both)) == (0, 0, 0)
    left = await leftovers(both)
    assert left <= {"d", "sent", "ses", "h", "led", "n", "own", "hold", "partitions"}


async def leftovers(store: Store) -> set[str]:
    """Kinds of keys that are there."""
    keys = await store.call(store.partitions[0], "KEYS", "*")
    return {key.decode().split("}:", 1)[1].split(":")[0] for key in keys}


async def test_every_side_road_is_taken_once(both: Store) -> None:
    lanes, claims, letters = RedisLanes(both), Claims(both), DeadLetters(both)
    records, events = RedisRecords(both), RedisEventLog(both)
    for native in ("1", "2", "3"):
        await lanes.put(message(native), LanePolicy(debounce=0.001))
    async with asyncio.timeout(30):
        while not (leases := await claims.take(1)):
            await asyncio.sleep(0.002)
    assert len(leases[0].messages) == 3
    await leases[0].retry(0.001, counted=True)
    await lanes.promote([leases[0].conversation])
    (lease,) = await claims.take(1)
    await lease.bury("poison", [])
    (letter,) = await letters.list()
    await letters.resubmit(letter.id)
    assert await lanes.replace(message("3", text="new", event="e", target="3")) == "changed"
    assert await lanes.withdraw(message("2", event="d", target="2")) == "changed"
    assert await lanes.stop(lease.conversation) == 2
    assert await lanes.say(message("9"), [answer(message("9"))], "refused")
    await records.set("t", "k", b"v", ttl=60)
    assert await records.items("t") == [("k", b"v")]
    assert await records.hit("t", "k", limit=1, window=1) == 0
    assert await events.append(lease.conversation, "k", b"x") == 1

    ledger = await read_ledger(both)
    assert (ledger.accepted, ledger.cancelled, ledger.refused) == (4, 3, 1)
    assert (ledger.waiting, ledger.difference, ledger.quarantined) == (0, 0, 0)
