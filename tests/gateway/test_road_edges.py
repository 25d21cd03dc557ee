"""The road's edges over a real Redis: what fails while something else has failed already."""

from __future__ import annotations

import asyncio

import msgspec

from gateway.errors import Busy, Refused
from gateway.message import Place
from gateway.ports import LanePolicy, Live
from gateway.queues.channels import listen
from gateway.queues.claims import Claims
from gateway.turn import TurnConfig
from tests.builders import message
from tests.fakes.platform import EDITING, EditingAdapter, Fault
from tests.gateway.conftest import Road

UNSTORABLE = "half a letter: \ud83d"


async def test_a_refusal_that_cannot_be_stored_does_not_hold_its_conversation_for_good(
    road: Road,
) -> None:
    road.config = TurnConfig(failure_text="sorry")
    road.engine.scripts = [[Refused(UNSTORABLE)]] * 3
    async with road.working(), road.sending():
        await road.put(message("1"))
        await road.settled(quarantined=1, sent=1)
        await road.put(message("2", text="next"))
        await road.settled(answered=1, sent=2)

    assert road.platform.texts() == ["sorry", "echo next"]


async def test_a_turn_that_broke_lets_its_conversation_go(road: Road) -> None:
    """A quarantine that cannot be noted, either: the lease runs out, whoever renews leases."""
    road.config = TurnConfig(failure_text=UNSTORABLE)
    road.engine.scripts = [[ValueError("a bug of ours")]] * 3
    claims = Claims(road.store, lease_seconds=0.3)
    async with road.working(claims):
        await road.put(message("1"))
        await road.until(lambda: claims.held == 1)
        await road.until(lambda: len(road.engine.asked) == 3)
        await road.until(lambda: claims.held == 0)


async def test_leases_are_kept_while_a_worker_drains(road: Road) -> None:
    think = asyncio.Event()
    road.engine.scripts = [[think, "done"]]
    conversation = message("1").conversation
    partition = road.store.partition_of(conversation)

    async def runs_out() -> float:
        return float(await road.store.call(partition, "ZSCORE", f"{partition}:l", conversation))

    async with road.working(Claims(road.store, lease_seconds=0.6)) as worker:
        await road.put(message("1"))
        await road.until(lambda: len(road.engine.asked) == 1)
        before, draining = await runs_out(), asyncio.create_task(worker.drain(10.0))
        async with asyncio.timeout(30):
            while await runs_out() < before + 600:
                await asyncio.sleep(0.02)
        think.set()
        await draining

    await road.settled(answered=1)
    assert len(road.engine.asked) == 1


async def test_a_gateway_that_goes_down_begins_no_more_sends(road: Road) -> None:
    """A send that is cut by the end of the process ends uncertain."""
    road.engine.scripts = [["one\n\ntwo"]]
    road.platform.gate = asyncio.Event()
    async with road.working():
        gateway = road.sending()
        await gateway.__aenter__()
        await road.put(message("1"))
        await road.until(lambda: road.platform.sends == 1)
        down = asyncio.create_task(gateway.__aexit__(None, None, None))
        await road.put(message("2", "bob", text="hi"))
        await road.settled(answered=2)
        road.platform.gate.set()
        await down

        assert road.platform.texts() == ["one"]
        async with road.sending():
            await road.settled(sent=3, uncertain=0)


async def test_a_preview_does_not_overtake_parts_that_wait(road: Road) -> None:
    road.adapter, road.capabilities = EditingAdapter, EDITING
    more = asyncio.Event()
    road.engine.scripts = [["one\n\ntwo"], ["partial", more, " done"]]
    road.platform.faults.append(Fault(Busy("429", after=1.0)))
    async with road.working(), road.sending():
        await road.put(message("1"))
        await road.settled(answered=1)
        await road.put(message("2"))
        await road.until(lambda: road.platform.texts() == ["one", "two"])
        more.set()
        await road.settled(sent=3)

    assert road.platform.texts() == ["one", "two", "partial done"]


async def test_a_preview_answers_the_message_that_its_final_text_answers(road: Road) -> None:
    road.adapter, road.capabilities = EditingAdapter, EDITING
    road.policy = LanePolicy(mode="collect")
    more = asyncio.Event()
    road.engine.scripts = [["partial", more, " done"]]
    for native in "12":
        place = Place(kind="group", chat="ada")
        await road.put(msgspec.structs.replace(message(native), place=place))
    async with road.working(), road.sending():
        await road.until(lambda: road.platform.texts() == ["partial"])
        more.set()
        await road.settled(answered=2, sent=1)

    assert [seen.reply_to for seen in road.platform.messages.values()] == ["2"]


async def test_readers_are_told_that_a_quarantined_answer_will_not_be_completed(
    road: Road,
) -> None:
    road.capabilities = EDITING
    road.config = TurnConfig(attempts=1)
    broken = asyncio.Event()
    road.engine.scripts = [["partial", broken, ValueError("a bug of ours")]]
    kinds: list[str] = []
    async with road.working():
        async for item in listen(road.store.address, [f"{road.store.namespace}:live"]):
            if item is None:
                await road.put(message("1"))
                continue
            kinds.append(msgspec.json.decode(item[1], type=Live).kind)
            if kinds[-1] == "text":
                broken.set()
            if kinds[-1] == "ended":
                break
        await road.settled(quarantined=1)
