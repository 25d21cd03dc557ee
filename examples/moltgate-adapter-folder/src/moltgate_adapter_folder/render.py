"""Answers stay CommonMark; files and buttons become lines. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gateway.markup import blank, clean
from gateway.message import Outbound
from gateway.ports import renders

LIMIT = 100_000


def split(outbound: Outbound) -> Sequence[Outbound]:
    """In pieces of whole lines where they fit."""
    lines = [renders(file) for file in outbound.files]
    lines += [f"{one.label}: {one.url or one.data}" for row in outbound.buttons for one in row]
    rest = clean("\n\n".join(filter(None, (outbound.text, *lines))))
    pieces = []
    while len(rest) > LIMIT:
        at = rest.rfind("\n", 1, LIMIT) + 1 or LIMIT
        pieces.append(rest[:at])
        rest = rest[at:]
    pieces.append(rest)
    return [
        msgspec.structs.replace(
            outbound, text=text, files=(), buttons=(), part=number, parts=len(pieces)
        )
        for number, text in enumerate(pieces)
    ]


def content(outbound: Outbound) -> bytes:
    text = clean(outbound.text)
    return ("(empty message)" if blank(text) else text).encode() + b"\n"
