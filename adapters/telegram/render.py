"""CommonMark becomes Telegram's HTML, and the text a person sees. Pure.

Everything the model writes is text until our own renderer makes a tag of it: raw HTML stays
visible as it is, links lead to the web only, and no nesting is produced that Telegram forbids
(nothing inside code, no code inside other formats, no quote inside a quote).
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

_DEPTH = 60
"""Block nesting that is read. The parser drops what lies deeper, so deeper texts are not parsed."""
_markdown = MarkdownIt("commonmark", {"html": False, "maxNesting": _DEPTH}).enable(
    ["table", "strikethrough"]
)


def _inline_rule(state: StateCore) -> None:
    """As the library's, but a text full of brackets has no links: matching them is quadratic."""
    for token in state.tokens:
        if token.type == "inline":
            token.children = token.children or []
            if token.content.count("[") > _BRACKETS:
                token.children.append(Token("text", "", 0, content=token.content))
            else:
                state.md.inline.parse(token.content, state.md, state.env, token.children)


_BRACKETS = 300
_markdown.core.ruler.at("inline", _inline_rule)

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_LANGUAGE = re.compile(r"[A-Za-z0-9_+#.-]{1,32}")
_UNSEEN = {"\u2800", "\u3164", "\uffa0", "\u115f", "\u1160", "\u17b4", "\u17b5"}
_INLINE = {"strong": "b", "em": "i", "s": "s"}
_WIDEST = 30
"""Characters of the widest column of a table that is set in columns."""
_LEVELS = 6
"""List levels that are indented further than the one above."""


@dataclass(frozen=True, slots=True)
class Rendered:
    html: str
    text: str
    """What is seen, without formatting: this is what Telegram measures."""


def clean(text: str) -> str:
    """Line feeds only, no control characters, nothing that cannot be written as UTF-8."""
    if _SURROGATE.search(text):
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def blank(text: str) -> bool:
    """Whether nobody would see anything: Telegram refuses such a message."""
    return all(
        char in _UNSEEN or char.isspace() or unicodedata.category(char) in ("Cc", "Cf", "Mn", "Me")
        for char in text
    )


def parse(markdown: str, env: dict[str, Any] | None = None) -> list[Token]:
    """Tokens of a cleaned text; none when it is nested too deep to be read whole."""
    try:
        tokens = _markdown.parse(markdown, env)
    except RecursionError:
        return []
    return [] if any(token.level >= _DEPTH - 2 for token in tokens) else tokens


@lru_cache(maxsize=128)
def render(markdown: str) -> Rendered:
    """A text as it is sent. Never fails, whatever the text is."""
    source = clean(markdown)
    tokens = parse(source)
    writer = _Writer()
    if tokens:
        writer.blocks(tokens)
    rendered = writer.result()
    if not tokens or (blank(rendered.text) and not blank(source)):
        return Rendered(html.escape(source.strip()), source.strip())
    return rendered


def plain(markdown: str) -> str:
    """The same for a message without formatting: addresses stand beside their links."""
    source = clean(markdown)
    tokens = parse(source)
    writer = _Writer(spelled_out=True)
    writer.blocks(tokens)
    text = writer.result().text
    return source.strip() if not tokens or blank(text) else text


@dataclass(slots=True)
class _List:
    ordered: bool
    number: int


