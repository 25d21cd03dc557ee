"""Lines of IRC, read tolerantly and written strictly. Pure."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.errors import Failed

LINE = 512
"""Bytes of a line with its prefix and its end; what is longer is cut by servers."""
USER, HOST = 10, 63
"""Longest user name that we give, and longest host that a server may show for us."""

_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_ESCAPES = {":": ";", "s": " ", "r": "\r", "n": "\n"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    command: str
    params: tuple[str, ...] = ()
    source: str = ""
    """``nick!user@host``, or a server's name."""
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def nick(self) -> str:
        return self.source.partition("!")[0]

    def param(self, number: int) -> str:
        """Empty when there are fewer."""
        return self.params[number] if -len(self.params) <= number < len(self.params) else ""


def read(raw: bytes) -> Line | None:
    """None for a line that says nothing. Old clients write latin-1."""
    try:
        rest = raw.decode()
    except UnicodeDecodeError:
        rest = raw.decode("latin-1")
    rest, tags, source = rest.strip("\r\n\0 "), {}, ""
    if rest.startswith("@"):
        written, _, rest = rest[1:].partition(" ")
        pairs = (each.partition("=") for each in written.split(";") if each)
        tags = {name: _unescaped(value) for name, _, value in pairs}
    if (rest := rest.lstrip(" ")).startswith(":"):
        source, _, rest = rest[1:].partition(" ")
    head, colon, last = f" {rest.lstrip(' ')}".partition(" :")
    words = [*head.split(), *([last] if colon else [])]
    if not words:
        return None
    return Line(command=words[0].upper(), params=tuple(words[1:]), source=source, tags=tags)


def write(command: str, *params: str, label: str = "") -> bytes:
    """`Failed` for what would become another line, or another parameter."""
    *first, last = (command, *params)
    if any(not each or " " in each or each.startswith(":") for each in first) or any(
        char in each for each in params for char in "\r\n\0"
    ):
        raise Failed(f"this cannot be said in one {command}")
    colon = ":" if params else ""
    tag = f"@label={label} " if label else ""
    return f"{tag}{' '.join([*first, colon + last])}\r\n".encode()


def folded(name: str) -> str:
    """Names without regard to case. What a server folds beyond ASCII stays apart here."""
    return name.translate(_LOWER)


def room(nick: str, target: str) -> int:
    """Bytes of text in a line from us to `target`, once the server has put our name before it."""
    return LINE - HOST - len(f":{nick}!~{nick[:USER]}@ PRIVMSG {target} :\r\n".encode())


def _unescaped(value: str) -> str:
    return re.sub(r"\\(.?)", lambda found: _ESCAPES.get(found[1], found[1]), value)
