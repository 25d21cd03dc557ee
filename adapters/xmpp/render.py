"""`Outbound` becomes message styling (XEP-0393). Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from adapters.xmpp.capabilities import TEXT_LIMIT
from gateway.markup import Dialect, Marks, Splitter, blank, render
from gateway.markup.units import utf8
from gateway.message import Outbound

NOTHING = "(empty message)"
_OPENS = re.compile(r"(^|\s)(?=[*_~`>])", re.MULTILINE)
_NO_XML = re.compile("[\ufffe\uffff]")
"""What no XML may hold, besides control characters: a server ends the stream for it."""
_JOINER = "\u2060"
"""Takes no room. A mark opens only at a beginning or after a blank: behind this it is text."""


def _mark(char: str) -> Marks:
    return Marks(before=char, after=char)


DIALECT = Dialect(
    escape=lambda text: _OPENS.sub(rf"\1{_JOINER}", text),
    strong=_mark("*"),
    emphasis=_mark("_"),
    strike=_mark("~"),
    code=lambda code: f"`{code}`" if "`" not in code else code,
    block=lambda code, language: f"```{language}\n{code}\n```",
    words=True,
    counts="written",
)

_splitter = Splitter(DIALECT, TEXT_LIMIT, measure=utf8)


def split(outbound: Outbound) -> Sequence[Outbound]:
    """Buttons become lines of text."""
    shown = [f"{one.label}: {one.url or one.data}" for row in outbound.buttons for one in row]
    text = "\n\n".join(filter(None, (outbound.text, *shown)))
    return _splitter.split(msgspec.structs.replace(outbound, text=text, buttons=()))


def body(outbound: Outbound) -> str:
    text = _NO_XML.sub("", render(outbound.text, DIALECT).markup)
    return NOTHING if blank(text) else text
