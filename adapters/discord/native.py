"""The part of Discord's objects that we read.

Own types and not the library's: an object that is newer than the library must not keep others from
being read, and a wrong shape is one exception here, `Unreadable`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec

THREADS = frozenset({10, 11, 12})
"""Channel types that are threads."""
VOICE_MESSAGE = 1 << 13
"""Flag of a message that is a recording."""
_EPOCH = 1_420_070_400.0


class Unreadable(Exception):
    """Not an object of a shape we know."""


class User(msgspec.Struct, frozen=True):
    id: str
    username: str = ""
    global_name: str | None = None
    bot: bool = False

    @property
    def name(self) -> str:
        return self.global_name or self.username or self.id


class Member(msgspec.Struct, frozen=True):
    nick: str | None = None
    user: User | None = None


class File(msgspec.Struct, frozen=True):
    id: str
    url: str
    filename: str = ""
    size: int = 0
    content_type: str | None = None
    duration_secs: float | None = None


class Reference(msgspec.Struct, frozen=True):
    message_id: str | None = None
    channel_id: str | None = None
    type: int = 0


class Words(msgspec.Struct, frozen=True):
    text: str | None = None


class PollAnswer(msgspec.Struct, frozen=True):
    poll_media: Words = Words()


class Poll(msgspec.Struct, frozen=True):
    question: Words = Words()
    answers: tuple[PollAnswer, ...] = ()


class Sticker(msgspec.Struct, frozen=True):
    name: str = ""


class Forwarded(msgspec.Struct, frozen=True):
    content: str = ""
    attachments: tuple[File, ...] = ()


class Snapshot(msgspec.Struct, frozen=True):
    message: Forwarded = Forwarded()


class Message(msgspec.Struct, frozen=True):
    id: str
    channel_id: str
    author: User
    content: str = ""
    guild_id: str | None = None
    member: Member | None = None
    edited_timestamp: str | None = None
    mentions: tuple[User, ...] = ()
    attachments: tuple[File, ...] = ()
    type: int = 0
    flags: int = 0
    webhook_id: str | None = None
    message_reference: Reference | None = None
    referenced_message: Message | None = None
    message_snapshots: tuple[Snapshot, ...] = ()
    sticker_items: tuple[Sticker, ...] = ()
    poll: Poll | None = None
    nonce: str | int | None = None


class Channel(msgspec.Struct, frozen=True):
    id: str
    type: int = 0
    guild_id: str | None = None
    parent_id: str | None = None
    last_message_id: str | None = None

    @property
    def is_thread(self) -> bool:
        return self.type in THREADS


class Application(msgspec.Struct, frozen=True):
    id: str
    flags: int = 0
    interactions_endpoint_url: str | None = None


class Ready(msgspec.Struct, frozen=True):
    user: User
    session_id: str
    resume_gateway_url: str


class Option(msgspec.Struct, frozen=True):
    name: str
    value: str | int | float | bool | None = None


class Choice(msgspec.Struct, frozen=True):
    """What a slash command or a pressed button says."""

    name: str = ""
    options: tuple[Option, ...] = ()
    custom_id: str = ""
    values: tuple[str, ...] = ()


class Pointed(msgspec.Struct, frozen=True):
    id: str


class Interaction(msgspec.Struct, frozen=True):
    id: str
    application_id: str
    token: str
    type: int
    data: Choice | None = None
    channel: Channel | None = None
    channel_id: str | None = None
    guild_id: str | None = None
    member: Member | None = None
    user: User | None = None
    message: Pointed | None = None

    @property
    def who(self) -> User | None:
        return self.member.user if self.member is not None else self.user


class Emoji(msgspec.Struct, frozen=True):
    id: str | None = None
    name: str | None = None


class Reaction(msgspec.Struct, frozen=True):
    user_id: str
    channel_id: str
    message_id: str
    emoji: Emoji
    guild_id: str | None = None
    member: Member | None = None
    message_author_id: str | None = None


class Removed(msgspec.Struct, frozen=True):
    channel_id: str
    id: str | None = None
    ids: tuple[str, ...] = ()
    guild_id: str | None = None


class Guild(msgspec.Struct, frozen=True):
    id: str
    name: str = ""
    permissions: str = "0"


_Shape = TypeVar("_Shape")


def read(raw: object, shape: type[_Shape]) -> _Shape:
    try:
        return msgspec.convert(raw, shape)
    except (msgspec.ValidationError, RecursionError) as problem:
        raise Unreadable(str(problem)) from problem


def channels(guild: object) -> Iterator[Channel]:
    """Channels and active threads of a server, without those nobody can read."""
    if not isinstance(guild, dict):
        return
    for name in ("channels", "threads"):
        for raw in _list(guild.get(name)):
            try:
                channel = read(raw, Channel)
            except Unreadable:
                continue
            yield msgspec.structs.replace(channel, guild_id=str(guild.get("id")))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def is_snowflake(text: str) -> bool:
    return text.isdecimal() and text.isascii() and len(text) <= 20


def moment(snowflake: str) -> float:
    """When an id was made, in seconds since the epoch; 0 for what is no id."""
    return (int(snowflake) >> 22) / 1000 + _EPOCH if is_snowflake(snowflake) else 0.0


def snowflake(moment: float) -> int:
    """The smallest id of a moment."""
    return max(0, int((moment - _EPOCH) * 1000)) << 22
