"""Addresses: one strict reader, so that nobody reads another author than we do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.email.reading.tokens import Malformed, mailboxes


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("ada@example.org", [("", "ada@example.org")]),
        ("<ada@example.org>", [("", "ada@example.org")]),
        ("Ada <ada@example.org>", [("Ada", "ada@example.org")]),
        ("Ada  Byron King <ada@example.org>", [("Ada Byron King", "ada@example.org")]),
        ('"King, Ada" <ada@example.org>', [("King, Ada", "ada@example.org")]),
        ('"a \\"b\\" c" <ada@example.org>', [('a "b" c', "ada@example.org")]),
        ("ada@example.org (Ada (Byron) King)", [("", "ada@example.org")]),
        ("ada @ example . org", [("", "ada@example.org")]),
        ("(x)ada(y)@(z)example.org", [("", "ada@example.org")]),
        ("A <a@b>, B <c@d>", [("A", "a@b"), ("B", "c@d")]),
        ("a@b,, c@d,", [("", "a@b"), ("", "c@d")]),
        ("Us: a@b, C <c@d>; e@f", [("", "a@b"), ("C", "c@d"), ("", "e@f")]),
        ("Us:;", []),
        ("", []),
        ("=?utf-8?q?Ad=C3=A4?= <a@b>", [("Adä", "a@b")]),
        ("=?utf-8?q?A:_(b;)?= <a@b>", [("A: (b;)", "a@b")]),
        ("Dr. Ada L. King <a@b>", [("Dr. Ada L. King", "a@b")]),
        ("ada@example.org <eve@evil.example>", [("ada@example.org", "eve@evil.example")]),
        ('"ada b"@example.org', [("", '"ada b"@example.org')]),
    ],
)
def test_addresses_are_read(header: str, expected: list[tuple[str, str]]) -> None:
    assert [tuple(each) for each in mailboxes(header)] == expected


@pytest.mark.parametrize(
    "header",
    [
        "Ada <a@b> <c@d>",
        "=?utf-8?q?<a@b>?= <c@d>",
        "<a@b> Ada",
        "Ada <a@b",
        "a b@c",
        'Ada "x <a@b>',
        "Ada (x <a@b>",
        "Ada ) <a@b>",
        "a@b; c@d",
        "A: B: a@b;;",
        "<a@b,c@d>",
        "<@x:a@b>",
    ],
)
def test_what_can_be_read_in_two_ways_is_not_read(header: str) -> None:
    with pytest.raises(Malformed):
        mailboxes(header)


def test_groups_may_be_unwanted() -> None:
    with pytest.raises(Malformed):
        mailboxes("Us: a@b;", groups=False)


@given(st.text(alphabet='ab@.,;:<>()"\\ =?', max_size=60))
def test_any_header_is_read_or_malformed(header: str) -> None:
    try:
        found = mailboxes(header)
    except Malformed:
        return
    for box in found:
        assert (
            box.address in header
            or "(" in header
            or " " in header
            or '"' in header
            or "?" in header
        )
