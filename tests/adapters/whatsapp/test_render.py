"""CommonMark and what stands on WhatsApp for it."""

from __future__ import annotations

import re

import pytest

from adapters.whatsapp.capabilities import TEXT_LIMIT
from adapters.whatsapp.render import rendered, split
from gateway.markup.units import utf16
from tests.adapters.whatsapp.scene import part

GOLDEN = [
    ("plain text", "plain text"),
    ("**bold** and *it* and ~~gone~~", "*bold* and _it_ and ~gone~"),
    ("***both***", "_*both*_"),
    ("# Title\n\ntext", "*Title*\n\ntext"),
    ("`code` and `a*b_c`", "`code` and `a*b_c`"),
    ("```py\nx = *y*\n```", "```\nx = *y*\n```"),
    ("    indented", "```\nindented\n```"),
    ("> quoted\n> twice", "> quoted\n> twice"),
    ("- one\n- two", "• one\n• two"),
    ("1. one\n2. two", "1. one\n2. two"),
    ("[label](https://example.org/a_b)", "label (https://example.org/a_b)"),
    ("<https://example.org/x>", "https://example.org/x"),
    ("[bad](javascript:alert(1))", "[bad](javascript:alert(1))"),
    ("a **b**c", "a bc"),
    ("2 * 3 * 4", "2 * 3 * 4"),
    ("snake_case_name", "snake_case_name"),
    (r"\*not bold\*", "∗not bold*"),
    (r"\_not it\_ and \~not\~", "ˍnot it_ and ∼not~"),
    (r"\`not code\`", "ˋnot code`"),
    (r"\> not a quote", "\u2060> not a quote"),
    ("<b>html</b>", "<b>html</b>"),
    ("a\\\nb", "a\nb"),
    ("---", "———"),
]


@pytest.mark.parametrize(("markdown", "markup"), GOLDEN)
def test_golden(markdown: str, markup: str) -> None:
    assert rendered(markdown).markup == markup


@pytest.mark.parametrize(
    "text",
    [
        "", "*", "**", "***", "_", "`", "```", "~~", "> ", "# ", "- ", "*a", "a*", "**a*",
        "@everyone", "@4915112345678", "\x00", "\ud800", "a\u202eb", "[](", "![x](y)",
        "<script>", "|a|b|\n|-|-|",
        "`" * 50, "*" * 50, "_*~" * 30, "```\n```\n```", "`a``b`", "> > > deep",
        "~~~\n```\n````\n`````\n~~~",
    ],
)  # fmt: skip
def test_nothing_breaks(text: str) -> None:
    found = rendered(text)
    found.markup.encode()
    assert found.markup.count("```") % 2 == 0


@pytest.mark.parametrize("text", ["*a*", "_a_", "~a~", "`a`", "(*a*)", "*a* *b*", "x *a b* y"])
def test_marks_that_are_only_text_open_nothing(text: str) -> None:
    escaped = "".join(f"\\{char}" if char in "*_~`" else char for char in text)
    assert not re.search(r"(?<![^\W_])[*_~`](?=\S)[^\n]*?[*_~`]", rendered(escaped).markup)


def test_long_texts_are_cut_and_stay_formatted() -> None:
    code = "```py\n" + "x = 1\n" * 2000 + "```"
    parts = split(part(code))
    assert len(parts) > 1
    assert all(utf16(rendered(one.text).markup) <= TEXT_LIMIT for one in parts)
    assert all(rendered(one.text).markup.startswith("```\n") for one in parts)
    assert sum(one.text.count("x = 1") for one in parts) == 2000


def test_emoji_count_twice() -> None:
    parts = split(part("😀" * 5000))
    assert all(utf16(rendered(one.text).markup) <= TEXT_LIMIT for one in parts)
    assert sum(one.text.count("😀") for one in parts) == 5000
