"""Golden table: CommonMark as lines of IRC. Nothing pings, nothing breaks, no line is too long."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from adapters.irc.render import lines, split
from adapters.irc.wire import write
from gateway.message import Account, Attachment, Button, ConversationId, Outbound, Place, ReplyId

B, I, S, C = "\x02", "\x1d", "\x1e", "\x11"  # noqa: E741


def part(text: str, *, channel: bool = False, **more: object) -> Outbound:
    return Outbound(
        reply=ReplyId("r1"),
        conversation=ConversationId("c"),
        account=Account(kind="irc"),
        place=Place(kind="group", chat="#talk") if channel else Place(kind="direct", chat="ada"),
        text=text,
        **more,  # type: ignore[arg-type]
    )


GOLDEN = [
    ("hello", ["hello"]),
    ("a **b** *c* ~~d~~ `e`", [f"a {B}b{B} {I}c{I} {S}d{S} {C}e{C}"]),
    ("# Title\n\ntext", [f"{B}Title{B}", "text"]),
    ("- a\n- b", ["• a", "• b"]),
    ("1. a\n2. b", ["1. a", "2. b"]),
    ("> quoted\n> twice", ["> quoted", "> twice"]),
    ("```py\nif x:\n    y\n```", ["if x:", "    y"]),
    ("[label](https://x.org)", ["label (https://x.org)"]),
    ("<b>raw</b> & text", ["<b>raw</b> & text"]),
    ("**two\nlines** x", [f"{B}two{B}", f"{B}lines{B} x"]),
    ("a\n\n\n\nb", ["a", "b"]),
    ("", ["(empty message)"]),
    ("\u200b", ["(empty message)"]),
]


@pytest.mark.parametrize(("markdown", "shown"), GOLDEN)
def test_golden(markdown: str, shown: list[str]) -> None:
    assert lines(part(markdown), 400) == shown


@pytest.mark.parametrize(
    "evil",
    [
        "a\r\nQUIT :bye",
        "a\rQUIT",
        "a\0b",
        "\x01ACTION pretends\x01",
        "\x02\x1d\x1f\x0304red",
        "&#13;&#10;QUIT",
        "`a\nb`",
        "\ud800",
    ],
)
def test_nothing_that_a_model_writes_becomes_a_command_or_a_format(evil: str) -> None:
    for said in lines(part(evil), 400):
        write("PRIVMSG", "#x", said)
        assert not set(said) & set("\x00\x01\x03\x0f\x1f\r\n")
        assert not said.startswith("\x01")


@given(some.text(max_size=600), some.integers(30, 400))
def test_lines_fit_and_nothing_is_lost(text: str, room: int) -> None:
    said = lines(part(f"x{text}"), room)
    assert all(len(one.encode()) <= room for one in said)
    for one in said:
        write("PRIVMSG", "#x", one)


def test_long_words_are_cut_between_characters_and_texts_at_blanks() -> None:
    assert lines(part("word " * 40), 64)[0] == " ".join(["word"] * 12)
    assert "".join(lines(part("😀" * 100), 64)) == "😀" * 100


def test_in_a_channel_the_first_line_names_who_is_answered() -> None:
    named = part("hi\n\nyou", channel=True, headers={"nick": "Ada"})
    assert lines(named, 400) == ["Ada: hi", "you"]
    assert lines(part("hi", headers={"nick": "Ada"}), 400) == ["hi"]
    assert lines(part("hi", channel=True, headers={"nick": "Ada"}, part=1), 400) == ["hi"]


def test_files_and_buttons_are_told_in_words() -> None:
    file = Attachment(kind="image", name="cat.png", digest="0" * 64)
    buttons = ((Button(label="Docs", url="https://x.org"),),)
    (found,) = split(part("see", files=(file,), buttons=buttons))
    assert lines(found, 400) == ["see", "[image: cat.png]", "Docs: https://x.org"]
    assert not found.files


def test_a_part_is_as_many_lines_as_servers_take_at_once() -> None:
    for text in ("word " * 3000, "a\n\n" * 400, "```\n" + "x = 1\n" * 300 + "```", "😀" * 3000):
        for each in split(part(text)):
            assert len(lines(each, 380)) <= 6
