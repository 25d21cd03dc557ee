"""A payload of Slack's becomes an `Inbound`. Pure: no clock, no network."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from adapters.slack.emoji import sign_of
from adapters.slack.native import (
    Callback,
    File,
    Interaction,
    Message,
    Payload,
    Reaction,
    Slash,
    convert,
)
from adapters.slack.text import mentioned, plain, without_mention
from gateway import sniff
from gateway.mentions import called
from gateway.message import (
    Account,
    Attachment,
    Inbound,
    InboundKind,
    Place,
    Sender,
    happened,
)

_WRITTEN = frozenset({None, "file_share", "thread_broadcast", "me_message", "bot_message"})
"""Subtypes that somebody wrote; all others are Slack's own notices."""
_SLACKBOT = "USLACKBOT"
_TS = re.compile(r"\d{1,12}(?:\.\d{1,9})?", re.ASCII)
RESPOND = "response_url"
"""Header of a slash command: where it may be answered in places that the app is not in."""
_NAMED = 5
"""People of one message whose names are looked up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Somebody whose name was looked up."""

    name: str
    team: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Self:
    """Who we are on the platform, and how we behave there."""

    account: Account
    team: str
    user: str
    bot: str = ""
    threads: bool = True
    commands: frozenset[str] = frozenset()
    """Names of the gateway's commands: what may follow the slash command."""
    patterns: tuple[str, ...] = ()

    def wrote(self, message: Message) -> bool:
        return message.user == self.user or (bool(self.bot) and message.bot_id == self.bot)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """An event, and what has to be done before it is handed in."""

    event: Inbound
    files: tuple[File, ...] = ()
    """To be fetched, one for each of the event's attachments."""
    people: tuple[str, ...] = ()
    """Ids whose names would make the event more readable."""
    once: bool = False
    """Slack does not repeat it: whoever pressed or typed sees at once that it failed."""


def parse(payload: Payload, me: Self, people: Mapping[str, Known]) -> Parsed | None:
    """None for what is no business of ours: our own messages, notices, unknown kinds.

    Raises `Unreadable`.
    """
    if isinstance(payload, Slash):
        return _slash(payload, me)
    if isinstance(payload, Interaction):
        return _button(payload, me)
    match payload.event.get("type"):
        case "message" | "app_mention":
            return _written(convert(payload.event, Message), payload, me, people)
        case "reaction_added":
            return _reaction(convert(payload.event, Reaction), payload, me, people)
    return None


def _written(
    message: Message, callback: Callback, me: Self, people: Mapping[str, Known]
) -> Parsed | None:
    if message.subtype == "message_changed":
        return _edit(message, callback, me, people)
    if message.subtype == "message_deleted":
        return _delete(message, message.previous_message, message.deleted_ts, callback, me)
    if message.subtype not in _WRITTEN:
        return None
    return _message(message, message, callback, me, people)


def _message(
    message: Message,
    around: Message,
    callback: Callback,
    me: Self,
    people: Mapping[str, Known],
    *,
    edit: str = "",
) -> Parsed | None:
    """`around` says in which channel: for an edit, the notice that holds the message."""
    sender = _sender(message, callback, me, people)
    if sender is None or not message.ts or not around.channel:
        return None
    said = message.text or ""
    place = _place(message, around, me)
    ids = mentioned(said)
    text = plain(without_mention(said, me.user), {id: each.name for id, each in people.items()})
    found = [_file(file) for file in message.files or () if _is_there(file)]
    quote = _quote(message, people)
    if not text and quote:  # forwarded without a word
        text, quote = quote, ""
    if not text and not found and me.user not in ids:
        return None
    addressed = (
        place.kind == "direct"
        or me.user in ids
        or message.parent_user_id == me.user
        or called(text, me.patterns)
    )
    command = addressed and text.startswith("/")
    kind: InboundKind = "edit" if edit else "command" if command else "message"
    event = happened(
        me.account,
        place,
        sender,
        native=message.ts,
        native_id=message.ts,
        event=f"e{edit}" if edit else "m",
        kind=kind,
        text=text,
        attachments=tuple(attachment for attachment, _ in found),
        target=message.ts if edit else "",
        quote=quote,
        mentions=ids,
        addressed=addressed,
        sent_at=_seconds(edit or message.ts),
    )
    wanted = [id for id in (message.user or "", *ids[:_NAMED]) if id and not message.bot_id]
    return Parsed(
        event=event,
        files=tuple(file for _, file in found),
        people=tuple(id for id in dict.fromkeys(wanted) if id != me.user),
    )


def _edit(
    notice: Message, callback: Callback, me: Self, people: Mapping[str, Known]
) -> Parsed | None:
    """Slack also says "changed" for link previews, and of a thread's first message."""
    message, before = notice.message, notice.previous_message
    if message is None:
        return None
    if message.subtype == "tombstone":  # deleted, but its thread stays
        return _delete(notice, before, message.ts, callback, me)
    if message.edited is None or message.subtype not in _WRITTEN:
        return None
    if before is not None and before.text == message.text:
        return None
    return _message(message, notice, callback, me, people, edit=message.edited.ts)


def _delete(
    notice: Message, before: Message | None, ts: str | None, callback: Callback, me: Self
) -> Parsed | None:
    sender = _sender(before, callback, me, {}) if before is not None else None
    if before is None or sender is None or not ts or not notice.channel:
        return None
    event = happened(
        me.account,
        _place(before, notice, me),
        sender,
        native=ts,
        native_id=ts,
        event="d",
        kind="delete",
        target=ts,
        addressed=True,
        sent_at=_seconds(notice.ts),
    )
    return Parsed(event=event)


