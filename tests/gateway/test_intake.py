from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.access.config import AccessConfig, AccountRules
from gateway.access.pairing import PENDING, approve, list_pending
from gateway.errors import Unavailable
from gateway.intake import DAY, STRANGERS, Intake
from gateway.message import Account, Attachment, Inbound, InboundKind
from gateway.ports import Accepted, Inbox, LanePolicy
from gateway.sessions.commands import Commands
from gateway.sessions.config import SessionConfig
from tests.fakes.clock import MovedClock
from tests.fakes.crash import Crash, Fuse
from tests.fakes.events import BOT, event
from tests.fakes.lanes import MemoryLanes
from tests.fakes.stores import MemoryLog, MemoryRecords

CORPORA = Path(__file__).parents[3] / "shared" / "corpora"
OPEN = {"dm_policy": "open", "group_policy": "open"}
ROOM: dict[str, Any] = {"place": "group", "chat": "room"}


class House:
    """An intake with its stores, which outlive it."""

    def __init__(
        self, policy: LanePolicy | None = None, heard_as: tuple[str, ...] = (), **access: Any
    ) -> None:
        self.clock = MovedClock()
        self.lanes = MemoryLanes()
        self.records = MemoryRecords(self.clock.now)
        self.log = MemoryLog()
        self.rules = AccountRules(
            account=BOT,
            access=AccessConfig(**access),
            policy=policy or LanePolicy(),
            own_ids=frozenset({"me"}),
            heard_as=heard_as,
        )
        self.stored: list[Inbound] = []
        self.stopped: list[str] = []
        self.intake = self.start()

    def start(self, fuse: Fuse | None = None) -> Intake:
        """A new process on the same stores."""
        fuse = fuse or Fuse(0)
        lanes, records = fuse.guard(self.lanes), fuse.guard(self.records)
        return Intake(
            lanes,
            records,
            {BOT.key: self.rules},
            self.clock,
            lambda whole: (whole,),
            commands=Commands(
                lanes, records, self.clock, models=lambda: ("home", "cloud"), version="1.0"
            ),
            stop_words=SessionConfig().stop_words,
            stored=self.stored.append,
            stopped=self.stopped.append,
        )

    async def take(self, *events: Inbound) -> list[str]:
        accepted = [await self.intake.accept(one) for one in events]
        return [f"{one.outcome} {one.reason}".strip() for one in accepted]

    async def hand_in(self, one: Inbound, fuse: Fuse) -> Accepted:
        """What an adapter does that fetches files and shows messages in a log; it may die."""
        log = fuse.guard(self.log)

        async def prepare(event: Inbound) -> Inbound:
            fuse.pass_()
            return event

        async def show(event: Inbound) -> None:
            await log.append(event.conversation, event.id, event.text.encode())

        return await self.start(fuse).accept(one, prepare, show)

    def shown(self) -> list[str]:
        """What stands in the log of those who showed what they handed in."""
        return [one.body.decode() for log in self.log._entries.values() for one in log]

    def waiting(self) -> list[str]:
        return [one.text for lane in self.lanes.waiting.values() for one in lane]

    def stored_records(self) -> int:
        return sum(len(table) for table in self.records._tables.values())


def test_it_is_an_inbox() -> None:
    inbox: Inbox = House().intake
    assert inbox


# --- the gate -----------------------------------------------------------------------------------


async def test_an_admitted_message_is_stored_with_the_accounts_policy() -> None:
    house = House(LanePolicy(mode="each", debounce=0.5), **OPEN)
    assert await house.take(event("1", "hi"), event("1", "hi")) == ["stored", "duplicate"]
    assert house.waiting() == ["hi"]
    assert house.lanes.policies[event("1").id] == LanePolicy(mode="each", debounce=0.5)


async def test_an_ordinary_message_costs_one_call_to_the_store() -> None:
    house = House(**OPEN)
    fuse = Fuse(0)
    await house.start(fuse).accept(event("1"))
    assert fuse.points == 2


