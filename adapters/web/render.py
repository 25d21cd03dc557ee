"""`Outbound` → what stands in the log, and whole replies → parts. Pure.

The page shows CommonMark as it is, so rendering only picks fields; splitting keeps parts at a size
a browser likes and never breaks a code fence.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from adapters.web.capabilities import CAPABILITIES
from adapters.web.events import ButtonView, ReplyPart, file
from gateway.message import Outbound

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
_SPARE = 200  # room for closing and reopening a fence


def render(outbound: Outbound) -> bytes:
    return msgspec.json.encode(
        ReplyPart(
            type="message",
            reply=outbound.reply,
            part=outbound.part,
            parts=outbound.parts,
            kind=outbound.kind,
            text=outbound.text,
            files=tuple(file(each) for each in outbound.files),
            buttons=tuple(
                tuple(ButtonView(label=each.label, data=each.data, url=each.url) for each in row)
                for row in outbound.buttons
            ),
            reply_to=outbound.reply_to,
        )
    )


def split(outbound: Outbound) -> Sequence[Outbound]:
    """Files go with the first part, buttons with the last."""
    texts = split_text(outbound.text, CAPABILITIES.text_limit)
    last = len(texts) - 1
    return [
        msgspec.structs.replace(
            outbound,
            part=number,
            parts=len(texts),
            text=text,
            files=outbound.files if number == 0 else (),
            buttons=outbound.buttons if number == last else (),
        )
        for number, text in enumerate(texts)
    ]


def split_text(text: str, limit: int) -> list[str]:
    """Pieces of at most `limit` characters, cut between lines where that is possible."""
    if len(text) <= limit:
        return [text]
    pieces: list[str] = []
    lines: list[str] = []
    size, fence = 0, ""
    for line in _short_lines(text, limit - _SPARE):
        if lines and size + len(line) + 1 > limit - _SPARE:
            pieces.append("\n".join([*lines, _closing(fence)] if fence else lines))
            lines, size = ([fence], len(fence) + 1) if fence else ([], 0)
        lines.append(line)
        size += len(line) + 1
        fence = _after(line, fence)
    pieces.append("\n".join(lines))
    return [piece for piece in pieces if piece.strip()] or [""]


def _short_lines(text: str, limit: int) -> list[str]:
    limit -= 100  # a reopened fence stands before it
    return [
        line[start : start + limit]
        for line in text.split("\n")
        for start in range(0, max(len(line), 1), limit)
    ]


def _after(line: str, fence: str) -> str:
    """The fence that is open after this line, as it was opened; empty for none."""
    found = _FENCE.fullmatch(line)
    if found is None:
        return fence
    if not fence:
        return found[0].strip()[:80]
    closes = found[1].startswith(_closing(fence)) and not found[2].strip()
    return "" if closes else fence


def _closing(fence: str) -> str:
    return fence[: len(fence) - len(fence.lstrip(fence[0]))]
