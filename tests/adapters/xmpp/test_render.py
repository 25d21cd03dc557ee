"""Golden table: CommonMark as message styling."""

from __future__ import annotations

from xml.etree import ElementTree
from xml.sax.saxutils import escape

import pytest

from adapters.xmpp.capabilities import TEXT_LIMIT
from adapters.xmpp.render import body, split
from gateway.message import Account, Button, ConversationId, Outbound, Place, ReplyId

J = "\u2060"


def part(text: str, **more: object) -> Outbound:
    return Outbound(
        reply=ReplyId("r1"),
        conversation=ConversationId("c"),
        account=Account(kind="xmpp"),
        place=Place(kind="direct", chat="ada@x"),
        text=text,
        **more,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("markdown", "styled"),
    [
        ("a **b** *c* ~~d~~ `e`", "a *b* _c_ ~d~ `e`"),
        ("# Title", "*Title*"),
        ("- a\n- b", "• a\n• b"),
        ("> quoted", "> quoted"),
        ("```py\nx * y\n```", "```py\nx * y\n```"),
        ("[label](https://x.org)", "label (https://x.org)"),
        ("\\*not bold\\*", f"{J}*not bold*"),
        ("snake\\_case\\_name", "snake_case_name"),
        ("\\> no quote", f"{J}> no quote"),
        ("\\`\\`\\` no block", f"{J}``` no block"),
        ("<b>&amp;</b>", "<b>&</b>"),
        ("un**fit**ting", "unfitting"),
        ("", "(empty message)"),
    ],
)
def test_golden(markdown: str, styled: str) -> None:
    assert body(part(markdown)) == styled


@pytest.mark.parametrize("evil", ["a\0b", "\x1b[31m", "\ud800", "]]><message/>", "\ufffe"])
def test_nothing_breaks_the_stream(evil: str) -> None:
    text = body(part(evil))
    ElementTree.fromstring(f"<body>{escape(text)}</body>")


def test_parts_fit_in_bytes() -> None:
    for text in ("😀" * 9000, "word " * 9000, "```\n" + "x = 1\n" * 5000 + "```"):
        assert all(len(body(each).encode()) <= TEXT_LIMIT for each in split(part(text)))


def test_buttons_are_told_in_words() -> None:
    (found,) = split(part("see", buttons=((Button(label="Docs", url="https://x.org"),),)))
    assert body(found) == "see\n\nDocs: https://x.org"