async def test_a_paired_persons_messages_cost_no_look_up_each() -> None:
    house = House()
    await house.take(event("0"))
    (pending,) = await list_pending(house.records)
    await approve(house.records, pending.code, house.clock.now())
    house.clock.advance(2)
    fuse = Fuse(0)
    intake = house.start(fuse)
    for n in range(1, 11):
        assert (await intake.accept(event(str(n)))).outcome == "stored"
    assert fuse.points == 2 * (10 + 1)


@pytest.mark.parametrize("kind", get_args(InboundKind))
@pytest.mark.parametrize(
    "access",
    [{}, {"dm_policy": "allowlist", "allow_from": ["bob"]}, {"dm_policy": "disabled"}],
)
async def test_no_kind_of_event_of_a_stranger_reaches_a_lane(
    kind: InboundKind, access: dict[str, Any]
) -> None:
    house = House(**access)
    await house.take(event("1", kind=kind, target="0"))
    await house.take(event("2", kind=kind, target="0", **ROOM))
    assert not {"put", "replace", "withdraw", "stop", "reset", "override"} & set(house.lanes.calls)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"account": Account(kind="chat", id="other")}, "unknown_account"),
        ({"sender": "me"}, "own"),
        ({"is_bot": True}, "bot"),
        ({"grade": "unverified"}, "identity"),
        ({"target": "\ud800"}, "malformed"),
        ({"kind": "join"}, "join"),
        ({"kind": "reaction"}, "reaction"),
        ({**ROOM, "addressed": False}, "not_addressed"),
    ],
)
async def test_some_events_are_none_of_our_business(fields: dict[str, Any], reason: str) -> None:
    house = House(**OPEN)
    assert await house.take(event("1", **fields)) == [f"ignored {reason}"]
    assert not house.lanes.calls


async def test_a_reaction_is_a_message_where_that_is_wanted() -> None:
    house = House(**OPEN, reactions=True)
    assert await house.take(event("1", "👍", kind="reaction", target="7")) == ["stored"]
    assert house.waiting() == ["[reaction: 👍]"]


async def test_a_button_is_admitted_like_a_message() -> None:
    house = House(**OPEN)
    assert await house.take(event("1", "yes", kind="button")) == ["stored"]
    assert await house.take(event("2", "/help", kind="button")) == ["answered"]


async def test_an_edit_replaces_and_a_delete_withdraws_what_still_waits() -> None:
    house = House(**OPEN)
    await house.take(event("1", "teh"), event("2", "tea"), event("3", "running"))
    edit = event("4", "the\x00", kind="edit", target="1")
    delete = event("5", "", kind="delete", target="2")
    assert await house.take(edit, edit, delete) == ["changed", "duplicate", "changed"]
    assert house.waiting() == ["the", "running"]
    house.lanes.work(event("1").conversation)
    late = event("6", "no", kind="edit", target="3")
    unknown = event("7", "no", kind="edit", target="99")
    assert await house.take(late, unknown) == ["ignored late", "ignored unknown"]


async def test_an_edit_that_grows_too_long_is_refused() -> None:
    house = House(**OPEN)
    await house.take(event("1", "short"))
    assert await house.take(event("2", "x" * 40_000, kind="edit", target="1")) == [
        "refused too_long"
    ]
    assert house.waiting() == ["short"]


async def test_other_bots_are_paused_when_they_go_on_and_on_and_never_refused_in_words() -> None:
    house = House(**OPEN, allow_bots=True, per_sender=0, per_chat=0)
    taken = await house.take(*(event(str(n), sender="robot", is_bot=True) for n in range(30)))
    assert taken == ["stored"] * 20 + ["ignored bot_loop"] * 10
    house.clock.advance(61)
    huge = event("x", "x" * 40_000, sender="robot", is_bot=True)
    assert await house.take(huge) == ["ignored too_long"]
    assert house.lanes.outbox == []


# --- strangers ----------------------------------------------------------------------------------


