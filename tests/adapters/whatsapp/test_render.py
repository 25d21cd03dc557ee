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
    (r"\*not bold\*", "∗not bold∗"),
    (r"\_not it\_ and \~not\~", "＿not it＿ and ∼not∼"),
    (r"\`not code\`", "‵not code‵"),
    (r"**a\* b** and *a\_*", "*a∗ b* and _a＿_"),
    (r"\* no list", "∗ no list"),
    (r"a\_\_*b", "a＿＿∗b"),
    ("<https://example.org/_a_/a_b*>", "https://example.org/%5Fa%5F/a_b%2A"),
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


@pytest.mark.parametrize(
    "text",
    ["*a*", "_a_", "~a~", "`a`", "(*a*)", "*a* *b*", "x *a b* y", "a*", "a_)", "*_~`", "a_*"],
)
def test_marks_that_are_only_text_open_and_close_nothing(text: str) -> None:
    escaped = "".join(f"\\{char}" if char in "*_~`" else char for char in text)
    for markdown in (escaped, f"**b {escaped} b**"):
        shown = rendered(markdown).markup
        inside = shown[1:-1] if markdown.startswith("**") else shown
        assert not re.search(r"(?<![^\W_])[*_~`](?=\S)|(?<=\S)[*_~`](?![^\W_])", inside)
        assert len(inside.translate(dict.fromkeys(map(ord, "*_~`∗＿∼‵")))) == len(inside) - sum(
            text.count(mark) for mark in "*_~`"
        )
    assert not any(char.isalnum() for char in rendered(escaped).markup if char in "∗＿∼‵")


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
