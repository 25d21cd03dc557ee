"""Claim to delivery over a real Redis: answered once, in order, whatever the engine and the
platform do."""

from __future__ import annotations

import asyncio
import dataclasses
import time

import msgspec
import pytest

from gateway.delivery import DeliveryConfig
from gateway.errors import Busy, Failed, Refused, Unavailable, Uncertain
from gateway.message import Outbound, reply_id
from gateway.ports import LanePolicy, Live, Receipt, Restarted
from gateway.queues.channels import publish
from gateway.queues.claims import Claims
from gateway.queues.dead import DeadLetters
from gateway.turn import TurnConfig
from tests.builders import message
from tests.fakes.platform import (
    EDITING,
    KEYED,
    PLAIN,
    EditingAdapter,
    Fault,
    KeyedAdapter,
    KeyedEditor,
    ReadingAdapter,
    ReadingEditor,
)
from tests.gateway.conftest import Road


async def test_a_message_is_answered(road: Road) -> None:
    async with road.working(), road.sending():
        await road.put(message("1", text="ping"))
        await road.settled(accepted=1, answered=1, sent=1)

    assert road.platform.texts() == ["echo ping"]


async def test_many_conversations_are_answered_at_once_each_in_order(road: Road) -> None:
    async with road.working(), road.sending():
        for number in range(5):
            for who in range(20):
                await road.put(message(str(number), f"user{who}", text=f"{number}"))
        await road.settled(accepted=100, answered=100, sent=100)

    for who in range(20):
        conversation = message("0", f"user{who}").conversation
        assert road.platform.of(conversation) == [f"echo {number}" for number in range(5)]


async def test_history_reaches_the_next_prompt(road: Road) -> None:
    async with road.working(), road.sending():
        await road.put(message("1", text="one"))
        await road.settled(answered=1)
        await road.put(message("2", text="two"))
        await road.settled(answered=2)

    assert [one.content for one in road.engine.asked[1].messages] == ["one", "echo one", "two"]


async def test_an_engine_that_is_not_there_is_waited_for(road: Road) -> None:
    road.engine.scripts = [[Unavailable("down", after=0.01)], [Busy("slow", after=0.01)]] * 3
    async with road.working(), road.sending():
        await road.put(message("1", text="ping"))
        await road.settled(answered=1, sent=1)

    assert len(road.engine.asked) == 7


async def test_who_waits_for_an_engine_is_called_when_it_answers_again(road: Road) -> None:
    """All would wait a minute; each answer calls two of them, and these two more."""
    people = ["ada", "bob", "cyd", "dan", "eve"]
    road.engine.scripts = [[Unavailable("down", after=60.0)]] * len(people)
    async with road.working(), road.sending():
        for who in people:
            await road.put(message("1", who))
        await road.until(lambda: len(road.engine.asked) == len(people))
        await road.settled(waiting=len(people))
        await road.put(message("1", "fay"))
        await road.settled(answered=len(people) + 1, sent=len(people) + 1)

    assert len(road.engine.asked) == 2 * len(people) + 1


async def test_an_answer_without_end_is_cut_and_no_more_of_it_asked_for(road: Road) -> None:
    road.config = TurnConfig(reply_limit=1000, cut_text="(cut)")
    never = asyncio.Event()
    road.engine.scripts = [["x" * 400, "y" * 400, "z" * 400, never]]
    async with road.working(), road.sending():
        await road.put(message("1"))
        await road.settled(answered=1)
        await road.until(lambda: road.engine.closed == 1)

    assert (
        "".join(road.platform.texts()).replace("\n", "")
        == "x" * 400 + "y" * 400 + "z" * 200 + "(cut)"
    )


async def test_a_message_too_old_to_be_answered_is_quarantined_and_its_sender_told(
    road: Road,
) -> None:
    road.config = TurnConfig(give_up_after=0.05, failure_text="sorry")
    road.engine.scripts = [[Unavailable("down", after=0.03)]] * 20
    async with road.working(), road.sending():
        await road.put(message("1"))
        await road.settled(quarantined=1, sent=1)

    assert road.platform.texts() == ["sorry"]