async def test_a_stranger_gets_one_code_a_day_and_talks_once_approved() -> None:
    house = House()
    first, again, other = event("1", "hi"), event("2", "hi?"), event("3", "hello?")
    assert await house.take(first, first, again) == [
        "refused stranger",
        "duplicate stranger",
        "ignored stranger",
    ]
    (pending,) = await list_pending(house.records)
    (text,) = house.lanes.said()
    assert pending.code in text
    assert house.lanes.outbox[0].kind == "refusal"
    await approve(house.records, pending.code, house.clock.now())
    house.clock.advance(1)
    assert await house.take(other) == ["stored"]


async def test_a_strangers_second_code_comes_the_next_day_even_after_a_restart() -> None:
    house = House()
    await house.take(event("1"))
    house.intake = house.start()
    assert await house.take(event("2")) == ["ignored stranger"]
    house.clock.advance(86_401)
    assert await house.take(event("3")) == ["refused stranger"]
    first, second = house.lanes.said()
    assert first != second


async def test_the_first_person_approved_may_use_owner_only_commands() -> None:
    house = House(owner_commands=("model",))
    await house.take(event("1"))
    (pending,) = await list_pending(house.records)
    await approve(house.records, pending.code, 1.0)
    house.clock.advance(1)
    assert await house.take(event("2", "/model home")) == ["answered"]
    assert "home" in house.lanes.said()[-1]


async def test_a_thousand_strangers_cost_no_turn_and_a_bounded_amount_of_store() -> None:
    house = House()
    for n in range(1000):
        for message in range(3):
            await house.take(event(f"{n}.{message}", sender=f"stranger{n}"))
    assert house.lanes.calls["put"] == 0
    assert len(house.lanes.outbox) == STRANGERS
    assert len(await list_pending(house.records)) == PENDING
    assert house.stored_records() <= STRANGERS + PENDING


async def test_with_an_allow_list_a_stranger_is_refused_once_with_their_id() -> None:
    house = House(dm_policy="allowlist", allow_from=["ada"])
    eve = [event(str(n), sender="eve") for n in range(3)]
    assert await house.take(*eve) == ["refused stranger", "ignored stranger", "ignored stranger"]
    assert "`eve`" in house.lanes.said()[0]
    assert await house.take(event("9")) == ["stored"]


async def test_a_stranger_is_told_later_when_the_store_was_away() -> None:
    house = House()
    house.lanes.down = True
    with pytest.raises(Unavailable):
        await house.take(event("1"))
    house.lanes.down = False
    assert await house.take(event("1")) == ["refused stranger"]


# --- limits -------------------------------------------------------------------------------------


async def test_too_fast_a_sender_is_told_once_per_window_and_heard_again_after_it() -> None:
    house = House(**OPEN)
    taken = await house.take(*(event(str(n)) for n in range(30)))
    assert taken == ["stored"] * 20 + ["refused rate_limit"] + ["ignored rate_limit"] * 9
    assert len(house.lanes.outbox) == 1
    house.clock.advance(61)
    assert await house.take(event("31")) == ["stored"]


async def test_too_busy_a_chat_is_told_once() -> None:
    house = House(**OPEN)
    taken = await house.take(*(event(str(n), sender=f"p{n % 9}", **ROOM) for n in range(70)))
    assert taken.count("stored") == 60
    assert taken.count("refused rate_limit") == 1


async def test_copies_of_one_delivery_do_not_use_up_the_limit() -> None:
    house = House(**OPEN)
    for n in range(20):
        copies = await asyncio.gather(*(house.intake.accept(event(str(n))) for _ in range(5)))
        assert sorted(one.outcome for one in copies) == ["duplicate"] * 4 + ["stored"]


