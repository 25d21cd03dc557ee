"""What people call a bot, found in what they say."""

from __future__ import annotations

import pytest

from gateway.mentions import after_name, called

PHRASES = ("hey molt", " c++ ", "Ада")


@pytest.mark.parametrize(
    "text",
    ["hey molt", "so, HEY MOLT!", "what of c++?", "(c++)", "скажи, ада", "oh hey molt's late"],
)
def test_a_phrase_calls_wherever_it_stands(text: str) -> None:
    assert called(text, PHRASES)


@pytest.mark.parametrize("text", ["", "they molt", "hey molten", "hey  molt", "c+", "засада"])
def test_pieces_of_other_words_do_not_call(text: str) -> None:
    assert not called(text, PHRASES)


def test_without_phrases_nothing_calls() -> None:
    assert not called("", ())
    assert not called("hey molt", ())


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("Molt: hello", "hello"),
        ("molt,hello", "hello"),
        ("@MOLT hello", "hello"),
        ("@molt: hello", "hello"),
        ("molt:\nhello", "hello"),
    ],
)
def test_what_follows_the_name_is_said_to_it(text: str, rest: str) -> None:
    assert after_name(text, "Molt") == rest


@pytest.mark.parametrize(
    "text",
    ["", "molt", "molt hello", "molt:", "@molt ", "@molton hi", "@molt-2 hi", "hi molt: you"],
)
def test_a_name_alone_or_elsewhere_speaks_to_nobody(text: str) -> None:
    assert after_name(text, "Molt") is None


def test_a_name_is_no_pattern() -> None:
    assert after_name("[a]+: hello", "[a]+") == "hello"
    assert after_name("aa: hello", "[a]+") is None
