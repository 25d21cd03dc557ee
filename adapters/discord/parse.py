"""Discord's objects become an `Inbound`. Pure: no clock, no network."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from adapters.discord.native import (
    VOICE_MESSAGE,
    Channel,
    File,
    Interaction,
    Member,
    Message,
    Reaction,
    User,
    moment,
)
from gateway.mentions import called
from gateway.message import (
    Account,
    Attachment,
    Inbound,
    Place,
    Sender,
    happened,
)

_WRITTEN = frozenset({0, 19})
"""Types of messages that people write: plain ones and replies."""
_JOINED = 7
_REPLY, _FORWARD = 0, 1
_USER = re.compile(r"<@!?(\d{5,20})>")
_EMOJI = re.compile(r"<a?:(\w{2,32}):\d{5,20}>")
_POLL_OPTIONS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Self:
    """Who we are on the platform, and what else we are called."""

    account: Account
    id: str
    patterns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """An event, and the files to be fetched, one for each of its attachments."""

    event: Inbound
    files: tuple[File, ...] = ()


def place_of(channel: str, *, guild: str | None, known: Channel | None) -> Place:
    """`known`: the channel's own description, needed where there is a guild."""
    if guild is None:
        return Place(kind="direct", chat=channel)
    if known is not None and known.is_thread and known.parent_id:
        return Place(kind="thread", chat=known.parent_id, thread=channel)
    return Place(kind="group", chat=channel)


def message(message: Message, place: Place, me: Self, *, edited: bool = False) -> Parsed | None:
    """None for what is no business of ours: our own messages, service messages, link previews."""
    if message.author.id == me.id:
        return None
    sender = sender_of(message)
    if message.type == _JOINED and not edited:
        return Parsed(event=_joined(message, place, sender, me))
    if message.type not in _WRITTEN or (edited and not message.edited_timestamp):
        return None
    files = _files(message)
    text = _text(message, me)
    if not text and not files:
        return None
    event = happened(
        me.account,
        place,
        sender,
        native=message.id,
        event=f"e{message.edited_timestamp}" if edited else "m",
        kind="edit" if edited else "message",
        text=text,
        native_id=message.id,
        attachments=tuple(_attachment(each, message.flags) for each in files),
        target=message.id if edited else "",
        reply_to=_reply_to(message),
        quote=_quote(message, me),
        mentions=tuple(user.id for user in message.mentions),
        addressed=_addressed(message, place, me),
        headers={AFTER: message.id},
        sent_at=_time(message.edited_timestamp) if edited else moment(message.id),
    )
    return Parsed(event=event, files=files)


AFTER = "discord-after"
"""Header: an answer stands behind this message."""


def removed(message_id: str, place: Place, sender: Sender, me: Self) -> Inbound:
    return happened(
        me.account,
        place,
        sender,
        native=message_id,
        event="d",
        kind="delete",
        native_id=message_id,
        target=message_id,
        addressed=place.kind == "direct",
    )


def reaction(reaction: Reaction, place: Place, me: Self) -> Inbound | None:
    if reaction.user_id == me.id:
        return None
    user = reaction.member.user if reaction.member is not None else None
    sender = _person(user or User(id=reaction.user_id), reaction.member)
    emoji = reaction.emoji
    name = f":{emoji.name}:" if emoji.id else emoji.name or ""
    return happened(
        me.account,
        place,
        sender,
        native=reaction.message_id,
        event=f"r{sender.id}:{emoji.id or emoji.name}",
        kind="reaction",
        text=name,
        native_id=reaction.message_id,
        target=reaction.message_id,
        addressed=place.kind == "direct" or reaction.message_author_id == me.id,
        headers={AFTER: reaction.message_id},
    )


def command(given: Interaction, place: Place, me: Self, answer: str, more: Headers) -> Inbound:
    """A slash command; `answer` is the id of the message that announces its answer."""
    assert given.data is not None
    assert given.who is not None
    words = " ".join(str(each.value) for each in given.data.options if each.value is not None)
    return happened(
        me.account,
        place,
        _person(given.who, given.member),
        native=given.id,
        event="c",
        kind="command",
        text=f"/{given.data.name} {words}".strip(),
        native_id=answer,
        addressed=True,
        headers={AFTER: given.id, **more},
        sent_at=moment(given.id),
    )


