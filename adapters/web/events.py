"""What stands in a conversation's log, as the page and programs read it."""

from __future__ import annotations

from typing import Literal

import msgspec

from gateway.message import Attachment, OutboundKind


class File(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    digest: str
    kind: str
    media_type: str
    name: str = ""
    size: int = 0
    duration: float = 0.0
    problem: str = ""


class ButtonView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    label: str
    data: str = ""
    url: str = ""


class UserMessage(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="role", tag="user"
):
    type: Literal["message"]
    id: str
    text: str
    attachments: tuple[File, ...] = ()
    kind: str = "message"


class ReplyPart(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="role", tag="assistant"
):
    type: Literal["message"]
    reply: str
    part: int = 0
    parts: int = 1
    kind: OutboundKind = "answer"
    text: str = ""
    files: tuple[File, ...] = ()
    buttons: tuple[tuple[ButtonView, ...], ...] = ()
    reply_to: str = ""


def file(attachment: Attachment) -> File:
    return File(
        digest=attachment.digest,
        kind=attachment.kind,
        media_type=attachment.media_type,
        name=attachment.name,
        size=attachment.size,
        duration=attachment.duration,
        problem=attachment.problem,
    )