class _Writer:
    """Writes markup and text side by side. Tags open with the first character inside them."""

    def __init__(self, *, spelled_out: bool = False) -> None:
        self._html: list[str] = []
        self._text: list[str] = []
        self._wanted: list[tuple[str, str]] = []
        self._open = 0
        """How many of the wanted tags stand in the markup already."""
        self._gap = 0
        """Line feeds due before the next character."""
        self._after_marker = False
        self._lists: list[_List] = []
        self._quotes = 0
        self._formats = dict.fromkeys(_INLINE.values(), 0)
        self._links: list[tuple[str, bool, int]] = []
        self._row: list[str] = []
        self._rows: list[list[str]] = []
        self._spelled_out = spelled_out

    def result(self) -> Rendered:
        return Rendered("".join(self._html), "".join(self._text))

    def blocks(self, tokens: Sequence[Token]) -> None:
        cell = False
        for token in tokens:
            kind = token.type
            if kind == "inline":
                if cell:
                    self._row.append(_cell(token))
                else:
                    self._inline(token.children or [])
            elif kind in ("th_open", "td_open", "th_close", "td_close"):
                cell = kind.endswith("open")
            else:
                self._block(token)

    def _block(self, token: Token) -> None:
        match token.type:
            case "paragraph_open":
                self._begin()
            case "heading_open":
                self._begin()
                self._format("b", +1)
            case "heading_close":
                self._format("b", -1)
            case "bullet_list_open" | "ordered_list_open":
                if not self._after_marker:  # "- - a": both markers stand in one line
                    self._begin()
                start = token.attrGet("start")
                number = int(start) if isinstance(start, int | str) else 1
                self._lists.append(_List(token.type.startswith("o"), number))
            case "bullet_list_close" | "ordered_list_close":
                self._lists.pop()
            case "list_item_open":
                self._item()
            case "list_item_close":
                self._after_marker = False
            case "blockquote_open":
                self._begin()
                self._quotes += 1
                if self._quotes == 1:
                    self._want("blockquote", "<blockquote>")
            case "blockquote_close":
                self._quotes -= 1
                if self._quotes == 0:
                    self._close("blockquote")
            case "fence" | "code_block":
                self._begin()
                self._code_block(token)
            case "hr":
                self._begin()
                self._put("———")
            case "tr_close":
                self._rows.append(self._row)
                self._row = []
            case "table_close":
                self._begin()
                self._table()

    def _begin(self) -> None:
        """Room before a block: a blank line, or a line feed inside lists."""
        if self._after_marker:
            self._after_marker = False
        elif self._text:
            self._gap = max(self._gap, 1 if self._lists else 2)

    def _item(self) -> None:
        if not self._after_marker and self._text:
            self._gap = max(self._gap, 1)
        current = self._lists[-1]
        indent = "" if self._after_marker else "  " * min(len(self._lists) - 1, _LEVELS)
        self._put(f"{indent}{current.number}. " if current.ordered else f"{indent}• ")
        current.number += 1
        self._after_marker = True

    def _inline(self, tokens: Sequence[Token]) -> None:
        for token in tokens:
            name, _, edge = token.type.rpartition("_")
            if name in _INLINE:
                self._format(_INLINE[name], +1 if edge == "open" else -1)
            elif token.type in ("softbreak", "hardbreak"):
                self._put("\n")
            elif token.type == "code_inline":
                self._code(token.content)
            elif token.type == "link_open":
                self._link(str(token.attrGet("href") or ""))
            elif token.type == "link_close":
                self._end_link()
            elif token.type == "image":
                self._link(str(token.attrGet("src") or ""))
                self._put(token.content)
                self._end_link()
            else:
                self._put(token.content)

    def _link(self, address: str) -> None:
        inner = bool(self._links)
        web = not inner and not self._spelled_out and _leads_to_the_web(address)
        self._links.append((address, web, len(self._text)))
        if web:
            self._want("a", f'<a href="{html.escape(address)}">')

    def _end_link(self) -> None:
        address, web, start = self._links.pop()
        label = "".join(self._text[start:]).strip()
        if blank(label):
            self._put(address)
        elif not web and address and label not in (address, address.removeprefix("mailto:")):
            self._put(f" ({address})")
        if web:
            self._close("a")

    def _code(self, code: str) -> None:
        if self._links or blank(code):
            self._put(code)
        else:
            self._alone(code, "<code>", "</code>")

    def _code_block(self, token: Token) -> None:
        code = token.content.rstrip("\n")
        if blank(code):
            return
        language = token.info.split()[0] if token.info.strip() else ""
        if _LANGUAGE.fullmatch(language):
            self._alone(code, f'<pre><code class="language-{language}">', "</code></pre>")
        else:
            self._alone(code, "<pre>", "</pre>")

    def _table(self) -> None:
        rows, self._rows = self._rows, []
        columns = max(len(row) for row in rows)
        widths = [
            max(len(row[at]) if at < len(row) else 0 for row in rows) for at in range(columns)
        ]
        if max(widths) > _WIDEST or sum(widths) > 2 * _WIDEST or len(widths) < 2:
            self._put("\n".join(" | ".join(row) for row in rows))
            return
        lines = [
            " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip()
            for row in rows
        ]
        lines.insert(1, "-+-".join("-" * width for width in widths))
        self._alone("\n".join(lines), "<pre>", "</pre>")

    def _format(self, tag: str, step: int) -> None:
        before = self._formats[tag]
        self._formats[tag] += step
        if before == 0:
            self._want(tag, f"<{tag}>")
        elif self._formats[tag] == 0:
            self._close(tag)

    def _want(self, tag: str, opening: str) -> None:
        self._wanted.append((tag, opening))

    def _close(self, tag: str) -> None:
        """Closes the innermost wanted tag, which is this one: markdown nests properly."""
        assert self._wanted[-1][0] == tag
        if self._open == len(self._wanted):
            self._html.append(f"</{tag}>")
            self._open -= 1
        self._wanted.pop()

    def _put(self, text: str) -> None:
        if text:
            self._line_feeds()
            for _, opening in self._wanted[self._open :]:
                self._html.append(opening)
            self._open = len(self._wanted)
            self._write(text)

    def _alone(self, text: str, opening: str, closing: str) -> None:
        """Text in a tag that must not stand inside others, quotes aside."""
        self._line_feeds()
        kept = next(
            (at for at, (tag, _) in enumerate(self._wanted) if tag != "blockquote"),
            len(self._wanted),
        )
        while self._open > kept:
            self._open -= 1
            self._html.append(f"</{self._wanted[self._open][0]}>")
        while self._open < kept:
            self._html.append(self._wanted[self._open][1])
            self._open += 1
        self._html.append(opening)
        self._write(text)
        self._html.append(closing)

    def _line_feeds(self) -> None:
        if self._gap and self._text:
            self._write("\n" * self._gap)
        self._gap = 0

    def _write(self, text: str) -> None:
        self._html.append(html.escape(text))
        self._text.append(text)


def _cell(token: Token) -> str:
    writer = _Writer(spelled_out=True)
    writer._inline(token.children or [])
    return writer.result().text


def _leads_to_the_web(address: str) -> bool:
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)
