"""Updates become events. Pure: one dictionary in, one value out."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.telegram.native import Unreadable, read
from adapters.telegram.parse import Parsed, Self, parse
from gateway.message import Account, Inbound, decode_inbound, encode

ME = Self(
    account=Account(kind="telegram"), id=4242, username="fake_bot", patterns=("hey molt", "c++")
)
BOT = {"id": 4242, "is_bot": True, "first_name": "Fake", "username": "fake_bot"}
ADA = {"id": 7, "is_bot": False, "first_name": "Ada", "last_name": "L"}
PRIVATE = {"id": 7, "type": "private", "first_name": "Ada"}
GROUP = {"id": -1007, "type": "supergroup", "title": "Group"}


def message(chat: dict[str, Any] = PRIVATE, **fields: Any) -> dict[str, Any]:
    given_fields = {"message_id": 11, "date": 1_700_000_000, "chat": chat, "from": ADA} | fields
    return {key: value for key, value in given_fields.items() if value is not None}


def taken(kind: str = "message", **update: Any) -> Parsed | None:
    return parse(read({"update_id": 5, kind: update.pop("value", None) or message(**update)}), ME)


def event(kind: str = "message", **update: Any) -> Inbound:
    parsed = taken(kind, **update)
    assert parsed is not None
    return parsed.event


def entity(kind: str, text: str, piece: str, **more: Any) -> dict[str, Any]:
    start = len(text[: text.index(piece)].encode("utf-16-le")) // 2
    return {"type": kind, "offset": start, "length": len(piece.encode("utf-16-le")) // 2, **more}


def test_a_private_message() -> None:
    found = event(text="hello")

    assert found.place.kind == "direct"
    assert found.place.chat == "7"
    assert (found.sender.id, found.sender.name, found.sender.grade) == ("7", "Ada L", "verified")
    assert (found.text, found.kind, found.addressed, found.native_id) == (
        "hello",
        "message",
        True,
        "11",
    )
    assert found.sent_at == 1_700_000_000
    assert found.id == "telegram:default/7/4242%3A11/m"


def test_another_bots_message_of_the_same_number_is_another_message() -> None:
    update = read({"update_id": 5, "message": message(text="hello")})
    other = parse(update, Self(account=ME.account, id=5151))

    assert other is not None
    assert other.event.id != event(text="hello").id


def test_a_copy_with_another_update_id_is_the_same_message() -> None:
    again = parse(read({"update_id": 6, "message": message(text="hello")}), ME)

    assert again is not None
    assert again.event.id == event(text="hello").id


def test_two_edits_of_one_message_are_two_events_about_it() -> None:
    edits = [
        parse(read({"update_id": number, "edited_message": message(text="x")}), ME)
        for number in (5, 6)
    ]
    events = [each.event for each in edits if each]

    assert len({each.id for each in events}) == 2
    assert {(each.kind, each.target) for each in events} == {("edit", f"{ME.id}:11")}


@pytest.mark.parametrize(
    ("text", "entities", "addressed"),
    [
        ("just talking", [], False),
        ("@fake_bot hi", [("mention", "@fake_bot")], True),
        ("hi @FAKE_BOT", [("mention", "@FAKE_BOT")], True),
        ("hi @fake_bot_2", [("mention", "@fake_bot_2")], False),
        ("mail@fake_bot is no mention", [], False),
        ("😀😀 @fake_bot", [("mention", "@fake_bot")], True),
        ("/status", [("bot_command", "/status")], True),
        ("/status@fake_bot now", [("bot_command", "/status@fake_bot")], True),
        ("/status@other_bot", [("bot_command", "/status@other_bot")], False),
        ("Hey Molt, are you there?", [], True),
        ("heymolt", [], False),
        ("do you know C++?", [], True),
    ],
)
def test_in_groups_the_bot_is_meant_by_mention_command_or_name(
    text: str, entities: list[tuple[str, str]], addressed: bool
) -> None:
    marked = [entity(kind, text, piece) for kind, piece in entities]

    assert event(chat=GROUP, text=text, entities=marked).addressed is addressed


def test_a_mention_without_a_name_counts_by_id() -> None:
    text = "Fake: hello"
    marked = [entity("text_mention", text, "Fake", user=BOT)]
    found = event(chat=GROUP, text=text, entities=marked)

    assert found.addressed
    assert found.mentions == ("4242",)


def test_an_answer_to_the_bot_means_the_bot_and_carries_what_it_answers() -> None:
    ours = message(chat=GROUP, message_id=3, **{"from": BOT}, text="I said")
    found = event(chat=GROUP, text="and?", reply_to_message=ours)

    assert (found.addressed, found.reply_to, found.quote) == (True, "3", "I said")


def test_an_answer_to_somebody_else_does_not() -> None:
    theirs = message(chat=GROUP, message_id=3, text="they said")
    assert not event(chat=GROUP, text="and?", reply_to_message=theirs).addressed


def test_a_quoted_passage_goes_before_the_whole_message() -> None:
    ours = message(message_id=3, text="one two three")
    found = event(text="?", reply_to_message=ours, quote={"text": "two", "position": 4})

    assert found.quote == "two"


def test_a_topic_is_a_place_of_its_own_and_its_opening_is_no_answer() -> None:
    opening = message(
        chat=GROUP,
        message_id=9,
        **{"from": BOT},
        forum_topic_created={"name": "T", "icon_color": 1},
    )
    topic = {"message_thread_id": 9, "is_topic_message": True, "reply_to_message": opening}
    found = event(chat=GROUP, text="in a topic", **topic)

    assert (found.place.kind, found.place.thread) == ("thread", "9")
    assert (found.reply_to, found.addressed) == ("", False)
    assert found.conversation != event(chat=GROUP, text="elsewhere").conversation


def test_a_chain_of_answers_is_no_topic() -> None:
    assert event(chat=GROUP, text="x", message_thread_id=9).place.kind == "group"


@pytest.mark.parametrize(
    ("text", "piece", "kind", "left"),
    [
        ("/new", "/new", "bot_command", "/new"),
        ("/new@fake_bot and more", "/new@fake_bot", "bot_command", "/new and more"),
        ("@fake_bot, what is it?", "@fake_bot", "mention", "what is it?"),
        ("@fake_bot", "@fake_bot", "mention", "@fake_bot"),
    ],
)
def test_our_own_name_at_the_beginning_is_left_out(
    text: str, piece: str, kind: str, left: str
) -> None:
    found = event(text=text, entities=[entity(kind, text, piece)])

    assert found.text == left
    assert found.kind == ("command" if kind == "bot_command" else "message")


def test_a_caption_is_the_text_of_a_file() -> None:
    photo = [
        {"file_id": "small", "file_unique_id": "s", "width": 1, "height": 1, "file_size": 10},
        {"file_id": "large", "file_unique_id": "l", "width": 9, "height": 9, "file_size": 90},
    ]
    parsed = taken(photo=photo, caption="what is this?")

    assert parsed is not None
    assert parsed.event.text == "what is this?"
    assert [file.file_id for file in parsed.files] == ["large"]
    assert parsed.event.attachments[0].kind == "image"


def test_a_moving_picture_comes_once_although_telegram_names_it_twice() -> None:
    file = {"file_id": "a", "file_unique_id": "a", "duration": 2}
    found = event(animation=file, document=file)

    assert [each.kind for each in found.attachments] == ["video"]


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"sticker": {"file_id": "s", "emoji": "👍"}}, "👍"),
        ({"location": {"latitude": 1.5, "longitude": 2.5}}, "Location: 1.5, 2.5"),
        ({"contact": {"phone_number": "+1", "first_name": "Bob"}}, "Contact: Bob, +1"),
        ({"poll": {"question": "Q?", "options": [{"text": "a"}]}}, "Poll: Q?\n- a"),
        ({"dice": {"emoji": "🎲", "value": 4}}, "🎲 4"),
        (
            {
                "location": {"latitude": 1, "longitude": 2},
                "venue": {
                    "location": {"latitude": 1, "longitude": 2},
                    "title": "Café",
                    "address": "Road 1",
                },
            },
            "Location: Café, Road 1 (1.0, 2.0)",
        ),
    ],
)
def test_other_contents_come_in_words(fields: dict[str, Any], text: str) -> None:
    assert event(**fields).text == text


def test_a_bot_is_known_as_one() -> None:
    assert event(**{"from": BOT}, text="beep").sender.is_bot


def test_an_anonymous_admin_speaks_as_the_group_and_is_nobody_in_particular() -> None:
    anonymous = {"id": 1087968824, "is_bot": True, "first_name": "Group"}
    found = event(chat=GROUP, **{"from": anonymous}, sender_chat=GROUP, text="hear me")

    assert (found.sender.id, found.sender.is_bot, found.sender.grade) == (
        "-1007",
        False,
        "unverified",
    )


def test_somebody_came_in() -> None:
    found = event(chat=GROUP, new_chat_members=[BOT])

    assert (found.kind, found.addressed, found.mentions) == ("join", True, ("4242",))


@pytest.mark.parametrize(
    "update",
    [
        {"channel_post": message(chat={"id": -9, "type": "channel"}, text="post")},
        {"message": message(chat={"id": -9, "type": "channel"}, text="post")},
        {"message": message(chat=GROUP, text="from the channel", is_automatic_forward=True)},
        {"message": message(chat=GROUP, new_chat_title="New")},
        {"message": message(chat=GROUP, left_chat_member=ADA)},
        {"message": message(chat=GROUP, migrate_to_chat_id=-1)},
        {"message": message(text="nobody", **{"from": None})},
        {"my_chat_member": {}},
        {"poll": {"id": "1"}},
        {},
    ],
)
def test_what_is_no_business_of_ours_is_nothing(update: dict[str, Any]) -> None:
    assert parse(read({"update_id": 5, **update}), ME) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
FIELDS = st.sampled_from(
    "message_id date chat from text caption entities caption_entities photo voice document "
    "reply_to_message quote message_thread_id is_topic_message sender_chat new_chat_members "
    "sticker location poll".split()
)


@given(fields=st.dictionaries(FIELDS, JSON, max_size=6))
def test_no_update_does_more_than_being_unreadable(fields: dict[str, Any]) -> None:
    raw = {"update_id": 5, "message": message(text="x") | fields}
    try:
        parsed = parse(read(raw), ME)
    except Unreadable:
        return
    if parsed is not None:
        assert len(parsed.files) == len(parsed.event.attachments)


@given(
    text=st.text(st.characters(exclude_categories=()), max_size=80),
    marks=st.lists(
        st.builds(
            dict,
            type=st.sampled_from(["mention", "bot_command", "text_mention", "bold"]),
            offset=st.integers(-5, 100),
            length=st.integers(-5, 100),
        ),
        max_size=5,
    ),
)
def test_entities_never_point_outside_the_text(text: str, marks: list[dict[str, Any]]) -> None:
    parsed = taken(chat=GROUP, text=text, entities=marks)
    if parsed is not None and not any("\ud800" <= char <= "\udfff" for char in text):
        assert decode_inbound(encode(parsed.event)) == parsed.event


def test_naughty_strings_come_through_as_they_are(naughty_strings: list[str]) -> None:
    for text in filter(None, naughty_strings):
        found = event(text=text, chat=GROUP)
        assert found.text == text
        assert msgspec.json.decode(encode(found))
