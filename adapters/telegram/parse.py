"""A Telegram update becomes an `Inbound`. Pure: no clock, no network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from adapters.telegram import utf16
from adapters.telegram.native import (
    Callback,
    Chat,
    Entity,
    File,
    Message,
    Reaction,
    Update,
    User,
)
from gateway.mentions import called
from gateway.message import (
    Account,
    Attachment,
    Inbound,
    InboundKind,
    Place,
    PlaceKind,
    Sender,
    happened,
)

FileKind = Literal["image", "voice", "audio", "video", "document"]

_ANONYMOUS_ADMIN = 1087968824
_CHANNEL_BOT = 136817688
"""Stand-ins that Telegram names as the author where a chat speaks: `sender_chat` says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Self:
    """Who we are on the platform, and what else we are called."""

    account: Account
    id: int
    username: str = ""
    patterns: tuple[str, ...] = ()

    def is_named(self, name: str) -> bool:
        return bool(self.username) and name.lower() == self.username.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """An event, and what has to be done before and after it is handed in."""

    event: Inbound
    files: tuple[File, ...] = ()
    """To be fetched, one for each of the event's attachments."""
    callback_id: str = ""
    """The button press to be confirmed once the event is in."""


def parse(update: Update, me: Self) -> Parsed | None:
    """None for what is no business of ours: channel posts, service messages, unknown kinds."""
    if update.message is not None:
        return _message(update.message, me, "")
    if update.edited_message is not None:
        return _message(update.edited_message, me, f"e{update.update_id}")
    if update.callback_query is not None:
        return _button(update.callback_query, me)
    if update.message_reaction is not None:
        return _reaction(update.message_reaction, me, update.update_id)
    return None


def _message(message: Message, me: Self, edit: str) -> Parsed | None:
    if message.chat.type == "channel" or message.is_automatic_forward:
        return None
    sender = _sender(message.sender, message.sender_chat)
    if sender is None:
        return None
    if message.new_chat_members:
        return _join(message, sender, me)
    text, entities = _text(message)
    found = _files(message)
    if not text and not found:
        return None
    place = _place(message)
    command, text = _without_own_name(text, entities, me)
    kind: InboundKind = "edit" if edit else "command" if command else "message"
    event = happened(
        me.account,
        place,
        sender,
        native=_identity(me, str(message.message_id)),
        native_id=str(message.message_id),
        event=edit or "m",
        kind=kind,
        text=text,
        attachments=tuple(attachment for attachment, _ in found),
        target=_identity(me, message.message_id) if edit else "",
        reply_to=_reply_to(message),
        quote=_quote(message),
        mentions=_mentions(message, me),
        addressed=command or _addressed(message, place, me),
        sent_at=float(message.edit_date or message.date if edit else message.date),
    )
    return Parsed(event=event, files=tuple(file for _, file in found))


def _join(message: Message, sender: Sender, me: Self) -> Parsed:
    members = message.new_chat_members
    event = happened(
        me.account,
        _place(message),
        sender,
        native=_identity(me, str(message.message_id)),
        native_id=str(message.message_id),
        event="j",
        kind="join",
        text=", ".join(member.name for member in members),
        mentions=tuple(str(member.id) for member in members),
        addressed=any(member.id == me.id for member in members),
        sent_at=float(message.date),
    )
    return Parsed(event=event)


def _button(press: Callback, me: Self) -> Parsed | None:
    if press.message is None or press.message.chat.type == "channel":
        return None
    sender = _sender(press.sender, None)
    assert sender is not None
    event = happened(
        me.account,
        _place(press.message),
        sender,
        native=_identity(me, press.id),
        native_id=press.id,
        event="b",
        kind="button",
        text=press.data or "",
        target=_identity(me, press.message.message_id),
        reply_to=str(press.message.message_id),
        addressed=True,
    )
    return Parsed(event=event, callback_id=press.id)


def _reaction(reaction: Reaction, me: Self, update_id: int) -> Parsed | None:
    sender = _sender(reaction.user, reaction.actor_chat)
    if sender is None or reaction.chat.type == "channel":
        return None
    place = Place(kind=_kind(reaction.chat), chat=str(reaction.chat.id))
    event = happened(
        me.account,
        place,
        sender,
        native=_identity(me, str(reaction.message_id)),
        native_id=str(reaction.message_id),
        event=f"r{update_id}",
        kind="reaction",
        text=" ".join(each.emoji for each in reaction.new_reaction if each.emoji),
        target=_identity(me, reaction.message_id),
        addressed=place.kind == "direct",
        sent_at=float(reaction.date),
    )
    return Parsed(event=event)


def _identity(me: Self, native: str | int) -> str:
    """The bot's id is part of it: another bot's token under the same account name counts its
    messages from elsewhere, and they must not be taken for known."""
    return f"{me.id}:{native}"