async def test_a_limit_that_could_not_be_told_is_told_next_time() -> None:
    house = House(**OPEN, per_sender=1)
    await house.take(event("1"))
    house.lanes.down = True
    with pytest.raises(Unavailable):
        await house.take(event("2"))
    house.lanes.down = False
    assert await house.take(event("3"), event("4")) == [
        "refused rate_limit",
        "ignored rate_limit",
    ]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"text": "x" * 1_000_000}, "too_long"),
        ({"text": "😀" * 33_000}, "too_long"),
        ({"attachments": (Attachment(kind="image"),) * 2000}, "too_many_files"),
        ({"attachments": (Attachment(kind="document", size=26_300_000),)}, "file_too_large"),
        ({"text": ""}, "empty"),
        ({"text": " \x00\n"}, "empty"),
        ({"sent_at": 1_700_000_000.0 - 90_000}, "late"),
    ],
)
async def test_what_is_too_much_too_little_or_too_late_is_refused_in_words(
    fields: dict[str, Any], reason: str
) -> None:
    house = House(**OPEN)
    assert await house.take(event("1", **fields)) == [f"refused {reason}"]
    (part,) = house.lanes.outbox
    assert (part.kind, part.reply_to) == ("refusal", "1")
    assert not house.waiting()


async def test_two_hours_late_is_not_too_late() -> None:
    house = House(**OPEN)
    assert await house.take(event("1", sent_at=house.clock.now() - 7200)) == ["stored"]


async def test_a_full_lane_is_said_once_and_stop_still_works() -> None:
    house = House(LanePolicy(depth=2), **OPEN)
    taken = await house.take(*(event(str(n)) for n in range(5)))
    assert taken == ["stored", "stored", "refused full", "ignored full", "ignored full"]
    assert await house.take(event("9", "/stop")) == ["answered"]
    assert await house.take(event("10")) == ["stored"]


async def test_when_the_store_is_away_the_event_is_handed_back() -> None:
    house = House(**OPEN)
    house.lanes.down = True
    for one in (event("1"), event("2", "/stop"), event("3", "x" * 50_000)):
        with pytest.raises(Unavailable):
            await house.take(one)
    house.lanes.down = False
    assert await house.take(event("1")) == ["stored"]


# --- what adapters do on the way in -------------------------------------------------------------


class Hands:
    """An adapter's `prepare` and `show`, which note what they were called for."""

    def __init__(self, *files: Attachment) -> None:
        self.files = files
        self.prepared: list[str] = []
        self.shown: list[str] = []
        self.failure: Unavailable | None = None

    async def prepare(self, one: Inbound) -> Inbound:
        self.prepared.append(one.native_id)
        if self.failure is not None:
            raise self.failure
        return msgspec.structs.replace(one, attachments=self.files)

    async def show(self, one: Inbound) -> None:
        self.shown.append(one.native_id)

    async def give(self, house: House, *events: Inbound) -> list[str]:
        accepted = [await house.intake.accept(one, self.prepare, self.show) for one in events]
        return [f"{one.outcome} {one.reason}".strip() for one in accepted]


@pytest.mark.parametrize("kind", get_args(InboundKind))
@pytest.mark.parametrize(
    "access",
    [{}, {"dm_policy": "allowlist", "allow_from": ["bob"]}, {"dm_policy": "disabled"}],
)
async def test_nothing_of_a_stranger_is_fetched_or_shown(
    kind: InboundKind, access: dict[str, Any]
) -> None:
    house, hands = House(**access), Hands()
    picture = (Attachment(kind="image"),)
    await hands.give(house, event("1", kind=kind, target="0", attachments=picture))
    await hands.give(house, event("2", kind=kind, target="0", attachments=picture, **ROOM))
    assert hands.prepared == hands.shown == []


async def test_what_was_fetched_is_what_is_stored_and_commands_are_shown_too() -> None:
    house = House(**OPEN)
    hands = Hands(Attachment(kind="image", name="a\x00b", digest="d"))
    assert await hands.give(house, event("1", "look")) == ["stored"]
    (stored,) = house.lanes.waiting[event("1").conversation]
    assert stored.attachments == (Attachment(kind="image", name="ab", digest="d"),)
    assert await Hands().give(house, event("2", "/stop")) == ["answered"]
    assert hands.prepared == hands.shown == ["1"]


