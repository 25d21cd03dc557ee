"""Nothing the model writes can break a message, and what it meant is seen."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.telegram.render import blank, clean, plain, render
from tests.fakes.telegram.markup import parse_html


@pytest.mark.parametrize(
    ("markdown", "html"),
    [
        ("plain", "plain"),
        ("**b** *i* ~~s~~ `c`", "<b>b</b> <i>i</i> <s>s</s> <code>c</code>"),
        ("***both***", "<i><b>both</b></i>"),
        ("**b `c` b**", "<b>b </b><code>c</code><b> b</b>"),
        ("# Title `c`\ntext", "<b>Title </b><code>c</code>\n\ntext"),
        ("one\ntwo  \nthree", "one\ntwo\nthree"),
        ("- a\n- b\n  1. c\n  2. d", "• a\n• b\n  1. c\n  2. d"),
        ("3. three\n4. four", "3. three\n4. four"),
        ("- a\n\n- b", "• a\n• b"),
        ("- - a", "• • a"),
        ("> quote\n> > inner\n\nafter", "<blockquote>quote\n\ninner</blockquote>\n\nafter"),
        ("```py\na < b\n```", '<pre><code class="language-py">a &lt; b</code></pre>'),
        ('```"><b>\nx\n```', "<pre>x</pre>"),
        ("    indented", "<pre>indented</pre>"),
        ("```py\nnot closed", '<pre><code class="language-py">not closed</code></pre>'),
        ("**not closed", "**not closed"),
        ("---", "———"),
        ("[a](https://x.example/?q=1&r=2)", '<a href="https://x.example/?q=1&amp;r=2">a</a>'),
        ("[**a** `b`](https://x.example)", '<a href="https://x.example"><b>a</b> b</a>'),
        ("<https://x.example>", '<a href="https://x.example">https://x.example</a>'),
        ("![alt](https://x.example/i.png)", '<a href="https://x.example/i.png">alt</a>'),
        ("[](https://x.example)", '<a href="https://x.example">https://x.example</a>'),
        ("[you](tg://user?id=7)", "you (tg://user?id=7)"),
        ("[x](javascript:alert(1))", "[x](javascript:alert(1))"),
        ("[mail](mailto:a@b.example)", "mail (mailto:a@b.example)"),
        ("<b>raw</b> &lt;i&gt; &amp;", "&lt;b&gt;raw&lt;/b&gt; &lt;i&gt; &amp;"),
        ("| a | b |\n|---|---|\n| 1 | **22** |", "<pre>a | b\n--+---\n1 | 22</pre>"),
        ("", ""),
    ],
)
def test_markdown_reads_as_meant(markdown: str, html: str) -> None:
    assert render(markdown).html == html


def test_a_wide_table_is_set_in_lines() -> None:
    wide = "x" * 40
    assert render(f"|a|b|\n|-|-|\n|{wide}|2|").html == f"a | b\n{wide} | 2"


def accepted(markdown: str) -> None:
    rendered = render(markdown)
    text, entities = parse_html(rendered.html)
    assert text == rendered.text
    if not blank(clean(markdown)):
        assert plain(markdown)
    for entity in entities:
        assert entity.type != "text_link" or entity.extra.startswith(("http://", "https://"))


PIECES = st.sampled_from(
    "** * _ ~~ ` ``` ~~~ # > - + 1. | |-| [ ] ( ) ![ ]( <b> </b> & &amp; &lt; &#0; \\ < > \" ' "
    "http:// <http://a.b> tg:// \n \n\n \t \u3000 \u200b \ufeff \x00 \x1b \ud83d 😀 é word".split(
        " "
    )
)
MARKDOWN = st.lists(PIECES | st.text(max_size=4), max_size=60).map("".join) | st.lists(
    PIECES, max_size=60
).map(" ".join)


@settings(max_examples=400)
@given(MARKDOWN)
def test_telegram_takes_whatever_the_model_writes(markdown: str) -> None:
    accepted(markdown)


@given(st.text(st.characters(exclude_categories=())))
def test_telegram_takes_any_unicode(text: str) -> None:
    accepted(text)


def test_telegram_takes_naughty_strings(naughty_strings: list[str]) -> None:
    for text in naughty_strings:
        accepted(text)
        accepted(
            f"**{text}** [{text}](https://x.example/{text}) `{text}`\n\n```{text}\n{text}\n```"
        )


def test_telegram_takes_script_payloads_as_text(script_payloads: list[str]) -> None:
    for payload in script_payloads:
        accepted(payload)
        accepted(f"[{payload}]({payload}) ![{payload}](<{payload}>)\n\n| {payload} | b |\n|-|-|")


@pytest.mark.parametrize(
    "source",
    [
        "*" * 3000 + "a" + "*" * 3000,
        ">" * 3000 + "a",
        "- " * 3000 + "a",
        "[" * 5000,
        "![" * 5000,
        "*a **b " * 1500,
        "\n".join("  " * depth + "- x" for depth in range(200)),
        "`" * 5000,
        "<" * 5000,
        "|" * 5000 + "\n" + "|-" * 5000,
    ],
)
def test_hostile_depth_is_text_and_takes_no_time(source: str) -> None:
    accepted(source)
    if not blank(source):
        assert render(source).text


def test_no_text_is_lost_in_deep_lists() -> None:
    source = "\n".join("  " * depth + f"- item{depth}" for depth in range(80))

    assert all(f"item{depth}" in render(source).text for depth in range(80))