def _reaction(
    reaction: Reaction, callback: Callback, me: Self, people: Mapping[str, Known]
) -> Parsed | None:
    item = reaction.item
    if item.type != "message" or reaction.user in (me.user, _SLACKBOT) or not item.channel:
        return None
    place = Place(kind="direct" if item.channel.startswith("D") else "group", chat=item.channel)
    known = people.get(reaction.user)
    # Of a foreign workspace's people only a look-up says where they belong.
    sure = not callback.is_ext_shared_channel or (known is not None and bool(known.team))
    team = (known.team if known else "") or callback.team_id or me.team
    sender = Sender(
        id=f"{team}/{reaction.user}",
        name=known.name if known else "",
        grade="verified" if sure else "unverified",
    )
    event = happened(
        me.account,
        place,
        sender,
        native=item.ts,
        native_id=item.ts,
        event=f"r{reaction.event_ts}",
        kind="reaction",
        text=sign_of(reaction.reaction),
        target=item.ts,
        addressed=place.kind == "direct" or reaction.item_user == me.user,
        sent_at=_seconds(reaction.event_ts),
    )
    return Parsed(event=event, people=(reaction.user,))


def _button(press: Interaction, me: Self) -> Parsed | None:
    action = press.actions[0] if press.actions else None
    if press.type != "block_actions" or action is None or action.type != "button":
        return None
    if not action.value or press.channel is None or not press.channel.id or not action.action_ts:
        return None  # a link, or something that is not ours
    chat, inside = press.channel.id, press.container
    thread = (press.message and press.message.thread_ts) or (inside and inside.thread_ts) or ""
    about = (press.message and press.message.ts) or (inside and inside.message_ts) or ""
    team = press.user.team_id or (press.team.id if press.team else "") or me.team
    event = happened(
        me.account,
        _standing(chat, thread),
        Sender(
            id=f"{team}/{press.user.id}",
            name=press.user.name or press.user.username or "",
            grade="verified",
        ),
        native=action.action_ts,
        native_id=action.action_ts,
        event=f"b{press.user.id}",
        kind="button",
        text=action.value,
        target=about,
        reply_to=about,
        addressed=True,
        sent_at=_seconds(action.action_ts),
    )
    return Parsed(event=event, once=True)


def _slash(slash: Slash, me: Self) -> Parsed | None:
    place = _standing(slash.channel_id, "")
    event = happened(
        me.account,
        place,
        Sender(
            id=f"{slash.team_id or me.team}/{slash.user_id}",
            name=slash.user_name,
            grade="verified",
        ),
        native=slash.trigger_id,
        native_id=slash.trigger_id,
        event="c",
        kind="command",
        text=_command(slash.text, me),
        addressed=True,
        headers={RESPOND: slash.response_url} if slash.response_url else {},
    )
    return Parsed(event=event, once=True)


def _command(said: str, me: Self) -> str:
    """``/moltgate new`` is ``/new``; what begins with no command of ours is meant for the model."""
    text = plain(said, {}).strip()
    word, _, rest = text.partition(" ")
    if not text:
        return "/help"
    if word.lower().lstrip("/") in me.commands:
        return f"/{word.lower().lstrip('/')} {rest}".strip()
    return text


def _sender(
    message: Message, callback: Callback, me: Self, people: Mapping[str, Known]
) -> Sender | None:
    """Slack vouches for its ids. A user's own team is part of it: people of other workspaces write
    in shared channels, and keep theirs."""
    if me.wrote(message) or message.user == _SLACKBOT:
        return None
    team = message.user_team or message.team or message.source_team or callback.team_id or me.team
    if message.bot_id or message.subtype == "bot_message":
        who = message.user or message.bot_id
        profile = message.bot_profile.name if message.bot_profile else ""
        name = profile or message.username or ""
        return Sender(id=f"{team}/{who}", name=name, is_bot=True, grade="verified") if who else None
    if not message.user:
        return None
    known = people.get(message.user)
    return Sender(id=f"{team}/{message.user}", name=known.name if known else "", grade="verified")


def _place(message: Message, around: Message, me: Self) -> Place:
    chat, thread = around.channel, message.thread_ts or ""
    if thread == message.ts:  # it was answered in a thread, and stands where it stood
        thread = ""
    if around.channel_type == "im" or chat.startswith("D"):
        return Place(kind="direct", chat=chat, thread=thread)
    if not thread and me.threads:
        thread = message.ts
    return _standing(chat, thread)


def _standing(chat: str, thread: str) -> Place:
    if chat.startswith("D"):
        return Place(kind="direct", chat=chat, thread=thread)
    return Place(kind="thread" if thread else "group", chat=chat, thread=thread)


def _is_there(file: File) -> bool:
    return file.mode != "tombstone"


def _file(file: File) -> tuple[Attachment, File]:
    voice = file.subtype == "slack_audio"
    attachment = Attachment(
        kind=sniff.kind(file.mimetype or "", voice=voice) if not voice else "voice",
        name=file.name or "",
        size=file.size or 0,
        duration=(file.duration_ms or 0.0) / 1000,
    )
    return attachment, file


def _quote(message: Message, people: Mapping[str, Known]) -> str:
    """The text of a message that was forwarded along."""
    for shared in message.attachments or ():
        if shared.text and (shared.is_share or shared.is_msg_unfurl):
            return plain(shared.text, {id: each.name for id, each in people.items()})
    return ""


def _seconds(ts: str) -> float:
    """Seconds since the epoch; 0 where a time stamp is none."""
    return float(ts) if _TS.fullmatch(ts) else 0.0
