"""One owner per account: the second is told who, a fence never comes twice."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import Superseded
from gateway.message import Account
from gateway.queues.accounts import Owners
from gateway.queues.topology import Store
from tests.builders import ACCOUNT


async def test_an_account_has_one_owner_and_the_second_is_told_who(store: Store) -> None:
    first, second = Owners(store, who="anna"), Owners(store, who="bert")
    own, _ = await first.acquire(ACCOUNT)
    refused, holder = await second.acquire(ACCOUNT)

    assert own is not None
    assert (refused, holder) == (None, "anna")
    other, _ = await second.acquire(Account(kind="fake", id="two"))
    assert other is not None
    assert await first.acquire(ACCOUNT) == (own, "")


async def test_a_released_account_is_free_at_once_and_its_fence_rises(store: Store) -> None:
    first, second = Owners(store), Owners(store)
    own, _ = await first.acquire(ACCOUNT)
    assert own is not None
    await second.release(own)
    assert (await second.acquire(ACCOUNT))[0] is None
    await first.release(own)

    taken, _ = await second.acquire(ACCOUNT)

    assert taken is not None
    assert taken.fence > own.fence
    with pytest.raises(Superseded):
        await first.renew(own)
    await second.renew(taken)


async def test_an_owner_that_does_not_renew_loses_the_account(store: Store) -> None:
    slow, other = Owners(store, lease_seconds=0.05), Owners(store)
    own, _ = await slow.acquire(ACCOUNT)
    assert own is not None
    taken = None
    async with asyncio.timeout(30):
        while taken is None:
            taken, _ = await other.acquire(ACCOUNT)

    with pytest.raises(Superseded, match="held by"):
        await slow.renew(own)


async def test_of_many_that_want_an_account_one_gets_it(store: Store) -> None:
    owners = [Owners(store, who=f"o{number}") for number in range(20)]

    results = await asyncio.gather(*(one.acquire(ACCOUNT) for one in owners))

    winners = [own for own, _ in results if own is not None]
    assert len(winners) == 1
    holder = next(f"o{n}" for n, (own, _) in enumerate(results) if own is not None)
    assert {who for own, who in results if own is None} == {holder}
