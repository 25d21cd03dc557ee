"""The outbox on a real Redis: order, what was begun, what waits, who may."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import Failed, Superseded
from gateway.message import Inbound, Outbound
from gateway.ports import LanePolicy
from gateway.queues.accounts import Owners
from gateway.queues.claims import Claims
from gateway.queues.dead import DeadLetters
from gateway.queues.lanes import RedisLanes
from gateway.queues.ledger import read_depths, read_ledger
from gateway.queues.outbox import Head, Outbox, Ownership
from gateway.queues.topology import Store
from tests.builders import ACCOUNT, answer, message

EACH = LanePolicy(mode="each")


@pytest.fixture
def outbox(store: Store) -> Outbox:
    return Outbox(store)


@pytest.fixture
async def own(store: Store) -> Ownership:
    own, _ = await Owners(store).acquire(ACCOUNT)
    assert own is not None
    return own


async def replied(store: Store, event: Inbound, *parts: Outbound) -> None:
    """`event` was put, claimed and answered by these parts."""
    await RedisLanes(store).put(event, EACH)
    (lease,) = await Claims(store).take(1)
    await lease.commit(parts, [])


def parts_of(event: Inbound, count: int) -> list[Outbound]:
    return [answer(event, f"text {n}", part=n, parts=count) for n in range(count)]


async def only(outbox: Outbox) -> Head:
    (head,), _ = await outbox.due(ACCOUNT, 10)
    return head


async def drained(outbox: Outbox, own: Ownership) -> list[str]:
    """Send everything that is due; the keys in order."""
    keys = []
    while heads := (await outbox.due(ACCOUNT, 10))[0]:
        for head in heads:
            assert head.outbound is not None
            await outbox.sending(own, head)
            await outbox.settle(own, head, "sent", native_id="n")
            keys.append(head.outbound.key)
    return keys


async def test_parts_of_a_conversation_come_one_by_one_in_order(
    store: Store, outbox: Outbox, own: Ownership
) -> None:
    ada, bob = message("1"), message("1", "bob")
    await replied(store, ada, *parts_of(ada, 3))
    await replied(store, bob, *parts_of(bob, 2))

    keys = await drained(outbox, own)

    for event, count in ((ada, 3), (bob, 2)):
        expected = [part.key for part in parts_of(event, count)]
        assert [key for key in keys if key in expected] == expected
    assert await outbox.head(ACCOUNT, ada.conversation) is None
    assert (await read_ledger(store)).sent == 5
    assert (await read_depths(store, (ACCOUNT,))).outbox == {ACCOUNT.key: 0}


async def test_a_commit_that_is_repeated_posts_nothing_twice(
    store: Store, outbox: Outbox, own: Ownership
) -> None:
    event = message("1")
    await replied(store, event, answer(event))
    await RedisLanes(store).tell([answer(event)])
    assert len(await drained(outbox, own)) == 1
    await RedisLanes(store).tell([answer(event)])
    assert await drained(outbox, own) == []


async def test_a_send_that_was_begun_and_cut_is_seen_by_the_next_owner(
    store: Store, outbox: Outbox
) -> None:
    event = message("1")
    await replied(store, event, answer(event))
    first, second = Owners(store, lease_seconds=0.05), Owners(store)
    dead, _ = await first.acquire(ACCOUNT)
    assert dead is not None
    head = await only(outbox)
    assert (head.sending, head.attempts) == (False, 0)
    assert await outbox.sending(dead, head) == 1

    alive = None
    async with asyncio.timeout(30):
        while alive is None:
            alive, _ = await second.acquire(ACCOUNT)

    again = await only(outbox)
    assert (again.sending, again.attempts) == (True, 1)
    stale = [
        outbox.sending(dead, head),
        outbox.settle(dead, head, "sent", native_id="x"),
        outbox.defer(dead, head, 1.0, counted=True),
        outbox.note_visible(dead, event.conversation, answer(event).reply, "x"),
    ]
    for late in stale:
        with pytest.raises(Superseded):
            await late
    assert await outbox.sending(alive, again) == 2
    await outbox.settle(alive, again, "sent", native_id="n")
    assert (await read_ledger(store)).sent == 1


async def test_settling_twice_changes_nothing(store: Store, outbox: Outbox, own: Ownership) -> None:
    event = message("1")
    await replied(store, event, *parts_of(event, 2))
    head = await only(outbox)
    for _ in range(2):
        await outbox.settle(own, head, "sent", native_id="n")

    assert await outbox.sending(own, head) is None
    assert (await read_ledger(store)).sent == 1
    assert (await only(outbox)).part == "1"


async def test_a_deferred_part_waits_by_the_servers_clock_and_keeps_its_count(
    store: Store, outbox: Outbox, own: Ownership
) -> None:
    event = message("1")
    await replied(store, event, answer(event))
    head = await only(outbox)
    await outbox.sending(own, head)
    await outbox.defer(own, head, 30.0, counted=True)

    heads, wait = await Outbox(store).due(ACCOUNT, 10)

    assert heads == []
    assert 25 < wait <= 30
    assert await outbox.head(ACCOUNT, event.conversation) is None
    await outbox.defer(own, head, 0.0, counted=False)
    again = await only(outbox)
    assert (again.sending, again.attempts) == (False, 1)
    await outbox.sending(own, again)
    await outbox.defer(own, again, 0.0, counted=False)
    assert (await only(outbox)).attempts == 1


async def test_a_try_that_was_not_marked_as_a_send_is_counted_when_it_is_deferred(
    store: Store, outbox: Outbox, own: Ownership
) -> None:
    """Edits and keyed sends: without a count they would be tried every half second for ever."""
    event = message("1")
    await replied(store, event, answer(event))
    for tried in range(3):
        head = await only(outbox)
        assert (head.sending, head.attempts) == (False, tried)
        await outbox.defer(own, head, 0.0, counted=True)

    await outbox.defer(own, await only(outbox), 0.0, counted=False)

    assert (await only(outbox)).attempts == 3


async def test_a_quarantined_part_takes_the_rest_of_its_reply_along(
    store: Store, outbox: Outbox, own: Ownership
) -> None:
    first, second = message("1"), message("2")
    await replied(store, first, *parts_of(first, 3))
    await replied(store, second, answer(second, "after"))
    head = await only(outbox)
    await outbox.settle(own, head, "sent", native_id="n")
    await outbox.settle(own, await only(outbox), "quarantined", reason="too long")

    rest = await only(outbox)

    assert rest.outbound == answer(second, "after")
    letters = await DeadLetters(store).list()
    assert [(one.kind, one.reason) for one in letters] == [("part", "too long")] * 2
    ledger = await read_ledger(store)
    assert (ledger.sent, ledger.failed) == (1, 2)


async def test_an_uncertain_part_is_listed_and_sent_again_only_when_asked_to(
    store: Store, outbox: Outbox, own: Ownership
) -> None:
    event = message("1")
    await replied(store, event, answer(event))
    head = await only(outbox)
    await outbox.sending(own, head)
    await outbox.settle(own, head, "uncertain", reason="cut")
    assert await drained(outbox, own) == []

    letters = DeadLetters(store)
    (letter,) = await letters.list()
    assert (letter.kind, letter.reason, letter.account) == ("uncertain", "cut", ACCOUNT.key)
    await letters.resubmit(letter.id)
    with pytest.raises(Failed):
        await letters.resubmit(letter.id)

    assert await drained(outbox, own) == [answer(event).key]
    ledger = await read_ledger(store)
    assert (ledger.sent, ledger.uncertain) == (1, 0)


async def test_a_dropped_letter_is_gone(store: Store, outbox: Outbox, own: Ownership) -> None:
    event = message("1")
    await replied(store, event, answer(event))
    await outbox.settle(own, await only(outbox), "quarantined", reason="no")
    letters = DeadLetters(store)
    (letter,) = await letters.list()
    await letters.drop(letter.id)

    assert await letters.list() == []
    for name in (letter.id, "9-1-0", "x", "0-;"):
        with pytest.raises(Failed, match="no dead letter"):
            await letters.show(name)
    assert (await read_ledger(store)).failed == 1


async def test_the_visible_message_of_a_reply_is_remembered(
    store: Store, outbox: Outbox, own: Ownership
) -> None:
    event = message("1")
    reply = answer(event).reply
    assert await outbox.visible(event.conversation, reply) == ""
    await outbox.note_visible(own, event.conversation, reply, "?")
    await outbox.note_visible(own, event.conversation, reply, "77")
    await replied(store, event, answer(event))

    assert (await only(outbox)).visible == "77"
    assert await outbox.visible(event.conversation, reply) == "77"


async def test_an_unreadable_part_says_what_is_wrong(
    store: Store, outbox: Outbox, own: Ownership
) -> None:
    event = message("1")
    await replied(store, event, answer(event))
    partition = store.partition_of(event.conversation)
    key = f"{partition}:ob:{event.conversation}"
    await store.call(partition, "LSET", key, 0, f"{answer(event).reply}\n0\n{{}}")

    head = await only(outbox)

    assert head.outbound is None
    assert head.problem
    await outbox.settle(own, head, "quarantined", reason=head.problem)
    assert (await DeadLetters(store).list())[0].body == b"{}"


async def test_a_broken_key_fails_its_own_call_and_no_other(
    store: Store, outbox: Outbox, own: Ownership
) -> None:
    lanes = RedisLanes(store)
    names = [f"who{number}" for number in range(20)]
    broken = message("1", names[0])
    partition = store.partition_of(broken.conversation)
    await store.call(partition, "SET", f"{partition}:m:{broken.conversation}", "not a list")

    results = await asyncio.gather(
        *(lanes.put(message("1", name), EACH) for name in names), return_exceptions=True
    )

    assert isinstance(results[0], Failed)
    assert "WRONGTYPE" in str(results[0])
    assert results[1:] == ["stored"] * 19


async def test_text_that_cannot_be_stored_fails_its_own_call_and_no_other(
    store: Store, outbox: Outbox, own: Ownership
) -> None:
    events = [message("1", name) for name in ("ada", "bob", "cy", "dee")]
    for event in events:
        await replied(store, event, answer(event))
    heads, _ = await outbox.due(ACCOUNT, 10)

    async with asyncio.timeout(30):
        results = await asyncio.gather(
            outbox.settle(own, heads[0], "quarantined", reason="half a letter: \ud83d"),
            *(outbox.settle(own, head, "sent", native_id="1") for head in heads[1:]),
            return_exceptions=True,
        )

    assert isinstance(results[0], UnicodeEncodeError)
    assert results[1:] == [False] * 3
