"""The common schema: round trips, versions, and ids nobody can imitate."""

from __future__ import annotations

import contextlib
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Failed
from gateway.message import (
    SCHEMA,
    Account,
    Attachment,
    Button,
    Inbound,
    NewerSchema,
    Outbound,
    Place,
    ReplyId,
    Sender,
    conversation_id,
    decode_inbound,
    decode_outbound,
    encode,
    inbound_id,
    reply_id,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
FLOAT = st.floats(allow_nan=False, allow_infinity=False)

accounts = st.builds(Account, kind=TEXT, id=TEXT)
places = st.builds(
    Place, kind=st.sampled_from(["direct", "group", "thread"]), chat=TEXT, thread=TEXT
)
senders = st.builds(Sender, id=TEXT, name=TEXT, is_bot=st.booleans())
attachments = st.builds(
    Attachment,
    kind=st.sampled_from(["image", "voice", "audio", "video", "document"]),
    digest=TEXT,
    name=TEXT,
    size=st.integers(0, 2**50),
    duration=FLOAT,
    text=TEXT,
)
inbounds = st.builds(
    Inbound,
    id=TEXT,
    conversation=TEXT,
    account=accounts,
    place=places,
    sender=senders,
    kind=st.sampled_from(["message", "edit", "delete", "reaction", "command", "button", "join"]),
    text=TEXT,
    attachments=st.lists(attachments, max_size=3).map(tuple),
    mentions=st.lists(TEXT, max_size=3).map(tuple),
    headers=st.dictionaries(TEXT, TEXT, max_size=3),
    sent_at=FLOAT,
)
outbounds = st.builds(
    Outbound,
    reply=TEXT,
    conversation=TEXT,
    account=accounts,
    place=places,
    part=st.integers(0, 100),
    parts=st.integers(1, 100),
    text=TEXT,
    buttons=st.lists(
        st.lists(st.builds(Button, label=TEXT, data=TEXT), max_size=2).map(tuple), max_size=2
    ).map(tuple),
)


@given(inbounds)
def test_an_event_comes_back_as_it_was_stored(event: Inbound) -> None:
    raw = encode(event)
    assert decode_inbound(raw) == event
    assert b"\n" not in raw
    assert json.loads(raw)["v"] == SCHEMA


@given(outbounds)
def test_a_part_comes_back_as_it_was_stored(part: Outbound) -> None:
    assert decode_outbound(encode(part)) == part


@given(st.binary(max_size=200))
def test_anything_else_is_refused_by_name(raw: bytes) -> None:
    with pytest.raises(Failed):
        decode_inbound(raw)


@given(inbounds, st.data())
def test_a_damaged_event_is_refused_or_read_and_nothing_else(
    event: Inbound, data: st.DataObject
) -> None:
    raw = bytearray(encode(event))
    where = data.draw(st.integers(0, len(raw) - 1))
    raw[where] = data.draw(st.integers(0, 255))
    with contextlib.suppress(Failed):
        decode_inbound(bytes(raw))


def test_a_newer_schema_is_refused_politely() -> None:
    event = Inbound(
        id="x", conversation="c", account=Account(kind="k"),
        place=Place(kind="direct", chat="1"), sender=Sender(id="1"),
    )  # fmt: skip
    newer = json.loads(encode(event)) | {"v": SCHEMA + 1, "something": {"new": True}}

    with pytest.raises(NewerSchema, match=f"version {SCHEMA + 1}"):
        decode_inbound(json.dumps(newer).encode())


def test_fields_added_by_a_later_release_of_this_version_are_ignored() -> None:
    event = Inbound(
        id="x", conversation="c", account=Account(kind="k"),
        place=Place(kind="direct", chat="1"), sender=Sender(id="1"),
    )  # fmt: skip
    assert decode_inbound(json.dumps(json.loads(encode(event)) | {"extra": 1}).encode()) == event


@given(accounts, places, senders, accounts, places, senders)
def test_two_conversations_share_a_key_only_when_they_are_the_same(
    account: Account, place: Place, sender: Sender,
    other_account: Account, other_place: Place, other_sender: Sender,
) -> None:  # fmt: skip
    same = (account, place) == (other_account, other_place) and (
        place.kind != "direct" or sender.id == other_sender.id
    )
    first = conversation_id(account, place, sender)
    second = conversation_id(other_account, other_place, other_sender)
    assert (first == second) == same


def test_people_in_one_direct_chat_never_share_a_conversation() -> None:
    account, place = Account(kind="k"), Place(kind="direct", chat="1")
    ada, bob = (conversation_id(account, place, Sender(id=who)) for who in ("ada", "bob"))
    assert ada != bob


@given(TEXT, TEXT)
def test_event_ids_cannot_run_into_each_other(chat: str, native: str) -> None:
    account = Account(kind="k")
    if (chat, native) != ("a/b", "c"):
        assert inbound_id(account, chat, native) != inbound_id(account, "a/b", "c")
    assert "\n" not in inbound_id(account, chat, native)


def test_a_reply_id_is_the_same_each_time_and_short_enough_for_any_platforms_key() -> None:
    assert reply_id("x") == reply_id("x") != reply_id("x", "notice")
    part = msgspec.structs.replace(
        Outbound(
            reply=ReplyId(reply_id("x")), conversation="c", account=Account(kind="k"),
            place=Place(kind="direct", chat="1"),
        ),
        part=9999,
    )  # fmt: skip
    assert len(part.key) <= 25
