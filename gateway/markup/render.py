"""CommonMark becomes a dialect's markup, and the text a person sees. Pure.

Everything the model writes is text until a writer here makes markup of it: raw HTML stays visible
as it is, and links lead to the web only. A text is first written down as runs, each with the
formats it stands in; then the runs become markup.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from markdown_it.token import Token

from gateway.markup.dialect import Dialect, Marks
from gateway.markup.text import blank, clean
from gateway.markup.tree import leads_to, parse
from gateway.markup.writing import Format, Run, escaped, write

LANGUAGE = re.compile(r"[A-Za-z0-9_+#.-]{1,32}")
_WIDEST = 30
"""Characters of the widest column of a table that is set in columns."""
_LEVELS = 6
"""List levels that are indented further than the one above."""
_PLAIN = Dialect(escape=str, block=lambda code, language: code, per_line=False)
_NO_MARKS = Marks(before="", after="")


@dataclass(frozen=True, slots=True)
class Rendered:
    markup: str
    text: str
    """What is seen, without formatting and without the marks of quotations."""


@lru_cache(maxsize=256)
def render(markdown: str, dialect: Dialect) -> Rendered:
    """A text as it is sent. Never fails, whatever the text is."""
    source = clean(markdown)
    tokens = parse(source)
    writer = _Writer(dialect)
    writer.blocks(tokens)
    text = writer.text()
    if not tokens or (blank(text) and not blank(source)):
        text = source.strip()
        return Rendered(escaped(text, dialect), text)
    return Rendered(write(writer.runs, dialect), text)


def plain(markdown: str) -> str:
    """The same for a message without formatting: addresses stand beside their links."""
    return render(markdown, _PLAIN).text


def shows(tokens: Sequence[Token]) -> bool:
    """Whether anybody would see anything of a text."""
    writer = _Writer(_PLAIN)
    writer.blocks(tokens)
    return not blank(writer.text())


@dataclass(slots=True)
class _List:
    ordered: bool
    number: int


@dataclass(slots=True)
class _Link:
    address: str
    web: bool
    runs: list[Run]
    """What was written before the link."""
    formats: list[Format]
    gap: int


class _Writer:
    """Writes runs. Formats open with the first character inside them."""

    def __init__(self, dialect: Dialect, *, spelled_out: bool = False) -> None:
        self.runs: list[Run] = []
        self._dialect = dialect
        self._spelled_out = spelled_out
        """Whether links show their addresses."""
        self._formats: list[Format] = []
        self._depths: dict[str, int] = {}
        self._gap = 0
        """Line feeds due before the next character."""
        self._written = False
        self._after_marker = False
        self._lists: list[_List] = []
        self._quotes = 0
        self._links: list[_Link] = []
        self._row: list[str] = []
        self._rows: list[list[str]] = []

    def text(self) -> str:
        return "".join(run.text for run in self.runs)

    def blocks(self, tokens: Sequence[Token]) -> None:
        cell = False
        for token in tokens:
            kind = token.type
            if kind == "inline":
                if cell:
                    self._row.append(_cell(token))
                else:
                    self.inline(token.children or [])
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
                self._heading(token, +1)
            case "heading_close":
                self._heading(token, -1)
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
                self._begin(own_line=self._quotes < self._dialect.quotes)
                self._quotes += 1
                if self._quotes <= self._dialect.quotes:
                    self._formats.append(Format("quote", self._dialect.quote))
            case "blockquote_close":
                if self._quotes <= self._dialect.quotes:
                    self._formats.pop()
                self._quotes -= 1
            case "fence" | "code_block":
                self._code_block(token)
            case "hr":
                self._begin()
                self._put(self._dialect.rule, markup=self._dialect.rule)
            case "tr_close":
                self._rows.append(self._row)
                self._row = []
            case "table_close":
                self._table()

    def _begin(self, *, own_line: bool = False) -> None:
        """Room before a block: a blank line, or a line feed inside lists."""
        if self._after_marker and not (own_line and self._dialect.per_line):
            self._after_marker = False
        elif self._written:
            self._after_marker = False
            self._gap = max(self._gap, 1 if self._lists else 2)

    def _item(self) -> None:
        if not self._after_marker and self._written:
            self._gap = max(self._gap, 1)
        current = self._lists[-1]
        indent = "" if self._after_marker else "  " * min(len(self._lists) - 1, _LEVELS)
        marker = f"{current.number}. " if current.ordered else self._dialect.bullet
        self._put(indent + marker, markup=indent + marker)
        current.number += 1
        self._after_marker = True

    def inline(self, tokens: Sequence[Token]) -> None:
        for token in tokens:
            match token.type:
                case "strong_open" | "em_open" | "s_open":
                    self._format(token.tag, self._marks(token.tag), +1)
                case "strong_close" | "em_close" | "s_close":
                    self._format(token.tag, self._marks(token.tag), -1)
                case "softbreak" | "hardbreak":
                    self._put(" " if self._links and self._dialect.per_line else "\n")
                case "code_inline":
                    self._code(token.content)
                case "link_open":
                    self._link(str(token.attrGet("href") or ""))
                case "link_close":
                    self._end_link()
                case "image":
                    self._link(str(token.attrGet("src") or ""))
                    self._put(token.content)
                    self._end_link()
                case _:
                    self._put(token.content)

    def _marks(self, tag: str) -> Marks | None:
        dialect = self._dialect
        if self._links and dialect.bare_labels:
            return _NO_MARKS
        return {"strong": dialect.strong, "em": dialect.emphasis, "s": dialect.strike}[tag]

    def _heading(self, token: Token, step: int) -> None:
        heading, strong = self._dialect.heading, self._dialect.strong
        marks = heading(int(token.tag[1:])) if heading else strong
        self._format("strong" if marks == strong else "heading", marks, step)

    def _format(self, name: str, marks: Marks | None, step: int) -> None:
        before = self._depths.get(name, 0)
        self._depths[name] = before + step
        if before == 0:
            self._formats.append(Format(name, marks or _NO_MARKS))
        elif before + step == 0:
            self._formats.pop()  # the innermost, which is this one: markdown nests properly

    def _link(self, address: str) -> None:
        web = not self._links and not self._spelled_out and leads_to(address)
        self._links.append(_Link(address, web, self.runs, self._formats, self._gap))
        self.runs, self._formats, self._gap = [], [], 0

    def _end_link(self) -> None:
        dialect, link = self._dialect, self._links.pop()
        shown = self.text()
        label = shown.strip()
        own = label in (link.address, link.address.removeprefix("mailto:"))
        if blank(label):
            self._put(link.address, markup=self._address(link))
        elif not link.address or own:
            pass
        elif not link.web or dialect.link is None:
            self._put(" (")
            self._put(link.address, markup=self._address(link))
            self._put(")")
        inner, shown = self.runs, self.text()
        self.runs, self._formats, self._gap = link.runs, link.formats, link.gap
        if link.web and (own or blank(label)) and dialect.address is not None:
            self._put(shown, markup=dialect.address(link.address))
        elif link.web and dialect.link is not None:
            self._put(shown, markup=dialect.link(write(inner, dialect), link.address))
        else:
            for run in inner:
                self._put(run.text, run.markup, run.formats)

    def _address(self, link: _Link) -> str | None:
        """Its markup where it stands in the text; None to write it as text."""
        if self._dialect.address is None or not leads_to(link.address):
            return None
        return self._dialect.address(link.address)

    def _code(self, code: str) -> None:
        dialect = self._dialect
        bare = self._links and (dialect.alone or dialect.bare_labels)
        if bare or blank(code) or dialect.code is None:
            self._put(code)
        else:
            self._put(code, markup=dialect.code(code), alone=dialect.alone)

    def _code_block(self, token: Token) -> None:
        code = token.content.rstrip("\n")
        if blank(code):
            self._begin()
            return
        language = token.info.split()[0] if token.info.strip() else ""
        self._set_in_block(code, language if LANGUAGE.fullmatch(language) else "")

    def _set_in_block(self, code: str, language: str = "") -> None:
        self._begin(own_line=True)
        block = self._dialect.block
        markup = block(code, language) if block else None
        self._put(code, markup=markup, alone=True)

    def _table(self) -> None:
        rows, self._rows = self._rows, []
        columns = max(len(row) for row in rows)
        widths = [
            max(len(row[at]) if at < len(row) else 0 for row in rows) for at in range(columns)
        ]
        wide = max(widths) > _WIDEST or sum(widths) > 2 * _WIDEST or len(widths) < 2
        if wide or self._dialect.block is None:
            self._begin()
            self._put("\n".join(" | ".join(row) for row in rows))
            return
        lines = [
            " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip()
            for row in rows
        ]
        lines.insert(1, "-+-".join("-" * width for width in widths))
        self._set_in_block("\n".join(lines))

    def _put(
        self,
        text: str,
        markup: str | None = None,
        formats: tuple[Format, ...] = (),
        *,
        alone: bool = False,
    ) -> None:
        if text:
            self._line_feeds()
            outer = [each for each in self._formats if not alone or each.name == "quote"]
            self.runs.append(Run(text, markup, (*outer, *formats)))
            self._written = True

    def _line_feeds(self) -> None:
        if self._gap and self._written:
            last = self.runs[-1].formats if self.runs else ()
            kept = tuple(each for each in self._formats if each in last)
            self.runs.append(Run("\n" * self._gap, None, kept))
        self._gap = 0


def _cell(token: Token) -> str:
    writer = _Writer(_PLAIN, spelled_out=True)
    writer.inline(token.children or [])
    return writer.text()
