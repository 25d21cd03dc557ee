"""`Outbound` becomes lines of IRC: formats are control characters, switched on and off. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from adapters.irc.capabilities import LINE_COST, PART_LIMIT
from gateway.markup import Dialect, Marks, Splitter, blank, render
from gateway.markup.units import utf8
from gateway.message import Outbound
from gateway.ports import renders

MARKS = BOLD, ITALIC, STRIKE, CODE = "\x02", "\x1d", "\x1e", "\x11"
NOTHING = "(empty message)"

DIALECT = Dialect(
    escape=str,  # `render` has taken all control characters out, and nothing else is markup
    strong=Marks(before=BOLD, after=BOLD),
    emphasis=Marks(before=ITALIC, after=ITALIC),
    strike=Marks(before=STRIKE, after=STRIKE),
    code=lambda code: f"{CODE}{code}{CODE}",
    counts="written",
)


def _measure(text: str) -> int:
    return utf8(text) + LINE_COST * text.count("\n")


_splitter = Splitter(DIALECT, PART_LIMIT, measure=_measure)


def split(outbound: Outbound) -> Sequence[Outbound]:
    """Files and buttons become lines of text: nothing else can go."""
    shown = [renders(file) for file in outbound.files]
    shown += [f"{one.label}: {one.url or one.data}" for row in outbound.buttons for one in row]
    text = "\n\n".join(filter(None, (outbound.text, *shown)))
    return _splitter.split(msgspec.structs.replace(outbound, text=text, files=(), buttons=()))


def lines(outbound: Outbound, room: int) -> list[str]:
    """What one part says, in lines of at most `room` bytes, none of them empty."""
    text = render(outbound.text, DIALECT).markup
    if outbound.place.kind != "direct" and outbound.part == 0 and outbound.headers.get("nick"):
        text = f"{outbound.headers['nick']}: {text}"
    found: list[str] = []
    on = ""
    for whole in text.split("\n"):
        rest = whole
        while rest:
            piece, rest = _cut(rest, room - len(MARKS))
            began, on = on, _left_on(on, piece)
            found += [] if blank(piece) else [began + piece]
    return found or [NOTHING]


def _left_on(on: str, piece: str) -> str:
    """Formats end with their line: those that are still on begin the next one."""
    return "".join(m for m in MARKS if (piece.count(m) + (m in on)) % 2)


def _cut(text: str, room: int) -> tuple[str, str]:
    """At the last blank that fits, else within a word, never within a character."""
    raw = text.encode()
    if len(raw) <= room:
        return text, ""
    piece = raw[:room].decode(errors="ignore")
    at = piece.rfind(" ", 1) if " " in piece.strip() else -1
    return (text[:at], text[at + 1 :]) if at > 0 else (piece, text[len(piece) :])
