"""Replies become log entries, and long ones parts that are whole in themselves."""

from __future__ import annotations

import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from adapters.web.render import render, split, split_text
from gateway.message import Account, Attachment, Button, ConversationId, Outbound, Place, ReplyId

REPLY = Outbound(
    reply=ReplyId("r1"),
    conversation=ConversationId("c"),
    account=Account(kind="web"),
    place=Place(kind="direct", chat="owner.a"),
    text="hello",
    files=(Attachment(kind="image", digest="ab", media_type="image/png", name="x.png", size=3),),
    buttons=((Button(label="Yes", data="y"), Button(label="Site", url="https://example.org")),),
    reply_to="m1",
)


def test_an_entry_says_all_that_a_reader_needs() -> None:
    assert json.loads(render(REPLY)) == {
        "type": "message",
        "role": "assistant",
        "reply": "r1",
        "text": "hello",
        "files": [
            {
                "digest": "ab",
                "kind": "image",
                "media_type": "image/png",
                "name": "x.png",
                "size": 3,
                "duration": 0.0,
            }
        ],
        "buttons": [
            [{"label": "Yes", "data": "y"}, {"label": "Site", "url": "https://example.org"}]
        ],
        "reply_to": "m1",
    }


def test_a_short_reply_is_one_part() -> None:
    assert split(REPLY) == [REPLY]


def test_files_go_with_the_first_part_and_buttons_with_the_last() -> None:
    parts = split(msgspec.structs.replace(REPLY, text="word " * 20000))

    assert [part.part for part in parts] == list(range(len(parts)))
    assert {part.parts for part in parts} == {len(parts)}
    assert [bool(part.files) for part in parts] == [True] + [False] * (len(parts) - 1)
    assert [bool(part.buttons) for part in parts] == [False] * (len(parts) - 1) + [True]


def test_a_code_fence_is_closed_and_opened_again_where_it_is_cut() -> None:
    text = "before\n```python\n" + "x = 1\n" * 200 + "```\nafter"

    pieces = split_text(text, 600)

    assert len(pieces) > 1
    assert all(piece.count("```") % 2 == 0 for piece in pieces)
    assert pieces[1].startswith("```python\n")
    assert pieces[-1].endswith("after")


@given(st.text(alphabet="ab `~\n", max_size=3000))
def test_no_part_is_too_long_and_nothing_is_left_out(text: str) -> None:
    pieces = split_text(text, 500)

    assert all(len(piece) <= 500 for piece in pieces)
    if "`" not in text and "~" not in text:
        assert letters("".join(pieces)) == letters(text)


def letters(text: str) -> list[str]:
    return [char for char in text if char in "ab"]