async def test_a_refused_request_is_told_to_its_sender_and_not_repeated(road: Road) -> None:
    road.engine.scripts = [[Refused("That is too long for me.")]]
    async with road.working(), road.sending():
        await road.put(message("1"))
        await road.settled(refused=1, sent=1)

    assert road.platform.texts() == ["That is too long for me."]
    assert len(road.engine.asked) == 1


async def test_a_message_that_breaks_us_is_quarantined_after_three_tries_and_the_lane_goes_on(
    road: Road,
) -> None:
    road.engine.scripts = [[ValueError("a bug of ours")]] * 3
    async with road.working(), road.sending():
        await road.put(message("1", text="poison"))
        await road.put(message("2", text="fine"))
        await road.settled(quarantined=1, answered=1, sent=2)

    assert road.platform.texts()[-1] == "echo fine"
    (letter,) = await DeadLetters(road.store).list()
    assert "a bug of ours" in letter.reason


async def test_a_message_that_breaks_working_engines_is_quarantined_after_its_tries(
    road: Road,
) -> None:
    road.engine.broken_by = "poison"
    async with road.working(), road.sending():
        await road.put(message("1", "ada", text="poison"))
        number = 0
        async with asyncio.timeout(30):
            while not (await road.ledger()).quarantined:
                number += 1
                await road.put(message(str(number), "bob", text="fine"))
                await asyncio.sleep(0.02)
        await road.settled(quarantined=1, answered=number)

    assert road.platform.of(message("1", "ada").conversation) == [road.config.failure_text]


async def test_an_engine_that_is_away_for_all_blames_no_message(road: Road) -> None:
    road.engine.broken_by = "hello"
    async with road.working(), road.sending():
        for number in range(5):
            await road.put(message("1", f"user{number}"))
        await road.until(lambda: len(road.engine.asked) > 50)
        road.engine.broken_by = ""
        await road.settled(answered=5, quarantined=0, sent=5)


async def test_an_empty_answer_is_said_to_be_one(road: Road) -> None:
    road.config = TurnConfig(empty_text="nothing")
    road.engine.scripts = [["  \n"]]
    async with road.working(), road.sending():
        await road.put(message("1"))
        await road.settled(answered=1, sent=1)
    assert road.platform.texts() == ["nothing"]


async def test_stopping_closes_the_engine_and_nothing_is_sent(road: Road) -> None:
    never = asyncio.Event()
    road.engine.scripts = [["partial ", never]]
    async with road.working() as worker, road.sending():
        await road.put(message("1"))
        await road.until(lambda: len(road.engine.asked) == 1)
        await road.lanes.stop(message("1").conversation)
        await road.until(lambda: road.engine.closed == 1)
        await road.until(lambda: worker.busy == 0)

    await road.settled(accepted=1, cancelled=1, waiting=0)
    assert road.platform.texts() == []


async def test_a_newer_message_interrupts_the_running_turn_silently(road: Road) -> None:
    road.policy = LanePolicy(mode="interrupt")
    never = asyncio.Event()
    road.engine.scripts = [["old ", never]]
    async with road.working(), road.sending():
        await road.put(message("1", text="a"))
        await road.until(lambda: len(road.engine.asked) == 1)
        await road.put(message("2", text="b"))
        await road.settled(answered=2, sent=1)

    assert road.platform.texts() == ["echo a+b"]


async def test_a_dying_workers_turn_is_taken_over_by_another(road: Road) -> None:
    never = asyncio.Event()
    road.engine.scripts = [["lost ", never]]
    dying = Claims(road.store, lease_seconds=0.3)
    await road.put(message("1", text="ping"))
    (lease,) = await dying.take(1)  # and never heard of again
    async with road.working(), road.sending():
        road.engine.scripts.clear()
        await road.settled(answered=1, sent=1)

    assert lease.fence > 0
    assert road.platform.texts() == ["echo ping"]


async def test_draining_gives_unfinished_turns_back_without_counting_them(road: Road) -> None:
    never = asyncio.Event()
    road.engine.scripts = [["half", never]]
    async with road.working():
        await road.put(message("1", text="ping"))
        await road.until(lambda: len(road.engine.asked) == 1)

    (lease,) = await Claims(road.store).take(1)
    assert lease.attempt == 1


