"""Telegram's two markup languages, read as strictly as Telegram does, with its words for errors.

Stricter in one thing: nesting that Telegram takes apart silently (anything inside code, code
inside other formats, a quote inside a quote) is an error here, so that a renderer learns of it.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

TAGS = {
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "u": "underline",
    "ins": "underline",
    "s": "strikethrough",
    "strike": "strikethrough",
    "del": "strikethrough",
    "tg-spoiler": "spoiler",
    "span": "spoiler",
    "tg-emoji": "custom_emoji",
    "a": "text_link",
    "code": "code",
    "pre": "pre",
    "blockquote": "blockquote",
}
_REFERENCE = re.compile(r"&(?:(lt|gt|amp|quot)|#(\d{1,7})|#x([0-9a-fA-F]{1,6}));?")
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
_ATTRIBUTE = re.compile(
    r"\s*([^\s=>/\"']+)\s*(?:=\s*(?:\"([^\"]*)\"|'([^']*)'|([A-Za-z0-9.\-]+)))?"
)
_SOLO = {"code", "pre"}


class BadMarkup(Exception):
    """Says why, as Telegram would after "can't parse entities:"."""


@dataclass(frozen=True, slots=True)
class Entity:
    type: str
    offset: int
    length: int
    extra: str = ""
    """The address of a link, the language of a code block."""

    def json(self) -> dict[str, object]:
        shown: dict[str, object] = {
            "type": self.type,
            "offset": self.offset,
            "length": self.length,
        }
        if self.extra:
            shown["url" if self.type == "text_link" else "language"] = self.extra
        return shown


def utf16(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


@dataclass(slots=True)
class _Open:
    tag: str
    start: int
    extra: str = ""


def parse_html(source: str) -> tuple[str, list[Entity]]:
    text: list[str] = []
    length = position = 0
    opened: list[_Open] = []
    entities: list[Entity] = []
    while position < len(source):
        at = len(source[:position].encode())
        if source[position] == "<":
            end = source.find(">", position)
            if end < 0:
                raise BadMarkup(f"Unclosed start tag at byte offset {at}")
            tag = source[position + 1 : end]
            position = end + 1
            if tag.startswith("/"):
                entities.extend(_close(tag[1:].strip().lower(), opened, length, at))
            else:
                opened.append(_start(tag, opened, length, at))
            continue
        found = _REFERENCE.match(source, position)
        piece = source[position]
        if found:
            piece = _character(found)
            position = found.end()
        else:
            position += 1
        text.append(piece)
        length += utf16(piece)
    if opened:
        tag = opened[-1].tag
        raise BadMarkup(f'Can\'t find end tag corresponding to start tag "{tag}"')
    return "".join(text), _merged(entities)


def _character(found: re.Match[str]) -> str:
    if found[1]:
        return _NAMED[found[1]]
    number = int(found[2]) if found[2] else int(found[3], 16)
    if not 0 < number < 0x110000 or 0xD800 <= number <= 0xDFFF:
        return found[0]
    return chr(number)


def _start(tag: str, opened: list[_Open], length: int, at: int) -> _Open:
    found = re.match(r"[A-Za-z-]+", tag)
    name = found[0].lower() if found else ""
    if name not in TAGS:
        raise BadMarkup(f'Unsupported start tag "{name}" at byte offset {at}')
    attributes = _attributes(tag[len(name) :], name, at)
    if name == "span" and attributes.get("class") != "tg-spoiler":
        raise BadMarkup(f'Tag "span" must have class "tg-spoiler" at byte offset {at}')
    _check_nesting(name, [each.tag for each in opened], at)
    extra = attributes.get("href", "")
    if name == "code" and attributes.get("class", "").startswith("language-"):
        extra = attributes["class"].removeprefix("language-")
    return _Open(name, length, extra)


def _attributes(rest: str, tag: str, at: int) -> dict[str, str]:
    attributes: dict[str, str] = {}
    while rest.strip().strip("/"):
        found = _ATTRIBUTE.match(rest)
        if found is None:
            raise BadMarkup(f'Empty attribute name in the tag "{tag}" at byte offset {at}')
        value = next((each for each in found.groups()[1:] if each is not None), None)
        if value is None and tag != "blockquote":
            raise BadMarkup(
                f'Expected equal sign in declaration of an attribute of the tag "{tag}" '
                f"at byte offset {at}"
            )
        attributes[found[1].lower()] = html.unescape(value or "")
        rest = rest[found.end() :]
    return attributes


def _check_nesting(name: str, outer: list[str], at: int) -> None:
    kinds = [TAGS[each] for each in outer]
    language = name == "code" and outer and outer[-1] == "pre"
    if set(kinds) & _SOLO and not language:
        raise BadMarkup(f'Tag "{name}" inside code at byte offset {at}')
    if name in _SOLO and not language and set(kinds) - {"blockquote"}:
        raise BadMarkup(f'Tag "{name}" inside "{outer[-1]}" at byte offset {at}')
    if TAGS[name] in ("blockquote", "text_link") and TAGS[name] in kinds:
        raise BadMarkup(f'Tag "{name}" inside itself at byte offset {at}')


def _close(name: str, opened: list[_Open], length: int, at: int) -> list[Entity]:
    if not opened:
        raise BadMarkup(f"Unexpected end tag at byte offset {at}")
    last = opened.pop()
    if name and name != last.tag:
        raise BadMarkup(
            f'Unmatched end tag at byte offset {at}, expected "</{last.tag}>", found "</{name}>"'
        )
    if length == last.start:
        return []
    kind, extra = TAGS[last.tag], last.extra
    if kind == "text_link" and not extra.startswith(("http://", "https://", "tg://")):
        return []
    return [Entity(kind, last.start, length - last.start, extra)]


def _merged(entities: list[Entity]) -> list[Entity]:
    """A code element that fills a pre gives it its language."""
    languages = {(each.offset, each.length): each.extra for each in entities if each.type == "code"}
    pres = {(each.offset, each.length) for each in entities if each.type == "pre"}
    kept = [
        Entity("pre", each.offset, each.length, languages.get((each.offset, each.length), ""))
        if each.type == "pre"
        else each
        for each in entities
        if not (each.type == "code" and (each.offset, each.length) in pres)
    ]
    return sorted(kept, key=lambda each: (each.offset, -each.length, each.type))


_RESERVED = frozenset("_*[]()~`>#+-=|{}.!")
_V2 = (
    ("__", "Underline"),
    ("||", "Spoiler"),
    ("*", "Bold"),
    ("_", "Italic"),
    ("~", "Strikethrough"),
)


def parse_markdown_v2(source: str) -> tuple[str, list[Entity]]:
    text: list[str] = []
    length = position = 0
    opened: list[tuple[str, str, int, int]] = []
    entities: list[Entity] = []

    def put(piece: str) -> None:
        nonlocal length
        text.append(piece)
        length += utf16(piece)

    while position < len(source):
        char = source[position]
        at = len(source[:position].encode())
        if char == "\\" and position + 1 < len(source) and ord(source[position + 1]) < 127:
            put(source[position + 1])
            position += 2
            continue
        if char == "`":
            position, entity, piece = _v2_code(source, position, length, at)
            put(piece)
            entities.append(entity)
            continue
        if char == "[":
            opened.append(("]", "TextUrl", length, at))
            position += 1
            continue
        if char == "]" and opened and opened[-1][0] == "]":
            found = re.match(r"\]\(([^)\\]*(?:\\.[^)\\]*)*)\)", source[position:])
            if not found:
                raise BadMarkup(f"Can't find end of a URL at byte offset {at}")
            _, _, start, _ = opened.pop()
            entities.append(Entity("text_link", start, length - start, found[1]))
            position += found.end()
            continue
        if char == ">" and (position == 0 or source[position - 1] == "\n"):
            position += 1
            continue
        mark = next(((m, n) for m, n in _V2 if source.startswith(m, position)), None)
        if mark is not None:
            if opened and opened[-1][0] == mark[0]:
                _, name, start, _ = opened.pop()
                entities.append(Entity(name.lower(), start, length - start))
            else:
                opened.append((*mark, length, at))
            position += len(mark[0])
            continue
        if char in _RESERVED:
            raise BadMarkup(
                f"Character '{char}' is reserved and must be escaped with the preceding '\\'"
            )
        put(char)
        position += 1
    if opened:
        _, name, _, at = opened[-1]
        raise BadMarkup(f"Can't find end of {name} entity at byte offset {at}")
    return "".join(text), sorted(entities, key=lambda each: (each.offset, -each.length))


def _v2_code(source: str, position: int, length: int, at: int) -> tuple[int, Entity, str]:
    fence = "```" if source.startswith("```", position) else "`"
    name = "Pre" if fence == "```" else "Code"
    end = source.find(fence, position + len(fence))
    if end < 0:
        raise BadMarkup(f"Can't find end of {name} entity at byte offset {at}")
    body = re.sub(r"\\([!-~])", r"\1", source[position + len(fence) : end])
    language = ""
    if name == "Pre" and (found := re.match(r"([^\s`]*)\n", body)):
        language, body = found[1], body[found.end() :]
    return end + len(fence), Entity(name.lower(), length, utf16(body), language), body
