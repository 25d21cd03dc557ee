"""One part of a reply becomes one message of Slack's. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from adapters.slack.capabilities import LABEL_LIMIT, SECTION_LIMIT, VALUE_LIMIT
from adapters.slack.render import rendered
from gateway.errors import Failed
from gateway.markup import blank
from gateway.message import Attachment, Button, Outbound, Place

NOTHING = "(empty message)"
"""Shown for a text in which there is nothing to see: Slack takes no empty messages."""
EVENT_TYPE = "moltgate_part"
"""Under this name the part's key is kept in the message's metadata."""
_ROW = 25
_ROWS = 40
_URL = 3000


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a message says, and where."""

    data: Mapping[str, Any]
    plain: Mapping[str, Any]
    """Parameters to try when Slack cannot read the blocks."""


def sending(outbound: Outbound) -> Call:
    """Raises `Failed` for what can never be sent."""
    where = {**_where(outbound.place), "mrkdwn": True}
    return _call(outbound, where)


def editing(outbound: Outbound, ts: str) -> Call:
    """Raises `Failed` for what can never be shown."""
    return _call(outbound, {"channel": outbound.place.chat, "ts": ts})


def responding(outbound: Outbound) -> Mapping[str, Any]:
    """The answer to a slash command, for the one who gave it."""
    text, blocks = _said(outbound)
    shown = {"text": text, "response_type": "ephemeral", **_QUIET}
    return {**shown, "blocks": blocks} if blocks else shown


def key_of(message: Mapping[str, Any]) -> str:
    """The key of the part that a message shows; empty when it is none of ours."""
    metadata = message.get("metadata")
    if not isinstance(metadata, Mapping) or metadata.get("event_type") != EVENT_TYPE:
        return ""
    payload = metadata.get("event_payload")
    key = payload.get("key") if isinstance(payload, Mapping) else None
    return key if isinstance(key, str) else ""


def _where(place: Place) -> dict[str, Any]:
    return {"channel": place.chat, **({"thread_ts": place.thread} if place.thread else {})}


_QUIET: Mapping[str, Any] = {
    "unfurl_links": False,
    "unfurl_media": False,
    "parse": "none",
    "link_names": False,
}
"""Slack fetches nothing that a text names, and makes no mentions of it."""


def _call(outbound: Outbound, where: Mapping[str, Any]) -> Call:
    if outbound.files:
        raise Failed("gone: a text and a file are two messages on Slack")
    text, blocks = _said(outbound)
    common = {
        **where,
        **_QUIET,
        "text": text,
        "metadata": {"event_type": EVENT_TYPE, "event_payload": {"key": outbound.key}},
    }
    labels = "".join(f"\n• {each}" for each in _labels(outbound))
    return Call(
        data={**common, "blocks": blocks},
        plain={**common, "blocks": [], "text": text + labels},
    )


def _said(outbound: Outbound) -> tuple[str, list[dict[str, Any]]]:
    """The text as markup, and blocks where there are buttons. No blocks take away earlier ones."""
    found = rendered(outbound.text)
    text = NOTHING if blank(found.text) else found.markup
    if not outbound.buttons:
        return text, []
    if len(text) > SECTION_LIMIT:
        raise Failed("a text with buttons is too long for Slack: split the reply first")
    if len(outbound.buttons) > _ROWS or any(len(row) > _ROW for row in outbound.buttons):
        raise Failed(f"Slack takes at most {_ROWS} rows of {_ROW} buttons")
    section = {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}
    rows = [
        {
            "type": "actions",
            "elements": [_button(each, f"b{row}.{at}") for at, each in enumerate(buttons)],
        }
        for row, buttons in enumerate(outbound.buttons)
        if buttons
    ]
    return text, [section, *rows]


def _button(button: Button, action: str) -> dict[str, Any]:
    label = button.label if not blank(button.label) else "…"
    shown = {
        "type": "button",
        "action_id": action,
        "text": {"type": "plain_text", "text": _cut(label, LABEL_LIMIT), "emoji": False},
    }
    if button.url:
        if len(button.url) > _URL:
            raise Failed(f"a button's address is at most {_URL} characters on Slack")
        return {**shown, "url": button.url}
    if not 1 <= len(button.data) <= VALUE_LIMIT:
        raise Failed(f"a button's data is 1 to {VALUE_LIMIT} characters on Slack")
    return {**shown, "value": button.data}


def _labels(outbound: Outbound) -> list[str]:
    return [rendered(each.label).markup for row in outbound.buttons for each in row]


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


_SUFFIXES = {
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/webp": ".webp",
    "audio/ogg": ".ogg",
    "audio/mpeg": ".mp3",
    "audio/mp4": ".m4a",
    "audio/wav": ".wav",
    "video/mp4": ".mp4",
    "application/pdf": ".pdf",
    "text/plain": ".txt",
}


def filename(file: Attachment) -> str:
    """A label for people: no folders, no control characters, an ending that fits the content."""
    label = "".join(char for char in file.name if char.isprintable() and char not in '/\\"')[-100:]
    return label.strip(". ") or file.kind + _SUFFIXES.get(file.media_type, "")
