"""A reply is cut into messages that Telegram takes. Pure, and no text is lost.

Cuts are looked for between blocks, then between items and lines, then after sentences, then at
spaces. A cut is taken only where both sides read as they did together; a code block is closed and
opened again with its language; a stretch of formatting longer than a message gives up its
formatting and not its text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from markdown_it.token import Token

from adapters.telegram.capabilities import CAPTION_LIMIT, TEXT_LIMIT
from adapters.telegram.cuts import at_spaces, candidates
from adapters.telegram.render import clean, parse, render
from adapters.telegram.utf16 import fit, units
from gateway.message import Attachment, Outbound

_TRIES = 24
"""Places looked at before a paragraph gives up its formatting."""
_FORMATTED = 65_536
"""Characters of a text that are formatted; what follows is shown as it was written. Markup made to
be hard takes a tenth of a millisecond for each."""
_ROOM = 40
"""Units kept free for the markers that are put around inner pieces."""
_MARKER = re.compile(r"( *(?:[-*+]|\d{1,9}[.)]))( *)")
_QUOTED = re.compile(r" {0,3}> ?")
_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
_CAPTIONED = ("image", "video", "audio", "document")


def split(outbound: Outbound) -> Sequence[Outbound]:
    """Parts within Telegram's limits, one message each: texts first, then files.

    A single file takes a short text along as its caption. The first part answers, the last one
    carries the buttons.
    """
    contents = list(_contents(outbound))
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


def _contents(outbound: Outbound) -> Iterator[tuple[str, tuple[Attachment, ...]]]:
    text, files = clean(outbound.text), outbound.files
    if len(files) == 1 and files[0].kind in _CAPTIONED and seen(text) <= CAPTION_LIMIT:
        yield text, files
        return
    if text.strip() or not files:
        yield from ((piece, ()) for piece in split_text(text))
    yield from (("", (file,)) for file in files)


def split_text(markdown: str, limit: int = TEXT_LIMIT) -> list[str]:
    """CommonMark in pieces of which each shows at most `limit` UTF-16 units."""
    source = clean(markdown)
    if len(source) > _FORMATTED:
        cut = max(source.rfind("\n\n", 0, _FORMATTED), _FORMATTED // 2)
        rest = [_escaped(piece) for piece in at_spaces(source[cut:], limit)]
        return [*split_text(source[:cut], limit), *rest]
    if seen(source) <= limit:
        return [source]
    env: dict[str, Any] = {}
    tokens = parse(source, env)
    pieces = _pieces(source, tokens, limit) if tokens else []
    pieces = _with_definitions(pieces, env.get("references", {}))
    if not pieces or not (_has_table(tokens) or _same(source, pieces)):
        return _unformatted(source, limit)
    return pieces


def seen(markdown: str) -> int:
    """Length as Telegram measures it."""
    return units(render(markdown).text)


def _pieces(source: str, tokens: Sequence[Token], limit: int) -> list[str]:
    lines = source.split("\n")
    starts = [at for at, token in enumerate(tokens) if token.level == 0 and token.map]
    pieces: list[str] = []
    for number, at in enumerate(starts):
        own = tokens[at].map or [0, 0]
        following = starts[number + 1] if number + 1 < len(starts) else len(tokens)
        end = (tokens[following].map or [0])[0] if following < len(tokens) else len(lines)
        block = "\n".join(lines[own[0] : end]).rstrip()
        if seen(block) <= limit:
            pieces.append(block)
        else:
            pieces += _cut(block, lines[own[0] : own[1]], tokens[at:following], limit)
    return _packed(pieces, "\n\n", limit)


def _cut(block: str, lines: list[str], tokens: Sequence[Token], limit: int) -> list[str]:
    """Pieces of one block that is too long."""
    match tokens[0].type:
        case "fence" | "code_block":
            cut = _code(tokens[0].content, tokens[0].info.strip(), limit)
        case "bullet_list_open" | "ordered_list_open":
            cut = _list(lines, tokens, limit)
        case "blockquote_open":
            cut = _quote(lines, limit)
        case "table_open":
            cut = _rows(lines, limit)
        case "paragraph_open":
            cut = _paragraph("\n".join(lines), limit)
        case _:
            cut = []
    fits = cut and all(seen(piece) <= limit for piece in cut)
    whole = tokens[0].type == "table_open" or _has_table(tokens) or _same(block, cut)
    return cut if fits and whole else _unformatted(block, limit)


def _code(content: str, info: str, limit: int) -> list[str]:
    """Closed and opened again, with the language."""
    pieces = [""]
    for line in content.rstrip("\n").split("\n"):
        if pieces[-1] and units(pieces[-1]) + units(line) + 1 > limit:
            pieces.append("")
        pieces[-1] += line + "\n"
        while units(pieces[-1]) - 1 > limit:
            end = fit(pieces[-1], limit)
            pieces[-1:] = [pieces[-1][:end] + "\n", pieces[-1][end:]]
    char = "~" if "`" in info else "`"
    longest = max((len(run) for run in re.findall(f"{char}+", content)), default=0)
    fence = char * max(3, longest + 1)
    return [f"{fence}{info}\n{piece}{fence}" for piece in pieces if piece.strip()]


def _list(lines: list[str], tokens: Sequence[Token], limit: int) -> list[str]:
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
        texts += [text] if seen(text) <= limit else _item(item, limit)
    return _packed(texts, "\n", limit)


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


def _item(item: list[str], limit: int) -> list[str]:
    """One item that is too long: its beginning keeps the marker, the rest follows as text."""
    found = _MARKER.match(item[0])
    if found is None:
        return []
    marker, space = found[1].lstrip(), found[2]
    offset = len(found[1]) + (len(space) if 1 <= len(space) <= 4 else 1)
    content = [item[0][offset:], *(_dedented(line, offset) for line in item[1:])]
    pieces = split_text("\n".join(content), limit - _ROOM)
    hanging = "\n" + " " * (len(marker) + 1)
    return [f"{marker} " + pieces[0].lstrip("\n").replace("\n", hanging), *pieces[1:]]


def _quote(lines: list[str], limit: int) -> list[str]:
    content = "\n".join(_QUOTED.sub("", line, count=1) for line in lines)
    pieces = split_text(content, limit - _ROOM)
    return ["> " + piece.replace("\n", "\n> ") for piece in pieces]


def _rows(lines: list[str], limit: int) -> list[str]:
    """Rows under the table's head, which every piece repeats."""
    if len(lines) <= 3 or seen("\n".join(lines)) <= limit:
        return ["\n".join(lines)]
    half = 2 + (len(lines) - 2) // 2
    first, second = lines[:half], [*lines[:2], *lines[half:]]
    return [*_rows(first, limit), *_rows(second, limit)]


