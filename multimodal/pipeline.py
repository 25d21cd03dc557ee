"""Station 5: attachments to text, before the model is asked."""

from __future__ import annotations

import msgspec

from gateway.message import Attachment, Inbound

_WORDS = {
    "image": "this gateway has no reader for pictures",
    "voice": "this gateway has no reader for voice messages",
    "audio": "this gateway has no reader for sound",
    "video": "this gateway has no reader for video",
    "document": "this gateway has no reader for documents",
}


class NoReaders:
    """Where no readers are installed: user and model both see what could not be read, and why."""

    async def enrich(self, inbound: Inbound) -> Inbound:
        if not inbound.attachments:
            return inbound
        marked = tuple(map(_marked, inbound.attachments))
        return msgspec.structs.replace(inbound, attachments=marked)


def _marked(attachment: Attachment) -> Attachment:
    if attachment.text or attachment.problem:
        return attachment
    return msgspec.structs.replace(attachment, problem=_WORDS[attachment.kind])
