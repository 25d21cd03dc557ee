"""A reply is cut into messages that a platform takes. Pure, and no text is lost.

Cuts are looked for between blocks, then between items and lines, then after sentences, then at
spaces. A cut is taken only where both sides read as they did together; a code block is closed and
opened again with its language; a stretch of formatting longer than a message gives up its
formatting and not its text.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import msgspec
from markdown_it.token import Token

from gateway.markup.cuts import at_spaces, candidates
from gateway.markup.dialect import Dialect
from gateway.markup.render import LANGUAGE, Rendered, render
from gateway.markup.text import clean
from gateway.markup.tree import parse
from gateway.markup.units import Measure, fit
from gateway.markup.writing import escaped
from gateway.message import Attachment, Outbound

_TRIES = 24
"""Places looked at before a paragraph gives up its formatting."""
_FORMATTED = 65_536
"""Characters of a text that are formatted; what follows is shown as it was written. Markup made to
be hard takes a tenth of a millisecond for each."""
_WORK = 24
_LEAST = 5_000
"""Characters that may be rendered for each character of a text, which counts as this long at least,
before it gives up its formatting."""
_LONGER = 8
"""How much longer than the limit a paragraph may be and yet be measured as a whole."""
_ROOM = 40
"""Units kept free for the markers that are put around inner pieces."""
_MARKER = re.compile(r"( *(?:[-*+]|\d{1,9}[.)]))( *)")
_QUOTED = re.compile(r" {0,3}> ?")
_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")


class Splitter:
    """Cuts for one dialect and one limit, which `measure` counts."""

    def __init__(
        self,
        dialect: Dialect,
        limit: int,
        *,
        measure: Measure = len,
        caption: int = 0,
        captioned: Collection[str] = (),
        file_alone: bool = True,
    ) -> None:
        self._dialect = dialect
        self._limit = limit
        self._measure = measure
        self._caption = caption
        self._captioned = captioned
        self._file_alone = file_alone

    def split(self, outbound: Outbound) -> list[Outbound]:
        """Parts within the limits, one message each: texts first, then files.

        A single file of a kind in `captioned` takes a text of at most `caption` along; without
        `file_alone` all files go with the last text. The first part answers, the last one carries
        the buttons.
        """
        contents = list(self._contents(outbound))
        last = len(contents) - 1
        return [
            msgspec.structs.replace(
                outbound,
                part=number,
                parts=len(contents),
                text=text,
                files=files,
                reply_to=outbound.reply_to if number == 0 else "",
                buttons=outbound.buttons if number == last else (),
            )
            for number, (text, files) in enumerate(contents)
        ]

    def texts(self, markdown: str) -> list[str]:
        """CommonMark in pieces that are each within the limit when they are rendered."""
        source = clean(markdown)
        cutting = _Cutting(self._dialect, self._measure, _WORK * max(len(source), _LEAST))
        try:
            return cutting.texts(source, self._limit)
        except _TooMuch:
            return cutting.unformatted(source, self._limit)

    def size(self, markdown: str) -> int:
        """Length as the platform counts it."""
        return _Cutting(self._dialect, self._measure).size(markdown)

    def _contents(self, outbound: Outbound) -> Iterator[tuple[str, tuple[Attachment, ...]]]:
        text, files = clean(outbound.text), outbound.files
        if not self._file_alone:
            *before, end = self.texts(text)
            yield from ((piece, ()) for piece in before)
            yield end, files
            return
        if (
            len(files) == 1
            and files[0].kind in self._captioned
            and self.size(text) <= self._caption
        ):
            yield text, files
            return
        if text.strip() or not files:
            yield from ((piece, ()) for piece in self.texts(text))
        yield from (("", (file,)) for file in files)


class _TooMuch(Exception):
    """More work than a text of this length is worth."""


class _Cutting:
    """One text being cut. `work` is how many characters may be rendered on the way."""

    def __init__(self, dialect: Dialect, measure: Measure, work: int | None = None) -> None:
        self._dialect = dialect
        self._measure = measure
        self._work = work
        self._sizes: dict[str, int] = {}
        self._written = dialect.counts == "written" or dialect.quote is None

    def texts(self, source: str, limit: int) -> list[str]:
        """Pieces of a cleaned text."""
        if len(source) > _FORMATTED:
            cut = max(source.rfind("\n\n", 0, _FORMATTED), _FORMATTED // 2)
            return [*self.texts(source[:cut], limit), *self._as_text(source[cut:], limit)]
        if self.size(source) <= limit:
            return [source]
        env: dict[str, Any] = {}
        tokens = parse(source, env)
        pieces = self._pieces(source, tokens, limit) if tokens else []
        pieces = _with_definitions(pieces, env.get("references", {}))
        fits = pieces and all(self.size(piece) <= limit for piece in pieces)
        if not fits or not (_has_table(tokens) or self._same(source, pieces)):
            return self.unformatted(source, limit)
        return pieces

    def size(self, markdown: str) -> int:
        if markdown not in self._sizes:
            rendered = self._render(markdown)
            shown = rendered.markup if self._written else rendered.text
            self._sizes[markdown] = self._measure(shown)
        return self._sizes[markdown]

    def unformatted(self, block: str, limit: int) -> list[str]:
        """What the block shows, as text in which nothing is a marker."""
        return self._as_text(render(block, self._dialect).text, limit)

    def _render(self, markdown: str) -> Rendered:
        if self._work is not None:
            self._work -= len(markdown)
            if self._work < 0:
                raise _TooMuch
        return render(markdown, self._dialect)

    def _pieces(self, source: str, tokens: Sequence[Token], limit: int) -> list[str]:
        lines = source.split("\n")
        starts = [at for at, token in enumerate(tokens) if token.level == 0 and token.map]
        pieces: list[str] = []
        for number, at in enumerate(starts):
            own = tokens[at].map or [0, 0]
            following = starts[number + 1] if number + 1 < len(starts) else len(tokens)
            end = (tokens[following].map or [0])[0] if following < len(tokens) else len(lines)
            block = "\n".join(lines[own[0] : end]).rstrip()
            if self.size(block) <= limit:
                pieces.append(block)
            else:
                pieces += self._cut(block, lines[own[0] : own[1]], tokens[at:following], limit)
        return self._packed(pieces, "\n\n", limit)

    def _cut(self, block: str, lines: list[str], tokens: Sequence[Token], limit: int) -> list[str]:
        """Pieces of one block that is too long."""
        match tokens[0].type:
            case "fence" | "code_block":
                cut = self._code(tokens[0].content, tokens[0].info.strip(), limit)
            case "bullet_list_open" | "ordered_list_open":
                cut = self._list(lines, tokens, limit)
            case "blockquote_open":
                cut = self._quote(lines, limit)
            case "table_open":
                cut = self._rows(lines, limit)
            case "paragraph_open":
                cut = self._paragraph("\n".join(lines), limit)
            case _:
                cut = []
        fits = cut and all(self.size(piece) <= limit for piece in cut)
        whole = tokens[0].type == "table_open" or _has_table(tokens) or self._same(block, cut)
        return cut if fits and whole else self.unformatted(block, limit)

    def _code(self, content: str, info: str, limit: int) -> list[str]:
        """Closed and opened again, with the language."""
        language = info.split()[0] if info else ""
        language = language if LANGUAGE.fullmatch(language) else ""
        around = self._code_size("", language)
        feed = self._measure("\n")
        pieces: list[str] = []
        lines: list[str] = []
        used = around
        for line in content.rstrip("\n").split("\n"):
            rest = line
            while True:
                length = self._code_size(rest, language) - around + (feed if lines else 0)
                if used + length <= limit:
                    break
                if lines:
                    pieces.append("\n".join(lines))
                    lines, used = [], around
                    continue
                end = fit(rest, limit - around, lambda t: self._code_size(t, language) - around)
                if not 0 < end < len(rest):
                    return []
                pieces.append(rest[:end])
                rest = rest[end:]
            lines.append(rest)
            used += length
        pieces.append("\n".join(lines))
        char = "~" if "`" in info else "`"
        longest = max((len(run) for run in re.findall(f"{char}+", content)), default=0)
        fence = char * max(3, longest + 1)
        return [f"{fence}{info}\n{piece}\n{fence}" for piece in pieces if piece.strip()]

    def _code_size(self, code: str, language: str) -> int:
        if not self._written:
            return self._measure(code)
        block = self._dialect.block
        return self._measure(block(code, language) if block else escaped(code, self._dialect))

    def _list(self, lines: list[str], tokens: Sequence[Token], limit: int) -> list[str]:
        items = [token for token in tokens if token.type == "list_item_open" and token.level == 1]
        first = tokens[0].map or [0, 0]
        starts = [(item.map or [0, 0])[0] - first[0] for item in items]
        number = int(tokens[0].attrGet("start") or 1)
        ordered = tokens[0].type == "ordered_list_open"
        texts: list[str] = []
        for at, (start, end) in enumerate(zip(starts, [*starts[1:], len(lines)], strict=True)):
            item = [line.expandtabs(4) for line in lines[start:end]]
            if ordered:
                item = _numbered(item, number + at)
            text = "\n".join(item).rstrip()
            texts += [text] if self.size(text) <= limit else self._item(item, limit)
        return self._packed(texts, "\n", limit)

    def _item(self, item: list[str], limit: int) -> list[str]:
        """One item that is too long: its beginning keeps the marker, the rest follows as text."""
        found = _MARKER.match(item[0])
        if found is None:
            return []
        marker, space = found[1].lstrip(), found[2]
        offset = len(found[1]) + (len(space) if 1 <= len(space) <= 4 else 1)
        content = [item[0][offset:], *(_dedented(line, offset) for line in item[1:])]
        pieces = self.texts("\n".join(content), _inner(limit))
        hanging = "\n" + " " * (len(marker) + 1)
        return [f"{marker} " + pieces[0].lstrip("\n").replace("\n", hanging), *pieces[1:]]

    def _quote(self, lines: list[str], limit: int) -> list[str]:
        content = "\n".join(_QUOTED.sub("", line, count=1) for line in lines)
        quoted: list[str] = []
        for room in (_inner(limit), limit * 3 // 4, limit // 2):
            pieces = self.texts(content, room)
            quoted = ["> " + piece.replace("\n", "\n> ") for piece in pieces]
            if not self._written or all(self.size(piece) <= limit for piece in quoted):
                break
        return quoted

    def _rows(self, lines: list[str], limit: int) -> list[str]:
        """Rows under the table's head, which every piece repeats."""
        if len(lines) <= 3 or self.size("\n".join(lines)) <= limit:
            return ["\n".join(lines)]
        half = 2 + (len(lines) - 2) // 2
        first, second = lines[:half], [*lines[:2], *lines[half:]]
        return [*self._rows(first, limit), *self._rows(second, limit)]

    def _paragraph(self, text: str, limit: int) -> list[str]:
        pieces: list[str] = []
        while len(text) > _LONGER * limit or self.size(text) > limit:
            cut = next(
                (
                    at
                    for at in candidates(text[: fit(text, limit, self._measure)], _TRIES)
                    if self.size(text[:at]) <= limit and self._reads_the_same(text, at, limit)
                ),
                0,
            )
            if not cut:
                return [*pieces, text] if self.size(text) <= limit else []
            pieces.append(text[:cut].rstrip())
            text = text[cut:].lstrip()
        return [*pieces, text] if text else pieces

    def _reads_the_same(self, text: str, cut: int, window: int) -> bool:
        left, right = text[:cut].rstrip(), text[cut : cut + window].lstrip()
        return self._same(text[: cut + window], [left, right])

    def _same(self, whole: str, pieces: Sequence[str]) -> bool:
        """Whether the pieces show what the whole does, white space aside."""
        shown = "".join(self._render(piece).text for piece in pieces)
        return _squeezed(self._render(whole).text) == _squeezed(shown)

    def _as_text(self, text: str, limit: int) -> list[str]:
        return [_backslashed(piece) for piece in at_spaces(text, limit, self._text_size)]

    def _text_size(self, text: str) -> int:
        return self._measure(escaped(text, self._dialect) if self._written else text)

    def _packed(self, pieces: Sequence[str], joint: str, limit: int) -> list[str]:
        """As many in one as fit, in order."""
        between = max(2, self._measure(joint))
        packed: list[str] = []
        room = 0
        for piece in pieces:
            length = self.size(piece) + between
            if packed and length <= room:
                packed[-1] += joint + piece
                room -= length
            else:
                packed.append(piece)
                room = limit - length + between
        return packed


