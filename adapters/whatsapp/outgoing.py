"""One part of a reply becomes one message of the Cloud API. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from adapters.whatsapp.capabilities import (
    DOCUMENT_LIMIT,
    IMAGE_LIMIT,
    MEDIA_LIMIT,
)
from adapters.whatsapp.render import NOTHING, fits_buttons, rendered, split
from gateway.errors import Failed
from gateway.markup import blank, clean
from gateway.message import Attachment, Outbound

Kind = Literal["image", "audio", "video", "document"]

_IMAGES = ("image/jpeg", "image/png")
_AUDIOS = ("audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg")
_VIDEOS = ("video/mp4", "video/3gpp")
_SUFFIXES = {
    "image/jpeg": ".jpg", "image/png": ".png", "audio/ogg": ".ogg", "audio/mpeg": ".mp3",
    "audio/mp4": ".m4a", "video/mp4": ".mp4", "application/pdf": ".pdf", "text/plain": ".txt",
}  # fmt: skip


def recipient(chat: str) -> dict[str, str]:
    """A number, or the business-scoped id of somebody whose number is not shown."""
    return {"recipient_type": "individual", ("to" if chat.isdecimal() else "recipient"): chat}


def message(outbound: Outbound, media: str = "") -> dict[str, Any]:
    """`media` is the id of the uploaded file. The key comes back in every status of the message."""
    common: dict[str, Any] = {
        **recipient(outbound.place.chat),
        "biz_opaque_callback_data": outbound.key,
    }
    if outbound.reply_to.startswith("wamid."):
        common["context"] = {"message_id": outbound.reply_to}
    if outbound.files:
        return {**common, **_file(outbound, media)}
    if outbound.buttons and fits_buttons(outbound):
        return {**common, "type": "interactive", "interactive": _interactive(outbound)}
    if outbound.buttons:
        outbound = split(outbound)[0]
    return {**common, "type": "text", "text": {"preview_url": False, "body": _body(outbound.text)}}


def reaction(chat: str, native_id: str, emoji: str) -> dict[str, Any]:
    told = {"message_id": native_id, "emoji": emoji}
    return {**recipient(chat), "type": "reaction", "reaction": told}


def read(native_id: str) -> dict[str, Any]:
    """A read mark, with typing for 25 seconds or until there is an answer."""
    return {"status": "read", "message_id": native_id, "typing_indicator": {"type": "text"}}


def template(chat: str, name: str, language: str) -> dict[str, Any]:
    told = {"name": name, "language": {"code": language}}
    return {**recipient(chat), "type": "template", "template": told}


def kind_of(file: Attachment) -> Kind:
    """How WhatsApp is to show a file: as its content allows, a document otherwise."""
    if file.media_type in _IMAGES and file.size <= IMAGE_LIMIT:
        return "image"
    if file.media_type in _AUDIOS and file.size <= MEDIA_LIMIT:
        return "audio"
    if file.media_type in _VIDEOS and file.size <= MEDIA_LIMIT:
        return "video"
    return "document"


def check_file(outbound: Outbound, size: int | None) -> Attachment:
    """The one file, when it can be sent. Raises `Failed`."""
    if len(outbound.files) != 1:
        raise Failed("one file per message on WhatsApp: split the reply first")
    file = outbound.files[0]
    if not file.digest or size is None:
        raise Failed(f"there are no bytes to send ({file.problem or 'no such file'})")
    if size > DOCUMENT_LIMIT:
        raise Failed(f"a file of {size} bytes is too large for WhatsApp")
    if not size:
        raise Failed("an empty file cannot be sent on WhatsApp")
    return file


def filename(file: Attachment) -> str:
    """A label for people: no folders, no control characters, an ending that fits the content."""
    label = "".join(char for char in file.name if char.isprintable() and char not in '/\\"')[-100:]
    return label.strip(". ") or file.kind + _SUFFIXES.get(file.media_type, "")


def _file(outbound: Outbound, media: str) -> dict[str, Any]:
    file = outbound.files[0]
    kind = kind_of(file)
    told: dict[str, Any] = {"id": media}
    if outbound.text and kind != "audio" and not blank(outbound.text):
        told["caption"] = _body(outbound.text)
    if kind == "document":
        told["filename"] = filename(file)
    if kind == "audio" and file.kind == "voice" and file.media_type == "audio/ogg":
        told["voice"] = True
    return {"type": kind, kind: told}


def _interactive(outbound: Outbound) -> Mapping[str, Any]:
    buttons = [
        {
            "type": "reply",
            "reply": {
                "id": button.data or clean(button.label).strip(),
                "title": clean(button.label).strip(),
            },
        }
        for row in outbound.buttons
        for button in row
    ]
    return {
        "type": "button",
        "body": {"text": _body(outbound.text)},
        "action": {"buttons": buttons},
    }


def _body(markdown: str) -> str:
    found = rendered(markdown)
    return NOTHING if blank(found.text) else found.markup
