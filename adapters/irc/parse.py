"""What somebody said on IRC becomes an `Inbound`. Pure: no clock, no network."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from adapters.irc.wire import Line, folded
from gateway.mentions import after_name
from gateway.message import Account, Inbound, Place, Sender, conversation_id, inbound_id

_FORMATS = re.compile(
    r"\x03(?:\d{1,2}(?:,\d{1,2})?)?|\x04(?:[0-9A-Fa-f]{6})?|[\x02\x0f\x11\x16\x1d-\x1f]"
)
_CHANNEL = re.compile(r"[~&@%+]?([#&+!].+)")
"""A message to the operators of a channel carries their sign before its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Self:
    account: Account
    nick: str
    commands: Collection[str] = ()


def parse(line: Line, me: Self, *, fresh: str, now: float) -> Inbound | None:
    """None for what is no message of a person's. `fresh` names a message that has no id."""
    target, said = line.param(0), line.param(1)
    if line.command != "PRIVMSG" or "!" not in line.source or folded(line.nick) == folded(me.nick):
        return None
    if said.startswith("\x01"):
        action, _, said = said.strip("\x01").partition(" ")
        if action != "ACTION":
            return None  # a question of program to program
        said = f"* {line.nick} {said}"
    sent_at = _time(line.tags.get("time", ""))
    channel = _CHANNEL.fullmatch(target)
    addressed, text = _addressed(_FORMATS.sub("", said).strip(), me, direct=channel is None)
    if not text:
        return None
    place = (
        Place(kind="group", chat=folded(channel[1]))
        if channel
        else Place(kind="direct", chat=folded(line.nick))
    )
    sender = sender_of(line)
    native = line.tags.get("msgid") or (_digest(line, said) if sent_at else fresh)
    return Inbound(
        id=inbound_id(me.account, place.chat, native),
        conversation=conversation_id(me.account, place, sender),
        account=me.account,
        place=place,
        sender=sender,
        text=text,
        native_id=native,
        addressed=addressed,
        headers={"nick": line.nick},
        sent_at=sent_at,
        received_at=now,
    )


def sender_of(line: Line) -> Sender:
    """The services account where the server names it; else only what somebody looks like."""
    account = line.tags.get("account", "*")
    bot = "bot" in line.tags or "draft/bot" in line.tags
    if account not in ("", "*"):
        return Sender(id=folded(account), name=line.nick, is_bot=bot, grade="verified")
    return Sender(id=folded(line.source), name=line.nick, is_bot=bot, grade="unverified")


def _addressed(text: str, me: Self, *, direct: bool) -> tuple[bool, str]:
    """Whether we are meant, and the text without our name before it. Clients keep ``/stop`` for
    themselves, so ``!stop`` says the same."""
    rest = after_name(text, me.nick)
    addressed = direct or rest is not None
    text = text if rest is None else rest
    word = text[1:].split(maxsplit=1)[0] if text[1:2].strip() else ""
    if text.startswith("!") and addressed and word in me.commands:
        text = "/" + text[1:]
    return addressed, text


def _time(stamp: str) -> float:
    try:
        return datetime.fromisoformat(stamp).timestamp()
    except ValueError:
        return 0.0


def _digest(line: Line, said: str) -> str:
    """A bouncer plays back what it kept, with the time at which it was said."""
    told = "\n".join((line.tags["time"], line.source, line.param(0), said))
    return sha256(told.encode()).hexdigest()[:32]
