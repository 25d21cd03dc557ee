"""Payloads become events. Pure."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.slack.native import Unreadable, decode, decode_form, read
from adapters.slack.parse import Known, Parsed, Self, parse
from adapters.slack.text import mentioned, plain, without_mention
from gateway.message import Place, inbound_id
from tests.adapters.slack.scene import ACCOUNT

ME = Self(
    account=ACCOUNT,
    team="T01",
    user="U0BOT",
    bot="B0BOT",
    commands=frozenset({"new", "stop", "help", "model", "reset"}),
    patterns=("hey molt",),
)
TS = "1700000000.000100"


def callback(event: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "event_callback", "team_id": "T01", "event_id": "Ev1", "event": event, **more}


def message(**fields: Any) -> dict[str, Any]:
    base = {"type": "message", "channel": "C5", "channel_type": "channel", "user": "U7", "ts": TS}
    return {**base, "team": "T01", "text": "hello", "event_ts": TS, **fields}


def parsed(
    event: dict[str, Any], me: Self = ME, people: dict[str, Known] | None = None, **more: Any
) -> Parsed | None:
    payload = read("events_api", callback(event, **more))
    assert payload is not None
    return parse(payload, me, people or {})


def found(event: dict[str, Any], *given: Any, **more: Any) -> Any:
    result = parsed(event, *given, **more)
    assert result is not None
    return result.event


def test_a_direct_message() -> None:
    event = found(message(channel="D7", channel_type="im"), ME, {"U7": Known(name="Ada")})

    assert event.place == Place(kind="direct", chat="D7")
    assert (event.sender.id, event.sender.name) == ("T01/U7", "Ada")
    assert (event.sender.grade, event.sender.is_bot) == ("verified", False)
    assert event.id == inbound_id(ACCOUNT, "D7", TS)
    assert (event.native_id, event.text, event.addressed) == (TS, "hello", True)
    assert event.sent_at == float(TS)


@pytest.mark.parametrize(
    ("channel", "me"),
    [("D7", ME), ("C5", dataclasses.replace(ME, threads=False)), ("C5", ME)],
)
def test_an_edit_finds_its_message_also_when_that_was_answered_in_a_thread(
    channel: str, me: Self
) -> None:
    first = found(message(channel=channel, channel_type=None), me)
    after = message(thread_ts=TS, text="new", edited={"user": "U7", "ts": "1700000009.0"})
    notice = {"type": "message", "subtype": "message_changed", "channel": channel, "ts": "1.5"}
    edit = found({**notice, "message": after, "previous_message": message(thread_ts=TS)}, me)

    assert edit.conversation == first.conversation
    assert inbound_id(ACCOUNT, channel, edit.target) == first.id


def test_a_mention_and_its_message_are_one_event() -> None:
    text = "<@U0BOT> where are my keys?"
    said = found(message(text=text))
    mentioned_ = message(text=text, type="app_mention")
    del mentioned_["channel_type"]

    assert found(mentioned_) == said
    assert (said.text, said.addressed, said.kind) == ("where are my keys?", True, "message")


@pytest.mark.parametrize(
    ("threads", "fields", "place"),
    [
        (True, {}, Place(kind="thread", chat="C5", thread=TS)),
        (False, {}, Place(kind="group", chat="C5")),
        (True, {"thread_ts": "1.5"}, Place(kind="thread", chat="C5", thread="1.5")),
        (False, {"thread_ts": "1.5"}, Place(kind="thread", chat="C5", thread="1.5")),
        (
            True,
            {"channel": "G3", "channel_type": "mpim"},
            Place(kind="thread", chat="G3", thread=TS),
        ),
        (
            True,
            {"channel": "D7", "channel_type": "im", "thread_ts": "1.5"},
            Place(kind="direct", chat="D7", thread="1.5"),
        ),
    ],
)
def test_where_an_answer_will_stand(threads: bool, fields: dict[str, Any], place: Place) -> None:
    me = Self(account=ACCOUNT, team="T01", user="U0BOT", threads=threads)
    assert found(message(**fields), me).place == place


@pytest.mark.parametrize(
    ("fields", "addressed"),
    [
        ({}, False),
        ({"text": "<@U0BOT>"}, True),
        ({"text": "ask <@U0BOT|molt> please"}, True),
        ({"text": "<@U9> hello"}, False),
        ({"text": "Hey Molt, are you there?"}, True),
        ({"text": "hey molten lava"}, False),
        ({"thread_ts": "1.5", "parent_user_id": "U0BOT"}, True),
        ({"thread_ts": "1.5", "parent_user_id": "U9"}, False),
        ({"text": "&lt;@U0BOT&gt;"}, False),
    ],
)
def test_who_is_meant(fields: dict[str, Any], addressed: bool) -> None:
    assert found(message(**fields)).addressed is addressed


@pytest.mark.parametrize(
    ("fields", "sender"),
    [
        ({}, "T01/U7"),
        ({"team": "T09"}, "T09/U7"),
        ({"team": "T01", "user_team": "T09", "source_team": "T09"}, "T09/U7"),
        ({"team": None, "user_team": None}, "T01/U7"),
        ({"team": "E09", "user": "W7"}, "E09/W7"),
    ],
)
def test_people_keep_their_own_team(fields: dict[str, Any], sender: str) -> None:
    assert found(message(**fields)).sender.id == sender


def test_names_decide_nothing() -> None:
    known = {"U7": Known(name="Root", team="T66")}
    assert found(message(username="admin"), ME, known).sender.id == "T01/U7"


@pytest.mark.parametrize(
    "fields",
    [
        {"user": "U0BOT"},
        {"user": "U9", "bot_id": "B0BOT"},
        {"user": "USLACKBOT"},
        {"subtype": "channel_join"},
        {"subtype": "channel_topic"},
        {"subtype": "message_replied"},
        {"subtype": "assistant_app_thread"},
        {"subtype": "nobody_knows_it_yet"},
        {"text": ""},
        {"user": None},
        {"type": "member_joined_channel"},
        {"subtype": "message_changed", "message": None},
        {"subtype": "message_deleted", "deleted_ts": "1.5"},
        {"channel": ""},
    ],
)
def test_what_is_no_business_of_ours(fields: dict[str, Any]) -> None:
    assert parsed(message(**fields)) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"bot_id": "B9", "user": "U9", "bot_profile": {"name": "deploys"}},
        {"bot_id": "B9", "user": None, "username": "deploys", "subtype": "bot_message"},
    ],
)
def test_other_bots_are_marked(fields: dict[str, Any]) -> None:
    sender = found(message(**fields)).sender

    assert sender.is_bot
    assert sender.name == "deploys"
    assert sender.id in ("T01/U9", "T01/B9")


def test_an_edit_names_the_message_and_itself() -> None:
    inner = {"type": "message", "user": "U7", "ts": TS, "text": "new", "team": "T01"}
    event = found(
        {
            "type": "message",
            "subtype": "message_changed",
            "channel": "C5",
            "channel_type": "channel",
            "ts": "1700000009.000000",
            "message": {**inner, "edited": {"user": "U7", "ts": "1700000005.000000"}},
            "previous_message": {**inner, "text": "old"},
        }
    )
    original = found(message())

    assert (event.kind, event.text, event.target) == ("edit", "new", TS)
    assert event.id == inbound_id(ACCOUNT, "C5", event.target, "e1700000005.000000")
    assert original.id == inbound_id(ACCOUNT, "C5", event.target)
    assert event.conversation == original.conversation


@pytest.mark.parametrize(
    ("inner", "before"),
    [
        ({"text": "same", "edited": {"ts": "2.5"}}, {"text": "same"}),
        ({"text": "same", "attachments": [{"text": "a preview"}]}, {"text": "same"}),
        ({"text": "grown", "bot_id": "B0BOT", "edited": {"ts": "2.5"}}, {"text": "gro"}),
    ],
    ids=["previewed after an edit", "previewed", "our own"],
)
def test_not_every_change_is_an_edit(inner: dict[str, Any], before: dict[str, Any]) -> None:
    base = {"type": "message", "user": "U7", "ts": TS}
    change = {
        "type": "message",
        "subtype": "message_changed",
        "channel": "C5",
        "ts": "9.5",
        "message": {**base, **inner},
        "previous_message": {**base, **before},
    }
    assert parsed(change) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"subtype": "message_deleted", "deleted_ts": TS},
        {"subtype": "message_changed", "message": {"subtype": "tombstone", "ts": TS}},
    ],
    ids=["deleted", "deleted, its thread stays"],
)
def test_a_delete_names_the_message(fields: dict[str, Any]) -> None:
    before = {"type": "message", "user": "U7", "ts": TS, "text": "oh", "team": "T01"}
    event = found(
        {"type": "message", "channel": "C5", "ts": "9.5", "previous_message": before, **fields}
    )

    assert (event.kind, event.target) == ("delete", TS)
    assert event.conversation == found(message()).conversation


def test_files_are_named_by_what_slack_says_of_them() -> None:
    files = [
        {"id": "F1", "name": "a.png", "mimetype": "image/png", "size": 9, "url_private": "u"},
        {"id": "F2", "mimetype": "audio/mp4", "subtype": "slack_audio", "duration_ms": 2500},
        {"id": "F3", "mimetype": "audio/mpeg"},
        {"id": "F4", "mimetype": "video/mp4"},
        {"id": "F5", "mimetype": None, "name": None, "size": None},
        {"id": "F6", "mode": "tombstone"},
    ]
    result = parsed(message(text="", subtype="file_share", files=files))

    assert result is not None
    kinds = [each.kind for each in result.event.attachments]
    assert kinds == ["image", "voice", "audio", "video", "document"]
    assert result.event.attachments[1].duration == 2.5
    assert [file.id for file in result.files] == ["F1", "F2", "F3", "F4", "F5"]


def test_a_forwarded_message_is_quoted() -> None:
    shared = [{"text": "see <https://x.example|this>", "is_share": True}]
    said, alone = found(message(attachments=shared)), found(message(text="", attachments=shared))

    assert (said.text, said.quote) == ("hello", "see this (https://x.example)")
    assert (alone.text, alone.quote) == ("see this (https://x.example)", "")


@pytest.mark.parametrize(
    ("text", "kind", "shown"),
    [
        ("<@U0BOT> /new", "command", "/new"),
        ("<@U0BOT>: /stop", "command", "/stop"),
        ("/new", "message", "/new"),
        ("<@U0BOT> a/b", "message", "a/b"),
    ],
)
def test_commands_in_a_text(text: str, kind: str, shown: str) -> None:
    event = found(message(text=text))
    assert (event.kind, event.text) == (kind, shown)


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("", "/help"),
        ("new", "/new"),
        ("NEW and a question", "/new and a question"),
        ("/stop", "/stop"),
        ("reset", "/reset"),
        ("why is the sky blue?", "why is the sky blue?"),
        ("newer things", "newer things"),
        ("tell &lt;b&gt;", "tell <b>"),
    ],
)
def test_the_slash_command_is_the_gateways_commands(said: str, text: str) -> None:
    slash = {
        "command": "/moltgate",
        "text": said,
        "team_id": "T09",
        "user_id": "U7",
        "user_name": "ada",
        "channel_id": "C5",
        "trigger_id": "13345224609.738474920.8088930838d88f008e0",
        "response_url": "https://hooks.slack.com/commands/1234/5678",
    }
    payload = read("slash_commands", slash)
    assert payload is not None
    result = parse(payload, ME, {})

    assert result is not None
    assert (result.event.kind, result.event.text) == ("command", text)
    assert result.event.sender.id == "T09/U7"
    assert result.event.place == Place(kind="group", chat="C5")
    assert result.event.addressed
    assert result.once


def press(**fields: Any) -> dict[str, Any]:
    action = {"type": "button", "action_id": "b0.0", "value": "yes", "action_ts": "3.5"}
    return {
        "type": "block_actions",
        "user": {"id": "U7", "username": "ada", "team_id": "T09"},
        "team": {"id": "T01"},
        "channel": {"id": "C5"},
        "container": {"type": "message", "message_ts": TS, "thread_ts": "1.5"},
        "message": {"type": "message", "ts": TS, "thread_ts": "1.5", "user": "U0BOT"},
        "actions": [action],
        **fields,
    }


def test_a_pressed_button_is_an_answer_where_it_stands() -> None:
    payload = read("interactive", press())
    assert payload is not None
    result = parse(payload, ME, {})

    assert result is not None
    event = result.event
    assert (event.kind, event.text, event.target) == ("button", "yes", TS)
    assert event.sender.id == "T09/U7"
    assert event.place == Place(kind="thread", chat="C5", thread="1.5")


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "view_submission", "actions": []},
        {"type": "shortcut", "actions": []},
        {"actions": [{"type": "button", "action_id": "b0.0", "action_ts": "3.5"}]},
        {"actions": [{"type": "overflow", "action_ts": "3.5", "value": "x"}]},
        {"channel": None},
    ],
)
def test_other_interactions_are_no_business_of_ours(fields: dict[str, Any]) -> None:
    payload = read("interactive", press(**fields))
    assert payload is not None
    assert parse(payload, ME, {}) is None


def reaction(**fields: Any) -> dict[str, Any]:
    item = {"type": "message", "channel": "D7", "ts": TS}
    base = {"type": "reaction_added", "user": "U7", "reaction": "+1", "item": item}
    return {**base, "event_ts": "4.5", **fields}


def test_a_reaction_says_its_sign() -> None:
    event = found(reaction())

    assert (event.kind, event.text, event.target) == ("reaction", "👍", TS)
    assert (event.sender.id, event.sender.grade) == ("T01/U7", "verified")
    assert found(reaction(reaction="party_parrot")).text == ":party_parrot:"
    assert parsed(reaction(user="U0BOT")) is None
    assert parsed(reaction(item={"type": "file", "file": "F1"})) is None


def test_in_a_shared_channel_a_reaction_is_only_as_sure_as_the_look_up() -> None:
    unsure = found(reaction(), is_ext_shared_channel=True)
    sure = found(reaction(), ME, {"U7": Known(name="Eve", team="T09")}, is_ext_shared_channel=True)

    assert unsure.sender.grade == "unverified"
    assert (sure.sender.id, sure.sender.grade) == ("T09/U7", "verified")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a &lt; b &amp;&amp; c &gt; d", "a < b && c > d"),
        ("&amp;lt;", "&lt;"),
        ("<@U7> and <@U8|bob> and <@U9>", "@Ada and @bob and @U9"),
        ("<#C5|general> <#C6>", "#general #C6"),
        ("<!here> <!channel|channel> <!subteam^S1|@ops> <!subteam^S1>", "@here channel @ops "
         "@subteam"),
        ("<!date^1392734382^{date}|18 Feb>", "18 Feb"),
        ("<https://x.example>", "https://x.example"),
        ("<https://x.example/?a=1&amp;b=2|here>", "here (https://x.example/?a=1&b=2)"),
        ("<http://x.example|x.example>", "http://x.example"),
        ("<mailto:a@b.example|a@b.example>", "a@b.example"),
        ("<>", "<>"),
        ("< not one", "< not one"),
    ],
)  # fmt: skip
def test_references_are_spelled_out(text: str, shown: str) -> None:
    assert plain(text, {"U7": "Ada"}) == shown


def test_mentions_are_found_and_ours_is_left_out_at_the_beginning() -> None:
    assert mentioned("<@U7> <@U7|x> <@W9>") == ("U7", "W9")
    assert without_mention(" <@U7>, hi <@U7>", "U7") == "hi <@U7>"
    assert without_mention("<@U8> hi", "U7") == "<@U8> hi"


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("events_api", None),
        ("events_api", []),
        ("events_api", {}),
        ("events_api", {"event": "x"}),
        ("slash_commands", {"command": "/moltgate"}),
        ("slash_commands", {"command": 1}),
        ("interactive", {"type": "block_actions"}),
    ],
)
def test_what_cannot_be_read_is_one_exception(kind: str, payload: object) -> None:
    with pytest.raises(Unreadable):
        read(kind, payload)


@pytest.mark.parametrize(
    "event",
    [
        {"type": "message", "ts": 1},
        {"type": "message", "files": "x"},
        {"type": "message", "message": []},
        {"type": "reaction_added"},
    ],
)
def test_an_event_of_a_wrong_shape_is_the_same_exception(event: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        parsed(event)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b'{"a":NaN}', b'{"a":"\\ud800"}']
)
def test_bodies_that_are_no_json_object(body: bytes) -> None:
    with pytest.raises(Unreadable):
        decode(body)


@pytest.mark.parametrize("ts", ["nan", "inf", "-1.5", "1e9", "\u0661.5", "1_0.5"])
def test_a_time_stamp_that_is_none_says_no_time(ts: str) -> None:
    assert found(message(ts=ts)).sent_at == 0.0


@pytest.mark.parametrize("body", [b"a=1&a=2", b"\xff", b"&".join(b"a%d=1" % n for n in range(200))])
def test_bodies_that_are_no_form(body: bytes) -> None:
    with pytest.raises(Unreadable):
        decode_form(body)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
FIELDS = (
    "type subtype channel channel_type ts user bot_id team user_team text thread_ts files edited "
    "attachments message previous_message deleted_ts item reaction event_ts"
).split()


@given(
    st.sampled_from(["message", "app_mention", "reaction_added"]),
    st.dictionaries(
        st.sampled_from(FIELDS), anything | st.sampled_from(["message_changed", "1.5"])
    ),
)
def test_whatever_slack_sends_is_an_event_or_unreadable(kind: str, fields: dict[str, Any]) -> None:
    try:
        parsed({**message(), **fields, "type": kind})
    except Unreadable:
        return


@given(st.sampled_from(["slash_commands", "interactive", "events_api", "hello"]), anything)
def test_whatever_an_envelope_holds_is_read_or_unreadable(kind: str, payload: object) -> None:
    try:
        found = read(kind, payload)
    except Unreadable:
        return
    assert found is None or parse(found, ME, {}) is None