async def test_too_fast_a_sender_has_nothing_fetched_and_one_refusal_shown() -> None:
    house, hands = House(**OPEN), Hands()
    taken = await hands.give(house, *(event(str(n)) for n in range(40)))
    assert taken == ["stored"] * 20 + ["refused rate_limit"] + ["ignored rate_limit"] * 19
    assert hands.prepared == [str(n) for n in range(20)]
    assert hands.shown == [str(n) for n in range(21)]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"text": "x" * 40_000}, "too_long"),
        ({"attachments": (Attachment(kind="image"),) * 11}, "too_many_files"),
        ({"attachments": (Attachment(kind="document", size=26_300_000),)}, "file_too_large"),
        ({"text": " "}, "empty"),
        ({"sent_at": 1_700_000_000.0 - 90_000}, "late"),
    ],
)
async def test_what_is_refused_by_what_the_platform_told_is_shown_and_not_fetched(
    fields: dict[str, Any], reason: str
) -> None:
    house, hands = House(**OPEN), Hands()
    assert await hands.give(house, event("1", **fields)) == [f"refused {reason}"]
    assert (hands.prepared, hands.shown) == ([], ["1"])


async def test_what_is_only_known_once_it_was_fetched_is_checked_too() -> None:
    house, hands = House(**OPEN), Hands(Attachment(kind="document", size=26_300_000))
    small = event("1", attachments=(Attachment(kind="document"),))
    assert await hands.give(house, small, small) == [
        "refused file_too_large",
        "duplicate file_too_large",
    ]
    assert not house.waiting()
    assert len(house.lanes.outbox) == 1
    assert hands.prepared == hands.shown == ["1", "1"]


async def test_an_event_whose_files_could_not_be_kept_is_handed_in_again() -> None:
    house, hands = House(**OPEN, per_sender=1), Hands()
    hands.failure = Unavailable("no room for files")
    for _ in range(3):
        with pytest.raises(Unavailable):
            await hands.give(house, event("1"))
    assert house.lanes.calls == {}
    assert hands.shown == []
    hands.failure = None
    assert await hands.give(house, event("1")) == ["stored"]


async def test_bots_and_edits_and_deletes_are_not_shown_or_fetched() -> None:
    house, hands = House(**OPEN, allow_bots=True, per_sender=1), Hands()
    await hands.give(house, event("1"), event("2", sender="robot", is_bot=True))
    edit = event("3", "x" * 40_000, kind="edit", target="1")
    delete = event("4", "", kind="delete", target="1")
    bot = event("5", sender="robot", is_bot=True)
    await hands.give(house, edit, delete, bot)
    assert hands.prepared == hands.shown == ["1", "2"]


# --- commands -----------------------------------------------------------------------------------


async def test_a_command_is_answered_at_once_past_the_queue() -> None:
    house = House(**OPEN)
    await house.take(event("1"), event("2"))
    assert await house.take(event("3", "/stop"), event("3", "/stop")) == ["answered", "duplicate"]
    assert house.waiting() == []
    (answer,) = house.lanes.outbox
    assert (answer.kind, answer.text, answer.reply_to) == ("notice", "Stopped: 2 messages.", "3")


async def test_copies_of_a_stop_delivered_at_once_stop_and_answer_once() -> None:
    house = House(**OPEN)
    await house.take(event("1"))
    copies = await asyncio.gather(*(house.intake.accept(event("2", "stop")) for _ in range(5)))
    assert sorted(one.outcome for one in copies) == ["answered"] + ["duplicate"] * 4
    assert house.lanes.said() == ["Stopped."]
    assert house.lanes.calls["stop"] == 1


async def test_a_new_conversation_may_begin_with_a_question() -> None:
    house = House(**OPEN)
    await house.take(event("1", "old"))
    taken = await house.take(event("2", "/new what is tea?"), event("2", "/new what is tea?"))
    assert taken == ["stored", "duplicate"]
    assert house.waiting() == ["what is tea?"]
    assert house.lanes.sessions[event("1").conversation].generation == 1
    assert house.lanes.outbox == []


async def test_a_picture_with_a_command_word_under_it_is_a_message() -> None:
    house = House(**OPEN)
    picture = event("1", "stop", attachments=(Attachment(kind="image"),))
    assert await house.take(picture) == ["stored"]


