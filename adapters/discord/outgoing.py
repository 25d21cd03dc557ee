"""One part of a reply becomes one message of Discord. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from adapters.discord.capabilities import BUTTON_LIMIT, COLUMNS, LABEL_LIMIT, ROWS
from adapters.discord.native import VOICE_MESSAGE, is_snowflake
from adapters.discord.render import render
from adapters.discord.voice import Recording
from gateway.errors import Failed
from gateway.markup import blank
from gateway.message import Attachment, Button, Outbound

NOTHING = "(empty message)"
"""Shown for a text in which there is nothing to see: Discord takes no empty messages."""
NO_PREVIEWS = 1 << 2
"""Flag: links show no embeds."""
NOBODY = {"parse": [], "replied_user": False}
"""Allowed mentions: whatever the text says, nobody is called."""

_LINK, _GREY = 5, 2
_SUFFIXES = {
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/webp": ".webp",
    "image/gif": ".gif",
    "audio/ogg": ".ogg",
    "audio/mpeg": ".mp3",
    "audio/mp4": ".m4a",
    "video/mp4": ".mp4",
    "application/pdf": ".pdf",
    "text/plain": ".txt",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    body: dict[str, Any]
    content: str
    """What the message says, as it is written."""


def sending(outbound: Outbound, recording: Recording | None = None) -> Sending:
    """Raises `Failed` for what can never be sent. `recording` makes a voice message of the file."""
    check(outbound)
    body: dict[str, Any] = {
        "allowed_mentions": NOBODY,
        "nonce": outbound.key,
        "enforce_nonce": True,
    }
    if is_snowflake(outbound.reply_to):
        body["message_reference"] = {
            "message_id": outbound.reply_to,
            "fail_if_not_exists": False,
        }
    if outbound.buttons:
        body["components"] = components(outbound)
    if recording is not None:
        return Sending(body=body | _voice(outbound.files[0], recording), content="")
    written = content(outbound)
    body |= {"content": written, "flags": NO_PREVIEWS} | _attachments(outbound)
    return Sending(body=body, content=written)


def editing(outbound: Outbound) -> Sending:
    """Raises `Failed` for what can never be shown."""
    check(outbound)
    written = content(outbound)
    body: dict[str, Any] = {
        "content": written,
        "allowed_mentions": NOBODY,
        "flags": NO_PREVIEWS,
        "components": components(outbound),
    }
    return Sending(body=body | _attachments(outbound), content=written)


def following(outbound: Outbound) -> dict[str, Any]:
    """A further message to an interaction, where the bot may not write by itself."""
    kept = ("content", "allowed_mentions", "flags", "components", "attachments")
    return {name: value for name, value in sending(outbound).body.items() if name in kept}


def components(outbound: Outbound) -> list[dict[str, Any]]:
    rows = [row for row in _rows(outbound.buttons) if row]
    if len(rows) > ROWS:
        raise Failed(f"a message has at most {ROWS * COLUMNS} buttons on Discord")
    ids = Counter(button.data for row in rows for button in row if not button.url)
    if any(times > 1 for times in ids.values()):
        raise Failed("two buttons of one message bring back the same on Discord")
    return [{"type": 1, "components": [_button(each) for each in row]} for row in rows]


def _rows(buttons: Sequence[Sequence[Button]]) -> Sequence[Sequence[Button]]:
    if len(buttons) <= ROWS and all(len(row) <= COLUMNS for row in buttons):
        return buttons
    every = [button for row in buttons for button in row]
    return [every[at : at + COLUMNS] for at in range(0, len(every), COLUMNS)]


def _button(button: Button) -> dict[str, Any]:
    label = (button.label if not blank(button.label) else "…")[:LABEL_LIMIT]
    if button.url:
        return {"type": 2, "style": _LINK, "label": label, "url": button.url}
    if not 1 <= len(button.data) <= BUTTON_LIMIT:
        raise Failed(f"a button's data is 1 to {BUTTON_LIMIT} characters on Discord")
    return {"type": 2, "style": _GREY, "label": label, "custom_id": button.data}


def content(outbound: Outbound) -> str:
    """What the message says, as it is written."""
    written = render(outbound.text)
    if blank(written):
        return "" if outbound.files else NOTHING
    return written


def _attachments(outbound: Outbound) -> dict[str, Any]:
    if not outbound.files:
        return {}
    return {"attachments": [{"id": 0, "filename": filename(outbound.files[0])}]}


def _voice(file: Attachment, recording: Recording) -> dict[str, Any]:
    about = {
        "id": 0,
        "filename": "voice-message.ogg",
        "duration_secs": recording.seconds,
        "waveform": recording.waveform,
    }
    return {"flags": VOICE_MESSAGE, "attachments": [about]}


def check(outbound: Outbound) -> None:
    if len(outbound.files) > 1:
        raise Failed("one file per message: split the reply first")
    if outbound.files and not outbound.files[0].digest:
        raise Failed(f"there are no bytes to send ({outbound.files[0].problem or 'no digest'})")


def may_be_voice(outbound: Outbound) -> bool:
    """Whether its file is to be heard at a touch. Such a message has no text."""
    if len(outbound.files) != 1 or not blank(outbound.text) or outbound.buttons:
        return False
    return outbound.files[0].kind == "voice" and outbound.files[0].media_type == "audio/ogg"


def filename(file: Attachment) -> str:
    """A label for people: no folders, no control characters, an ending that fits the content."""
    label = "".join(char for char in file.name if char.isprintable() and char not in '/\\"')[-100:]
    return label.strip(". ") or file.kind + _SUFFIXES.get(file.media_type, "")
