"""What people and programs send becomes an `Inbound`, and belongs to whoever sent it."""

from __future__ import annotations

import pytest

from adapters.web import parse
from gateway.message import Account

ACCOUNT = Account(kind="web")


def of(text: str, **more: object) -> parse.Inbound:
    return parse.parse(ACCOUNT, principal="owner", name="a", id="1", text=text, **more)  # type: ignore[arg-type]


def test_the_id_given_by_the_client_decides_the_events_id() -> None:
    assert of("x").id == of("y").id == "web:default/owner.a/1/m"


def test_the_sender_is_the_principal_and_verified() -> None:
    sender = of("x").sender

    assert (sender.id, sender.grade) == ("owner", "verified")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("/new", "command"),
        ("/model small", "command"),
        ("/help\nplease", "command"),
        ("/etc/passwd is a file", "message"),
        ("//", "message"),
        ("/", "message"),
        ("hello /new", "message"),
    ],
)
def test_commands_are_words_after_a_slash(text: str, kind: str) -> None:
    assert of(text).kind == kind


def test_a_pressed_button_is_no_command_whatever_it_says() -> None:
    assert of("/new", kind="button").kind == "button"


def test_text_is_nfc_without_control_characters() -> None:
    assert of("e\u0301\x00a\x1b[31m\r\nb\tc\x85\x07").text == "éa[31m\nb\tc"


def test_a_letter_with_thousands_of_marks_keeps_a_few() -> None:
    """Putting them in order would take seconds, in which nobody else is served."""
    tidy = of("a" + "\u0301\u0323" * 32_000).text

    assert len(tidy) <= 32
    assert parse.clean(tidy) == tidy


@pytest.mark.parametrize("other", ["owner2", "own", "token-1", "owner%2E", "owner/u=owner"])
def test_no_principal_reaches_anothers_conversation(other: str) -> None:
    mine = parse.conversation(ACCOUNT, "owner", "a")

    assert parse.conversation(ACCOUNT, other, "a") != mine
    assert parse.name_of(mine, ACCOUNT, other) is None
    assert not mine.startswith(parse.prefix(ACCOUNT, other))


def test_a_principal_finds_its_conversations_by_their_names() -> None:
    mine = parse.conversation(ACCOUNT, "owner", "trip_to-Oslo")

    assert mine.startswith(parse.prefix(ACCOUNT, "owner"))
    assert parse.name_of(mine, ACCOUNT, "owner") == "trip_to-Oslo"