async def test_parts_are_sent_in_order_and_a_busy_platform_is_waited_for(road: Road) -> None:
    road.engine.scripts = [["one\n\ntwo\n\nthree"]]
    road.platform.faults.extend([Fault(Busy("429", after=0.05)), Fault(Busy("429", after=0.02))])
    async with road.working(), road.sending():
        await road.put(message("1"))
        await road.settled(answered=1, sent=3)

    assert road.platform.texts() == ["one", "two", "three"]


async def test_a_platform_that_is_not_there_is_tried_again(road: Road) -> None:
    road.platform.faults.append(Fault(Unavailable("no route", after=0.02)))
    async with road.working(), road.sending():
        await road.put(message("1", text="ping"))
        await road.settled(sent=1)
    assert road.platform.texts() == ["echo ping"]


async def test_a_part_that_can_never_be_sent_is_quarantined_with_the_rest_of_its_reply(
    road: Road,
) -> None:
    road.engine.scripts = [["one\n\ntwo\n\nthree"]]
    road.platform.faults.append(Fault(Failed("chat not found")))
    async with road.working(), road.sending():
        await road.put(message("1"))
        await road.settled(answered=1, failed=3, sent=0)
        await road.put(message("2", text="next"))
        await road.settled(sent=1)

    letters = await DeadLetters(road.store).list()
    assert {letter.reason for letter in letters} == {"chat not found"}


async def test_what_was_too_late_is_sent_after_all_when_an_operator_says_so(road: Road) -> None:
    road.config = TurnConfig(reply_deadline=0.05)
    road.platform.faults.extend([Fault(Busy("429", after=0.1))])
    async with road.working(), road.sending():
        await road.put(message("1", text="late"))
        await road.settled(answered=1, failed=1)
        (letter,) = await DeadLetters(road.store).list()
        await DeadLetters(road.store).resubmit(letter.id)
        await road.settled(sent=1, failed=0)

    assert road.platform.texts() == ["echo late"]


async def test_a_cut_send_without_key_ends_uncertain_and_is_not_repeated(road: Road) -> None:
    road.platform.faults.append(Fault(Uncertain("cut"), applied=True))
    async with road.working(), road.sending():
        await road.put(message("1", text="a"))
        await road.settled(uncertain=1)
        await road.put(message("2", text="b"))
        await road.settled(sent=1)

    assert road.platform.texts() == ["echo a", "echo b"]
    (letter,) = await DeadLetters(road.store).list()
    assert letter.kind == "uncertain"


async def test_a_cut_send_with_a_key_is_repeated_and_shown_once(road: Road) -> None:
    road.adapter, road.capabilities = KeyedAdapter, KEYED
    road.platform.faults.append(Fault(Unavailable("cut", after=0.01), applied=True))
    async with road.working(), road.sending():
        await road.put(message("1", text="a"))
        await road.settled(sent=1, uncertain=0)

    assert road.platform.texts() == ["echo a"]
    assert road.platform.sends == 2


async def test_a_cut_send_is_looked_up_where_the_platform_can_be_asked(road: Road) -> None:
    road.adapter = ReadingAdapter
    faults = [Fault(Uncertain("cut"), applied=True), Fault(Uncertain("cut"), applied=False)]
    road.platform.faults.extend(faults)
    async with road.working(), road.sending():
        await road.put(message("1", text="a"))
        await road.settled(sent=1)
        await road.put(message("2", text="b"))
        await road.settled(sent=2, uncertain=0)

    assert road.platform.texts() == ["echo a", "echo b"]


async def test_a_cut_send_that_cannot_be_looked_up_yet_is_asked_for_again_and_never_repeated(
    road: Road,
) -> None:
    class Slow(ReadingAdapter):
        asked = 0

        async def find(self, outbound: Outbound) -> Receipt | None:
            Slow.asked += 1
            if Slow.asked <= 3:
                raise Unavailable("nobody can say now", after=0.01)
            return await super().find(outbound)

    road.adapter = Slow
    road.platform.faults.append(Fault(Uncertain("cut"), applied=True))
    async with road.working(), road.sending():
        await road.put(message("1", text="a"))
        await road.settled(sent=1, uncertain=0)

    assert (road.platform.texts(), road.platform.sends) == (["echo a"], 1)


