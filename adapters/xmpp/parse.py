"""A message stanza becomes an `Inbound`. Pure: on the XML itself, without the library."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element

from gateway.mentions import after_name
from gateway.message import Account, Attachment, Inbound, Place, Sender, conversation_id, inbound_id

CLIENT = "{jabber:client}"
SID = "{urn:xmpp:sid:0}"
FORWARD = "{urn:xmpp:forward:0}"
MAM = "{urn:xmpp:mam:2}"
AT = "xmpp-at"
"""Header: when a message came, in seconds since the epoch. Its answer is younger."""
_DELAY = "{urn:xmpp:delay}delay"
_REPLACE = "{urn:xmpp:message-correct:0}replace"
_OCCUPANT = "{urn:xmpp:occupant-id:0}occupant-id"
_OOB = "{jabber:x:oob}x/{jabber:x:oob}url"
_CARBONS = ("{urn:xmpp:carbons:2}received", "{urn:xmpp:carbons:2}sent")
_ENCRYPTED = (
    "{eu.siacs.conversations.axolotl}encrypted",
    "{urn:xmpp:omemo:2}encrypted",
    "{urn:xmpp:openpgp:0}openpgp",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Self:
    account: Account
    jid: str
    """Bare, in lower case."""
    nick: str = ""
    rooms: Collection[str] = ()
    file_hosts: Collection[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    event: Inbound
    url: str = ""
    """Of the file that came along, on a host that we may fetch from."""


def bare(jid: str) -> str:
    return jid.partition("/")[0].lower()


def encrypted(message: Element) -> bool:
    return any(message.find(each) is not None for each in _ENCRYPTED)


def archive_id(message: Element, by: str) -> str:
    """The id that an archive gave to a message of just now. Only what names this archive is from
    there: servers take away what pretends to be."""
    if message.find(_DELAY) is not None:
        return ""  # kept for us by other means, and older than where we are
    for each in message.iterfind(f"{SID}stanza-id"):
        if bare(each.get("by", "")) == by:
            return each.get("id", "")
    return ""


def parse(
    message: Element,
    me: Self,
    occupants: Mapping[str, str],
    *,
    fresh: str,
    now: float,
    stamp: str = "",
) -> Parsed | None:
    """None for what nobody said to us. `occupants` are the real addresses of who is in the room, by
    nick, where it shows them; `stamp` is the archive's time."""
    body = (message.findtext(f"{CLIENT}body") or "").strip()
    origin, kind = message.get("from", ""), message.get("type", "normal")
    if not body or kind not in ("chat", "normal", "groupchat") or encrypted(message):
        return None
    if any(message.find(each) is not None for each in _CARBONS) or bare(origin) == me.jid:
        return None
    nick = origin.partition("/")[2]
    in_room = bare(origin) in me.rooms
    if in_room and (not nick or nick == me.nick):
        return None
    if kind == "groupchat" and not in_room:
        return None
    place = _place(origin, group=kind == "groupchat", private=in_room)
    sender = _sender(message, origin, occupants.get(nick, "") if in_room else "", in_room)
    named = message.get("id") or archive_id(message, bare(origin) if in_room else me.jid)
    native = named or fresh
    who = _author(message, origin) if in_room else sender.id
    replaced = message.find(_REPLACE)
    corrects = replaced.get("id", "") if replaced is not None else ""
    addressed, text = _addressed(body, me.nick, direct=place.kind == "direct")
    url = message.findtext(_OOB) or ""
    url = url if url.strip() == body and _may_fetch(url, me.file_hosts) else ""
    delay = message.find(_DELAY)
    event = Inbound(
        id=inbound_id(me.account, place.chat, f"{who}:{native}", "e" if corrects else "m"),
        conversation=conversation_id(me.account, place, sender),
        account=me.account,
        place=place,
        sender=sender,
        kind="edit" if corrects else "message",
        text="" if url else text,
        attachments=(_attachment(url),) if url else (),
        native_id=native,
        target=f"{who}:{corrects}" if corrects else "",
        addressed=addressed,
        headers={AT: f"{now:.0f}"},
        sent_at=moment(stamp or (delay.get("stamp", "") if delay is not None else "")),
        received_at=now,
    )
    return Parsed(event=event, url=url)


def _place(origin: str, *, group: bool, private: bool) -> Place:
    if group:
        return Place(kind="group", chat=bare(origin))
    room, _, nick = origin.partition("/")
    # Whispered in a room: the answer goes to the same occupant, not to the room.
    return Place(kind="direct", chat=f"{room.lower()}/{nick}" if private else bare(origin))


def _sender(message: Element, origin: str, real: str, in_room: bool) -> Sender:
    """Servers vouch for addresses. In rooms that hide them there is an id of the room's own, or
    only a nick, which anybody can take."""
    nick = origin.partition("/")[2]
    if not in_room:
        return Sender(id=bare(origin), name=bare(origin).partition("@")[0], grade="verified")
    if real:
        return Sender(id=bare(real), name=nick, grade="verified")
    return Sender(id=_author(message, origin), name=nick, grade="unverified")


def _author(message: Element, origin: str) -> str:
    """As the stanza itself tells: the same in the room and in its archive, whoever has left since.
    Real addresses are told beside it, for as long as somebody is there."""
    occupant = message.find(_OCCUPANT)
    named = occupant.get("id", "") if occupant is not None else ""
    return f"{bare(origin)}/{named or origin.partition('/')[2]}"


def _addressed(text: str, nick: str, *, direct: bool) -> tuple[bool, str]:
    """Whether we are meant, and the text without our name before it."""
    if direct:
        return True, text
    rest = after_name(text, nick)
    return rest is not None, text if rest is None else rest


def _may_fetch(url: str, hosts: Collection[str]) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "https" and "@" not in parts.netloc and parts.netloc.lower() in hosts


def _attachment(url: str) -> Attachment:
    return Attachment(kind="document", name=urlsplit(url).path.rpartition("/")[2][:100])


def moment(stamp: str) -> float:
    try:
        return datetime.fromisoformat(stamp).timestamp()
    except ValueError:
        return 0.0
