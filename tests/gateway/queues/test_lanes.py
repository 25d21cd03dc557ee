"""The lane queue on a real Redis: order, dedupe, leases, fences, modes, the ledger."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import Superseded
from gateway.message import Turn
from gateway.ports import LanePolicy
from gateway.queues.claims import Claims, Interrupted, RedisLease
from gateway.queues.dead import DeadLetters
from gateway.queues.lanes import RedisLanes
from gateway.queues.ledger import read_ledger, recount
from gateway.queues.topology import Store
from tests.builders import answer, message
from tests.gateway.queues.redis_servers import Redis

EACH = LanePolicy(mode="each")
COLLECT = LanePolicy(mode="collect")
INTERRUPT = LanePolicy(mode="interrupt")


@pytest.fixture
def lanes(store: Store) -> RedisLanes:
    return RedisLanes(store)


@pytest.fixture
def claims(store: Store) -> Claims:
    return Claims(store)


async def take_one(claims: Claims) -> RedisLease:
    leases = await claims.take(1)
    assert len(leases) == 1
    return leases[0]


async def settled(store: Store, **expected: int) -> None:
    ledger = await read_ledger(store)
    assert ledger.difference == 0
    assert ledger.waiting == await recount(store)
    assert {name: getattr(ledger, name) for name in expected} == expected


async def test_a_message_is_taken_in_once_however_often_it_comes(
    lanes: RedisLanes, claims: Claims, store: Store
) -> None:
    first = [await lanes.put(message("1"), EACH) for _ in range(3)]
    lease = await take_one(claims)
    await lease.commit([answer(lease.messages[0])], [])
    again = await lanes.put(message("1"), EACH)

    assert [*first, again] == ["stored", "duplicate", "duplicate", "duplicate"]
    await settled(store, accepted=1, answered=1, waiting=0)


async def test_a_conversation_is_worked_on_one_turn_at_a_time(
    lanes: RedisLanes, claims: Claims
) -> None:
    for native, who in (("1", "ada"), ("2", "ada"), ("3", "bob")):
        await lanes.put(message(native, who), EACH)

    leases = await claims.take(10)

    assert sorted(lease.messages[0].native_id for lease in leases) == ["1", "3"]
    assert await claims.take(10) == []
    ada = next(lease for lease in leases if lease.messages[0].native_id == "1")
    await ada.commit([], [])
    assert (await take_one(claims)).messages[0].native_id == "2"


async def test_what_arrives_while_a_turn_runs_becomes_one_next_turn(
    lanes: RedisLanes, claims: Claims, store: Store
) -> None:
    await lanes.put(message("1"), COLLECT)
    lease = await take_one(claims)
    for native in ("2", "3", "4"):
        await lanes.put(message(native), COLLECT)
    await lease.commit([answer(lease.messages[0])], [])

    merged = await take_one(claims)

    assert [one.native_id for one in merged.messages] == ["2", "3", "4"]
    await merged.commit([answer(merged.messages[0])], [])
    await settled(store, accepted=4, answered=4, waiting=0)


async def test_interrupting_replaces_the_running_turn_by_one_with_both_messages(
    lanes: RedisLanes, claims: Claims, store: Store
) -> None:
    await lanes.put(message("1"), INTERRUPT)
    lease = await take_one(claims)
    await lanes.put(message("2"), INTERRUPT)

    with pytest.raises(Interrupted):
        await lease.commit([answer(lease.messages[0])], [])

    again = await take_one(claims)
    assert [one.native_id for one in again.messages] == ["1", "2"]
    assert again.attempt == 1
    await again.commit([answer(again.messages[0])], [])
    await settled(store, accepted=2, answered=2)


async def test_a_debounced_lane_waits_for_quiet(lanes: RedisLanes, claims: Claims) -> None:
    policy = LanePolicy(debounce=0.15)
    await lanes.put(message("1"), policy)
    await lanes.put(message("2"), policy)
    assert await claims.take(5) == []
    assert claims.next_due > 0

    leases: list[RedisLease] = []
    async with asyncio.timeout(30):
        while not leases:
            await asyncio.sleep(0.02)
            leases = await claims.take(5)

    assert [one.native_id for one in leases[0].messages] == ["1", "2"]


async def test_the_lane_of_a_dead_worker_is_taken_over_and_its_fence_is_refused(
    lanes: RedisLanes, store: Store
) -> None:
    dead, alive = Claims(store, lease_seconds=0.05), Claims(store)
    await lanes.put(message("1"), EACH)
    old = await take_one(dead)

    leases: list[RedisLease] = []
    async with asyncio.timeout(30):
        while not leases:
            leases = await alive.take(1)
    new = leases[0]

    assert new.fence > old.fence
    assert new.attempt == 2
    await dead.beat()
    assert old.lost
    with pytest.raises(Superseded):
        await old.commit([answer(old.messages[0])], [])
    await new.commit([answer(new.messages[0])], [])
    await settled(store, accepted=1, answered=1)


async def test_a_lane_that_cannot_be_claimed_keeps_nobody_else_from_it(
    lanes: RedisLanes, claims: Claims, store: Store
) -> None:
    people = [f"who{number}" for number in range(12)]
    for who in people:
        await lanes.put(message("1", who), EACH)
    broken = message("1", "who5").conversation
    partition = store.partition_of(broken)
    await store.call(partition, "SET", f"{partition}:m:{broken}", "no list")

    leases = await claims.take(100)

    assert {one.messages[0].sender.id for one in leases} == set(people) - {"who5"}
    assert await store.call(partition, "ZSCORE", f"{partition}:l", broken) is not None


async def test_more_lanes_than_one_call_of_lua_can_carry_are_claimed_at_once(
    own_redis: Redis,
) -> None:
    store = Store(own_redis.url, partitions=1, deadline=30.0)
    lanes, claims, people = RedisLanes(store), Claims(store), range(9000)
    await asyncio.gather(*(lanes.put(message("1", f"who{one}"), EACH) for one in people))

    leases = await claims.take(9000)

    assert len({lease.conversation for lease in leases}) == 9000
    assert len({lease.fence for lease in leases}) == 9000
    await asyncio.gather(*(lease.commit([], []) for lease in leases))
    await settled(store, accepted=9000, answered=9000, waiting=0)
    await store.close()


async def test_an_attempt_is_counted_by_how_deliveries_end(
    lanes: RedisLanes, claims: Claims
) -> None:
    conversation = message("1").conversation
    seen = []
    await lanes.put(message("1"), EACH)
    for counted in (True, False, True):
        seen.append((await lanes.view(conversation)).attempt)
        lease = await take_one(claims)
        seen.append((await lanes.view(conversation)).attempt)
        assert lease.attempt == seen[-1]
        await lease.retry(0.0, counted=counted)

    assert seen == [0, 1, 1, 2, 1, 2]
    await lanes.put(message("2"), EACH)
    await (await take_one(claims)).commit([], [])
    assert (await take_one(claims)).attempt == 1


async def test_heartbeats_keep_a_lane(lanes: RedisLanes, store: Store) -> None:
    holder, other = Claims(store, lease_seconds=0.4), Claims(store)
    await lanes.put(message("1"), EACH)
    lease = await take_one(holder)
    for _ in range(8):
        await asyncio.sleep(0.1)
        await holder.beat()
        assert await other.take(1) == []
    await lease.commit([], [])


async def test_a_heartbeat_beside_a_commit_does_not_call_the_turn_lost(
    lanes: RedisLanes, store: Store
) -> None:
    """The commit has released the lane on the server while its answer is still on the way."""
    holder = Claims(store)
    for ticks in range(8):
        await lanes.put(message(f"{ticks}"), EACH)
        lease = await take_one(holder)
        commit = asyncio.create_task(lease.commit([], []))
        for _ in range(ticks):
            await asyncio.sleep(0)
        await holder.beat()
        await commit
        assert not lease.lost


async def test_a_second_delivery_isolates_the_head(lanes: RedisLanes, claims: Claims) -> None:
    for native in ("1", "2", "3"):
        await lanes.put(message(native), COLLECT)
    lease = await take_one(claims)
    assert len(lease.messages) == 3
    await lease.retry(0.0, counted=True)

    again = await take_one(claims)

    assert again.attempt == 2
    assert [one.native_id for one in again.messages] == ["1"]


async def test_waiting_for_the_other_side_is_no_attempt(lanes: RedisLanes, claims: Claims) -> None:
    await lanes.put(message("1"), EACH)
    for _ in range(4):
        lease = await take_one(claims)
        assert lease.attempt == 1
        await lease.retry(0.0, counted=False)


async def test_a_retry_waits_by_the_servers_clock(lanes: RedisLanes, claims: Claims) -> None:
    await lanes.put(message("1"), EACH)
    await (await take_one(claims)).retry(30.0, counted=True)

    assert await claims.take(1) == []
    assert 25 < claims.next_due <= 30
    assert await lanes.promote([message("1").conversation]) == 1
    assert (await take_one(claims)).attempt == 2


async def test_what_waits_for_quiet_is_not_promoted(lanes: RedisLanes, claims: Claims) -> None:
    await lanes.put(message("1"), LanePolicy(mode="collect", debounce=30.0))

    assert await lanes.promote([message("1").conversation]) == 0
    assert await claims.take(1) == []


async def test_a_buried_message_is_listed_and_can_be_tried_again(
    lanes: RedisLanes, claims: Claims, store: Store
) -> None:
    await lanes.put(message("1"), EACH)
    await lanes.put(message("2"), EACH)
    lease = await take_one(claims)
    await lease.bury("poison", [answer(lease.messages[0], "sorry")])
    await settled(store, accepted=2, quarantined=1, waiting=1)
    second = await take_one(claims)
    assert second.messages[0].native_id == "2"
    await second.commit([], [])

    letters = DeadLetters(store)
    (letter,) = await letters.list()
    assert (letter.kind, letter.reason) == ("message", "poison")
    assert await letters.show(letter.id) == letter
    await letters.resubmit(letter.id)

    lease = await take_one(claims)
    assert lease.messages[0].native_id == "1"
    assert lease.attempt == 1
    await lease.commit([answer(lease.messages[0])], [])
    await settled(store, accepted=2, answered=2, quarantined=0)
    assert await letters.list() == []


async def test_no_tenant_and_no_chat_starves_another(lanes: RedisLanes, claims: Claims) -> None:
    from msgspec.structs import replace

    for number in range(20):
        loud = replace(message(f"l{number}", f"loud{number}"), tenant="loud")
        await lanes.put(loud, EACH)
    await lanes.put(replace(message("q", "quiet"), tenant="quiet"), EACH)

    order = []
    for _ in range(6):
        for lease in await claims.take(2):
            order.append(lease.messages[0].tenant)

    assert "quiet" in order[:4]


async def test_a_lower_priority_number_is_served_first(lanes: RedisLanes, store: Store) -> None:
    claims = Claims(store)
    names = [f"p{number}" for number in range(12)]
    for number, who in enumerate(names):
        await lanes.put(message("1", who), LanePolicy(priority=2 if number % 2 else 0))

    urgent = [who for number, who in enumerate(names) if number % 2 == 0]
    first = await claims.take(2)

    assert all(lease.messages[0].sender.id in urgent for lease in first)


async def test_an_edit_changes_a_waiting_message_and_comes_too_late_for_a_running_one(
    lanes: RedisLanes, claims: Claims
) -> None:
    await lanes.put(message("1", text="wrong"), EACH)
    await lanes.put(message("2", text="also wrong"), EACH)
    lease = await take_one(claims)

    late = await lanes.replace(message("1", text="x", event="e1", kind="edit", target="1"))
    edit = message("2", text="right", event="e1", kind="edit", target="2")
    assert [late, await lanes.replace(edit), await lanes.replace(edit)] == [
        "late",
        "changed",
        "duplicate",
    ]
    unknown = message("9", event="e1", kind="edit", target="9")
    assert await lanes.replace(unknown) == "unknown"

    await lease.commit([], [])
    assert (await take_one(claims)).messages[0].text == "right"


async def test_a_delete_cancels_what_waits_and_what_runs(
    lanes: RedisLanes, claims: Claims, store: Store
) -> None:
    await lanes.put(message("1"), EACH)
    await lanes.put(message("2"), EACH)
    lease = await take_one(claims)

    for native in ("1", "2"):
        gone = message(native, event="d", kind="delete", target=native)
        assert await lanes.withdraw(gone) == "changed"

    with pytest.raises(Superseded):
        await lease.commit([answer(lease.messages[0])], [])
    assert await claims.take(5) == []
    await settled(store, accepted=2, cancelled=2, waiting=0)


async def test_stopping_cancels_the_running_turn_and_all_that_waits(
    lanes: RedisLanes, claims: Claims, store: Store
) -> None:
    for native in ("1", "2", "3"):
        await lanes.put(message(native), EACH)
    lease = await take_one(claims)

    assert await lanes.stop(lease.conversation) == 3
    assert await lanes.stop(lease.conversation) == 0

    with pytest.raises(Superseded):
        await lease.commit([answer(lease.messages[0])], [])
    await lanes.put(message("4"), EACH)
    assert (await take_one(claims)).messages[0].native_id == "4"
    await settled(store, accepted=4, cancelled=3, waiting=1)


async def test_a_full_lane_says_so_and_forgets_nothing(lanes: RedisLanes, store: Store) -> None:
    policy = LanePolicy(depth=2)
    answers = [await lanes.put(message(str(number)), policy) for number in range(4)]

    assert answers == ["stored", "stored", "full", "full"]
    assert await lanes.say(message("2"), [answer(message("2"), "busy")], "refused")
    assert not await lanes.say(message("2"), [answer(message("2"), "busy")], "refused")
    await settled(store, accepted=3, refused=1, waiting=2)


async def test_history_belongs_to_a_session_and_a_new_one_starts_empty(
    lanes: RedisLanes, claims: Claims
) -> None:
    said = (Turn(role="user", text="hello"), Turn(role="assistant", text="hi"))
    await lanes.put(message("1"), EACH)
    await (await take_one(claims)).commit([], said)
    await lanes.put(message("2"), EACH)
    lease = await take_one(claims)
    assert tuple(lease.history) == said
    assert lease.session.active_at > 0

    await lanes.reset(lease.conversation)
    await lease.commit([], said)
    await lanes.put(message("3"), EACH)

    assert (await take_one(claims)).history == ()


async def test_a_session_override_of_the_mode_wins(lanes: RedisLanes, claims: Claims) -> None:
    await lanes.override(message("1").conversation, "queue", "each")
    for native in ("1", "2"):
        await lanes.put(message(native), COLLECT)

    lease = await take_one(claims)

    assert len(lease.messages) == 1
    assert dict(lease.session.overrides) == {"queue": "each"}
    view = await lanes.view(lease.conversation)
    assert (view.waiting, view.running) == (2, True)


async def test_a_message_of_a_newer_schema_is_kept_for_a_newer_worker(
    lanes: RedisLanes, claims: Claims, store: Store
) -> None:
    event = message("1")
    await lanes.put(event, EACH)
    partition = store.partition_of(event.conversation)
    key = f"{partition}:m:{event.conversation}"
    raw: bytes = await store.call(partition, "LINDEX", key, 0)
    await store.call(partition, "LSET", key, 0, raw.replace(b'"v":1', b'"v":2'))

    assert await claims.take(1) == []
    assert await store.call(partition, "LLEN", key) == 1
    await settled(store, accepted=1, waiting=1)


async def test_an_unreadable_message_is_quarantined_and_the_lane_goes_on(
    lanes: RedisLanes, claims: Claims, store: Store
) -> None:
    event = message("1")
    await lanes.put(event, EACH)
    await lanes.put(message("2"), EACH)
    partition = store.partition_of(event.conversation)
    await store.call(partition, "LSET", f"{partition}:m:{event.conversation}", 0, b"1\n{}")

    assert await claims.take(1) == []
    assert (await take_one(claims)).messages[0].native_id == "2"
    await settled(store, accepted=2, quarantined=1, waiting=1)


# --- settled past their turn --------------------------------------------------------------------


async def test_a_waiting_message_is_settled_past_its_turn_once(
    lanes: RedisLanes, claims: Claims, store: Store
) -> None:
    voice = message("2")
    await lanes.put(message("1"), EACH)
    await lanes.put(voice, EACH)

    assert await lanes.settle(voice, [answer(voice)], "answered")
    assert not await lanes.settle(voice, [answer(voice, "again")], "answered")

    await settled(store, accepted=2, answered=1, waiting=1)
    lease = await take_one(claims)
    assert [one.native_id for one in lease.messages] == ["1"]
    await lease.commit([], [])
    await settled(store, accepted=2, answered=2, waiting=0)


async def test_the_last_message_settled_leaves_no_lane(
    lanes: RedisLanes, claims: Claims, store: Store
) -> None:
    for policy in (EACH, LanePolicy(mode="collect", debounce=5)):
        who = f"ada{policy.debounce}"
        await lanes.put(message("1", who), policy)
        assert await lanes.settle(message("1", who), [], "cancelled")
        assert not (await lanes.view(message("1", who).conversation)).running
    assert await claims.take(5) == []
    await settled(store, accepted=2, cancelled=2, waiting=0)
    await lanes.put(message("9", "ada0.0"), EACH)
    assert (await take_one(claims)).messages[0].native_id == "9"


async def test_a_message_settled_in_its_turn_ends_it_and_the_others_come_again(
    lanes: RedisLanes, claims: Claims, store: Store
) -> None:
    for native in ("1", "2", "3"):
        await lanes.put(message(native), COLLECT)
    lease = await take_one(claims)

    assert await lanes.settle(message("2"), [], "cancelled")
    with pytest.raises(Superseded):
        await lease.commit([answer(lease.messages[0])], [])
    again = await take_one(claims)
    assert [one.native_id for one in again.messages] == ["1", "3"]
    assert again.attempt == 1
    await settled(store, accepted=3, cancelled=1, waiting=2)


async def test_another_message_waits_in_the_place_of_one(
    lanes: RedisLanes, claims: Claims, store: Store
) -> None:
    await lanes.put(message("1", text="spoken"), EACH)
    lease = await take_one(claims)
    written = message("1", text="written")
    assert await lanes.settle(written, [], "answered", instead=written)
    with pytest.raises(Superseded):
        await lease.commit([], [])
    (again,) = (await take_one(claims)).messages
    assert again.text == "written"
    await settled(store, accepted=1, answered=0, waiting=1)


async def test_who_asks_for_a_stop_stays_for_a_moment_and_comes_again(
    claims: Claims, store: Store
) -> None:
    lanes = RedisLanes(store, aside_seconds=0.05)
    await lanes.put(message("1"), EACH)
    running = await take_one(claims)
    for native in "234":
        await lanes.put(message(native), EACH)

    assert await lanes.stop(message("1").conversation, but=message("3").id) == 2
    with pytest.raises(Superseded):
        await running.commit([], [])
    await settled(store, accepted=4, cancelled=2, waiting=2)
    async with asyncio.timeout(30):
        while not (leases := await claims.take(1)):
            await asyncio.sleep(0.01)
    assert [one.native_id for one in leases[0].messages] == ["3"]


async def test_what_comes_after_a_stop_waits_only_until_it_is_settled(
    lanes: RedisLanes, claims: Claims, store: Store
) -> None:
    await lanes.put(message("1"), EACH)
    await lanes.stop(message("1").conversation, but=message("1").id)
    await lanes.put(message("2"), EACH)
    assert await claims.take(1) == []
    assert await lanes.settle(message("1"), [answer(message("1"))], "answered")
    assert (await take_one(claims)).messages[0].native_id == "2"
    await settled(store, accepted=2, answered=1, waiting=1)


async def test_a_stop_whose_asker_is_gone_stops_everything(
    lanes: RedisLanes, claims: Claims, store: Store
) -> None:
    await lanes.put(message("1"), EACH)
    assert await lanes.stop(message("1").conversation, but=message("7").id) == 1
    assert await claims.take(1) == []
    await settled(store, accepted=1, cancelled=1, waiting=0)


async def test_what_may_not_be_meant_for_us_interrupts_nothing(
    lanes: RedisLanes, claims: Claims, store: Store
) -> None:
    await lanes.put(message("1"), INTERRUPT)
    lease = await take_one(claims)
    await lanes.put(message("2", overheard=True), INTERRUPT)
    await lease.commit([answer(lease.messages[0])], [])
    await settled(store, answered=1, waiting=1)

    second = await take_one(claims)
    assert second.messages[0].overheard
    await lanes.put(message("3"), INTERRUPT)
    with pytest.raises(Interrupted):
        await second.commit([], [])


async def test_what_may_not_be_meant_for_us_leaves_the_lanes_mode(
    lanes: RedisLanes, claims: Claims, store: Store
) -> None:
    await lanes.put(message("1"), EACH)
    await lanes.put(message("2", overheard=True), EACH)
    assert [one.native_id for one in (await take_one(claims)).messages] == ["1"]
