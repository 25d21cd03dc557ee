from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.matrix.gaps import after_we_came
from adapters.matrix.parse import Known, Media, Parsed, Room, Self, known_of, parse, points_at
from gateway.message import Account

BOT = "@moltgate:home.test"
ADA = "@ada:home.test"
ME = Self(
    account=Account(kind="matrix"),
    id=BOT,
    name="Molt Gate",
    patterns=("hey bot",),
    commands=frozenset(("stop", "new")),
)
GROUP = Room(id="!g:home.test", direct=False, names={ADA: "Ada"})
DIRECT = Room(id="!d:home.test", direct=True)


def event(content: Any, kind: str = "m.room.message", **more: Any) -> dict[str, Any]:
    usual = {"sender": ADA, "event_id": "$e", "type": kind, "origin_server_ts": 1_700_000_000_500}
    return {**usual, "content": content, **more}


def text(body: str, **more: Any) -> dict[str, Any]:
    return {"msgtype": "m.text", "body": body, **more}


def said(content: Any, room: Room = GROUP, **more: Any) -> Parsed:
    found = parse(event(content), room, ME, **more)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("content", "addressed"),
    [
        (text("hello"), False),
        (text("hello", **{"m.mentions": {"user_ids": [BOT]}}), True),
        (text("hello", **{"m.mentions": {"user_ids": [ADA]}}), False),
        (text("hello", **{"m.mentions": {"room": True}}), False),
        (text("@moltgate:home.test hello"), True),
        (text("Molt Gate: hello"), True),
        (text("molt gate, hello", **{"m.mentions": {}}), True),
        (text("moltgate: hello"), True),
        (text("what would Molt Gate say?"), True),
        (text("what would Molt Gate say?", **{"m.mentions": {}}), False),
        (text("Molt Gates are open"), False),
        (text("moltgates"), False),
        (text("moltgate sounds like a name"), False),
        (text("well, hey bot!"), True),
        (text("hey bottle"), False),
        (text("!stop"), True),
        (text("!stopping"), False),
        (text("/stop"), False),
        (
            text(
                "x",
                format="org.matrix.custom.html",
                formatted_body=f'<a href="https://matrix.to/#/{BOT}">Molt</a> x',
            ),
            True,
        ),
        (
            text("x", formatted_body='<a href="https://matrix.to/#/%40moltgate%3Ahome.test">M</a>'),
            True,
        ),
        (text("x", formatted_body=f'<a href="https://matrix.to/#/{BOT}.evil.test">M</a>'), False),
        (
            text(
                f"> <{BOT}> I said\n\nreally?",
                **{"m.relates_to": {"m.in_reply_to": {"event_id": "$old"}}},
            ),
            True,
        ),
        (
            text(
                "> <@bob:home.test> I said\n\nreally?",
                **{"m.relates_to": {"m.in_reply_to": {"event_id": "$old"}}},
            ),
            False,
        ),
    ],
)
def test_who_is_meant(content: dict[str, Any], addressed: bool) -> None:
    assert said(content).event.addressed is addressed
    assert said(content, DIRECT).event.addressed


@pytest.mark.parametrize(
    ("body", "text_", "kind"),
    [
        ("Molt Gate: hello", "hello", "message"),
        ("@moltgate:home.test: /stop", "/stop", "command"),
        ("moltgate: !stop now", "/stop now", "command"),
        ("Molt Gate /stop", "/stop", "command"),
        ("!new", "/new", "command"),
        ("!unknown", "!unknown", "message"),
        ("/model x", "/model x", "command"),
        ("moltgate", "moltgate", "message"),
        ("moltgates rule", "moltgates rule", "message"),
    ],
)
def test_our_name_and_our_mark_are_taken_off(body: str, text_: str, kind: str) -> None:
    event = said(text(body)).event
    assert (event.text, event.kind) == (text_, kind)


def test_an_answers_fallback_is_a_quote_and_no_text() -> None:
    relation = {"m.relates_to": {"m.in_reply_to": {"event_id": "$old"}}}
    old = said(text("> <@bob:x.org> one\n> two\n\nthree\n> four", **relation))
    new = said(text("three", **relation))

    assert (old.event.quote, old.event.text) == ("one\ntwo", "three\n> four")
    assert old.quoted == ""
    assert (new.event.reply_to, new.quoted) == ("$old", "$old")
    assert said(text("> a quote\n\nand more")).event.text == "> a quote\n\nand more"


def test_a_thread_is_a_place_and_what_falls_back_is_no_answer() -> None:
    inside = {"rel_type": "m.thread", "event_id": "$root", "m.in_reply_to": {"event_id": "$last"}}
    fallback = said(text("x", **{"m.relates_to": {**inside, "is_falling_back": True}}))
    answer = said(text("x", **{"m.relates_to": inside}), DIRECT)

    assert (fallback.event.place.kind, fallback.event.place.thread) == ("thread", "$root")
    assert fallback.event.reply_to == ""
    assert (answer.event.place.kind, answer.event.place.thread) == ("direct", "$root")
    assert answer.event.reply_to == "$last"


