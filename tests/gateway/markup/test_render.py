"""Each dialect says what was meant, and no text becomes a mark in it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings

from gateway.markup import Dialect, blank, clean, plain, render
from tests.gateway.markup.dialects import (
    BACKSLASHES,
    BARE,
    DIALECTS,
    ENTITIES,
    NO_ESCAPES,
    both,
    read,
    squeezed,
)
from tests.gateway.markup.samples import BLOCKS, HOSTILE, MARKDOWN

DOCUMENT = """\
# Title *it*

> a **b
> c** d
>
> > e

- x *y*
- ```py
  1 < 2
  ```
  - y [l](https://a.b/c_d)

3. in**word**s **ok**: 2*3*4

| a | b |
|---|---|
| 1 | 2 |
"""


@pytest.mark.parametrize(
    ("dialect", "markup"),
    [
        (
            BACKSLASHES,
            "# Title _it_\n\n> a **b**\n> **c** d\n> \n> e\n\n- x _y_\n- \n```py\n1 < 2\n```\n"
            "  - y [l](https://a.b/c%5Fd)\n\n3. in**word**s **ok**: 2_3_4\n\n"
            "```\na | b\n--+--\n1 | 2\n```",
        ),
        (
            ENTITIES,
            "*Title _it_*\n\n&gt; a *b*\n&gt; *c* d\n&gt; \n&gt; e\n\n• x _y_\n• \n"
            "```\n1 &lt; 2\n```\n  • y <https://a.b/c_d|l>\n\n3. inwords *ok*: 234\n\n"
            "```\na | b\n--+--\n1 | 2\n```",
        ),
        (
            NO_ESCAPES,
            "*Title _it_*\n\n> a *b*\n> *c* d\n> \n> e\n\n• x _y_\n• \n```\n1 < 2\n```\n"
            "  • y l (https://a.b/c%5Fd)\n\n3. inwords *ok*: 234\n\n"
            "```\na | b\n--+--\n1 | 2\n```",
        ),
        (
            BARE,
            "Title it\n\n> a b\n> c d\n> \n> > e\n\n* x y\n* \n1 < 2\n"
            "  * y l (https://a.b/c_d)\n\n3. inwords ok: 234\n\na | b\n1 | 2",
        ),
    ],
    ids=DIALECTS,
)
def test_a_document_reads_as_meant(dialect: Dialect, markup: str) -> None:
    assert render(DOCUMENT, dialect).markup == markup


@pytest.mark.parametrize(
    ("markdown", "backslashes", "entities", "no_escapes"),
    [
        ("***both***", "_**both**_", "_*both*_", "_*both*_"),
        ("**a\nb**", "**a**\n**b**", "*a*\n*b*", "*a*\n*b*"),
        ("**b `c` b**", "**b `c` b**", "*b* `c` *b*", "*b `c` b*"),
        ("**a**b", "**a**b", "ab", "ab"),
        ("(**a**)", "\\(**a**\\)", "(a)", "(a)"),
        ("**a**, *b*.", "**a**, _b_.", "*a*, _b_.", "*a*, _b_."),
        ("\\*no\\* a\\_b", "\\*no\\* a\\_b", None, "∗no∗ a\uff3fb"),
        ("<@7> & @all", "\\<@7\\> & @all", "&lt;@7&gt; &amp; @all", "<@7› & @all"),
        ("\\> no", "\\> no", "\u2060&gt; no", "› no"),
        ("`a*b`", "`a*b`", "`a*b`", "`a∗b`"),
        (
            "[**l** `c`](https://a.b)",
            "[**l** `c`](https://a.b)",
            "<https://a.b|l c>",
            "*l* `c` (https://a.b)",
        ),
        ("<https://a.b>", "https://a.b", "<https://a.b>", "https://a.b"),
        ("[](https://a.b)", "https://a.b", "<https://a.b>", "https://a.b"),
        ("[m](mailto:a@b.c)", "m \\(mailto:a@b.c\\)", "m (mailto:a@b.c)", "m (mailto:a@b.c)"),
        ("[x](tg://y)", "x \\(tg://y\\)", "x (tg://y)", "x (tg://y)"),
        ("see https://a.b/*c*.", "see https://a.b/_c_.", "see <https://a.b/c>.", None),
        ("https://a.b/c_d.", "https://a.b/c%5Fd.", "<https://a.b/c_d>.", "https://a.b/c%5Fd."),
        ("(https://a.b/c)", None, "(<https://a.b/c>)", None),
        ("https://a.b/c_(d)!", None, "<https://a.b/c_(d)>!", None),
        ("![i](https://a.b/i)", "[i](https://a.b/i)", "<https://a.b/i|i>", "i (https://a.b/i)"),
        ("- > q", "- \n> q", "• \n&gt; q", "• \n> q"),
        ("> ```\n> x\n> ```", "> ```\n> x\n> ```", "&gt; ```\n&gt; x\n&gt; ```", None),
        ("> a\n\n<!---->\n\n> b", None, "&gt; a\n\n&lt;!----&gt;\n\n&gt; b", None),
        ("#### four", "**four**", "*four*", "*four*"),
        ("#### **four**", "**four**", "*four*", "*four*"),
        ("# **one**", "# **one**", "*one*", "*one*"),
        ("- - a", "- - a", "• • a", "• • a"),
        ("---", "———", "———", "———"),
        ("", "", "", ""),
    ],
)
def test_markdown_reads_as_meant(
    markdown: str, backslashes: str | None, entities: str | None, no_escapes: str | None
) -> None:
    for dialect, markup in (
        (BACKSLASHES, backslashes),
        (ENTITIES, entities),
        (NO_ESCAPES, no_escapes),
    ):
        if markup is not None:
            assert render(markdown, dialect).markup == markup


def test_marks_that_would_run_together_are_left_out() -> None:
    dialect = replace(BACKSLASHES, emphasis=both("*"))

    assert render("**a***b* *c*", dialect).markup == "**a**b *c*"
    assert render("*a **b***", dialect).markup == "*a **b***"


def holds(markdown: str, dialect: Dialect) -> None:
    rendered = render(markdown, dialect)
    assert squeezed(read(rendered.markup, dialect)) == squeezed(rendered.text)
    if not blank(clean(markdown)):
        assert not blank(rendered.text)
        assert plain(markdown)


@pytest.mark.parametrize("name", DIALECTS)
@settings(max_examples=200)
@given(markdown=MARKDOWN)
def test_no_text_becomes_a_mark_and_none_is_lost(name: str, markdown: str) -> None:
    holds(markdown, DIALECTS[name])


@pytest.mark.parametrize("name", DIALECTS)
@settings(max_examples=50)
@given(blocks=BLOCKS)
def test_documents_are_marked_properly(name: str, blocks: list[str]) -> None:
    holds("\n\n".join(blocks), DIALECTS[name])


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("source", HOSTILE, ids=lambda source: source[:4])
def test_hostile_depth_is_text_and_takes_no_time(source: str, name: str) -> None:
    holds(source, DIALECTS[name])


def test_quotations_in_quotations_are_marked_as_deep_as_the_dialect_goes() -> None:
    assert render("> > > > a", BARE).markup == "> > > a"
    assert render("> > a", NO_ESCAPES).markup == "> a"


def test_plain_text_shows_addresses_and_sets_tables_in_columns() -> None:
    source = "**b** [l](https://a.b)\n\n|a|b|\n|-|-|\n|1|2|"

    assert plain(source) == "b l (https://a.b)\n\na | b\n--+--\n1 | 2"
