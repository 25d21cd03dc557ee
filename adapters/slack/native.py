"""The part of Slack's payloads that we read.

Own types: one payload that is newer than a library must not break the connection, and a wrong
shape is one exception here, `Unreadable`.
"""

from __future__ import annotations

from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec


class Unreadable(Exception):
    """Not a payload, or not one of a shape we know."""


class File(msgspec.Struct, frozen=True):
    id: str = ""
    name: str | None = None
    mimetype: str | None = None
    size: int | None = None
    url_private: str | None = None
    url_private_download: str | None = None
    mode: str | None = None
    """``hosted``, ``external``, ``snippet``, ``tombstone``, ``hidden_by_limit``..."""
    subtype: str | None = None
    """``slack_audio`` and ``slack_video`` are clips recorded in Slack."""
    duration_ms: float | None = None
    file_access: str | None = None

    @property
    def url(self) -> str:
        return self.url_private_download or self.url_private or ""


class Edited(msgspec.Struct, frozen=True):
    ts: str = ""


class BotProfile(msgspec.Struct, frozen=True):
    name: str | None = None


class Shared(msgspec.Struct, frozen=True):
    """An attachment: a message that was forwarded, or what an integration adds."""

    text: str | None = None
    is_share: bool | None = None
    is_msg_unfurl: bool | None = None


class Message(msgspec.Struct, frozen=True):
    type: str = "message"
    subtype: str | None = None
    channel: str = ""
    channel_type: str | None = None
    ts: str = ""
    user: str | None = None
    bot_id: str | None = None
    bot_profile: BotProfile | None = None
    username: str | None = None
    team: str | None = None
    user_team: str | None = None
    source_team: str | None = None
    text: str | None = None
    thread_ts: str | None = None
    parent_user_id: str | None = None
    files: tuple[File, ...] | None = None
    attachments: tuple[Shared, ...] | None = None
    edited: Edited | None = None
    message: Message | None = None
    previous_message: Message | None = None
    deleted_ts: str | None = None


class Item(msgspec.Struct, frozen=True):
    type: str
    channel: str = ""
    ts: str = ""


class Reaction(msgspec.Struct, frozen=True):
    user: str
    reaction: str
    item: Item
    item_user: str | None = None
    event_ts: str = ""


class Callback(msgspec.Struct, frozen=True):
    """What the Events API brings, by socket or by HTTP."""

    event: dict[str, Any]
    team_id: str = ""
    event_id: str = ""
    is_ext_shared_channel: bool | None = None


class Person(msgspec.Struct, frozen=True):
    id: str
    team_id: str | None = None
    username: str | None = None
    name: str | None = None


class Team(msgspec.Struct, frozen=True):
    id: str = ""


class Channel(msgspec.Struct, frozen=True):
    id: str = ""


class Container(msgspec.Struct, frozen=True):
    message_ts: str | None = None
    thread_ts: str | None = None


class Action(msgspec.Struct, frozen=True):
    type: str = ""
    action_id: str = ""
    action_ts: str = ""
    value: str | None = None


class Interaction(msgspec.Struct, frozen=True):
    type: str
    user: Person
    team: Team | None = None
    channel: Channel | None = None
    container: Container | None = None
    message: Message | None = None
    actions: tuple[Action, ...] = ()


class Slash(msgspec.Struct, frozen=True):
    command: str
    user_id: str
    channel_id: str
    trigger_id: str
    team_id: str = ""
    user_name: str = ""
    text: str = ""
    response_url: str = ""


Payload = Callback | Interaction | Slash

_Kind = TypeVar("_Kind")


def convert(raw: object, kind: type[_Kind]) -> _Kind:
    try:
        return msgspec.convert(raw, kind)
    except (msgspec.ValidationError, RecursionError) as problem:
        raise Unreadable(str(problem)) from problem


def decode(body: bytes | str) -> dict[str, Any]:
    """A JSON object."""
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise Unreadable(str(problem)) from problem


def decode_form(body: bytes) -> dict[str, str]:
    """A form in which no field comes twice."""
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=100)
    except ValueError as problem:
        raise Unreadable(str(problem)) from problem
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Unreadable("a field that came twice")
    return found


def read(kind: str, payload: object) -> Payload | None:
    """The typed payload of an envelope; None for kinds that are no business of ours."""
    match kind:
        case "events_api":
            return convert(payload, Callback)
        case "slash_commands":
            return convert(payload, Slash)
        case "interactive":
            return convert(payload, Interaction)
    return None
