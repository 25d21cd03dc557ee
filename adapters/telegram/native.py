"""The part of Telegram's update objects that we read.

Own types and not the library's: a batch that holds one object newer than the library must not
keep the others from being read, and a wrong shape is one exception here, `Unreadable`.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Unreadable(Exception):
    """Not an update, or not one of a shape we know."""


class User(msgspec.Struct, frozen=True):
    id: int
    is_bot: bool = False
    first_name: str = ""
    last_name: str = ""
    username: str = ""
    can_join_groups: bool = True
    can_read_all_group_messages: bool = False

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip() or self.username or str(self.id)


class Chat(msgspec.Struct, frozen=True):
    id: int
    type: str
    title: str = ""


class Entity(msgspec.Struct, frozen=True):
    type: str
    offset: int
    length: int
    user: User | None = None


class File(msgspec.Struct, frozen=True):
    """Whatever can be fetched: a photo size, voice, audio, video, document, sticker."""

    file_id: str
    file_size: int | None = None
    file_name: str | None = None
    title: str | None = None
    mime_type: str | None = None
    duration: int | None = None
    emoji: str | None = None


class Quote(msgspec.Struct, frozen=True):
    text: str = ""


class Location(msgspec.Struct, frozen=True):
    latitude: float
    longitude: float


class Venue(msgspec.Struct, frozen=True):
    location: Location
    title: str = ""
    address: str = ""


class Contact(msgspec.Struct, frozen=True):
    phone_number: str
    first_name: str = ""
    last_name: str = ""


class PollOption(msgspec.Struct, frozen=True):
    text: str = ""


class Poll(msgspec.Struct, frozen=True):
    question: str = ""
    options: tuple[PollOption, ...] = ()


class Dice(msgspec.Struct, frozen=True):
    emoji: str = ""
    value: int = 0


class Message(msgspec.Struct, frozen=True, rename={"sender": "from"}):
    message_id: int
    chat: Chat
    date: int = 0
    sender: User | None = None
    sender_chat: Chat | None = None
    message_thread_id: int | None = None
    is_topic_message: bool = False
    is_automatic_forward: bool = False
    edit_date: int | None = None
    media_group_id: str | None = None
    text: str | None = None
    entities: tuple[Entity, ...] = ()
    caption: str | None = None
    caption_entities: tuple[Entity, ...] = ()
    reply_to_message: Message | None = None
    quote: Quote | None = None
    photo: tuple[File, ...] = ()
    voice: File | None = None
    audio: File | None = None
    document: File | None = None
    video: File | None = None
    video_note: File | None = None
    animation: File | None = None
    sticker: File | None = None
    location: Location | None = None
    venue: Venue | None = None
    contact: Contact | None = None
    poll: Poll | None = None
    dice: Dice | None = None
    new_chat_members: tuple[User, ...] = ()
    forum_topic_created: dict[str, Any] | None = None


class Callback(msgspec.Struct, frozen=True, rename={"sender": "from"}):
    id: str
    sender: User
    data: str | None = None
    message: Message | None = None


class Emoji(msgspec.Struct, frozen=True):
    type: str
    emoji: str = ""


class Reaction(msgspec.Struct, frozen=True):
    chat: Chat
    message_id: int
    date: int = 0
    user: User | None = None
    actor_chat: Chat | None = None
    new_reaction: tuple[Emoji, ...] = ()


class Update(msgspec.Struct, frozen=True):
    update_id: int
    message: Message | None = None
    edited_message: Message | None = None
    callback_query: Callback | None = None
    message_reaction: Reaction | None = None

    @property
    def lane(self) -> str:
        """Updates of one lane are taken in one after the other: the chat's id."""
        about = (
            self.message
            or self.edited_message
            or self.message_reaction
            or (self.callback_query and self.callback_query.message)
        )
        return str(about.chat.id) if about else f"update {self.update_id}"


ALLOWED_UPDATES = ("message", "edited_message", "callback_query", "message_reaction")
"""What we ask Telegram for: exactly what `parse` reads."""


def read(raw: object) -> Update:
    """The typed update of decoded JSON."""
    try:
        return msgspec.convert(raw, Update)
    except (msgspec.ValidationError, RecursionError) as problem:
        raise Unreadable(str(problem)) from problem


def decode(body: bytes) -> object:
    """JSON of a webhook request."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise Unreadable(str(problem)) from problem


def update_id(raw: object) -> int | None:
    """The id of an update that may be unreadable otherwise."""
    if isinstance(raw, dict) and type(raw.get("update_id")) is int:
        number: int = raw["update_id"]
        return number
    return None
