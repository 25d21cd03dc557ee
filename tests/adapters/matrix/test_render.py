"""CommonMark to Matrix: a table of pairs, and that nothing pings and nothing breaks."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.matrix import outgoing
from adapters.matrix.capabilities import TEXT_LIMIT
from adapters.matrix.render import NOTHING, body, formatted, split
from gateway.message import (
    Account,
    Attachment,
    Button,
    Outbound,
    Place,
    ReplyId,
    Sender,
    conversation_id,
)

ACCOUNT = Account(kind="matrix")
ALLOWED = set(
    "del h1 h2 h3 h4 h5 h6 blockquote p a ul ol sup sub li b i u strong em s code hr br div table "
    "thead tbody tr th td caption pre span".split()
)


def part(text: str, **more: object) -> Outbound:
    place = Place(kind="direct", chat="!r:x.org")
    return Outbound(
        reply=ReplyId("r1"),
        conversation=conversation_id(ACCOUNT, place, Sender(id="@a:x.org")),
        account=ACCOUNT,
        place=place,
        text=text,
        **more,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("markdown", "html"),
    [
        ("plain", ""),
        ("one\n\ntwo", "<p>one</p>\n<p>two</p>"),
        ("**bold** and *slanted*", "<p><strong>bold</strong> and <em>slanted</em></p>"),
        ("~~gone~~", "<p><del>gone</del></p>"),
        ("`x < 1`", "<p><code>x &lt; 1</code></p>"),
        ("# Title", "<h1>Title</h1>"),
        ("- a\n- b", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>"),
        ("3. a\n4. b", '<ol start="3">\n<li>a</li>\n<li>b</li>\n</ol>'),
        ("> said", "<blockquote>\n<p>said</p>\n</blockquote>"),
        (
            "```py\nx = 1\n```",
            '<pre><code class="language-py">x = 1\n</code></pre>',
        ),
        (
            "[here](https://x.org/a?b=1&c=2)",
            '<p><a href="https://x.org/a?b=1&amp;c=2">here</a></p>',
        ),
        ("![cat](https://x.org/cat.png)", '<p><a href="https://x.org/cat.png">cat</a></p>'),
        ("[bad](javascript:alert(1))", ""),
        ("<b>raw</b> & more", "<p>&lt;b&gt;raw&lt;/b&gt; &amp; more</p>"),
        ("[Ada](https://matrix.to/#/@ada:x.org)", ""),
        (
            "*[Ada](HTTPS://WWW.MATRIX.TO/#/@ada:x.org)*",
            "<p><em>Ada (HTTPS://WWW.MATRIX.TO/#/@ada:x.org)</em></p>",
        ),
    ],
)
def test_the_table(markdown: str, html: str) -> None:
    assert formatted(markdown) == html


def test_a_table_stays_one() -> None:
    written = formatted("| a | b |\n|---|---|\n| 1 | 2 |")
    assert "<table>" in written
    assert re.search(r"<th>a</th>", written)


@pytest.mark.parametrize("text", ["", "  ", "\u200b\u2060", "\n\n"])
def test_where_there_is_nothing_to_see_that_is_said(text: str) -> None:
    assert body(text) == NOTHING
    assert formatted(text) == ""


@pytest.mark.parametrize(
    "text",
    [
        "@room",
        "@ada:x.org",
        "`@room`",
        "**@room** everybody",
        "[x](https://matrix.to/#/@ada:x.org)",
        "<a href='https://matrix.to/#/@ada:x.org'>x</a>",
        "https://matrix.to/#/!room:x.org",
        "<https://matrix.to/#/@ada:x.org>",
        "[x](matrix:u/ada:x.org)",
        "@\u200broom",
        "```\n@room\n```",
    ],
)
def test_nobody_is_mentioned(text: str) -> None:
    for content in (
        outgoing.text(part(text), "m.notice"),
        outgoing.edit(part(text), "$e", "m.notice"),
        outgoing.edit(part(text), "$e", "m.notice")["m.new_content"],
        outgoing.file(
            part(""),
            Attachment(kind="document", name=text, digest="x", media_type="text/plain"),
            outgoing.Uploaded(mxc="mxc://x/y"),
        ),
    ):
        assert content["m.mentions"] == {}
        assert "matrix.to" not in "".join(
            re.findall(r'href="([^"]*)"', str(content.get("formatted_body")))
        )


class _Checker(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.deepest = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ALLOWED
        for name, value in attrs:
            assert (tag, name) in {("a", "href"), ("code", "class"), ("ol", "start")}
            if name == "href":
                assert str(value).startswith(("http://", "https://", "mailto:"))
        if tag not in ("br", "hr"):
            self.open.append(tag)
            self.deepest = max(self.deepest, len(self.open))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ("br", "hr")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def check(html: str) -> None:
    checker = _Checker()
    checker.feed(html)
    checker.close()
    assert not checker.open
    assert checker.deepest <= 100


@given(st.text(alphabet="ab*_`~[]()<>#>-+|1.!\\\n &\"'@:/é😀", max_size=300))
def test_nothing_breaks(text: str) -> None:
    check(formatted(text))
    assert body(text)


def test_deep_nesting_is_no_trouble() -> None:
    check(formatted("> " * 400 + "x"))
    check(formatted("- " * 400 + "x"))
    check(formatted("*" * 5000 + "x"))


@pytest.mark.parametrize("text", ["word " * 9000, "😀" * 9000, "<&>\"'" * 9000, "ä\n" * 9000])
def test_every_part_fits_into_an_event_also_encrypted(text: str) -> None:
    parts = split(part(text))
    kept = "".join(re.sub(r"\s|\\", "", one.text) for one in parts)
    assert len(kept) >= len(re.sub(r"\s", "", text))
    for one in parts:
        content = outgoing.text(one, "m.notice")
        edit = outgoing.edit(one, "$" + "e" * 43, "m.notice")
        assert len(content["body"].encode()) <= TEXT_LIMIT + 64
        for sent in (content, edit):
            assert len(json.dumps(sent, ensure_ascii=False).encode()) * 4 / 3 < 64_500


def test_texts_come_first_and_files_each_alone() -> None:
    files = tuple(Attachment(kind="image", digest=str(number)) for number in range(2))
    parts = split(part("hello", files=files, reply_to="$q"))

    assert [(one.text, len(one.files)) for one in parts] == [("hello", 0), ("", 1), ("", 1)]
    assert [one.reply_to for one in parts] == ["$q", "", ""]


def test_what_buttons_offer_stands_in_the_text() -> None:
    row = (Button(label="Yes *really*", data="y"), Button(label="More", url="https://x.org/?a=(b)"))
    content = outgoing.text(part("Well?", buttons=(row,)), "m.notice")

    assert "Yes *really*" in content["body"]
    assert "<li>Yes *really*</li>" in content["formatted_body"]
    assert '<a href="https://x.org/?a=(b)">More</a>' in content["formatted_body"]
