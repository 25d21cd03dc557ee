"""The intake on the stores it has in production: what the fakes say of them must be so."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.access.config import AccessConfig, AccountRules
from gateway.access.pairing import PENDING, approve, list_approved, list_pending, revoke
from gateway.intake import STRANGERS, Intake
from gateway.message import Inbound
from gateway.ports import LanePolicy
from gateway.queues.claims import Claims
from gateway.queues.lanes import RedisLanes
from gateway.queues.ledger import read_ledger
from gateway.queues.records import RedisRecords
from gateway.queues.topology import Store
from gateway.sessions.commands import Commands
from tests.fakes.clock import MovedClock
from tests.fakes.events import BOT, event


class RealHouse:
    def __init__(self, store: Store, **access: Any) -> None:
        self.clock = MovedClock()
        self.lanes = RedisLanes(store)
        self.records = RedisRecords(store)
        self.claims = Claims(store)
        self.intake = Intake(
            self.lanes,
            self.records,
            {
                BOT.key: AccountRules(
                    account=BOT, access=AccessConfig(**access), policy=LanePolicy(mode="each")
                )
            },
            self.clock,
            lambda whole: (whole,),
            commands=Commands(
                self.lanes, self.records, self.clock, models=lambda: ("home",), version="1.0"
            ),
        )

    async def take(self, *events: Inbound) -> list[str]:
        return [(await self.intake.accept(one)).outcome for one in events]


@pytest.fixture
def real_house(store: Store) -> RealHouse:
    return RealHouse(store, dm_policy="open")


async def test_messages_edits_and_deletes_are_taken_in(real_house: RealHouse) -> None:
    taken = await real_house.take(
        event("1", "teh"),
        event("1", "teh"),
        event("2", "no"),
        event("3", "the", kind="edit", target="1"),
        event("4", "", kind="delete", target="2"),
        event("5", "?", kind="edit", target="77"),
    )
    assert taken == ["stored", "duplicate", "stored", "changed", "changed", "ignored"]
    (lease,) = await real_house.claims.take(1)
    assert [one.text for one in lease.messages] == ["the"]


async def test_a_queue_mode_set_by_command_wins_over_the_accounts(real_house: RealHouse) -> None:
    assert await real_house.take(event("0", "/queue collect")) == ["answered"]
    await real_house.take(event("1", "a"), event("2", "b"))
    (lease,) = await real_house.claims.take(1)
    assert [one.text for one in lease.messages] == ["a", "b"]
    assert lease.session.overrides == {"queue": "collect"}


async def test_stop_new_and_status_work_on_the_lane(real_house: RealHouse, store: Store) -> None:
    here = event("1").conversation
    await real_house.take(event("1"), event("2"))
    assert (await real_house.lanes.view(here)).waiting == 2
    assert await real_house.take(event("3", "/stop"), event("3", "/stop")) == [
        "answered",
        "duplicate",
    ]
    assert (await real_house.lanes.view(here)).waiting == 0
    assert await real_house.take(event("4", "/status"), event("5", "/new why?")) == [
        "answered",
        "stored",
    ]
    (lease,) = await real_house.claims.take(1)
    assert [one.text for one in lease.messages] == ["why?"]
    assert lease.session.generation == 1
    assert (await read_ledger(store)).difference == 0


async def test_strangers_stay_out_and_the_store_stays_small(store: Store) -> None:
    house = RealHouse(store)
    for n in range(200):
        await house.take(event("1", sender=f"s{n}"))
    assert (await read_ledger(store)).accepted == STRANGERS
    assert len(await house.records.items("strangers")) == STRANGERS
    assert len(await list_pending(house.records)) == PENDING
    assert await house.claims.take(1) == []


async def test_pairing_lets_in_and_revoking_shuts_out(store: Store) -> None:
    house = RealHouse(store)
    await house.take(event("1"))
    (pending,) = await list_pending(house.records)
    person = await approve(house.records, pending.code, house.clock.now())
    house.clock.advance(1)
    assert person.owner
    assert await house.take(event("2")) == ["stored"]
    assert len(await list_approved(house.records)) == 1
    assert await revoke(house.records, BOT, "ada")
    house.clock.advance(5)
    assert await house.take(event("3")) == ["ignored"]
