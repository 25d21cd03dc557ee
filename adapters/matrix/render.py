"""CommonMark as Matrix shows it: plain text, and beside it the HTML that clients format. Pure.

Nothing a model writes mentions anybody: what we send says who is mentioned, and that is nobody.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from html.parser import HTMLParser

from adapters.matrix.capabilities import TEXT_LIMIT
from gateway.markup import Dialect, Marks, Splitter, blank, html
from gateway.markup import plain as as_text
from gateway.markup.units import utf8
from gateway.message import Outbound

NOTHING = "(empty message)"
"""Shown for a text in which there is nothing to see."""

_ALLOWED = frozenset(
    "del h1 h2 h3 h4 h5 h6 blockquote p a ul ol sup sub li b i u strong em s code hr br div table "
    "thead tbody tr th td caption pre span".split()
)
_VOID = frozenset(("br", "hr"))
_DEEPEST = 60
"""Clients may show no more than 100 levels of tags."""
_LANGUAGE = re.compile(r"language-[\w+#.-]{1,40}")
_HOUSE = re.compile(r"(?:https?://)?(?:www\.)?matrix\.to(?:[/#?]|$)", re.IGNORECASE)

DIALECT = Dialect(
    escape=lambda text: escape(text, quote=False),
    strong=Marks(before="<strong>", after="</strong>"),
    emphasis=Marks(before="<em>", after="</em>"),
    strike=Marks(before="<del>", after="</del>"),
    heading=lambda level: Marks(before=f"<h{level}>", after=f"</h{level}>"),
    code=lambda raw: f"<code>{escape(raw)}</code>",
    block=lambda raw, language: f"<pre><code>{escape(raw)}</code></pre>",
    link=lambda label, address: f'<a href="{escape(address)}">{label}</a>',
    quote=Marks(before="<blockquote>", after="</blockquote>"),
    counts="seen",
)
"""For the lengths of parts. What is sent is written by `formatted`."""

_splitter = Splitter(DIALECT, TEXT_LIMIT, measure=utf8)


def split(outbound: Outbound) -> Sequence[Outbound]:
    """Texts within an event's size, then one message for each file."""
    return _splitter.split(outbound)


def body(markdown: str) -> str:
    """For clients that show no HTML, for notifications and bridges."""
    text = as_text(markdown)
    return text if not blank(text) else NOTHING


def formatted(markdown: str) -> str:
    """HTML within what the specification allows; empty where it says no more than the text."""
    if blank(as_text(markdown)):
        return ""
    reducer = _Reducer()
    reducer.feed(html(markdown))
    reducer.close()
    written = "".join(reducer.written)
    unmarked = written.removeprefix("<p>").removesuffix("</p>")
    return written if "<" in unmarked or "&" in unmarked else ""


class _Reducer(HTMLParser):
    """Passes on what Matrix allows. A link that clients would show as a person or room, as if it
    were a mention, becomes its label and address."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.written: list[str] = []
        self._open: list[str] = []
        """What closes each open tag; empty for one that was left out."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag in _VOID:
            self.written.append(f"<{tag} />")
            return
        shown, after = "", ""
        if tag in _ALLOWED and len(self._open) < _DEEPEST:
            shown, after = f"<{tag}{_attributes(tag, given)}>", f"</{tag}>"
        if tag == "a" and _HOUSE.match(given.get("href", "")):
            shown, after = "", f" ({escape(given['href'])})"
        self.written.append(shown)
        self._open.append(after)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID and self._open:
            self.written.append(self._open.pop())

    def handle_data(self, data: str) -> None:
        self.written.append(escape(data, quote=False))

    def handle_entityref(self, name: str) -> None:
        self.written.append(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self.written.append(f"&#{name};")


def _attributes(tag: str, given: dict[str, str]) -> str:
    if tag == "a" and given.get("href", "").startswith(("http://", "https://", "mailto:")):
        return f' href="{escape(given["href"])}"'
    if tag == "code" and _LANGUAGE.fullmatch(given.get("class", "")):
        return f' class="{given["class"]}"'
    if tag == "ol" and given.get("start", "").isdecimal():
        return f' start="{given["start"]}"'
    return ""
