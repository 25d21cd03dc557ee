"""Four dialects as platforms have them, and a reader that is as strict as they come.

The reader turns markup back into the text people see. It knows the dialect's rules and nothing of
how the markup was made, so a character of the text that acts as a mark is found out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from html import unescape

from gateway.markup import Dialect, Marks

JOINER = "\u2060"
"""Seen by nobody."""
LOOKALIKES = str.maketrans({"*": "∗", "_": "\uff3f", "~": "∼", "`": "‵", ">": "›"})
"""What a platform without escapes gets in place of its marks. The other way would be to put
something invisible beside them, which is undone when the platform's next version skips it."""


def both(mark: str) -> Marks:
    return Marks(before=mark, after=mark)


def percent(address: str) -> str:
    """No marks in an address; it leads to the same place."""
    return re.sub(r"[*_~()]", lambda found: f"%{ord(found[0]):02X}", address)


def fenced(code: str, language: str) -> str:
    return f"```{language}\n{code.replace('```', f'`{JOINER}`{JOINER}`')}\n```"


def _backslashed(text: str) -> str:
    return re.sub(r"([\\*_~`|<>\[\]()#-])", r"\\\1", text)


BACKSLASHES = Dialect(
    escape=_backslashed,
    address=percent,
    strong=both("**"),
    emphasis=both("_"),
    strike=both("~~"),
    heading=lambda level: Marks(before="#" * level + " ", after="") if level < 4 else both("**"),
    code=lambda code: _backslashed(code) if "`" in code else f"`{code}`",
    block=fenced,
    link=lambda label, address: f"[{label}]({percent(address)})",
    bullet="- ",
    counts="written",
)
"""As Discord."""


def _entities(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _unmarked(text: str) -> str:
    # A quotation begins with this, escaped or not.
    begin = JOINER if text.lstrip().startswith(">") else ""
    return begin + re.sub(r"([*_~`])", rf"{JOINER}\1{JOINER}", _entities(text))


ENTITIES = Dialect(
    escape=_unmarked,
    address=lambda address: f"<{_entities(address)}>",
    strong=both("*"),
    emphasis=both("_"),
    strike=both("~"),
    code=lambda code: _unmarked(code) if "`" in code else f"`{_entities(code)}`",
    block=lambda code, language: fenced(_entities(code), ""),
    link=lambda label, address: f"<{_entities(address)}|{label}>",
    quote_prefix="&gt; ",
    words=True,
    alone=True,
    bare_labels=True,
    counts="written",
)
"""As Slack: letters for angle brackets, none for marks, which count at the edges of words."""

NO_ESCAPES = Dialect(
    escape=lambda text: text.translate(LOOKALIKES),
    address=percent,
    strong=both("*"),
    emphasis=both("_"),
    strike=both("~"),
    code=lambda code: f"`{code.translate(LOOKALIKES)}`",
    block=lambda code, language: fenced(code, ""),
    words=True,
    counts="written",
)
"""As WhatsApp."""

BARE = Dialect(escape=lambda text: text.replace(">", "›"), bullet="* ", quotes=3, counts="written")
"""As IRC: nothing is marked but quotations."""

DIALECTS = {
    "backslashes": BACKSLASHES,
    "entities": ENTITIES,
    "no escapes": NO_ESCAPES,
    "bare": BARE,
}


class Broken(Exception):
    """A mark that opens or closes nothing, or stands where it does not count."""


@dataclass(slots=True)
class _Reader:
    markup: str
    dialect: Dialect
    at: int = 0
    text: list[str] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)
    edges: list[tuple[int, bool]] = field(default_factory=list)
    """Where marks stand in the text, and whether they open."""

    def take(self, pattern: str) -> re.Match[str] | None:
        found = re.compile(pattern, re.DOTALL).match(self.markup, self.at)
        if found:
            self.at = found.end()
        return found

    def put(self, text: str) -> None:
        self.text += text


def read(markup: str, dialect: Dialect) -> str:
    """The text people see, and `Broken` for markup that does not mean what it should."""
    if dialect is BARE:
        return re.sub(r"^(> )+", "", markup, flags=re.MULTILINE)
    reader = _Reader(markup, dialect)
    while reader.at < len(markup):
        fresh = reader.at == 0 or markup[reader.at - 1] == "\n"
        if fresh and reader.take(re.escape(dialect.quote_prefix)):
            continue
        _READ[id(dialect)](reader)
    if reader.opened:
        raise Broken(f"{reader.opened} never end")
    text = "".join(reader.text)
    for at, opens in reader.edges if dialect.words else ():
        before, after = text[at - 1 : at], text[at : at + 1]
        if opens and (after.isspace() or not (before.isspace() or not before)):
            raise Broken(f"{text[at - 9 : at]!r} stands before a mark")
        if not opens and (before.isspace() or after.isalnum()):
            raise Broken(f"{text[at : at + 9]!r} stands after a mark")
    return text


