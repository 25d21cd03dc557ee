"""CommonMark and what Discord is sent for it."""

from __future__ import annotations

import re

import pytest

from adapters.discord.render import TWIN, render, split
from gateway.markup.units import utf16
from tests.adapters.discord.scene import part

GOLDEN = [
    ("plain", "plain"),
    ("**bold** *lean* ***both*** ~~gone~~", "**bold** *lean* ***both*** ~~gone~~"),
    ("__bold__ _lean_", "**bold** *lean*"),
    ("`code` and `` a`b ``", "`code` and `` a`b ``"),
    ("``` a``b ```", "`a\u02cb\u02cbb`"),
    ("```py\nx = 1\n```", "```py\nx = 1\n```"),
    ("    indented", "```\nindented\n```"),
    ("````\n```\n````", "```\n`\u200b``\n```"),
    ("# One\n\n### Three\n\n#### Four", "# One\n\n### Three\n\n**Four**"),
    ("- a\n- b\n  - c", "- a\n- b\n  - c"),
    ("3. a\n4. b", "3. a\n4. b"),
    ("> said\n> twice", "> said\n> twice"),
    ("[name](https://example.org/a_b)", "[name](<https://example.org/a_b>)"),
    ("[name](javascript:x)", "\\[name\\](javascript:x)"),
    ("![cat](https://example.org/c.png)", "[cat](<https://example.org/c.png>)"),
    ("see https://example.org/a_b_c?x=*", "see https://example.org/a_b_c?x=\\*"),
    ("<b>raw</b>", "\\<b>raw\\</b>"),
    ("snake_case and 2 * 3 * 4", "snake\\_case and 2 \\* 3 \\* 4"),
    ("||secret||", "\\|\\|secret\\|\\|"),
    ("\\# no heading", "\\# no heading"),
    ("1\\. no list", "1\\. no list"),
    ("\\- no list", "\\- no list"),
    ("-# small", "\\-# small"),
    ("\\> no quote", "\\> no quote"),
    ("@everyone and @here", "\\@everyone and \\@here"),
    ("<@123> <@&1> <#2> <t:3:R> </new:4> <:a:5>",
     "\\<@123> \\<@&1> \\<#2> \\<t:3:R> \\</new:4> \\<:a:5>"),
    ("| a | b |\n|---|---|\n| 1 | 2 |", "```\na | b\n--+--\n1 | 2\n```"),
    ("a\n\n---\n\nb", "a\n\n———\n\nb"),
    ("C:\\dir\\file", "C:\\\\dir\\\\file"),
]  # fmt: skip


@pytest.mark.parametrize(("markdown", "written"), GOLDEN, ids=[one for one, _ in GOLDEN])
def test_commonmark_is_written_as_discord_reads_it(markdown: str, written: str) -> None:
    assert render(markdown) == written


@pytest.mark.parametrize(
    "text",
    [
        "word " * 3000,
        "**" + "bold " * 3000 + "**",
        "<@1>" * 2000,
        "😀" * 5000,
        "_" * 9000,
        "```\n" + "x" * 9000 + "\n```",
        "> " + "quoted " * 2000,
        "- item\n" * 2000,
        "[a](https://example.org/" + "x" * 300 + ") " * 30,
        "`" * 5000,
    ],
)
def test_no_part_is_longer_than_discord_takes(text: str) -> None:
    parts = split(part(text, channel="900"))
    assert parts
    assert all(utf16(render(one.text)) <= 2000 for one in parts)


def test_nothing_calls_anybody_or_hides_a_link(naughty: list[str]) -> None:
    for text in naughty:
        written = render(text)
        outside = re.sub(r"```.*?```|`[^`]*`", "", written, flags=re.DOTALL)
        assert not re.search(r"(?<!\\)<(@|#|t:|/|a?:\w+:\d)", outside), text
        assert not re.search(r"(?<!\\)@(everyone|here)", outside), text


@pytest.fixture
def naughty() -> list[str]:
    pieces = ("<@123456>", "<@&1>", "@everyone", "@here", "<#12>", "<t:1:R>", "<a:x:123>")
    around = ("{}", "**{}**", "[{}](https://x.org)", "> {}", "- {}", "a{}b", "\\{}", "`a` {}",
              "~~{}~~", "{}\n{}", "# {}", "| a |\n|---|\n| {} |",
              "![{}](https://x.org)")  # fmt: skip
    return [one.format(piece, piece) for one in around for piece in pieces]


def test_parts_that_say_the_same_are_numbered() -> None:
    parts = split(part("```\n" + ("a" * 1985 + "\n") * 3 + "```", channel="900"))
    assert [one.headers.get(TWIN, "0") for one in parts] == ["0", "1", "2"]
