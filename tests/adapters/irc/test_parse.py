"""What people say on IRC becomes an `Inbound`."""

from __future__ import annotations

import pytest

from adapters.irc.parse import Self, parse
from adapters.irc.wire import read
from gateway.message import Account, Inbound

ME = Self(account=Account(kind="irc"), nick="Molt", commands=("stop", "new"))


def event(line: str) -> Inbound | None:
    found = read(line.encode())
    assert found is not None
    return parse(found, ME, fresh="f1", now=5.0)


def said(line: str) -> Inbound:
    found = event(line)
    assert found is not None
    return found


ADA = ":Ada!~ada@Example.org"


def test_a_direct_message_names_who_wrote_and_where_to_answer() -> None:
    found = said(f"{ADA} PRIVMSG molt :hi there")
    assert (found.place.kind, found.place.chat) == ("direct", "ada")
    assert (found.sender.id, found.sender.name) == ("ada!~ada@example.org", "Ada")
    assert found.sender.grade == "unverified"
    assert found.addressed
    assert found.native_id == "f1"
    assert (found.received_at, found.sent_at) == (5.0, 0.0)


def test_an_account_that_the_server_names_is_who_somebody_is() -> None:
    found = said(f"@account=AdaL;msgid=x1 {ADA} PRIVMSG molt :hi")
    assert (found.sender.id, found.sender.grade) == ("adal", "verified")
    assert found.native_id == "x1"


def test_who_is_not_logged_in_cannot_look_like_an_account() -> None:
    for tag in ("account=*", "account=", "x=y"):
        found = said(f"@{tag} :adal!u@h PRIVMSG molt :hi")
        assert (found.sender.id, found.sender.grade) == ("adal!u@h", "unverified")


@pytest.mark.parametrize(
    ("text", "addressed", "read_as"),
    [
        ("molt: hello", True, "hello"),
        ("MOLT, hello", True, "hello"),
        ("@molt hello", True, "hello"),
        ("molt:hello", True, "hello"),
        ("molt is broken", False, "molt is broken"),
        ("moltgate: hello", False, "moltgate: hello"),
        ("@molty hello", False, "@molty hello"),
        ("hello molt", False, "hello molt"),
        ("molt: !stop", True, "/stop"),
        ("!stop", False, "!stop"),
        ("molt:", False, "molt:"),
        ("\x02molt\x02: \x0304,01red\x03 and \x1dslanted", True, "red and slanted"),
    ],
)
def test_in_a_channel_our_name_comes_first(text: str, addressed: bool, read_as: str) -> None:
    found = said(f"{ADA} PRIVMSG #Talk :{text}")
    assert (found.place.kind, found.place.chat) == ("group", "#talk")
    assert (found.addressed, found.text) == (addressed, read_as)
    assert found.headers == {"nick": "Ada"}


def test_clients_keep_slashes_so_another_sign_gives_commands() -> None:
    assert said(f"{ADA} PRIVMSG molt :!new now").text == "/new now"
    assert said(f"{ADA} PRIVMSG molt :!important thing").text == "!important thing"
    assert said(f"{ADA} PRIVMSG molt :/stop").text == "/stop"
    assert said(f"{ADA} PRIVMSG molt :!").text == "!"


def test_an_action_is_said_in_words_and_other_questions_of_programs_are_not_answered() -> None:
    assert said(f"{ADA} PRIVMSG molt :\x01ACTION waves\x01").text == "* Ada waves"
    assert event(f"{ADA} PRIVMSG molt :\x01VERSION\x01") is None
    assert event(f"{ADA} PRIVMSG molt :\x01DCC SEND x 1 2 3\x01") is None


@pytest.mark.parametrize(
    "line",
    [
        ":molt!m@h PRIVMSG ada :our own",
        ":irc.test PRIVMSG molt :the server",
        f"{ADA} NOTICE molt :programs answer so",
        f"{ADA} PRIVMSG molt :\x02\x0f ",
        f"{ADA} PRIVMSG molt",
        f"{ADA} JOIN #talk",
    ],
)
def test_what_is_no_message_of_a_person_is_left_alone(line: str) -> None:
    assert event(line) is None


def test_bots_that_say_so_are_told_apart() -> None:
    assert said(f"@bot {ADA} PRIVMSG molt :beep").sender.is_bot
    assert not said(f"{ADA} PRIVMSG molt :hi").sender.is_bot


def test_what_a_bouncer_plays_back_is_known_again() -> None:
    line = f"@time=2026-01-02T03:04:05.678Z {ADA} PRIVMSG molt :hi"
    assert said(line).id == said(line).id
    assert said(line).sent_at == pytest.approx(1767323045.678)
    assert said(line).id != said(line.replace("678Z", "679Z")).id
    assert said(f"@time=never {ADA} PRIVMSG molt :hi").sent_at == 0.0


def test_a_message_to_the_operators_belongs_to_their_channel() -> None:
    assert said(f"{ADA} PRIVMSG @#talk :molt: hi").place.chat == "#talk"