def _code(reader: _Reader) -> bool:
    line = reader.markup.rfind("\n", 0, reader.at) + 1
    quoted = reader.markup.startswith(reader.dialect.quote_prefix, line)
    prefix = re.escape(reader.dialect.quote_prefix) if quoted else ""
    if found := reader.take(rf"```[\w+#.-]*\n(.*?)\n{prefix}```"):
        body = re.sub(rf"^{prefix}", "", found[1], flags=re.MULTILINE) if prefix else found[1]
        reader.put(unescape(body) if reader.dialect is ENTITIES else body)
    elif found := reader.take(r"`([^`\n]+)`"):
        reader.put(unescape(found[1]) if reader.dialect is ENTITIES else found[1])
    elif reader.take("`"):
        raise Broken("code that does not end")
    return bool(found)


def _mark(reader: _Reader, marks: str) -> bool:
    found = reader.take(marks)
    if not found:
        return False
    if reader.opened and reader.opened[-1] == found[0]:
        reader.opened.pop()
        reader.edges.append((len(reader.text), False))
    elif found[0] in reader.opened:
        raise Broken(f"{found[0]} crosses {reader.opened}")
    else:
        reader.opened.append(found[0])
        reader.edges.append((len(reader.text), True))
    return True


def _character(reader: _Reader) -> None:
    char = reader.markup[reader.at]
    if char == "\n" and reader.opened:
        raise Broken(f"{reader.opened} go on in the next line")
    reader.at += 1
    reader.put(char)


def _inside(markup: str, dialect: Dialect) -> str:
    return read(markup, dialect)


def _read_backslashes(reader: _Reader) -> None:
    if found := reader.take(r"\\(.)"):
        reader.put(found[1])
    elif found := reader.take(r"https?://[^\s<>()\[\]*_~`\\]+"):
        reader.put(found[0])
    elif found := reader.take(r"\[((?:\\.|[^\\\[\]])*)\]\(https?://[^\s()<>\[\]*_~]+\)"):
        reader.put(_inside(found[1], reader.dialect))
    elif reader.at == 0 or reader.markup[reader.at - 1] in "\n ":
        if not reader.take(r"#{1,3} ") and not _code(reader) and not _mark(reader, r"\*\*|_|~~"):
            _plain(reader, "*~`|<>[]()#\\")
    elif not _code(reader) and not _mark(reader, r"\*\*|_|~~"):
        _plain(reader, "*~`|<>[]()#\\")


def _read_entities(reader: _Reader) -> None:
    if found := reader.take(rf"{JOINER}([*_~`]){JOINER}"):
        reader.put(JOINER + found[1] + JOINER)
    elif found := reader.take(r"&(?:lt|gt|amp);"):
        reader.put(unescape(found[0]))
    elif found := reader.take(r"<(https?://[^\s<>|]+)(?:\|([^<>\n]*))?>"):
        address = unescape(found[1])
        reader.put(address if found[2] is None else _inside(found[2], reader.dialect))
    elif not _code(reader) and not _mark(reader, r"[*_~]"):
        _plain(reader, "<>&`")


def _read_no_escapes(reader: _Reader) -> None:
    if not _code(reader) and not _mark(reader, r"[*_~]"):
        _plain(reader, "`")


def _plain(reader: _Reader, never: str) -> None:
    if reader.markup[reader.at] in never:
        raise Broken(f"{reader.markup[reader.at]!r} stands bare")
    _character(reader)


_READ: dict[int, Callable[[_Reader], None]] = {
    id(BACKSLASHES): _read_backslashes,
    id(ENTITIES): _read_entities,
    id(NO_ESCAPES): _read_no_escapes,
}


def squeezed(text: str) -> str:
    """What can be compared: without blanks, what nobody sees, and differences nobody sees."""
    text = re.sub(r"%[0-9A-Fa-f]{2}", lambda found: chr(int(found[0][1:], 16)), text)
    return "".join(text.translate(LOOKALIKES).replace(JOINER, "").split())