def _sender(user: User | None, chat: Chat | None) -> Sender | None:
    """Telegram vouches for its ids. Where a chat speaks (anonymous admins), nobody is named."""
    if chat is not None and (user is None or user.id in (_ANONYMOUS_ADMIN, _CHANNEL_BOT)):
        return Sender(id=str(chat.id), name=chat.title, grade="unverified")
    if user is None:
        return None
    return Sender(id=str(user.id), name=user.name, is_bot=user.is_bot, grade="verified")


def _kind(chat: Chat) -> PlaceKind:
    return "direct" if chat.type == "private" else "group"


def _place(message: Message) -> Place:
    chat = str(message.chat.id)
    # A thread id without the flag is a chain of replies, not a topic.
    thread = message.message_thread_id if message.is_topic_message else None
    if message.chat.type == "private":
        return Place(kind="direct", chat=chat, thread=str(thread or ""))
    if thread is not None:
        return Place(kind="thread", chat=chat, thread=str(thread))
    return Place(kind="group", chat=chat)


def _text(message: Message) -> tuple[str, tuple[Entity, ...]]:
    if message.text:
        return message.text, message.entities
    if message.caption:
        return message.caption, message.caption_entities
    return _in_words(message), ()


def _in_words(message: Message) -> str:
    """What people send besides text and files, as a line that can be answered."""
    if message.sticker is not None and message.sticker.emoji:
        return message.sticker.emoji
    if message.venue is not None:
        where = message.venue.location
        name = f"{message.venue.title}, {message.venue.address}".strip(", ")
        return f"Location: {name} ({where.latitude}, {where.longitude})"
    if message.location is not None and message.edit_date is None:
        return f"Location: {message.location.latitude}, {message.location.longitude}"
    if message.contact is not None:
        name = f"{message.contact.first_name} {message.contact.last_name}".strip()
        return f"Contact: {name}, {message.contact.phone_number}"
    if message.poll is not None:
        choices = "".join(f"\n- {option.text}" for option in message.poll.options)
        return f"Poll: {message.poll.question}{choices}"
    if message.dice is not None:
        return f"{message.dice.emoji} {message.dice.value}"
    return ""


def _files(message: Message) -> list[tuple[Attachment, File]]:
    found: list[tuple[Attachment, File]] = []
    if message.photo:
        found.append(_file("image", max(message.photo, key=lambda size: size.file_size or 0)))
    if message.voice is not None:
        found.append(_file("voice", message.voice))
    if message.audio is not None:
        found.append(_file("audio", message.audio))
    if message.animation is not None:
        found.append(_file("video", message.animation))
    elif message.document is not None:
        found.append(_file("document", message.document))
    if message.video is not None:
        found.append(_file("video", message.video))
    if message.video_note is not None:
        found.append(_file("video", message.video_note))
    if message.sticker is not None and not message.sticker.emoji:
        found.append(_file("image", message.sticker))
    return found


def _file(kind: FileKind, file: File) -> tuple[Attachment, File]:
    attachment = Attachment(
        kind=kind,
        name=file.file_name or file.title or "",
        size=file.file_size or 0,
        duration=float(file.duration or 0),
    )
    return attachment, file


def _without_own_name(text: str, entities: Sequence[Entity], me: Self) -> tuple[bool, str]:
    """Whether it is a command to us, and the text without our name at its beginning."""
    first = next((each for each in entities if each.offset == 0), None)
    if first is None:
        return False, text
    head = utf16.cut(text, 0, first.length)
    rest = text[len(head) :]
    if first.type == "bot_command":
        name, _, to = head.partition("@")
        if to and not me.is_named(to):
            return False, text
        return True, name + rest
    if first.type == "mention" and me.is_named(head.lstrip("@")) and rest.strip():
        return False, rest.lstrip(" ,:")
    return False, text


def _mentions(message: Message, me: Self) -> tuple[str, ...]:
    """Native ids where Telegram gives them, ours too; names with @ for everybody else."""
    text, entities = _text(message)
    found: dict[str, None] = {}
    for entity in entities:
        if entity.type == "text_mention" and entity.user is not None:
            found[str(entity.user.id)] = None
        elif entity.type == "mention":
            name = utf16.cut(text, entity.offset, entity.length)
            found[str(me.id) if me.is_named(name.lstrip("@")) else name] = None
    return tuple(found)


def _addressed(message: Message, place: Place, me: Self) -> bool:
    if place.kind == "direct" or str(me.id) in _mentions(message, me):
        return True
    answered = message.reply_to_message
    author = answered.sender if answered is not None and _reply_to(message) else None
    if author is not None and author.id == me.id:
        return True
    return called(message.text or message.caption or "", me.patterns)


def _reply_to(message: Message) -> str:
    answered = message.reply_to_message
    if answered is None or answered.forum_topic_created is not None:
        return ""  # in a topic every plain message "answers" the topic's opening
    return str(answered.message_id)


def _quote(message: Message) -> str:
    if message.quote is not None and message.quote.text:
        return message.quote.text
    if message.reply_to_message is None or not _reply_to(message):
        return ""
    return _text(message.reply_to_message)[0]
