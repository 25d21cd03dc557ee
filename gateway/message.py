"""The common schema: what every platform's events become, and what every reply starts as.

Values are frozen and travel one way. On the wire they are JSON with a version; a version newer
than this program's is refused politely (`NewerSchema`) and the bytes are kept by whoever read them.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Literal, NewType, TypedDict, TypeVar, Unpack
from urllib.parse import quote

import msgspec

from gateway.errors import Failed

SCHEMA = 1
"""Version written into every stored value. Raised when a reader of the old one would be wrong."""

ConversationId = NewType("ConversationId", str)
InboundId = NewType("InboundId", str)
ReplyId = NewType("ReplyId", str)

PlaceKind = Literal["direct", "group", "thread"]
Grade = Literal["verified", "asserted", "unverified"]
InboundKind = Literal["message", "edit", "delete", "reaction", "command", "button", "join"]
OutboundKind = Literal["answer", "notice", "refusal"]
Scope = Literal["peer", "chat"]


class _Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Base of everything that travels. Frozen values form no cycles: the collector may skip them,
    which is a fifth of the CPU of a busy queue."""


class Account(_Value, frozen=True):
    """One of our identities on a platform: the adapter's kind and the name given in the file."""

    kind: str
    id: str = "default"

    @property
    def key(self) -> str:
        return f"{self.kind}:{self.id}"


class Place(_Value, frozen=True):
    """Where on the platform, in native ids. `thread` is a topic or thread inside `chat`."""

    kind: PlaceKind
    chat: str
    thread: str = ""


class Sender(_Value, frozen=True):
    """Who wrote. `id` never changes and decides rights; `name` is for display only."""

    id: str
    name: str = ""
    is_bot: bool = False
    grade: Grade = "asserted"


class Attachment(_Value, frozen=True):
    """A file that came or goes along. Bytes live in the blob store under their SHA-256."""

    kind: Literal["image", "voice", "audio", "video", "document"]
    digest: str = ""
    """Lower-case hex SHA-256 of the content; empty when the bytes could not be fetched."""
    media_type: str = "application/octet-stream"
    """As sniffed from the content, never as claimed."""
    name: str = ""
    """The claimed name: a label, never a path."""
    size: int = 0
    """Bytes."""
    duration: float = 0.0
    """Seconds, for voice, audio and video where the platform says."""
    text: str = ""
    """What was read from it (OCR, transcript, document text)."""
    problem: str = ""
    """Why there is nothing to read, in words for the user; empty when all is well."""
    note: str = ""
    """What is to be known of `text`, for user and model: what was left out, what is doubtful."""
    reader: str = ""
    """Who read it, e.g. ``tesseract 5.5.4 (eng)``."""
    picture: str = ""
    """Digest of a re-encoded, smaller copy of a picture, for models that see."""


class Button(_Value, frozen=True):
    """A choice under a message. `data` comes back as the text of a ``button`` event."""

    label: str
    data: str = ""
    url: str = ""


class Inbound(_Value, frozen=True, tag_field="v", tag=SCHEMA):
    """One event from a platform, normalised."""

    id: InboundId
    conversation: ConversationId
    account: Account
    place: Place
    sender: Sender
    tenant: str = "main"
    kind: InboundKind = "message"
    text: str = ""
    attachments: tuple[Attachment, ...] = ()
    native_id: str = ""
    """The platform's id of this message, what a reply or an edit points at."""
    target: str = ""
    """For edit, delete and reaction: the message it is about, as named in that one's `id`."""
    reply_to: str = ""
    """Native id of the message this one answers."""
    quote: str = ""
    """Text of the message this one answers, where the platform hands it over."""
    mentions: tuple[str, ...] = ()
    addressed: bool = True
    """Whether the bot was meant: always in direct chats, by mention, reply or command in groups."""
    overheard: bool = False
    """A voice message in a group of which nobody knows yet whether it is meant for the bot."""
    headers: dict[str, str] = {}
    """Raw headers needed to answer, e.g. Message-ID and References of a mail."""
    sent_at: float = 0.0
    """Seconds since the epoch by the platform's clock; 0 when unknown."""
    received_at: float = 0.0
    """Seconds since the epoch by ours."""