def test_an_edit_is_its_authors_and_stands_where_the_message_does() -> None:
    new = {
        "m.new_content": text("better"),
        "m.relates_to": {"rel_type": "m.replace", "event_id": "$o"},
    }
    edit = event(text("* better", **new))

    assert points_at(edit) == ("m.replace", "$o")
    assert parse(edit, GROUP, ME) is None
    assert parse(edit, GROUP, ME, target=Known("@eve:x.org")) is None
    found = parse(edit, GROUP, ME, target=Known(ADA, "$root"))
    assert found is not None
    assert (found.event.kind, found.event.text, found.event.target) == ("edit", "better", "$o")
    assert found.event.native_id == "$o"
    assert found.event.place.thread == "$root"


def test_a_removal_is_told_the_old_way_and_the_new() -> None:
    for redaction in (
        event({}, "m.room.redaction", redacts="$o"),
        event({"redacts": "$o"}, "m.room.redaction"),
    ):
        assert points_at(redaction) == ("redaction", "$o")
        found = parse(redaction, GROUP, ME)
        assert found is not None
        assert (found.event.kind, found.event.target) == ("delete", "$o")


def test_where_an_encrypted_file_lies_and_how_it_opens() -> None:
    sealed = {
        "url": "mxc://far.test:8448/abc_-1",
        "key": {"k": "K", "alg": "A256CTR"},
        "iv": "I",
        "hashes": {"sha256": "H"},
    }
    content = {"msgtype": "m.file", "body": "a.pdf", "file": sealed, "info": {"size": 5}}
    found = said(content)

    assert found.files == (
        Media(server="far.test:8448", media_id="abc_-1", key="K", iv="I", sha256="H"),
    )
    assert (found.event.attachments[0].name, found.event.attachments[0].size) == ("a.pdf", 5)
    assert found.event.text == ""


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest",
        "mxc://home.test/../../_synapse/admin",
        "mxc://home.test/a/b",
        "mxc://home.test@evil.test/a",
        "mxc://home.test/",
        "file:///etc/passwd",
        5,
        "",
    ],
)
def test_only_a_homeservers_files_are_named(url: object) -> None:
    assert said({"msgtype": "m.image", "body": "x", "url": url}).files == (None,)


@pytest.mark.parametrize(
    "nothing",
    [
        event(text("mine"), sender=BOT),
        event({"msgtype": "m.notice", "body": "beep"}),
        event({"msgtype": "m.server_notice", "body": "x"}),
        event({"msgtype": "m.key.verification.request", "body": "x"}),
        event(text("")),
        event(text("  \n")),
        event({}),
        event({"membership": "join"}, "m.room.member"),
        event({"x": 1}, "org.custom"),
        event({"m.relates_to": {"rel_type": "m.annotation"}}, "m.reaction"),
        event({}, "m.room.redaction"),
        event(text("x"), sender=5),
        event(5),
        {"type": "m.room.message", "content": text("x")},
    ],
)
def test_what_is_no_business_of_ours(nothing: dict[str, Any]) -> None:
    assert parse(nothing, GROUP, ME, target=Known(ADA)) is None


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
_names = st.sampled_from(
    "body url file info m.relates_to m.new_content m.mentions formatted_body filename".split()
)


@given(
    content=st.dictionaries(_names, _json),
    kind=st.sampled_from(["m.text", "m.image", "m.audio", "m.emote", "m.location", 5]),
    type_=st.sampled_from(["m.room.message", "m.sticker", "m.reaction", "m.room.redaction"]),
)
def test_whatever_a_server_writes_is_read_or_left_alone(
    content: dict[str, Any], kind: object, type_: str
) -> None:
    raw = event({**content, "msgtype": kind}, type_)
    assert isinstance(points_at(raw)[1], str)
    assert known_of(raw, BOT).sender == ADA
    parse(raw, GROUP, ME, target=Known(ADA))


def member(membership: str, before: str = "", **more: Any) -> dict[str, Any]:
    unsigned = {"prev_content": {"membership": before}} if before else {}
    return event(
        {"membership": membership}, "m.room.member", state_key=BOT, unsigned=unsigned, **more
    )


def test_what_was_said_before_we_came_is_not_said_to_us() -> None:
    old, new, newer = (event(text(word)) for word in ("old", "new", "newer"))

    assert after_we_came([old, new], BOT) == ([old, new], False)
    asked = [old, member("invite"), new, member("join", "invite"), newer]
    assert [one for one in after_we_came(asked, BOT)[0] if one in (old, new, newer)] == [new, newer]
    assert after_we_came([old, member("join"), new], BOT) == ([new], True)
    assert after_we_came([old, member("join", "join"), new], BOT)[1] is False
    assert after_we_came([old, member("join", "leave"), new], BOT) == ([new], True)
    away = event(text("x"), unsigned={"membership": "leave"})
    assert after_we_came([away, new], BOT) == ([new], False)