async def test_a_cut_send_that_can_never_be_looked_up_is_listed_and_the_next_goes_out(
    road: Road,
) -> None:
    class Blind(ReadingAdapter):
        async def find(self, outbound: Outbound) -> Receipt | None:
            raise Uncertain("nobody will ever say")

    road.adapter = Blind
    road.platform.faults.append(Fault(Uncertain("cut"), applied=False))
    async with road.working(), road.sending():
        await road.put(message("1", text="a"))
        await road.settled(uncertain=1)
        await road.put(message("2", text="b"))
        await road.settled(sent=1, uncertain=1)

    assert road.platform.texts() == ["echo b"]


async def test_resending_when_uncertain_is_a_setting(road: Road) -> None:
    road.delivery_config = DeliveryConfig(on_uncertain="resend")
    road.platform.faults.append(Fault(Uncertain("cut"), applied=False))
    async with road.working(), road.sending():
        await road.put(message("1", text="a"))
        await road.settled(sent=1, uncertain=0)
    assert road.platform.texts() == ["echo a"]


async def test_a_growing_answer_is_one_message_that_ends_as_the_outbox_says(road: Road) -> None:
    road.adapter, road.capabilities = EditingAdapter, EDITING
    more, rest = asyncio.Event(), asyncio.Event()
    road.engine.scripts = [["one", more, " two", rest, " three"]]
    async with road.working(), road.sending():
        await road.put(message("1"))
        await road.until(lambda: road.platform.texts() == ["one"])
        more.set()
        await road.until(lambda: road.platform.texts() == ["one two"])
        rest.set()
        await road.settled(answered=1, sent=1)

    (seen,) = road.platform.messages.values()
    assert seen.texts[-1] == "one two three"


async def test_another_engine_starting_over_replaces_what_was_shown(road: Road) -> None:
    road.adapter, road.capabilities = EditingAdapter, EDITING
    shown = asyncio.Event()
    road.engine.scripts = [["bad", shown, Restarted("second"), "good"]]
    async with road.working(), road.sending():
        await road.put(message("1"))
        await road.until(lambda: road.platform.texts() == ["bad"])
        shown.set()
        await road.settled(sent=1)
    assert road.platform.texts() == ["good"]


async def test_after_a_crash_the_final_text_replaces_the_partial_one(road: Road) -> None:
    road.adapter, road.capabilities = EditingAdapter, EDITING
    never = asyncio.Event()
    road.engine.scripts = [["partial", never]]
    claims = Claims(road.store, lease_seconds=0.5)
    async with road.sending(), road.working(claims):
        await road.put(message("1", text="ping"))
        await road.until(lambda: road.platform.texts() == ["partial"])
    async with road.working(), road.sending():
        await road.settled(answered=1, sent=1)

    assert road.platform.texts() == ["echo ping"]


async def test_a_cut_preview_that_said_everything_is_listed_and_not_said_again(road: Road) -> None:
    road.adapter, road.capabilities = EditingAdapter, EDITING
    more = asyncio.Event()
    road.engine.scripts = [["all of it", more]]
    road.platform.faults.append(Fault(Uncertain("cut"), applied=True))
    async with road.working(), road.sending():
        await road.put(message("1"))
        await road.until(lambda: road.platform.texts() == ["all of it"])
        more.set()
        await road.settled(answered=1, uncertain=1)

    assert road.platform.texts() == ["all of it"]


async def test_a_cut_preview_that_said_a_part_is_followed_by_the_whole(road: Road) -> None:
    road.adapter, road.capabilities = EditingAdapter, EDITING
    more = asyncio.Event()
    road.engine.scripts = [["a part", more, " and the rest"]]
    road.platform.faults.append(Fault(Uncertain("cut"), applied=True))
    async with road.working(), road.sending():
        await road.put(message("1"))
        await road.until(lambda: road.platform.sends == 1)
        more.set()
        await road.settled(answered=1, sent=1)

    assert road.platform.texts() == ["a part", "a part and the rest"]


