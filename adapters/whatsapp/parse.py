"""A WhatsApp message becomes an `Inbound`. Pure: no clock, no network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from adapters.whatsapp.native import Contact, Edited, Location, Media, Message
from gateway.message import (
    Account,
    Attachment,
    Inbound,
    InboundKind,
    Place,
    Sender,
    conversation_id,
    inbound_id,
)

MediaKind = Literal["image", "voice", "audio", "video", "document"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    event: Inbound
    media: tuple[str, ...] = ()
    """Ids of the event's attachments, to be fetched."""


def parse(
    message: Message, contacts: tuple[Contact, ...], account: Account, number: str
) -> Parsed | None:
    """None for what is no business of ours: groups, system messages, unknown kinds. `number` is
    the id of our own: another one under the same account counts from elsewhere."""
    who = message.from_ or message.from_user_id
    if not who or message.group_id:
        return None
    kind, text, target = _said(message)
    media = _media(message)
    if not text and not media and kind not in ("reaction", "delete"):
        return None
    place = Place(kind="direct", chat=who)
    sender = Sender(id=who, name=_name(who, contacts), grade="verified")
    event = Inbound(
        id=inbound_id(account, who, f"{number}:{message.id}", "m" if kind == "message" else kind),
        conversation=conversation_id(account, place, sender),
        account=account,
        place=place,
        sender=sender,
        kind=kind,
        text=text,
        attachments=tuple(attachment for attachment, _ in media),
        native_id=message.id,
        target=f"{number}:{target}" if target else "",
        reply_to=message.context.id if message.context else "",
        sent_at=float(message.timestamp) if message.timestamp.isdecimal() else 0.0,
    )
    return Parsed(event=event, media=tuple(id for _, id in media))


def _name(who: str, contacts: tuple[Contact, ...]) -> str:
    return next((one.profile.name for one in contacts if who in (one.wa_id, one.user_id)), "")


def _said(message: Message) -> tuple[InboundKind, str, str]:
    """Kind, text, and the message it is about."""
    answered = message.context.id if message.context else ""
    match message.type:
        case "text" if message.text:
            return "message", message.text.body, ""
        case "interactive" if message.interactive:
            chosen = message.interactive.button_reply or message.interactive.list_reply
            return "button", (chosen.id or chosen.title) if chosen else "", answered
        case "button" if message.button:
            return "button", message.button.payload or message.button.text, answered
        case "reaction" if message.reaction:
            return "reaction", message.reaction.emoji, message.reaction.message_id
        case "edit" if message.edit:
            return "edit", _edited(message.edit.message), message.edit.original_message_id
        case "revoke" if message.revoke:
            return "delete", "", message.revoke.original_message_id
        case "location" if message.location:
            return "message", _place(message.location), ""
        case "contacts":
            return "message", _cards(message), ""
        case "sticker" if message.sticker:
            return "message", "[sticker]", ""
        case "image" | "video" | "document":
            media = getattr(message, message.type)
            return "message", media.caption if media else "", ""
    return "message", "", ""


def _edited(message: Edited) -> str:
    if message.text:
        return message.text.body
    media = message.image or message.video or message.document
    return media.caption if media else ""


def _place(where: Location) -> str:
    name = ", ".join(each for each in (where.name, where.address) if each)
    spot = f"{where.latitude}, {where.longitude}"
    return f"Location: {name} ({spot})" if name else f"Location: {spot}"


def _cards(message: Message) -> str:
    lines = []
    for card in message.contacts:
        phones = ", ".join(each.phone for each in card.phones)
        lines.append(f"Contact: {card.name.formatted_name}, {phones}".strip(", "))
    return "\n".join(lines)


def _media(message: Message) -> list[tuple[Attachment, str]]:
    kinds: tuple[tuple[MediaKind, Media | None], ...] = (
        ("image", message.image),
        ("voice" if message.audio and message.audio.voice else "audio", message.audio),
        ("video", message.video),
        ("document", message.document),
        ("image", message.sticker),
    )
    return [
        (Attachment(kind=kind, name=media.filename), media.id)
        for kind, media in kinds
        if media is not None and media.id
    ]
