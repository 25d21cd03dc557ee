"""One part of a reply becomes one JSON document. Pure.

The program gets the answer twice: as the CommonMark the model wrote, and as HTML in which nothing
of the model's is markup.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from adapters.webhook.capabilities import TEXT_LIMIT
from gateway.markup import Dialect, Splitter, clean, html
from gateway.message import Attachment, Button, Outbound

DIALECT = Dialect(escape=str)
"""Only for measuring: what is posted is CommonMark, as it is."""

_splitter = Splitter(DIALECT, TEXT_LIMIT)
ECHO = "echo."
"""Begins the headers of an event that come back in its answer."""
MESSAGE = "message"
"""The header with its id: an answer in a direct chat points at nothing by itself."""


def split(outbound: Outbound) -> Sequence[Outbound]:
    """A text is cut where it is very long, and each file is a part of its own, so that no post
    grows without bounds."""
    return _splitter.split(outbound)


def body(outbound: Outbound, contents: Sequence[str]) -> bytes:
    """`contents` is the base64 of each file."""
    text = clean(outbound.text)
    document: dict[str, Any] = {
        "type": "message",
        "key": outbound.key,
        "reply": outbound.reply,
        "part": outbound.part,
        "parts": outbound.parts,
        "kind": outbound.kind,
        "account": outbound.account.id,
        "conversation": outbound.place.chat,
        "in_reply_to": outbound.headers.get(MESSAGE, outbound.reply_to),
        "text": text,
        "html": html(text) if text.strip() else "",
        "buttons": [[_button(each) for each in row] for row in outbound.buttons],
        "files": [
            _file(file, content) for file, content in zip(outbound.files, contents, strict=True)
        ],
        "echo": _echo(outbound.headers),
    }
    return msgspec.json.encode(document)


def _button(button: Button) -> dict[str, str]:
    if button.url:
        return {"label": clean(button.label), "url": button.url}
    return {"label": clean(button.label), "data": button.data}


def _file(file: Attachment, content: str) -> dict[str, Any]:
    return {
        "kind": file.kind,
        "name": file.name,
        "media_type": file.media_type,
        "size": file.size,
        "content": content,
    }


def _echo(headers: Mapping[str, str]) -> dict[str, str]:
    """What the map said is to come back."""
    return {
        name.removeprefix(ECHO): value for name, value in headers.items() if name.startswith(ECHO)
    }
