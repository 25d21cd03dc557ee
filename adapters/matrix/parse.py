"""A Matrix event becomes an `Inbound`. Pure: no clock, no network, no keys.

Nothing in an event's content can be relied on: any server may have written it.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import unquote

from gateway.mentions import called
from gateway.message import (
    Account,
    Attachment,
    Grade,
    Inbound,
    InboundKind,
    Place,
    Sender,
    conversation_id,
    inbound_id,
)

Content = Mapping[str, Any]
FileKind = Literal["image", "voice", "audio", "video", "document"]

_KINDS: dict[str, FileKind] = {
    "m.image": "image",
    "m.sticker": "image",
    "m.audio": "audio",
    "m.video": "video",
    "m.file": "document",
}
AT = "matrix-at"
"""Header: when an event came, in seconds since the epoch. Its answer is younger."""
_TEXTS = ("m.text", "m.emote")
_MXC = re.compile(r"mxc://([A-Za-z0-9.:\[\]-]{1,255})/([A-Za-z0-9_-]{1,255})")
_PILL = re.compile(r"""href\s*=\s*["']?https://matrix\.to/#/([^"'>\s?]+)""", re.IGNORECASE)
_FALLBACK = re.compile(r"(?:> ?[^\n]*\n)+\n?")
_QUOTED_AUTHOR = re.compile(r"> (?:\* )?<(@[^>\s]+)> ?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Self:
    """Who we are on the platform, and what else we are called."""

    account: Account
    id: str
    name: str = ""
    patterns: tuple[str, ...] = ()
    commands: frozenset[str] = frozenset()
    """Ours, without the slash: ``!stop`` is ``/stop``, which clients keep to themselves."""
    _named: re.Pattern[str] = field(init=False, repr=False, default=re.compile("(?!)"))

    def __post_init__(self) -> None:
        local = self.id.partition(":")[0]
        names = "|".join(re.escape(each) for each in (self.id, local, self.name) if each)
        # The local part alone may be any word; before a colon it is a name.
        named = rf"(?:{names})(?!\w)|{re.escape(local[1:])}(?=\s?[:,])"
        object.__setattr__(self, "_named", re.compile(named, re.IGNORECASE))

    def spoken_to(self, text: str) -> re.Match[str] | None:
        """Our name at the beginning of a text."""
        return self._named.match(text)

    def named_in(self, text: str) -> bool:
        found = self._named.search(text)
        return found is not None and (found.start() == 0 or not text[found.start() - 1].isalnum())


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What is known of a room."""

    id: str
    direct: bool
    """Nobody else is in it than us and one other."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Of its members, by id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """Where a file lies, and how it is opened when it is encrypted."""

    server: str
    media_id: str
    key: str = ""
    iv: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of an event that others point at."""

    sender: str
    thread: str = ""
    ours: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """An event, and what is still to be found out about it."""

    event: Inbound
    files: tuple[Media | None, ...] = ()
    """To be fetched, one for each of the event's attachments; None where it names none."""
    quoted: str = ""
    """The event whose text would be the quote."""


def points_at(event: Mapping[str, Any]) -> tuple[str, str]:
    """How, and at which event: an edit, a reaction, a redaction, an answer. Empty: it does not."""
    content = _map(event, "content")
    if _word(event, "type") == "m.room.redaction":
        return "redaction", _word(event, "redacts") or _word(content, "redacts")
    relation = _map(content, "m.relates_to")
    kind, target = _word(relation, "rel_type"), _word(relation, "event_id")
    if kind in ("m.replace", "m.annotation"):
        return kind, target
    return "answer", _answered(relation)


def known_of(event: Mapping[str, Any], me: str) -> Known:
    """What is to be remembered of an event."""
    relation = _map(_map(event, "content"), "m.relates_to")
    thread = _word(relation, "event_id") if relation.get("rel_type") == "m.thread" else ""
    sender = _word(event, "sender")
    return Known(sender, thread, sender == me)


def parse(
    event: Mapping[str, Any],
    room: Room,
    me: Self,
    *,
    grade: Grade = "verified",
    target: Known | None = None,
) -> Parsed | None:
    """None for what is no business of ours: our own, other bots' notices, state, unknown types.

    `target` is the event that it points at. An edit is taken from that one's author only: servers
    let everybody send edits of everything.
    """
    sender, native, kind = (_word(event, name) for name in ("sender", "event_id", "type"))
    content = event.get("content")
    if not sender or not native or sender == me.id or not isinstance(content, Mapping):
        return None
    draft = _Draft(event, content, room, me, grade, target)
    if kind == "m.room.message" or kind == "m.sticker":
        return draft.message()
    if kind == "m.reaction":
        return draft.reaction()
    if kind == "m.room.redaction":
        return draft.redaction()
    return None


class _Draft:
    """One event on its way to an `Inbound`."""

    def __init__(
        self,
        event: Mapping[str, Any],
        content: Content,
        room: Room,
        me: Self,
        grade: Grade,
        target: Known | None,
    ) -> None:
        self._event = event
        self._content = content
        self._room = room
        self._me = me
        self._target = target
        self._native = _word(event, "event_id")
        self._redacts = _word(event, "redacts") or _word(content, "redacts")
        self._type = _word(event, "type")
        self._at = _number(event, "origin_server_ts") / 1000
        id = _word(event, "sender")
        self._sender = Sender(id=id, name=room.names.get(id, ""), grade=grade)

    def message(self) -> Parsed | None:
        relation = _map(self._content, "m.relates_to")
        edited = _word(relation, "event_id") if relation.get("rel_type") == "m.replace" else ""
        if edited and (self._target is None or self._target.sender != self._sender.id):
            return None
        said = _map(self._content, "m.new_content") if edited else self._content
        kind = "m.sticker" if self._type == "m.sticker" else _word(said, "msgtype")
        body = _word(said, "body")
        found = _file(said, kind)
        if found is None and kind not in _TEXTS:
            body = _in_words(said, kind)
            if not body:
                return None
        answered = _answered(relation)
        author, quote, body = _without_fallback(body) if answered else ("", "", body)
        text = body if found is None else _caption(said, body)
        if kind == "m.emote":
            text = f"* {text}"
        if not text.strip() and found is None:
            return None
        place = self._place(relation)
        addressed = (
            place.kind == "direct"
            or self._addressed(said, text)
            or (bool(answered) and (author == self._me.id or self._points_at_us))
        )
        text = self._to_us(text)
        what: InboundKind = "edit" if edited else "command" if text.startswith("/") else "message"
        event = self._inbound(
            place,
            what,
            event="e" if edited else "m",
            text=text,
            attachments=() if found is None else (found[0],),
            native=edited or self._native,
            target=edited,
            reply_to=answered,
            quote=quote,
            mentions=_mentions(said),
            addressed=addressed,
        )
        return Parsed(
            event=event,
            files=() if found is None else (found[1],),
            quoted=answered if not quote and not edited else "",
        )

    def reaction(self) -> Parsed | None:
        relation = _map(self._content, "m.relates_to")
        target = _word(relation, "event_id")
        if relation.get("rel_type") != "m.annotation" or not target:
            return None
        place = self._place({})
        event = self._inbound(
            place,
            "reaction",
            event="r",
            text=_word(relation, "key")[:100],
            native=target,
            target=target,
            addressed=place.kind == "direct" or self._points_at_us,
        )
        return Parsed(event=event)

    def redaction(self) -> Parsed | None:
        if not self._redacts:
            return None
        place = self._place({})
        event = self._inbound(
            place,
            "delete",
            event="d",
            native=self._redacts,
            target=self._redacts,
            addressed=place.kind == "direct",
        )
        return Parsed(event=event)

    @property
    def _points_at_us(self) -> bool:
        return self._target is not None and self._target.ours

    def _inbound(self, place: Place, kind: InboundKind, *, event: str, **more: Any) -> Inbound:
        """Event ids are unique everywhere: which account of ours saw it changes nothing."""
        native = more.pop("native")
        return Inbound(
            id=inbound_id(self._me.account, place.chat, self._native, event),
            conversation=conversation_id(self._me.account, place, self._sender),
            account=self._me.account,
            place=place,
            sender=self._sender,
            kind=kind,
            native_id=native,
            sent_at=self._at,
            **more,
        )

    def _place(self, relation: Content) -> Place:
        thread = _word(relation, "event_id") if relation.get("rel_type") == "m.thread" else ""
        if not thread and points_at(self._event)[0] != "answer" and self._target is not None:
            thread = self._target.thread  # what changes a message is where that one is
        if self._room.direct:
            return Place(kind="direct", chat=self._room.id, thread=thread)
        return Place(kind="thread" if thread else "group", chat=self._room.id, thread=thread)

    def _addressed(self, said: Content, text: str) -> bool:
        """Where a client says whom it mentions, that counts, and our name where a message begins
        or a pattern; otherwise a pill or our name anywhere."""
        me = self._me
        if me.spoken_to(text) or called(text, me.patterns) or self._is_ours(text):
            return True
        if isinstance(said.get("m.mentions"), Mapping):
            return me.id in _mentions(said)
        return me.id in _pills(said) or me.named_in(text)

    def _is_ours(self, text: str) -> bool:
        """A command with our mark."""
        return text.startswith("!") and _command(text) in self._me.commands

    def _to_us(self, text: str) -> str:
        """Without our name at its beginning, and ``!stop`` as ``/stop``."""
        found = self._me.spoken_to(text)
        if found is not None and (rest := text[found.end() :].lstrip(" ,:")):
            text = rest
        return f"/{text[1:]}" if self._is_ours(text) else text


def _command(text: str) -> str:
    words = text[1:].split(maxsplit=1)
    return words[0].lower() if words else ""


def _answered(relation: Content) -> str:
    """The event that is answered. In a thread everything "answers" the last message, for clients
    that know no threads."""
    if relation.get("rel_type") == "m.thread" and relation.get("is_falling_back") is True:
        return ""
    return _word(_map(relation, "m.in_reply_to"), "event_id")


def _without_fallback(body: str) -> tuple[str, str, str]:
    """Whom older clients quote before an answer, what, and the answer itself."""
    found = _FALLBACK.match(body)
    author = _QUOTED_AUTHOR.match(body)
    if found is None or author is None:
        return "", "", body
    lines = [line.removeprefix(">").removeprefix(" ") for line in found[0].splitlines()]
    quoted = "\n".join(lines).strip()[author.end() - 2 :].strip()
    return author[1], quoted, body[found.end() :]


def _mentions(said: Content) -> tuple[str, ...]:
    told = _map(said, "m.mentions").get("user_ids")
    if isinstance(told, Sequence) and not isinstance(told, str):
        return tuple(dict.fromkeys(one for one in told[:100] if isinstance(one, str)))
    return ()


def _pills(said: Content) -> set[str]:
    formatted = _word(said, "formatted_body")[:100_000]
    # What a reply quotes is no mention by who replies.
    formatted = formatted.partition("</mx-reply>")[2] or formatted
    return {unquote(html.unescape(one)) for one in _PILL.findall(formatted)}


def _file(said: Content, kind: str) -> tuple[Attachment, Media | None] | None:
    if kind not in _KINDS:
        return None
    info = _map(said, "info")
    what = _KINDS[kind]
    if kind == "m.audio" and ("org.matrix.msc3245.voice" in said or "m.voice" in said):
        what = "voice"
    attachment = Attachment(
        kind=what,
        name=(_word(said, "filename") or _word(said, "body"))[:255],
        size=max(0, int(_number(info, "size"))),
        duration=max(0.0, _number(info, "duration") / 1000),
    )
    return attachment, _media(said)


def _media(said: Content) -> Media | None:
    sealed = _map(said, "file")
    found = _MXC.fullmatch(_word(sealed or said, "url"))
    if found is None:
        return None
    if not sealed:
        return Media(server=found[1], media_id=found[2])
    key, sha256 = _map(sealed, "key"), _map(sealed, "hashes")
    return Media(
        server=found[1],
        media_id=found[2],
        key=_word(key, "k"),
        iv=_word(sealed, "iv"),
        sha256=_word(sha256, "sha256"),
    )


def _caption(said: Content, body: str) -> str:
    """A file's text is its name, unless the name stands elsewhere."""
    name = _word(said, "filename")
    return body if name and name != body else ""


def _in_words(said: Content, kind: str) -> str:
    """What people send besides text and files, as a line that can be answered."""
    if kind == "m.location":
        return f"Location: {_word(said, 'body')} ({_word(said, 'geo_uri')})"
    return ""


def _map(content: Content, name: str) -> Content:
    found = content.get(name)
    return found if isinstance(found, Mapping) else {}


def _word(content: Content, name: str) -> str:
    found = content.get(name)
    return found if isinstance(found, str) else ""


def _number(content: Content, name: str) -> float:
    found = content.get(name)
    if not isinstance(found, int | float) or isinstance(found, bool):
        return 0.0
    return float(found) if abs(found) < 1e15 else 0.0
