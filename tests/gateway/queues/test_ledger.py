"""Random lives: whatever is done in whatever order, the ledger is exact and no lane is lost."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gateway.errors import Superseded
from gateway.message import ConversationId, Inbound
from gateway.ports import LanePolicy
from gateway.queues.accounts import Owners
from gateway.queues.claims import Claims, Interrupted, RedisLease
from gateway.queues.dead import DeadLetters
from gateway.queues.lanes import RedisLanes
from gateway.queues.ledger import read_ledger, recount
from gateway.queues.outbox import Outbox
from gateway.queues.topology import Store
from tests.builders import ACCOUNT, answer, message

PEOPLE = ("ada", "bob", "eve")
POLICIES = (
    LanePolicy(mode="each"),
    LanePolicy(mode="collect", priority=0),
    LanePolicy(mode="interrupt", priority=2),
    LanePolicy(mode="collect", debounce=0.002),
    LanePolicy(mode="each", depth=4),
)
VERBS = (
    "put put put put again take take take commit commit commit retry later bury "
    "edit delete stop aside settle settle say resubmit drop promote beat override send send"
).split()


class World:
    """A queue with several workers, and what was asked of it."""

    def __init__(self, store: Store, seed: int) -> None:
        self.store = store
        self.dice = random.Random(seed)
        self.lanes = RedisLanes(store, aside_seconds=0.003)
        self.letters = DeadLetters(store)
        self.outbox = Outbox(store)
        self.workers = [Claims(store, lease_seconds=0.02), Claims(store), Claims(store, batch=3)]
        self.held: list[RedisLease] = []
        self.put: list[Inbound] = []
        self.turns: dict[ConversationId, list[int]] = {}
        self.resubmitted: set[str] = set()

    async def step(self, verb: str) -> None:
        await getattr(self, f"do_{verb}")()

    async def do_put(self) -> None:
        who, number = self.dice.choice(PEOPLE), len(self.put)
        event = message(str(number), who, overheard=self.dice.random() < 0.2)
        if await self.lanes.put(event, self.dice.choice(POLICIES)) == "full":
            assert await self.lanes.say(event, [answer(event)], "refused")
        self.put.append(event)

    async def do_again(self) -> None:
        if self.put:
            event = self.dice.choice(self.put)
            assert await self.lanes.put(event, self.dice.choice(POLICIES)) == "duplicate"

    async def do_take(self) -> None:
        worker = self.dice.choice(self.workers)
        for lease in await worker.take(self.dice.randint(1, 3)):
            order = [int(one.native_id) for one in lease.messages if one.id not in self.resubmitted]
            assert order == sorted(order)
            self.held.append(lease)

    def lease(self) -> RedisLease | None:
        return self.held.pop(self.dice.randrange(len(self.held))) if self.held else None

    async def do_commit(self) -> None:
        if (lease := self.lease()) is None:
            return
        try:
            await lease.commit([answer(lease.messages[0])], [])
        except (Superseded, Interrupted):
            return
        done = self.turns.setdefault(lease.conversation, [])
        done += [int(one.native_id) for one in lease.messages if one.id not in self.resubmitted]

    async def do_retry(self, after: float = 0.0) -> None:
        if (lease := self.lease()) is not None:
            try:
                await lease.retry(after, counted=self.dice.random() < 0.5)
            except Superseded:
                return

    async def do_later(self) -> None:
        await self.do_retry(0.005)

    async def do_bury(self) -> None:
        if (lease := self.lease()) is not None:
            try:
                await lease.bury("poison", [answer(lease.messages[0], "sorry", part=9)])
            except Superseded:
                return

    async def do_edit(self) -> None:
        if self.put:
            old = self.dice.choice(self.put)
            event = f"e{self.dice.random()}"
            edit = message(
                old.native_id, old.sender.id, "new", event=event, kind="edit", target=old.native_id
            )
            assert await self.lanes.replace(edit) in {"changed", "late"}

    async def do_delete(self) -> None:
        if self.put:
            old = self.dice.choice(self.put)
            event = f"d{self.dice.random()}"
            gone = message(
                old.native_id, old.sender.id, event=event, kind="delete", target=old.native_id
            )
            assert await self.lanes.withdraw(gone) in {"changed", "late"}

    async def do_stop(self) -> None:
        await self.lanes.stop(message("x", self.dice.choice(PEOPLE)).conversation)

    async def do_aside(self) -> None:
        """A stop by a message that stays."""
        if self.put:
            event = self.dice.choice(self.put)
            waits = await self.lanes.waits(event)
            await self.lanes.stop(event.conversation, but=event.id)
            assert await self.lanes.waits(event) is waits

    async def do_settle(self) -> None:
        if self.put:
            event = self.dice.choice(self.put)
            waits, stays = await self.lanes.waits(event), self.dice.random() < 0.3
            parts = [answer(event, "spoken", part=8)]
            done = await self.lanes.settle(
                event,
                () if stays else parts,
                "answered",
                instead=event if stays else None,
            )
            assert done is waits
            assert await self.lanes.waits(event) is (waits and stays)

    async def do_say(self) -> None:
        event = message(f"9{len(self.put)}", self.dice.choice(PEOPLE), event="s")
        outcome = self.dice.choice(("answered", "refused"))
        await self.lanes.say(event, [answer(event)], outcome)  # type: ignore[arg-type]

    async def do_resubmit(self) -> None:
        if letters := await self.letters.list():
            letter = self.dice.choice(letters)
            if letter.kind == "message":
                self.resubmitted |= {
                    one.id for one in self.put if f'"{one.id}"'.encode() in letter.body
                }
            await self.letters.resubmit(letter.id)

    async def do_drop(self) -> None:
        if self.dice.random() < 0.2 and (letters := await self.letters.list()):
            await self.letters.drop(self.dice.choice(letters).id)

    async def do_promote(self) -> None:
        await self.lanes.promote([message("x", who).conversation for who in PEOPLE])

    async def do_beat(self) -> None:
        for worker in self.workers[1:]:
            await worker.beat()

    async def do_override(self) -> None:
        mode = self.dice.choice(("each", "collect", "interrupt", ""))
        await self.lanes.override(
            message("x", self.dice.choice(PEOPLE)).conversation, "queue", mode
        )

    async def do_send(self) -> None:
        own, _ = await Owners(self.store, lease_seconds=0.001).acquire(ACCOUNT)
        if own is None:
            return
        for head in (await self.outbox.due(ACCOUNT, 3))[0]:
            try:
                if await self.outbox.sending(own, head) is None:
                    continue
                state = self.dice.choice(("sent", "sent", "uncertain", "quarantined", ""))
                if state:
                    await self.outbox.settle(own, head, state, reason="r")  # type: ignore[arg-type]
                else:
                    await self.outbox.defer(own, head, 0.003, counted=True)
            except Superseded:
                return

    async def drain(self) -> None:
        """No new work: everything that waits gets its end, however it was left."""
        worker = Claims(self.store)
        async with asyncio.timeout(30):
            while (await read_ledger(self.store)).waiting:
                for old in self.held:
                    try:
                        await old.retry(0.0, counted=False)
                    except Superseded:
                        continue
                self.held.clear()
                for lease in await worker.take(10):
                    self.held.append(lease)
                    await self.do_commit()


async def check(store: Store) -> None:
    """What must be true between any two steps."""
    ledger = await read_ledger(store)
    assert ledger.difference == 0
    assert ledger.waiting == await recount(store)
    for partition in store.partitions:
        await _check_partition(store, partition)


async def _check_partition(store: Store, partition: str) -> None:
    async def ask(*command: str | int) -> list[bytes]:
        found = await store.call(partition, *command)
        assert isinstance(found, list)
        return found

    def named(keys: list[bytes], kind: str) -> list[str]:
        start = f"{partition}:{kind}:"
        return [key.decode()[len(start) :] for key in keys if key.decode().startswith(start)]

    keys = await ask("KEYS", f"{partition}:*")
    lanes, states = named(keys, "m"), named(keys, "c")
    assert sorted(lanes) == sorted(states)
    places: Counter[str] = Counter()
    for member in await ask("ZRANGE", f"{partition}:l", 0, -1):
        places[f"l {member.decode()}"] += 1
    for member in await ask("ZRANGE", f"{partition}:z", 0, -1):
        places[f"z {member.decode()}"] += 1
    for ready in named(keys, "r"):
        prio, tenant = ready.split(":", 1)
        members = await ask("LRANGE", f"{partition}:r:{ready}", 0, -1)
        for member in members:
            places[f"r {member.decode()}"] += 1
        ring = await ask("LRANGE", f"{partition}:g:{prio}", 0, -1)
        assert ring.count(tenant.encode()) == 1
    for prio in named(keys, "g"):
        for tenant in await ask("LRANGE", f"{partition}:g:{prio}", 0, -1):
            assert f"{partition}:r:{prio}:{tenant.decode()}".encode() in keys
    expected: Counter[str] = Counter()
    for lane in lanes:
        (state,) = await ask("HMGET", f"{partition}:c:{lane}", "s")
        expected[f"{'l' if state.isdigit() else state.decode()} {lane}"] += 1
    assert places == expected
    outbox = named(keys, "ob")
    waiting = await ask("ZRANGE", f"{partition}:out:{ACCOUNT.key}", 0, -1)
    assert sorted(outbox) == sorted(member.decode() for member in waiting)


async def live(store: Store, seed: int, verbs: list[str], every: int) -> None:
    world = World(store, seed)
    for number, verb in enumerate(verbs):
        await world.step(verb)
        if number % every == 0:
            await check(store)
    await world.drain()
    await check(store)
    ledger = await read_ledger(store)
    assert ledger.waiting == 0
    for turns in world.turns.values():
        assert turns == sorted(set(turns))


_spaces = iter(range(10**6))


@given(
    seed=st.integers(0, 2**32), verbs=st.lists(st.sampled_from(VERBS), min_size=40, max_size=120)
)
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.reuse, Phase.generate],
)
def test_any_sequence_of_steps_keeps_the_ledger_exact(
    redis_url: str, seed: int, verbs: list[str]
) -> None:
    async def story() -> None:
        store = Store(redis_url, namespace=f"any{next(_spaces)}.", partitions=2)
        await live(store, seed, verbs, every=1)
        await store.close()

    asyncio.run(story())


@pytest.mark.parametrize("seed", range(4))
async def test_a_long_random_life_keeps_the_ledger_exact(store: Store, seed: int) -> None:
    dice = random.Random(seed)
    await live(store, seed, [dice.choice(VERBS) for _ in range(600)], every=20)


async def test_many_at_once_keep_the_ledger_exact(store: Store) -> None:
    worlds = [World(store, seed) for seed in range(8)]

    async def run(number: int, world: World) -> None:
        world.put = []
        for _ in range(150):
            verb = world.dice.choice("take take commit commit retry bury send beat".split())
            if world.dice.random() < 0.4:
                event = message(f"{number}{len(world.put):05}", world.dice.choice(PEOPLE))
                await world.lanes.put(event, LanePolicy(mode="each", depth=10**6))
                world.put.append(event)
            world.resubmitted |= {one.id for one in world.put}
            world.held = [lease for lease in world.held if lease]
            await step_unordered(world, verb)

    async def step_unordered(world: World, verb: str) -> None:
        if verb == "take":
            world.held += await world.dice.choice(world.workers).take(3)
        else:
            await world.step(verb)

    await asyncio.gather(*(run(number, world) for number, world in enumerate(worlds)))

    await check(store)
    for world in worlds:
        await world.drain()
    await check(store)
    ledger = await read_ledger(store)
    assert ledger.accepted == sum(len(world.put) for world in worlds)
    assert ledger.waiting == 0
