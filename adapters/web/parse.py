"""What a person or a program sent → `Inbound`. Pure: no clock, no network."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Literal

import msgspec

from adapters.web.events import UserMessage, file
from gateway.marks import thinned
from gateway.message import (
    Account,
    Attachment,
    ConversationId,
    Inbound,
    InboundKind,
    Place,
    Sender,
    conversation_id,
    inbound_id,
)

_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_COMMAND = re.compile(r"/[a-z][a-z_]*(?:\s|$)")


def clean(text: str) -> str:
    """NFC, line ends as ``\\n``, no control characters besides it and the tabulator."""
    text = _CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return thinned(unicodedata.normalize("NFC", thinned(text))).strip("\n")


def place(principal: str, name: str) -> Place:
    return Place(kind="direct", chat=f"{principal}.{name}")


def conversation(account: Account, principal: str, name: str) -> ConversationId:
    """Whose it is stands in the key, so that no name reaches another principal's conversation."""
    return conversation_id(account, place(principal, name), Sender(id=principal))


def prefix(account: Account, principal: str) -> str:
    """Begins the ids of all conversations of a principal. Principals contain no dot."""
    whole = conversation(account, principal, "")
    return whole[: whole.rindex("/u=")]


def name_of(found: ConversationId, account: Account, principal: str) -> str | None:
    """The name a principal knows a conversation by; None when it is not the principal's."""
    begin, end = prefix(account, principal), f"/u={principal}"
    if not found.startswith(begin) or not found.endswith(end):
        return None
    return found[len(begin) : -len(end)]


def parse(
    account: Account,
    *,
    principal: str,
    name: str,
    id: str,
    text: str,
    attachments: Sequence[Attachment] = (),
    kind: Literal["message", "button"] = "message",
    at: float = 0.0,
) -> Inbound:
    where, sender = place(principal, name), _sender(principal)
    text = clean(text)
    return Inbound(
        id=inbound_id(account, where.chat, id),
        conversation=conversation_id(account, where, sender),
        account=account,
        place=where,
        sender=sender,
        kind=_kind(text, kind),
        text=text,
        attachments=tuple(attachments),
        native_id=id,
        sent_at=at,
        received_at=at,
    )


def entry(inbound: Inbound) -> bytes:
    """The message as it stands in the conversation's log."""
    return msgspec.json.encode(
        UserMessage(
            type="message",
            id=inbound.native_id,
            text=inbound.text,
            attachments=tuple(file(each) for each in inbound.attachments),
            kind=inbound.kind,
        )
    )


def _kind(text: str, kind: Literal["message", "button"]) -> InboundKind:
    if kind == "message" and _COMMAND.match(text):
        return "command"
    return kind


def _sender(principal: str) -> Sender:
    """The server authenticated it; there is no better identity."""
    return Sender(id=principal, name=principal, grade="verified")
