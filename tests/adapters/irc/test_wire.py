"""Lines are read tolerantly and written strictly."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from adapters.irc.wire import LINE, Line, folded, read, room, write
from gateway.errors import Failed

READ = [
    (b"PING :abc\r", Line(command="PING", params=("abc",))),
    (
        b":a!b@c PRIVMSG #x :hi : there",
        Line(command="PRIVMSG", params=("#x", "hi : there"), source="a!b@c"),
    ),
    (b":srv 001 molt", Line(command="001", params=("molt",), source="srv")),
    (
        b"@account=ada;x=1\\:2\\s3;bot  :a!b@c  privmsg  me :",
        Line(
            command="PRIVMSG",
            params=("me", ""),
            source="a!b@c",
            tags={"account": "ada", "x": "1;2 3", "bot": ""},
        ),
    ),
    (
        b":a!b@c PRIVMSG me :gr\xfc\xdfe",
        Line(command="PRIVMSG", params=("me", "grüße"), source="a!b@c"),
    ),
    ("ERROR :größer".encode(), Line(command="ERROR", params=("größer",))),
    (b"", None),
    (b":only.a.source", None),
    (b"@only=tags", None),
]


@pytest.mark.parametrize(("raw", "line"), READ)
def test_lines_as_servers_write_them(raw: bytes, line: Line | None) -> None:
    assert read(raw) == line


@given(some.binary())
def test_nothing_that_comes_breaks_the_reader(raw: bytes) -> None:
    line = read(raw)
    assert line is None or line.command
    assert line is None or line.param(5) == (line.params[5] if len(line.params) > 5 else "")


def test_a_line_is_written_with_its_last_parameter_marked() -> None:
    assert write("PRIVMSG", "#x", "a b", label="l1") == b"@label=l1 PRIVMSG #x :a b\r\n"
    assert write("QUIT") == b"QUIT\r\n"


@pytest.mark.parametrize(
    "params",
    [
        ("#x", "a\r\nQUIT"),
        ("#x", "a\nb"),
        ("#x", "a\0b"),
        ("#x y", "a"),
        ("", "a"),
        (":x", "a"),
        ("a\r\nQUIT", "x"),
    ],
)
def test_nothing_becomes_a_line_or_a_parameter_of_its_own(params: tuple[str, ...]) -> None:
    with pytest.raises(Failed):
        write("PRIVMSG", *params)


def test_a_full_line_arrives_whole_behind_the_longest_prefix() -> None:
    said = "x" * room("moltgatemoltgate", "#channel")
    prefix = f":moltgatemoltgate!~moltgatemo@{'h' * 63} "
    assert len(prefix.encode() + write("PRIVMSG", "#channel", said)) == LINE


def test_names_are_compared_without_case_and_kept_apart_beyond_ascii() -> None:
    assert folded("Ada[x]") == "ada[x]"
    assert folded("ÄDA") != folded("äda")
