"""How the bytes of a mail are cut."""

from __future__ import annotations

import pytest

from adapters.email.reading import Limits, Unreadable
from adapters.email.reading.structure import cut, parameter


def kinds(raw: bytes) -> list[str]:
    return [part.type for part in cut(raw, Limits()).walk()]


def contents(raw: bytes) -> list[bytes]:
    return [raw[part.begin : part.end] for part in cut(raw, Limits()).walk() if not part.parts]


MIXED = b"Content-Type: multipart/mixed; boundary=b\n\n"


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        (b"--b\n\none\n--b\n\ntwo\n--b--\n", [b"one", b"two"]),
        (b"--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--\r\n", [b"one", b"two"]),
        (b"before\n--b\n\none\n--b--\nafter", [b"one"]),
        (b"--b \t\n\none\n--b-- \n", [b"one"]),
        (b"--b\n\none", [b"one"]),
        (b"--b\n\none\n--bc\n--b--", [b"one\n--bc"]),
        (b"--b\n\none --b\n--b--", [b"one --b"]),
        (b"--b\none\n--b--", [b"one"]),
        (b"--b\nA: b\n--b--", [b""]),
        (b"--b\n--b\n\ntwo\n--b--", [b"", b"two"]),
        (b"--b--\n", [b"--b--\n"]),
        (b"nothing", [b"nothing"]),
    ],
)
def test_parts_lie_between_the_lines_of_their_boundary(body: bytes, parts: list[bytes]) -> None:
    assert contents(MIXED + body) == parts


def test_inner_parts_end_with_their_outer_part() -> None:
    raw = (
        MIXED + b"--b\nContent-Type: multipart/alternative; boundary=c\n\n--c\n\none\n"
        b"--b\n\ntwo\n--c\n\nthree\n--b--\n"
    )

    assert contents(raw) == [b"one", b"two\n--c\n\nthree"]


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        (b"Content-Type: TEXT/HTML; charset=x", "text/html"),
        (b"Content-Type: text", "text/plain"),
        (b"Content-Type: ;", "text/plain"),
        (b"Content-Type: application/vnd.ms-excel", "application/vnd.ms-excel"),
        (b"Content-Type: a/b/c", "text/plain"),
        (b"Content-Type: multipart/mixed", "multipart/mixed"),
        (b"Content-Type : text/html", "text/html"),
        (b"Content-Type:\n text/html", "text/html"),
        (b"X: y", "text/plain"),
    ],
)
def test_types_are_known_or_plain(header: bytes, kind: str) -> None:
    assert kinds(header + b"\n\nx") == [kind]


def test_parts_of_a_digest_are_mails() -> None:
    raw = b"Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\n\ny\n--b--"

    assert kinds(raw) == ["multipart/digest", "message/rfc822"]


def test_mails_within_mails_are_not_opened() -> None:
    raw = b"Content-Type: message/rfc822\n\n" + MIXED + b"--b\n\nx\n--b--"

    assert kinds(raw) == ["message/rfc822"]


@pytest.mark.parametrize(
    ("raw", "headers", "body"),
    [
        (b"A: b\nC: d\n\nx", [("a", "b"), ("c", "d")], b"x"),
        (b"A: b\n c\n\td\n\nx", [("a", "b c\td")], b"x"),
        (b"From x Mon\nA: b\n\nx", [("a", "b")], b"x"),
        (b"A: b\nno header\n\nx", [("a", "b")], b"no header\n\nx"),
        (b"\nx", [], b"x"),
        (b"x", [], b"x"),
        (b"", [], b""),
        (b" a\nB: c\n\nx", [("b", "c")], b"x"),
        (b"A: b", [("a", "b")], b""),
        (b"A: \xc3\xa4\xff\n\n", [("a", "Ã¤ÿ")], b""),
        (b"A: b\x00c\rd\n\n", [("a", "bc d")], b""),
        (b"A:\n\n", [("a", "")], b""),
        (b": b\n\nx", [], b": b\n\nx"),
    ],
)
def test_headers_end_where_they_end(
    raw: bytes, headers: list[tuple[str, str]], body: bytes
) -> None:
    part = cut(raw, Limits())

    assert part.headers == headers
    assert raw[part.begin : part.end] == body


@pytest.mark.parametrize(
    ("limits", "raw", "reason"),
    [
        (Limits(size=10), bytes(11), "larger than the limit"),
        (Limits(header=20), b"A: " + b"b" * 30 + b"\n\n", "a header larger"),
        (Limits(header=20), b"A: b\n " + b"c" * 20 + b"\n\n", "a header larger"),
        (Limits(headers=2), b"A: b\n" * 3 + b"\n", "too many headers"),
        (Limits(block=30), b"A: bcdefgh\n" * 4 + b"\n", "headers larger"),
        (Limits(block=30), b"x" * 100, "headers larger"),
        (Limits(parts=2), MIXED + b"--b\n\nx\n" * 3, "too many parts"),
        (Limits(depth=0), MIXED + b"--b\n\nx\n", "nested too deep"),
    ],
)
def test_limits_hold_before_anything_is_understood(limits: Limits, raw: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        cut(raw, limits)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ('x; a="b c"', "b c"),
        ("x; A=b", "b"),
        ("x; a*=utf-8''%C3%A4", "ä"),
        ("x; a*0=b; a*1=c", "bc"),
        ("x; b=c", ""),
        ("x", ""),
        ("x; a*0*=", ""),
        ("x; a*=''''", "''"),
        ("x; a*99999999999=b", "b"),
        ("=", ""),
    ],
)
def test_parameters_never_break(value: str, name: str) -> None:
    assert parameter(value, "a") == name
