"""The body for mail and Matrix: what was meant, and nothing else that a browser would act on."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given, settings

from gateway.markup import blank, clean, html, plain
from tests.fakes.web_corpora import naughty_strings, xss_payloads
from tests.gateway.markup.samples import BLOCKS, HOSTILE, MARKDOWN

TAGS = {
    *"p blockquote ul ol li pre code strong em del a table thead tbody tr th td".split(),
    *"h1 h2 h3 h4 h5 h6".split(),
}
VOID = {"br", "hr"}
ATTRIBUTES = {"a": "href", "code": "class", "ol": "start"}


class Strict(HTMLParser):
    """Takes well-formed HTML of the tags above and nothing else."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.opened: list[str] = []
        self.said: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS, tag
        assert tag != "a" or ("a" not in self.opened and attrs), "an anchor in an anchor"
        self.opened.append(tag)
        for name, value in attrs:
            assert ATTRIBUTES.get(tag) == name, (tag, name)
            assert value
            if tag == "a":
                assert value.startswith(("http://", "https://", "mailto:")), value
                self.said.append(value)
            if tag == "code":
                assert value.startswith("language-")
            if tag == "ol":
                assert value.isdecimal()

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in VOID
        assert not attrs
        self.said += ["———"] if tag == "hr" else []

    def handle_endtag(self, tag: str) -> None:
        assert self.opened.pop() == tag

    def handle_data(self, data: str) -> None:
        self.said.append(data)

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(data)

    handle_comment = handle_decl = handle_pi = unknown_decl


def read(written: str) -> str:
    parser = Strict()
    parser.feed(written)
    parser.close()
    assert not parser.opened
    return "".join(parser.said)


def holds(markdown: str) -> None:
    said = read(html(markdown))
    if not blank(clean(markdown)):
        assert not blank(said) or "<li>" in html(markdown)
    assert said.count("word") >= plain(markdown).count("word")


@pytest.mark.parametrize(
    ("markdown", "written"),
    [
        ("", ""),
        ("a\nb  \nc", "<p>a<br />\nb<br />\nc</p>"),
        (
            "**b** *i* ~~s~~ `c<`",
            "<p><strong>b</strong> <em>i</em> <del>s</del> <code>c&lt;</code></p>",
        ),
        ("# One\n\n###### Six", "<h1>One</h1>\n<h6>Six</h6>"),
        ("> q", "<blockquote>\n<p>q</p>\n</blockquote>"),
        ("- a\n- b", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>"),
        ("3. a", '<ol start="3">\n<li>a</li>\n</ol>'),
        ("---", "<hr />"),
        ("```py\na < b\n```", '<pre><code class="language-py">a &lt; b\n</code></pre>'),
        ('```"><b>\nx\n```', "<pre><code>x\n</code></pre>"),
        ("    a < b", "<pre><code>a &lt; b\n</code></pre>"),
        (
            "|a|b|\n|:-|-:|\n|1|2|",
            "<table>\n<thead>\n<tr>\n<th>a</th>\n<th>b</th>\n</tr>\n</thead>\n"
            "<tbody>\n<tr>\n<td>1</td>\n<td>2</td>\n</tr>\n</tbody>\n</table>",
        ),
        (
            '[a](https://x.example/?q=1&r=2 "t")',
            '<p><a href="https://x.example/?q=1&amp;r=2">a</a></p>',
        ),
        (
            "[**a** `b`](http://x)",
            '<p><a href="http://x"><strong>a</strong> <code>b</code></a></p>',
        ),
        ("[m](mailto:a@b.c)", '<p><a href="mailto:a@b.c">m</a></p>'),
        ("<a@b.c>", '<p><a href="mailto:a@b.c">a@b.c</a></p>'),
        ("[](https://x.example)", '<p><a href="https://x.example">https://x.example</a></p>'),
        ("![alt](https://x.example/i.png)", '<p><a href="https://x.example/i.png">alt</a></p>'),
        ("![](https://x/i.png)", '<p><a href="https://x/i.png">https://x/i.png</a></p>'),
        (
            "[![alt](https://x/i.png) more](https://y)",
            '<p><a href="https://y">alt (https://x/i.png) more</a></p>',
        ),
        ("[![](https://x/i.png)](https://y)", '<p><a href="https://y">https://x/i.png</a></p>'),
        ("[you](tg://user?id=7)", "<p>you (tg://user?id=7)</p>"),
        ("[](tg://x)", "<p>tg://x</p>"),
        ("[x](javascript:alert(1))", "<p>[x](javascript:alert(1))</p>"),
        ("![x](data:image/png;base64,AA)", "<p>x (data:image/png;base64,AA)</p>"),
        (
            "<b>raw</b> &lt;i&gt; <!-- no -->",
            "<p>&lt;b&gt;raw&lt;/b&gt; &lt;i&gt; &lt;!-- no --&gt;</p>",
        ),
        ("[x]: http://y", "<p>[x]: http://y</p>"),
    ],
)
def test_markdown_reads_as_meant(markdown: str, written: str) -> None:
    assert html(markdown) == written
    holds(markdown)


@settings(max_examples=400)
@given(MARKDOWN)
def test_nothing_but_the_list_is_written(markdown: str) -> None:
    holds(markdown)


@settings(max_examples=50)
@given(BLOCKS)
def test_documents_are_written(blocks: list[str]) -> None:
    holds("\n\n".join(blocks))


def test_script_payloads_are_text() -> None:
    for payload in xss_payloads():
        holds(payload)
        holds(f"[{payload}]({payload}) ![{payload}](<{payload}>)\n\n| {payload} | b |\n|-|-|")
        holds(f"```{payload}\n{payload}\n```\n\n> `{payload}`\n\n[x]: <{payload}> '{payload}'\n[x]")


def test_naughty_strings_are_text() -> None:
    for text in naughty_strings():
        holds(text)
        holds(f"**{text}** [{text}](https://x.example/{text}) `{text}`")


@pytest.mark.parametrize("source", HOSTILE, ids=lambda source: source[:4])
def test_hostile_depth_is_text_and_takes_no_time(source: str) -> None:
    holds(source)