@pytest.mark.parametrize("adapter", [ReadingEditor, KeyedEditor])
@pytest.mark.parametrize("applied", [True, False])
async def test_a_cut_preview_becomes_the_answer_where_the_platform_can_tell(
    road: Road, adapter: type[ReadingEditor | KeyedEditor], applied: bool
) -> None:
    """The answer has the preview's key: repeated, it would be taken for the preview."""
    road.adapter = adapter
    keyed = adapter is KeyedEditor
    road.capabilities = dataclasses.replace(EDITING, idempotent_send=keyed)
    more = asyncio.Event()
    road.engine.scripts = [["a part", more, " and the rest"]]
    road.platform.faults.append(Fault(Uncertain("cut"), applied=applied))
    async with road.working(), road.sending():
        await road.put(message("1"))
        await road.until(lambda: road.platform.sends == 1)
        more.set()
        await road.settled(answered=1, sent=1, uncertain=0)

    assert road.platform.texts() == ["a part and the rest"]


async def test_a_flooded_preview_holds_the_answer_back_also_at_the_next_owner(road: Road) -> None:
    road.adapter, road.capabilities = EditingAdapter, EDITING
    more = asyncio.Event()
    road.engine.scripts = [["a part", more, " and the rest"]]
    road.platform.faults.append(Fault(Busy("slow down", after=1.0)))
    async with road.working():
        async with road.sending():
            await road.put(message("1"))
            await road.until(lambda: road.platform.sends == 1)
            refused = time.monotonic()
        async with road.sending():
            more.set()
            await road.settled(answered=1, sent=1)
            waited = time.monotonic() - refused

    assert road.platform.texts() == ["a part and the rest"]
    assert waited > 0.9  # as asked


async def test_a_preview_that_comes_after_its_answer_is_not_shown(road: Road) -> None:
    road.adapter, road.capabilities = EditingAdapter, EDITING
    late = message("1")
    async with road.working(), road.sending():
        await road.put(late)
        await road.settled(answered=1, sent=1)
        straggler = Live(
            conversation=late.conversation,
            account=late.account,
            place=late.place,
            reply=reply_id(late.id),
            kind="text",
            text="echo hello",
            fence=1,
        )
        await publish(road.store, f"{road.store.namespace}:live", msgspec.json.encode(straggler))
        await road.put(message("2", text="next"))
        await road.settled(answered=2, sent=2)

    assert road.platform.texts() == ["echo hello", "echo next"]


async def test_a_quarantine_notice_replaces_the_partial_text(road: Road) -> None:
    road.adapter, road.capabilities = EditingAdapter, EDITING
    road.config = TurnConfig(attempts=1, failure_text="sorry")
    shown = asyncio.Event()
    road.engine.scripts = [["partial", shown, ValueError("a bug of ours")]]
    async with road.working(), road.sending():
        await road.put(message("1"))
        await road.until(lambda: road.platform.texts() == ["partial"])
        shown.set()
        await road.settled(quarantined=1, sent=1)

    assert road.platform.texts() == ["sorry"]


async def test_typing_is_shown_while_the_model_thinks(road: Road) -> None:
    road.adapter, road.capabilities = EditingAdapter, EDITING
    think = asyncio.Event()
    road.engine.scripts = [[think, "done"]]
    async with road.working(), road.sending():
        await road.put(message("1"))
        await road.until(lambda: road.platform.typed >= 2)
        think.set()
        await road.settled(sent=1)


async def test_a_message_gone_from_the_platform_is_sent_anew(road: Road) -> None:
    road.adapter, road.capabilities = EditingAdapter, EDITING
    shown = asyncio.Event()
    road.engine.scripts = [["partial", shown, " done"]]
    async with road.working(), road.sending():
        await road.put(message("1"))
        await road.until(lambda: road.platform.texts() == ["partial"])
        road.platform.messages.clear()
        shown.set()
        await road.settled(sent=1)
    assert road.platform.texts() == ["partial done"]


async def test_a_second_sender_takes_over_and_the_first_is_refused(road: Road) -> None:
    road.capabilities = PLAIN
    road.platform.gate = asyncio.Event()
    async with road.working(), road.sending():
        await road.put(message("1", text="a"))
        await road.until(lambda: road.platform.sends == 1)
        # the owner is taken for dead; its successor finds a send that never reported back
        partition = road.store.partitions[0]
        await road.store.call(partition, "DEL", f"{partition}:hold:fake:one")
        async with road.sending():
            await road.settled(uncertain=1)
        road.platform.gate.set()

    await road.settled(uncertain=1, sent=0)
    assert road.platform.texts() == ["echo a"]