class Outbound(_Value, frozen=True, tag_field="v", tag=SCHEMA):
    """One part of a reply, split to the platform's limits; `key` makes its sending repeatable."""

    reply: ReplyId
    conversation: ConversationId
    account: Account
    place: Place
    part: int = 0
    parts: int = 1
    kind: OutboundKind = "answer"
    text: str = ""
    """CommonMark. The adapter renders it to the platform's dialect."""
    files: tuple[Attachment, ...] = ()
    buttons: tuple[tuple[Button, ...], ...] = ()
    """Rows of buttons."""
    reply_to: str = ""
    """Native id of the message that is answered."""
    headers: dict[str, str] = {}
    deadline: float = 0.0
    """Seconds since the epoch after which sending makes no sense; 0 for never."""

    @property
    def key(self) -> str:
        """Send key: the same for every attempt at this part. At most 25 characters."""
        return f"{self.reply}.{self.part}"


class Turn(_Value, frozen=True, tag_field="v", tag=SCHEMA):
    """One line of hot history."""

    role: Literal["user", "assistant"]
    text: str
    at: float = 0.0
    name: str = ""
    """Display name of the sender, in chats with several people."""


class NewerSchema(Failed):
    """The value was written by a newer version of the gateway and is kept unread."""


_inbound = msgspec.json.Decoder(Inbound)
_outbound = msgspec.json.Decoder(Outbound)
_encoder = msgspec.json.Encoder()


_Stored = TypeVar("_Stored", Inbound, Outbound)


class _Version(msgspec.Struct):
    v: int = SCHEMA


_version = msgspec.json.Decoder(_Version)


def encode(value: Inbound | Outbound | Turn) -> bytes:
    """JSON bytes without newlines."""
    return _encoder.encode(value)


def decode_inbound(raw: bytes) -> Inbound:
    """Raises `NewerSchema` for a newer version, `Failed` for anything that is not an `Inbound`."""
    return _decode(_inbound, raw)


def decode_outbound(raw: bytes) -> Outbound:
    """Raises `NewerSchema` for a newer version, `Failed` for anything that is not an `Outbound`."""
    return _decode(_outbound, raw)


def _decode(decoder: msgspec.json.Decoder[_Stored], raw: bytes) -> _Stored:
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        _refuse_newer(raw)
        raise Failed(f"not a stored message: {problem}") from problem


def _refuse_newer(raw: bytes) -> None:
    try:
        version = _version.decode(raw).v
    except (msgspec.DecodeError, UnicodeDecodeError):
        return
    if version > SCHEMA:
        raise NewerSchema(f"schema version {version}, this gateway reads up to {SCHEMA}")


def conversation_id(
    account: Account, place: Place, sender: Sender, *, tenant: str = "main", scope: Scope = "chat"
) -> ConversationId:
    """The storage key of a conversation: who shares history and order.

    In direct places the peer is always part of it, so that nothing is shared between people;
    elsewhere only with ``scope="peer"``. Native ids are percent-encoded, so that no id can
    imitate another's place.
    """
    name = "/".join(
        quote(piece, safe="")
        for piece in (tenant, account.kind, account.id, place.kind, place.chat)
    )
    if place.thread:
        name += f"/t={quote(place.thread, safe='')}"
    if place.kind == "direct" or scope == "peer":
        name += f"/u={quote(sender.id, safe='')}"
    return ConversationId(name)


def inbound_id(account: Account, chat: str, native: str, event: str = "m") -> InboundId:
    """Identity of an event: platform, account, chat, native id, and what happened to it."""
    return InboundId(f"{account.key}/{quote(chat, safe='')}/{quote(native, safe='')}/{event}")


class What(TypedDict, total=False):
    """What an event says, as the fields of `Inbound` do."""

    kind: InboundKind
    text: str
    attachments: tuple[Attachment, ...]
    native_id: str
    target: str
    reply_to: str
    quote: str
    mentions: tuple[str, ...]
    addressed: bool
    headers: dict[str, str]
    sent_at: float


def happened(
    account: Account,
    place: Place,
    sender: Sender,
    *,
    native: str,
    event: str = "m",
    **what: Unpack[What],
) -> Inbound:
    """An event of a platform with its ids made of where and by whom it was; `native` and `event`
    as in `inbound_id`."""
    return Inbound(
        id=inbound_id(account, place.chat, native, event),
        conversation=conversation_id(account, place, sender),
        account=account,
        place=place,
        sender=sender,
        **what,
    )


def reply_id(about: str, kind: str = "") -> ReplyId:
    """Deterministic id of the reply to an inbound (20 characters of base32 lower case)."""
    digest = hashlib.blake2b(f"{about}\n{kind}".encode(), digest_size=12).digest()
    return ReplyId(base64.b32encode(digest).decode().lower().rstrip("="))