def button(given: Interaction, place: Place, me: Self) -> Inbound:
    """A pressed button; it is answered where it stands."""
    assert given.data is not None
    assert given.who is not None
    under = given.message.id if given.message is not None else ""
    return happened(
        me.account,
        place,
        _person(given.who, given.member),
        native=given.id,
        event="b",
        kind="button",
        text=given.data.custom_id or " ".join(given.data.values),
        native_id=under,
        target=under,
        reply_to=under,
        addressed=True,
        headers={AFTER: given.id},
        sent_at=moment(given.id),
    )


Headers = Mapping[str, str]


def sender_of(message: Message) -> Sender:
    """Discord vouches for its people. A webhook gives itself any name, and counts as a bot."""
    if message.webhook_id is not None:
        name = message.author.username
        return Sender(id=message.webhook_id, name=name, is_bot=True, grade="unverified")
    return _person(message.author, message.member)


def _person(user: User, member: Member | None) -> Sender:
    name = member.nick if member is not None and member.nick else user.name
    return Sender(id=user.id, name=name, is_bot=user.bot, grade="verified")


def _joined(message: Message, place: Place, sender: Sender, me: Self) -> Inbound:
    return happened(
        me.account,
        place,
        sender,
        native=message.id,
        event="j",
        kind="join",
        text=sender.name,
        native_id=message.id,
        mentions=(sender.id,),
        addressed=False,
        sent_at=moment(message.id),
    )


def _text(message: Message, me: Self) -> str:
    text = message.content or _in_words(message)
    start = re.compile(rf"\s*<@!?{re.escape(me.id)}>[\s,:]*")
    found = start.match(text)
    if found is not None and text[found.end() :].strip():
        text = text[found.end() :]
    names = {user.id: user.name for user in message.mentions}
    text = _USER.sub(lambda at: f"@{names.get(at[1], at[1])}", text)
    return _EMOJI.sub(r":\1:", text)


def _in_words(message: Message) -> str:
    """What people send besides text and files, as a line that can be answered."""
    if message.message_snapshots:
        return message.message_snapshots[0].message.content
    if message.sticker_items:
        return " ".join(f"[sticker: {each.name}]" for each in message.sticker_items)
    if message.poll is not None:
        answers = message.poll.answers[:_POLL_OPTIONS]
        choices = "".join(f"\n- {each.poll_media.text or ''}" for each in answers)
        return f"Poll: {message.poll.question.text or ''}{choices}"
    return ""


def _files(message: Message) -> tuple[File, ...]:
    forwarded = (each for shot in message.message_snapshots for each in shot.message.attachments)
    return (*message.attachments, *forwarded)


FileKind = Literal["image", "voice", "audio", "video", "document"]


def _attachment(file: File, flags: int) -> Attachment:
    return Attachment(
        kind=_kind(file, flags),
        name=file.filename,
        size=max(0, file.size),
        duration=max(0.0, file.duration_secs or 0.0),
    )


def _kind(file: File, flags: int) -> FileKind:
    claimed = (file.content_type or "").partition("/")[0]
    if claimed == "audio":
        return "voice" if flags & VOICE_MESSAGE else "audio"
    if claimed == "image":
        return "image"
    return "video" if claimed == "video" else "document"


def _addressed(message: Message, place: Place, me: Self) -> bool:
    if place.kind == "direct" or any(user.id == me.id for user in message.mentions):
        return True
    answered = message.referenced_message
    if answered is not None and answered.author.id == me.id:
        return True
    return called(message.content, me.patterns)


def _reply_to(message: Message) -> str:
    at = message.message_reference
    return at.message_id or "" if at is not None and at.type == _REPLY else ""


def _quote(message: Message, me: Self) -> str:
    answered = message.referenced_message
    if answered is None or not _reply_to(message):
        return ""
    return _text(answered, me)


def _time(iso: str | None) -> float:
    try:
        return datetime.fromisoformat(iso or "").timestamp()
    except ValueError:
        return 0.0
