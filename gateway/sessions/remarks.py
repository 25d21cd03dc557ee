"""What the sender is told of the files of a message, below its answer. Pure.

The model is told, too, but what it makes of it is its own affair: this is always shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from gateway.message import Attachment, Inbound

MOST = 5
"""Files that are named."""
_LONGEST = 300
_WHAT = {
    "image": "the picture",
    "voice": "the voice message",
    "audio": "the recording",
    "video": "the video",
    "document": "the file",
}
_MARKUP = re.compile(r"[\\`*<>\[\]|~#&@]|(?<!\w)_|_(?!\w)|://")
_NOTED = frozenset({"audio", "video", "document"})
"""Of a picture or a voice message the sender knows what it says: doubts are for the model."""


def remarks(messages: Sequence[Inbound]) -> str:
    """CommonMark, a line for each file that could not be read, or not as a whole; mostly empty."""
    lines = [line for message in messages for one in message.attachments for line in _lines(one)]
    if len(lines) > MOST:
        lines[MOST:] = [f"(And so it was with {len(lines) - MOST} more files.)"]
    return "\n\n".join(lines)


def _lines(one: Attachment) -> Iterator[str]:
    name = _escaped(" ".join(one.name.split()))[:_LONGEST] or _WHAT[one.kind]
    if one.problem:
        yield f"(I could not read {name}: {_ended(one.problem)})"
    elif one.note and one.kind in _NOTED:
        yield f"(Of {name}: {_ended(one.note)})"


def _ended(words: str) -> str:
    return _escaped(" ".join(words.split())[:_LONGEST].rstrip(".")) + "."


def _escaped(text: str) -> str:
    """Names are chosen by people: none of them may make markup, links or mentions."""
    return _MARKUP.sub(lambda found: "".join(f"\\{char}" for char in found[0]), text)
