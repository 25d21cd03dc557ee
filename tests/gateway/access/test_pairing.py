from __future__ import annotations

import pytest

from gateway.access.pairing import (
    ALPHABET,
    GUESSES,
    PENDING,
    VALID,
    Approvals,
    Pairing,
    approve,
    deny,
    fold,
    list_approved,
    list_pending,
    request,
    revoke,
    welcome,
)
from gateway.errors import Refused
from tests.fakes.clock import MovedClock
from tests.fakes.crash import Crash, Fuse
from tests.fakes.events import BOT, event
from tests.fakes.stores import MemoryRecords


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
def records(clock: MovedClock) -> MemoryRecords:
    return MemoryRecords(clock.now)


async def ask(records: MemoryRecords, sender: str = "ada", now: float = 0.0) -> Pairing:
    pending = await request(records, event("1", sender=sender), now)
    assert pending is not None
    return pending


async def test_a_code_has_forty_bits_and_no_look_alikes(records: MemoryRecords) -> None:
    code = (await ask(records)).code
    assert len(code) == 8
    assert set(code) <= set(ALPHABET)
    assert len(set(ALPHABET)) == 32
    assert not set(ALPHABET) & set("ILOU")


async def test_a_code_is_found_however_it_is_typed(records: MemoryRecords) -> None:
    code = (await ask(records)).code
    typed = f" {code[:4].lower()}-{code[4:]} ".replace("0", "o").replace("1", "l")
    assert fold(typed) == code
    assert (await approve(records, typed, 1.0)).sender.id == "ada"


async def test_asking_again_gives_the_same_code(records: MemoryRecords) -> None:
    assert await ask(records) == await ask(records)
    assert len(await list_pending(records)) == 1


async def test_only_so_many_wait_per_account_and_expired_ones_make_room(
    records: MemoryRecords, clock: MovedClock
) -> None:
    for n in range(PENDING):
        await ask(records, f"s{n}")
    assert await request(records, event("1", sender="late"), 0.0) is None
    clock.advance(VALID)
    assert await list_pending(records) == []
    assert (await ask(records, "late")).sender.id == "late"


async def test_an_approved_request_makes_room(records: MemoryRecords) -> None:
    for n in range(3 * PENDING):
        await approve(records, (await ask(records, f"s{n}")).code, 1.0)
    assert len(await list_approved(records)) == 3 * PENDING
    assert await list_pending(records) == []


async def test_the_first_one_approved_owns_the_account(
    records: MemoryRecords, clock: MovedClock
) -> None:
    ada = await approve(records, (await ask(records, "ada")).code, 1.0)
    bob = await approve(records, (await ask(records, "bob")).code, 2.0)
    approvals = Approvals(records, clock)
    assert (ada.owner, bob.owner) == (True, False)
    assert await approvals.owns(BOT, "ada")
    assert not await approvals.owns(BOT, "bob")
    assert "owner" in welcome(ada).text
    assert "owner" not in welcome(bob).text


async def test_nobody_becomes_owner_by_approval_where_the_file_names_owners(
    records: MemoryRecords, clock: MovedClock
) -> None:
    await approve(records, (await ask(records)).code, 1.0, owned=True)
    assert not await Approvals(records, clock).owns(BOT, "ada")


async def test_a_wrong_expired_or_used_code_is_refused(
    records: MemoryRecords, clock: MovedClock
) -> None:
    used = (await ask(records)).code
    await approve(records, used, 1.0)
    old = (await ask(records, "bob")).code
    clock.advance(VALID)
    for code in ("", "WRONG", "ÄÖÜ", "\ud800", used, old):
        with pytest.raises(Refused, match="no request waits"):
            await approve(records, code, 2.0)
    assert len(await list_approved(records)) == 1


async def test_guesses_are_limited_before_they_are_checked(
    records: MemoryRecords, clock: MovedClock
) -> None:
    code = (await ask(records)).code
    for _ in range(GUESSES):
        with pytest.raises(Refused, match="no request"):
            await approve(records, "00000000", 1.0)
    with pytest.raises(Refused, match="too many codes"):
        await approve(records, code, 1.0)
    assert await list_approved(records) == []


async def test_a_denied_request_is_gone(records: MemoryRecords) -> None:
    pending = await ask(records)
    assert (await deny(records, pending.code)).sender.id == "ada"
    assert await list_pending(records) == await list_approved(records) == []


async def test_a_revoked_person_is_out_within_seconds_and_no_owner_any_more(
    records: MemoryRecords, clock: MovedClock
) -> None:
    approvals = Approvals(records, clock)
    await approve(records, (await ask(records)).code, 1.0)
    assert await approvals.approved(BOT, "ada")
    assert await revoke(records, BOT, "ada")
    assert not await revoke(records, BOT, "ada")
    clock.advance(5)
    assert not await approvals.approved(BOT, "ada")
    assert not await approvals.owns(BOT, "ada")


async def test_an_approval_counts_within_a_second_of_a_look_up(
    records: MemoryRecords, clock: MovedClock
) -> None:
    approvals = Approvals(records, clock)
    assert not await approvals.approved(BOT, "ada")
    await approve(records, (await ask(records)).code, 1.0)
    clock.advance(1)
    assert await approvals.approved(BOT, "ada")


async def test_an_approval_that_dies_half_way_can_be_repeated(clock: MovedClock) -> None:
    points = 1
    reached = 0
    while reached < points:
        reached += 1
        records = MemoryRecords(clock.now)
        code = (await ask(records)).code
        fuse = Fuse(reached)
        try:
            await approve(fuse.guard(records), code, 1.0)
        except Crash:
            points = reached + 1
        if await list_pending(records):
            await approve(records, code, 2.0)
        (person,) = await list_approved(records)
        assert (person.sender.id, person.owner) == ("ada", True)
    assert reached > 6
