"""What an event may carry: cleaned text, and limits on how much."""

from __future__ import annotations

import re
import unicodedata

import msgspec

from gateway.access.config import AccessConfig
from gateway.errors import Refused
from gateway.marks import thinned
from gateway.message import Attachment, Inbound, Sender

_SURROGATE = re.compile(r"[\ud800-\udfff]")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_NAME = 128
_QUOTE = 4_000
_MENTIONS = 100
_HEADERS = 64
_HEADER = 8_192


def clean(text: str) -> str:
    """NFC, line feeds only, no control characters, nothing that cannot be written as UTF-8."""
    if text.isascii() and text.isprintable():
        return text
    if _SURROGATE.search(text):
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return thinned(unicodedata.normalize("NFC", thinned(_CONTROL.sub("", text))))


def label(text: str, limit: int = _NAME) -> str:
    """A name on one line, cut to size."""
    return " ".join(clean(text[: 2 * limit]).split())[:limit]


def well_formed(event: Inbound) -> bool:
    """Whether every id can be stored and compared: valid Unicode on one line, of sane length."""
    ours = (event.id, event.conversation)
    native = (event.sender.id, event.place.chat, event.place.thread)
    messages = (event.native_id, event.target, event.reply_to)
    return all(_fit(one, 8192) for one in ours) and all(
        _fit(one, 1024) for one in (*native, *messages)
    )


def _fit(native: str, limit: int) -> bool:
    return len(native) <= limit and not _UNFIT.search(native)


def check(event: Inbound, config: AccessConfig) -> None:
    """Raises `Refused` with words for the sender when the event carries too much."""
    texts = config.texts
    if len(event.text) > config.max_text:
        words = fill(texts.too_long, length=len(event.text), limit=config.max_text)
        raise Refused(words, reason="too_long")
    if len(event.attachments) > config.max_files:
        words = fill(texts.too_many_files, count=len(event.attachments), limit=config.max_files)
        raise Refused(words, reason="too_many_files")
    for file in event.attachments:
        if file.size > config.max_file and not file.problem:
            limit = f"{config.max_file / 2**20:g}"
            words = fill(texts.file_too_large, name=label(file.name) or file.kind, limit=limit)
            raise Refused(words, reason="file_too_large")


def cleaned(event: Inbound) -> Inbound:
    """The event with every text that people can choose made harmless to store and to show."""
    return msgspec.structs.replace(
        event,
        text=clean(event.text),
        quote=clean(event.quote[:_QUOTE]),
        sender=_sender(event.sender),
        attachments=tuple(_attachment(one) for one in event.attachments),
        mentions=tuple(label(one) for one in event.mentions[:_MENTIONS]),
        headers={
            label(name): label(value, _HEADER)
            for name, value in list(event.headers.items())[:_HEADERS]
        },
    )


def _sender(sender: Sender) -> Sender:
    name = label(sender.name)
    return sender if name == sender.name else msgspec.structs.replace(sender, name=name)


def _attachment(one: Attachment) -> Attachment:
    return msgspec.structs.replace(
        one,
        name=label(one.name, 255),
        media_type=label(one.media_type),
        text=clean(one.text),
        problem=label(one.problem, 500),
    )


def fill(template: str, **values: object) -> str:
    """Replaces ``{name}`` by its value; anything else in braces stays as it is."""
    for name, value in values.items():
        template = template.replace("{" + name + "}", str(value))
    return template