def _paragraph(text: str, limit: int) -> list[str]:
    pieces: list[str] = []
    while seen(text) > limit:
        cut = next(
            (
                at
                for at in candidates(text[: fit(text, limit)], _TRIES)
                if seen(text[:at]) <= limit and _reads_the_same(text, at, limit)
            ),
            0,
        )
        if not cut:
            return []
        pieces.append(text[:cut].rstrip())
        text = text[cut:].lstrip()
    return [*pieces, text] if text else pieces


def _reads_the_same(text: str, cut: int, window: int) -> bool:
    left, right = text[:cut].rstrip(), text[cut : cut + window].lstrip()
    return _same(text[: cut + window], [left, right])


def _same(whole: str, pieces: Sequence[str]) -> bool:
    """Whether the pieces show what the whole does, white space aside."""
    shown = "".join(render(piece).text for piece in pieces)
    return _squeezed(render(whole).text) == _squeezed(shown)


def _squeezed(text: str) -> str:
    return "".join(text.split())


def _unformatted(block: str, limit: int) -> list[str]:
    """What the block shows, as text in which nothing is a marker."""
    return [_escaped(piece) for piece in at_spaces(render(block).text, limit)]


def _escaped(text: str) -> str:
    lines = (_PUNCTUATION.sub(r"\\\1", line.strip()) for line in text.split("\n"))
    # A text full of "[" is not looked into, escapes included: brackets go another way.
    return "\n".join(lines).replace("\\[", "&#91;")


def _packed(pieces: Sequence[str], joint: str, limit: int) -> list[str]:
    """As many in one as fit, in order."""
    packed: list[str] = []
    room = 0
    for piece in pieces:
        length = seen(piece) + 2
        if packed and length <= room:
            packed[-1] += joint + piece
            room -= length
        else:
            packed.append(piece)
            room = limit - length + 2
    return packed


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