def _inner(limit: int) -> int:
    return max(limit - _ROOM, limit // 2, 1)


def _numbered(item: list[str], number: int) -> list[str]:
    """The item with its real number, since it may come to stand first."""
    indent, old = re.match(r"( *)(\d{1,9})", item[0]).groups()  # type: ignore[union-attr]
    new = str(number)
    wider = len(new) - len(old)
    if wider >= 0:
        rest = [" " * wider + line if line.startswith(" ") else line for line in item[1:]]
    else:
        rest = [_dedented(line, -wider) for line in item[1:]]
    return [indent + new + item[0][len(indent) + len(old) :], *rest]


def _backslashed(text: str) -> str:
    """CommonMark that shows the text."""
    lines = (_PUNCTUATION.sub(r"\\\1", line.strip()) for line in text.split("\n"))
    # A text full of "[" is not looked into, escapes included: brackets go another way.
    return "\n".join(lines).replace("\\[", "&#91;")


def _squeezed(text: str) -> str:
    return "".join(text.split())


def _with_definitions(pieces: list[str], references: dict[str, Any]) -> list[str]:
    """Link definitions stand in one place of the text and are needed in all of them."""
    if not references:
        return pieces
    lines = "\n".join(f"[{label}]: <{target['href']}>" for label, target in references.items())
    return [f"{piece}\n\n{lines}" if "[" in piece else piece for piece in pieces]


def _dedented(line: str, width: int) -> str:
    return line[min(width, len(line) - len(line.lstrip(" "))) :]


def _has_table(tokens: Sequence[Token]) -> bool:
    return any(token.type == "table_open" for token in tokens)
