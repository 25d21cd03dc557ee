"""One part of a reply becomes the content of one event. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from adapters.matrix.render import body, formatted
from gateway.errors import Failed
from gateway.message import Attachment, Outbound, Place

KEY = "org.moltgate.key"
"""Our send key in an event's content, readable for the server also where the event is encrypted:
how a message is found whose sending was cut."""

EVENT_LIMIT = 48_000
"""Bytes of a content in JSON. An event may have 65,536; encryption makes four of three, and ids and
signatures are beside it."""
_FALLBACK = 200
"""Characters of an edit that clients see that know no edits."""

_MARK = re.compile(r"([!-/:-@\[-`{-~])")
_SUFFIXES = {
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/gif": ".gif",
    "image/webp": ".webp",
    "audio/ogg": ".ogg",
    "audio/mpeg": ".mp3",
    "audio/mp4": ".m4a",
    "audio/wav": ".wav",
    "video/mp4": ".mp4",
    "video/webm": ".webm",
    "application/pdf": ".pdf",
    "text/plain": ".txt",
}
_TYPES = {"image": "m.image", "audio": "m.audio", "video": "m.video"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploaded:
    """Where a file lies on the homeserver."""

    mxc: str
    sealed: Mapping[str, Any] | None = None
    """How it is opened, where it was encrypted."""


def text(outbound: Outbound, message_type: str) -> dict[str, Any]:
    """Content of a message."""
    content = {**_said(_worded(outbound), message_type), "m.mentions": {}}
    if relation := _relation(outbound):
        content["m.relates_to"] = relation
    return _within_limit(content)


def edit(outbound: Outbound, native_id: str, message_type: str) -> dict[str, Any]:
    """Content of an event that replaces the text of one of ours."""
    if outbound.files:
        raise Failed("gone: a text cannot become a file by an edit")
    if not native_id.startswith("$"):
        raise Failed(f"gone: {native_id!r} is no event id")
    new = _within_limit({**_said(_worded(outbound), message_type), "m.mentions": {}})
    short = new["body"] if len(new["body"]) <= _FALLBACK else f"{new['body'][:_FALLBACK]}…"
    return {
        "msgtype": message_type,
        "body": f"* {short}",
        "m.mentions": {},
        "m.new_content": new,
        "m.relates_to": {"rel_type": "m.replace", "event_id": native_id},
    }


def file(outbound: Outbound, attachment: Attachment, uploaded: Uploaded) -> dict[str, Any]:
    """Content of a message that is a file."""
    name = filename(attachment)
    media = attachment.media_type
    kind = _TYPES.get(media.partition("/")[0], "m.file")
    info: dict[str, Any] = {"mimetype": media, "size": attachment.size}
    if attachment.duration and kind in ("m.audio", "m.video"):
        info["duration"] = int(attachment.duration * 1000)
    content: dict[str, Any] = {
        "msgtype": kind,
        "body": name,
        "filename": name,
        "info": info,
        "m.mentions": {},
    }
    if uploaded.sealed is None:
        content["url"] = uploaded.mxc
    else:
        content["file"] = {**uploaded.sealed, "url": uploaded.mxc}
    if attachment.kind == "voice" and kind == "m.audio":
        content["org.matrix.msc3245.voice"] = {}
        content["org.matrix.msc1767.audio"] = {"duration": info.get("duration", 0)}
    if relation := _relation(outbound):
        content["m.relates_to"] = relation
    return content


def filename(file: Attachment) -> str:
    """A label for people: no folders, no control characters, an ending that fits the content."""
    label = "".join(char for char in file.name if char.isprintable() and char not in '/\\"')[-100:]
    return label.strip(". ") or file.kind + _SUFFIXES.get(file.media_type, "")


def thread_of(place: Place) -> str:
    return place.thread if place.thread.startswith("$") else ""


def _worded(outbound: Outbound) -> str:
    """The text, and what buttons would offer, as a list."""
    offers = [
        f"- [{_escaped(one.label)}](<{one.url}>)" if one.url else f"- {_escaped(one.label)}"
        for row in outbound.buttons
        for one in row
    ]
    return "\n\n".join(part for part in (outbound.text, "\n".join(offers)) if part)


def _escaped(label: str) -> str:
    """On one line, and with no marks in it."""
    return _MARK.sub(r"\\\1", " ".join(label.split()))


def _said(markdown: str, message_type: str) -> dict[str, Any]:
    content: dict[str, Any] = {"msgtype": message_type, "body": body(markdown)}
    if html := formatted(markdown):
        content["format"] = "org.matrix.custom.html"
        content["formatted_body"] = html
    return content


def _relation(outbound: Outbound) -> dict[str, Any]:
    thread = thread_of(outbound.place)
    answered = outbound.reply_to if outbound.reply_to.startswith("$") else ""
    if thread:
        return {
            "rel_type": "m.thread",
            "event_id": thread,
            # For clients that know no threads it answers; for others it just stands there.
            "is_falling_back": True,
            "m.in_reply_to": {"event_id": answered or thread},
        }
    return {"m.in_reply_to": {"event_id": answered}} if answered else {}


def _within_limit(content: dict[str, Any]) -> dict[str, Any]:
    """Without its formatting where that would not fit; the text always does."""
    if "formatted_body" in content and _size(content) > EVENT_LIMIT:
        return {
            name: value
            for name, value in content.items()
            if name not in ("format", "formatted_body")
        }
    return content


def _size(content: Mapping[str, Any]) -> int:
    return len(json.dumps(content, ensure_ascii=False).encode())