# --- crashes ------------------------------------------------------------------------------------

SCENES: dict[str, tuple[dict[str, Any], Inbound]] = {
    "message": (OPEN, event("9", "hi")),
    "stop": (OPEN, event("9", "/stop")),
    "new": (OPEN, event("9", "/new")),
    "new with a question": (OPEN, event("9", "/new why?")),
    "model": (OPEN, event("9", "/model home")),
    "queue": (OPEN, event("9", "/queue each")),
    "status": (OPEN, event("9", "/status")),
    "too long": (OPEN, event("9", "x" * 40_000)),
    "edit": (OPEN, event("9", "new", kind="edit", target="1")),
    "delete": (OPEN, event("9", "", kind="delete", target="1")),
    "stranger": ({}, event("9", "hi", sender="eve")),
    "refused stranger": (
        {"dm_policy": "allowlist", "allow_from": ["ada"]},
        event("9", "hi", sender="eve"),
    ),
}


def outcome(house: House) -> tuple[Any, ...]:
    here = event("1").conversation
    return (
        house.waiting(),
        len(house.lanes.running[here]),
        house.lanes.sessions[here].overrides,
        min(house.lanes.sessions[here].generation, 1),
        house.lanes.ledger,
        [part.key for part in house.lanes.outbox],
        house.shown(),
        len(house.records._tables["pairing"]),
    )


async def prepared(access: dict[str, Any]) -> House:
    house = House(**access)
    for native in ("1", "2"):
        await house.lanes.put(event(native, native), LanePolicy())
    return house


@pytest.mark.parametrize("scene", SCENES)
async def test_a_crash_anywhere_and_a_second_delivery_come_to_the_same(scene: str) -> None:
    access, given_event = SCENES[scene]
    calm = await prepared(access)
    await calm.hand_in(given_event, Fuse(0))
    wanted, point = outcome(calm), 0
    while True:
        point += 1
        house = await prepared(access)
        try:
            await house.hand_in(given_event, Fuse(point))
        except Crash:
            if given_event.id in house.lanes._seen:
                assert house.shown() == calm.shown()
            await house.hand_in(given_event, Fuse(0))
            await house.hand_in(given_event, Fuse(0))
            assert outcome(house) == wanted, f"died at point {point}"
        else:
            break
    assert point > 2


async def test_the_code_shown_after_a_crash_is_one_that_works() -> None:
    for point in range(1, 20):
        house = House()
        try:
            await house.start(Fuse(point)).accept(event("1"))
        except Crash:
            await house.start().accept(event("1"))
        (pending,) = await list_pending(house.records)
        assert pending.code in house.lanes.said()[0]


# --- bad input ----------------------------------------------------------------------------------


def naughty() -> list[str]:
    strings: list[str] = json.loads((CORPORA / "unicode" / "blns.json").read_text())
    assert len(strings) > 500
    return strings


FIELDS: dict[str, Callable[[Inbound, str], Inbound]] = {
    "text": lambda one, text: msgspec.structs.replace(one, text=text),
    "name": lambda one, text: msgspec.structs.replace(
        one, sender=msgspec.structs.replace(one.sender, name=text)
    ),
    "quote": lambda one, text: msgspec.structs.replace(one, quote=text),
    "reply_to": lambda one, text: msgspec.structs.replace(one, reply_to=text),
    "header": lambda one, text: msgspec.structs.replace(one, headers={text: text}),
    "attachment": lambda one, text: msgspec.structs.replace(
        one, attachments=(Attachment(kind="document", name=text, text=text),)
    ),
}


@pytest.mark.parametrize("field", FIELDS)
async def test_naughty_strings_are_taken_in_or_turned_away_without_an_exception(
    field: str,
) -> None:
    house = House(**OPEN, per_sender=0, per_chat=0)
    for number, text in enumerate(naughty()):
        (said,) = await house.take(FIELDS[field](event(str(number)), text))
        assert said in ("stored", "answered", "refused empty", "ignored malformed", "full"), text
        house.lanes.waiting.clear()


