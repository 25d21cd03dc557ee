"""What Meta posts, as far as we read it. Unknown fields are left alone: more come every year."""

from __future__ import annotations

from typing import TypeVar

import msgspec

T = TypeVar("T")


class _Native(msgspec.Struct, frozen=True, kw_only=True):
    pass


class Media(_Native, frozen=True):
    id: str = ""
    mime_type: str = ""
    caption: str = ""
    filename: str = ""
    voice: bool = False
    animated: bool = False


class Words(_Native, frozen=True):
    body: str = ""


class Location(_Native, frozen=True):
    latitude: float = 0.0
    longitude: float = 0.0
    name: str = ""
    address: str = ""


class ContactName(_Native, frozen=True):
    formatted_name: str = ""


class Phone(_Native, frozen=True):
    phone: str = ""


class ContactCard(_Native, frozen=True):
    name: ContactName = ContactName()
    phones: tuple[Phone, ...] = ()


class Choice(_Native, frozen=True):
    id: str = ""
    title: str = ""


class Interactive(_Native, frozen=True):
    type: str = ""
    button_reply: Choice | None = None
    list_reply: Choice | None = None


class TemplateButton(_Native, frozen=True):
    text: str = ""
    payload: str = ""


class Reaction(_Native, frozen=True):
    message_id: str = ""
    emoji: str = ""


class Context(_Native, frozen=True):
    id: str = ""


class Edited(_Native, frozen=True):
    type: str = ""
    text: Words | None = None
    image: Media | None = None
    video: Media | None = None
    document: Media | None = None


class Edit(_Native, frozen=True):
    original_message_id: str = ""
    message: Edited = Edited()


class Revoke(_Native, frozen=True):
    original_message_id: str = ""


class Message(_Native, frozen=True):
    id: str
    type: str
    from_: str = msgspec.field(default="", name="from")
    from_user_id: str = ""
    """The business-scoped id: what is left of a person whose number is not shown."""
    group_id: str = ""
    timestamp: str = "0"
    text: Words | None = None
    image: Media | None = None
    audio: Media | None = None
    video: Media | None = None
    document: Media | None = None
    sticker: Media | None = None
    location: Location | None = None
    contacts: tuple[ContactCard, ...] = ()
    interactive: Interactive | None = None
    button: TemplateButton | None = None
    reaction: Reaction | None = None
    context: Context | None = None
    edit: Edit | None = None
    revoke: Revoke | None = None


class Profile(_Native, frozen=True):
    name: str = ""


class Contact(_Native, frozen=True):
    wa_id: str = ""
    user_id: str = ""
    profile: Profile = Profile()


class Problem(_Native, frozen=True):
    code: int = 0
    title: str = ""


class Status(_Native, frozen=True):
    id: str
    status: str
    recipient_id: str = ""
    biz_opaque_callback_data: str = ""
    errors: tuple[Problem, ...] = ()


class Metadata(_Native, frozen=True):
    phone_number_id: str = ""


class Value(_Native, frozen=True):
    metadata: Metadata = Metadata()
    contacts: tuple[Contact, ...] = ()
    messages: tuple[msgspec.Raw, ...] = ()
    statuses: tuple[msgspec.Raw, ...] = ()


class Change(_Native, frozen=True):
    field: str = ""
    value: msgspec.Raw = msgspec.Raw(b"{}")


class Entry(_Native, frozen=True):
    changes: tuple[Change, ...] = ()


class Post(_Native, frozen=True):
    object: str = ""
    entry: tuple[Entry, ...] = ()


class Unreadable(ValueError):
    """It has no shape we know."""


_post = msgspec.json.Decoder(Post)
_value = msgspec.json.Decoder(Value)
_message = msgspec.json.Decoder(Message)
_status = msgspec.json.Decoder(Status)


def read_post(raw: bytes) -> Post:
    return _read(_post, raw)


def read_value(raw: msgspec.Raw) -> Value:
    return _read(_value, raw)


def read_message(raw: msgspec.Raw) -> Message:
    return _read(_message, raw)


def read_status(raw: msgspec.Raw) -> Status:
    return _read(_status, raw)


def _read(decoder: msgspec.json.Decoder[T], raw: bytes | msgspec.Raw) -> T:
    """Raises `Unreadable`. The decoder's words name our fields, never what stands in them."""
    try:
        return decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as problem:
        raise Unreadable(str(problem)[:200]) from problem
