"""Structured headers, token by token, in one pass: addresses and Authentication-Results.

One strict reader for both, because identities hang on them: two readers that understand a From
header differently are how a stranger becomes somebody else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from adapters.email.reading.words import decode_words

_ENCODED = re.compile(r"=\?[^?\s]{1,80}\?[BbQq]\?[^?\s<>@,\"]*\?=")


class Malformed(ValueError):
    """A string or comment that never ends, or something that stands where it must not."""


class Token(NamedTuple):
    kind: str
    """``atom``, ``quoted`` or the special character itself."""
    text: str
    spaced: bool
    """Whether white space or a comment stands before it."""


def tokens(value: str, specials: str) -> Iterator[Token]:
    """White space and comments are left out. Raises `Malformed`."""
    at, spaced, end = 0, False, len(value)
    stops = frozenset(specials + ' \t\r\n"()')
    while at < end:
        char = value[at]
        if char in " \t\r\n":
            at, spaced = at + 1, True
        elif char == "(":
            at, spaced = _after_comment(value, at), True
        elif char == '"':
            text, at = _quoted(value, at)
            yield Token("quoted", text, spaced)
            spaced = False
        elif char == "=" and (word := _ENCODED.match(value, at)):
            # Some programs leave specials in a word that should have been encoded.
            yield Token("atom", word[0], spaced)
            at, spaced = word.end(), False
        elif char in specials or char == ")":
            if char == ")":
                raise Malformed("a comment ends that never began")
            yield Token(char, char, spaced)
            at, spaced = at + 1, False
        else:
            begin = at
            while at < end and value[at] not in stops:
                at += 1
            yield Token("atom", value[begin:at], spaced)
            spaced = False


def _after_comment(value: str, at: int) -> int:
    depth = 0
    while at < len(value):
        char = value[at]
        if char == "\\":
            at += 1
        elif char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
            if depth == 0:
                return at + 1
        at += 1
    raise Malformed("a comment does not end")


def _quoted(value: str, at: int) -> tuple[str, int]:
    found: list[str] = []
    at += 1
    while at < len(value):
        char = value[at]
        if char == '"':
            return "".join(found), at + 1
        if char == "\\" and at + 1 < len(value):
            at += 1
            char = value[at]
        found.append(char)
        at += 1
    raise Malformed("a string does not end")


class Mailbox(NamedTuple):
    name: str
    address: str
    """As written; not yet checked."""


def mailboxes(value: str, *, groups: bool = True) -> list[Mailbox]:
    """The addresses of a header; those inside groups count as others. Raises `Malformed`, also for
    a group where none is wanted."""
    found: list[Mailbox] = []
    waiting: list[Token] = []
    group = inside = False
    for token in tokens(value, "<>,;:"):
        if token.kind == ":" and not inside:
            if group or not groups:
                raise Malformed("a group where none may be")
            group, waiting = True, []
        elif token.kind in ",;" and not inside:
            found += _mailbox(waiting)
            waiting = []
            if token.kind == ";":
                if not group:
                    raise Malformed("a group ends that never began")
                group = False
        else:
            inside = token.kind == "<" or (inside and token.kind != ">")
            waiting.append(token)
    return found + _mailbox(waiting)


def _mailbox(found: list[Token]) -> list[Mailbox]:
    if not found:
        return []
    opening = [number for number, token in enumerate(found) if token.kind == "<"]
    if not opening:
        return [Mailbox("", _spec(found))]
    if len(opening) > 1 or found[-1].kind != ">":
        raise Malformed("something stands after an address")
    return [Mailbox(_phrase(found[: opening[0]]), _spec(found[opening[0] + 1 : -1]))]


def _spec(found: list[Token]) -> str:
    """An address stands in one piece. A quoted local part keeps its quotes: it is refused later."""
    if any(token.kind not in ("atom", "quoted") for token in found):
        raise Malformed("something that is no address")
    # Blanks around dots and the @ were allowed once; elsewhere they separate.
    text = ""
    for token in found:
        piece = f'"{token.text}"' if token.kind == "quoted" else token.text
        if text and token.spaced and not (text[-1] in ".@" or piece[0] in ".@"):
            raise Malformed("words that are no address")
        text += piece
    return text


def _phrase(found: list[Token]) -> str:
    if any(token.kind not in ("atom", "quoted") for token in found):
        raise Malformed("a name with specials")
    return decode_words(
        "".join(
            (" " if token.spaced and number else "") + token.text
            for number, token in enumerate(found)
        )
    )
