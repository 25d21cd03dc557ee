"""One part of a reply becomes one call of the Bot API. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from adapters.telegram.capabilities import CALLBACK_LIMIT
from adapters.telegram.render import blank, plain, render
from gateway.errors import Failed
from gateway.message import Attachment, Button, Outbound, Place

NOTHING = "(empty message)"
"""Shown for a text in which there is nothing to see: Telegram takes no empty messages."""

Field = Literal["photo", "voice", "audio", "video", "document"]
_PHOTOS = ("image/jpeg", "image/png", "image/webp")
_PHOTO_LIMIT = 10 * 2**20
_VOICES = ("audio/ogg", "audio/mpeg", "audio/mp4")
_AUDIOS = ("audio/mpeg", "audio/mp4")
_SUFFIXES = {
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/webp": ".webp",
    "audio/ogg": ".ogg",
    "audio/mpeg": ".mp3",
    "audio/mp4": ".m4a",
    "video/mp4": ".mp4",
    "application/pdf": ".pdf",
    "text/plain": ".txt",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A method, its parameters, and the file that goes along."""

    method: str
    data: Mapping[str, Any]
    plain: Mapping[str, Any]
    """Parameters to try when Telegram cannot read the markup."""
    field: Field | None = None
    file: Attachment | None = None
    filename: str = ""


def sending(outbound: Outbound) -> Call:
    """Raises `Failed` for what can never be sent."""
    _check_one_message(outbound)
    common = {
        **where(outbound.place),
        "reply_parameters": _answers(outbound),
        "reply_markup": keyboard(outbound),
    }
    if not outbound.files:
        formatted, unformatted = _text(outbound.text, "text")
        preview = {"link_preview_options": {"is_disabled": True}}
        return Call(
            method="sendMessage",
            data={**common, **preview, **formatted},
            plain={**common, **preview, **unformatted},
        )
    file = outbound.files[0]
    field = kind_of(file)
    formatted, unformatted = _text(outbound.text, "caption") if outbound.text else ({}, {})
    return Call(
        method=f"send{field.capitalize()}",
        data={**common, **formatted},
        plain={**common, **unformatted},
        field=field,
        file=file,
        filename=_filename(file),
    )


def editing(outbound: Outbound, native_id: str) -> Call:
    """Raises `Failed` for what can never be shown."""
    _check_one_message(outbound)
    common = {
        "chat_id": outbound.place.chat,
        "message_id": _message_id(native_id),
        "reply_markup": keyboard(outbound),
    }
    if not outbound.files:
        formatted, unformatted = _text(outbound.text, "text")
        preview = {"link_preview_options": {"is_disabled": True}}
        return Call(
            method="editMessageText",
            data={**common, **preview, **formatted},
            plain={**common, **preview, **unformatted},
        )
    file = outbound.files[0]
    field = kind_of(file)
    if field == "voice":
        raise Failed("gone: a text cannot become a voice message by an edit")
    formatted, unformatted = _text(outbound.text, "caption") if outbound.text else ({}, {})
    return Call(
        method="editMessageMedia",
        data={**common, "media": {"type": field, **formatted}},
        plain={**common, "media": {"type": field, **unformatted}},
        field=field,
        file=file,
        filename=_filename(file),
    )


def where(place: Place) -> dict[str, Any]:
    thread = int(place.thread) if place.thread.isdecimal() else None
    return {"chat_id": place.chat, "message_thread_id": thread}


def kind_of(file: Attachment) -> Field:
    """How Telegram is to show a file: as its content allows, a document otherwise."""
    if file.media_type in _PHOTOS and file.size <= _PHOTO_LIMIT:
        return "photo"
    if file.kind == "voice" and file.media_type in _VOICES:
        return "voice"
    if file.media_type in _AUDIOS and file.kind in ("audio", "voice"):
        return "audio"
    if file.media_type == "video/mp4":
        return "video"
    return "document"


def keyboard(outbound: Outbound) -> dict[str, Any] | None:
    if not outbound.buttons:
        return None
    return {"inline_keyboard": [[_button(each) for each in row] for row in outbound.buttons]}


def _button(button: Button) -> dict[str, str]:
    label = button.label if not blank(button.label) else "…"
    if button.url:
        return {"text": label, "url": button.url}
    if not 1 <= len(button.data.encode()) <= CALLBACK_LIMIT:
        raise Failed(f"a button's data is 1 to {CALLBACK_LIMIT} bytes on Telegram")
    return {"text": label, "callback_data": button.data}


def _text(markdown: str, name: Literal["text", "caption"]) -> tuple[dict[str, str], dict[str, str]]:
    rendered = render(markdown)
    if blank(rendered.text):
        return {name: NOTHING}, {name: NOTHING}
    return {name: rendered.html, "parse_mode": "HTML"}, {name: plain(markdown)}


def _answers(outbound: Outbound) -> dict[str, Any] | None:
    if not outbound.reply_to.isdecimal():
        return None
    return {"message_id": int(outbound.reply_to), "allow_sending_without_reply": True}


def _message_id(native_id: str) -> int:
    if not native_id.isdecimal():
        raise Failed(f"gone: {native_id!r} is no message id")
    return int(native_id)


def _check_one_message(outbound: Outbound) -> None:
    if len(outbound.files) > 1:
        raise Failed("one file per message on Telegram: split the reply first")
    if outbound.files and not outbound.files[0].digest:
        raise Failed(f"there are no bytes to send ({outbound.files[0].problem or 'no digest'})")


def _filename(file: Attachment) -> str:
    """A label for people: no folders, no control characters, an ending that fits the content."""
    label = "".join(char for char in file.name if char.isprintable() and char not in '/\\"')[-100:]
    return label.strip(". ") or file.kind + _SUFFIXES.get(file.media_type, "")