@settings(max_examples=200)
@given(
    text=st.text(alphabet=st.characters(exclude_categories=()), max_size=200),
    field=st.sampled_from(sorted(FIELDS)),
    kind=st.sampled_from(get_args(InboundKind)),
    policy=st.sampled_from(["pairing", "open", "disabled"]),
    addressed=st.booleans(),
    group=st.booleans(),
)
async def test_no_event_makes_it_stumble(
    text: str, field: str, kind: InboundKind, policy: str, addressed: bool, group: bool
) -> None:
    house = House(dm_policy=policy, group_policy="open", reactions=True)
    where = ROOM if group else {}
    one = FIELDS[field](event("1", kind=kind, addressed=addressed, **where), text)
    assert isinstance(await house.intake.accept(one), Accepted)


# --- listening ----------------------------------------------------------------------------------


def voice(native: str, text: str = "", **more: Any) -> Inbound:
    file = Attachment(kind="voice", digest="ab" * 32, size=more.pop("size", 0))
    return event(native, text, attachments=(file,), **ROOM, **more)


async def test_who_waits_is_told_of_every_stored_message_once() -> None:
    house = House(**OPEN)
    await house.take(event("1"), event("1"), event("2", "/help"), voice("3"))
    assert [one.native_id for one in house.stored] == ["1", "3"]


async def test_who_reads_ahead_is_told_of_every_stop() -> None:
    house = House(**OPEN)
    await house.take(event("1", "/status"), event("2", "stop"), event("3", "/new and what is tea"))
    assert house.stopped == [event("1").conversation] * 2


async def test_a_voice_message_in_a_group_is_kept_until_its_words_are_known() -> None:
    house = House(heard_as=("Molly",), **OPEN)
    assert await house.take(voice("1", addressed=False), voice("2")) == ["stored", "stored"]
    assert [one.overheard for one in house.stored] == [True, False]
    song = event("3", "", attachments=(Attachment(kind="audio"),), addressed=False, **ROOM)
    assert await house.take(song) == ["ignored not_addressed"]
    house = House(**OPEN)
    assert await house.take(voice("1", addressed=False)) == ["ignored not_addressed"]


async def test_nobody_is_told_why_their_talk_was_not_heard() -> None:
    house = House(LanePolicy(depth=3), heard_as=("Molly",), per_sender=3, max_file=10, **OPEN)
    assert await house.take(
        voice("1", addressed=False, size=11),
        *(voice(native, addressed=False) for native in "234"),
    ) == ["ignored file_too_large", "stored", "stored", "ignored rate_limit"]
    house.clock.advance(61)
    late = house.clock.now() - 2 * DAY
    assert await house.take(
        voice("5", addressed=False),
        voice("6", addressed=False),
        voice("7", addressed=False, sent_at=late),
    ) == ["stored", "ignored full", "ignored late"]
    assert house.lanes.said() == []


async def test_talk_of_others_uses_up_nobodys_rate() -> None:
    house = House(heard_as=("Molly",), per_sender=2, per_chat=2, **OPEN)
    for native in "123":
        await house.take(voice(native, addressed=False))
    assert await house.take(event("4", **ROOM), event("5", **ROOM)) == ["stored", "stored"]


async def test_who_asks_us_is_told_of_a_full_lane_though_talk_met_it_first() -> None:
    house = House(LanePolicy(depth=1), heard_as=("Molly",), **OPEN)
    assert await house.take(
        voice("1", addressed=False), voice("2", addressed=False), event("3", **ROOM)
    ) == ["stored", "ignored full", "refused full"]


async def test_files_of_talk_beyond_the_rate_are_not_fetched() -> None:
    house = House(heard_as=("Molly",), per_sender=1, **OPEN)
    fetched: list[str] = []

    async def prepare(one: Inbound) -> Inbound:
        fetched.append(one.native_id)
        return one

    for native in "12":
        await house.intake.accept(voice(native, addressed=False), prepare)
    assert fetched == ["1"]
