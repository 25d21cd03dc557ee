"""A payload becomes an `Inbound`. Pure: no clock, no network, no secrets.

Whatever the payload says, session, sender and ids stay under the account: a sender's id begins with
``webhook:<account>:``, so that nobody who posts here can be taken for somebody from elsewhere.
"""

from __future__ import annotations

import base64
import binascii
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from urllib.parse import quote

import msgspec
from msgspec import Meta

from adapters.webhook.config import MapConfig
from adapters.webhook.mapping import Unmappable, is_true, looking, path, template
from adapters.webhook.render import ECHO, MESSAGE
from gateway.marks import thinned
from gateway.markup import clean
from gateway.message import (
    Account,
    Attachment,
    Inbound,
    InboundKind,
    Place,
    Sender,
    conversation_id,
    inbound_id,
)

ID_LENGTH = 200
"""Characters of an id that a payload may choose."""
_SHORT = 64
"""A text up to this length could be a word that means a command, such as ``stop``."""
_FILES = 10

Id = Annotated[str, Meta(min_length=1, max_length=ID_LENGTH, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")]
OptionalId = Annotated[str, Meta(max_length=ID_LENGTH, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]


class GenericFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    content: str
    """Base64."""
    name: Annotated[str, Meta(max_length=255)] = ""
    voice: bool = False
    """Recorded speech rather than a sound file."""


class Generic(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Our own schema. Unknown fields are errors, so that nothing is ignored silently."""

    conversation: Id
    sender: Id
    id: OptionalId = ""
    """Names the message; webhook-id when left out."""
    kind: Literal["message", "edit", "delete", "button", "reaction"] = "message"
    target: OptionalId = ""
    """For edit, delete and reaction: the id of the message it is about."""
    name: Annotated[str, Meta(max_length=128)] = ""
    text: Annotated[str, Meta(max_length=65536)] = ""
    attachments: Annotated[tuple[GenericFile, ...], Meta(max_length=_FILES)] = ()
    reply_to: OptionalId = ""
    quote: Annotated[str, Meta(max_length=4000)] = ""
    sent_at: Annotated[float, Meta(ge=0, le=1e11)] = 0.0
    bot: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    event: Inbound
    files: tuple[bytes, ...] = ()
    """The content of each of the event's attachments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ids:
    """What names a payload."""

    message: str
    """As its sender knows it, where it named it."""
    unique: str
    """In our own store."""


def generic(payload: Any, account: Account, ids: Callable[[str], Ids]) -> Parsed:
    """Raises `Unmappable`. `ids` makes ids of what the payload calls itself."""
    try:
        found = msgspec.convert(payload, Generic)
    except msgspec.ValidationError as problem:
        raise Unmappable(_sentence(problem)) from problem
    if found.kind in ("edit", "delete", "reaction") and not found.target:
        raise Unmappable(f"{found.kind} needs target, the id of the message it is about")
    files = tuple(_bytes(each, number) for number, each in enumerate(found.attachments))
    attachments = tuple(
        Attachment(
            kind="voice" if each.voice else "document", name=clean(each.name), size=len(content)
        )
        for each, content in zip(found.attachments, files, strict=True)
    )
    names = ids(found.id)
    if found.kind in ("edit", "delete", "reaction"):
        # Named by its post: a second edit may well come under the id that the message has.
        names = Ids(message=names.message, unique=ids("").unique)
    event = _inbound(
        account,
        names,
        conversation=found.conversation,
        sender=found.sender,
        name=found.name,
        text=found.text,
        kind=found.kind,
        attachments=attachments,
        target=found.target,
        reply_to=found.reply_to,
        quote=found.quote,
        sent_at=found.sent_at,
        is_bot=found.bot,
    )
    return Parsed(event=event, files=files)


def mapped(
    payload: Any,
    account: Account,
    given: MapConfig,
    ids: Callable[[str], Ids],
    *,
    commands: bool,
    notice: Callable[[], None] = lambda: None,
) -> Parsed | None:
    """None for what the map leaves out. Raises `Unmappable`. `notice` is called for each path that
    could not be followed."""
    look = looking(payload, notice)
    if given.when and not is_true(look(path(given.when))):
        return None
    source = given.text
    if given.rules:
        rules = (one for one in given.rules if not one.when or is_true(look(path(one.when))))
        chosen = next(rules, None)
        if chosen is None:
            return None
        source = chosen.text
    text = template(source).fill(look).strip()
    if not commands and template(source).begins_with_payload:
        text = without_commands(text)
    if not text:
        raise Unmappable("the map makes no text of this payload")
    echo = {ECHO + name: template(each).fill(look)[:8000] for name, each in given.echo.items()}
    event = _inbound(
        account,
        ids(_id(template(given.id).fill(look), "id") if given.id else ""),
        conversation=_id(template(given.conversation).fill(look), "conversation"),
        sender=_id(template(given.sender).fill(look), "sender"),
        name=template(given.name).fill(look) if given.name else "",
        text=text,
        headers=echo,
    )
    return Parsed(event=event)


def without_commands(text: str) -> str:
    """The text so that the gateway takes it for a message, whatever it says: who fills a template
    must not be the one who chooses the model or ends an answer."""
    text = unicodedata.normalize("NFC", thinned(clean(text))).strip()
    return f"Message: {text}" if text and (text[0] == "/" or len(text) <= _SHORT) else text


def sender_id(account: Account, native: str) -> str:
    """Without blanks, so that it can stand in an allow-list."""
    return f"webhook:{account.id}:{quote(native, safe='@:+,=/._~-')}"


def _inbound(
    account: Account,
    ids: Ids,
    *,
    conversation: str,
    sender: str,
    name: str,
    text: str,
    kind: InboundKind = "message",
    attachments: Sequence[Attachment] = (),
    target: str = "",
    reply_to: str = "",
    quote: str = "",
    sent_at: float = 0.0,
    is_bot: bool = False,
    headers: Mapping[str, str] | None = None,
) -> Inbound:
    place = Place(kind="direct", chat=conversation)
    who = Sender(id=sender_id(account, sender), name=name[:128], is_bot=is_bot)
    event = {"message": "m", "button": "m"}.get(kind, f"{kind[0]}.{target}")
    return Inbound(
        id=inbound_id(account, conversation, ids.unique, event),
        conversation=conversation_id(account, place, who),
        account=account,
        place=place,
        sender=who,
        kind=kind,
        text=text,
        attachments=tuple(attachments),
        native_id=ids.message,
        target=target,
        reply_to=reply_to,
        quote=quote,
        sent_at=sent_at,
        headers={MESSAGE: ids.message, **(headers or {})},
    )


def _id(value: str, name: str) -> str:
    value = value.strip()
    if not value:
        raise Unmappable(f"the map gives no {name}")
    if len(value) > ID_LENGTH or any(unicodedata.category(char) == "Cc" for char in value):
        raise Unmappable(f"the {name} is longer than {ID_LENGTH} characters or not on one line")
    return value


def _bytes(file: GenericFile, number: int) -> bytes:
    try:
        return base64.b64decode(file.content, validate=True)
    except (binascii.Error, ValueError):
        raise Unmappable(f"attachments[{number}].content is not base64") from None


def _sentence(problem: msgspec.ValidationError) -> str:
    """The decoder's words name our fields; what else is in them may be the sender's."""
    return "".join(char if " " <= char <= "~" else "?" for char in str(problem))[:200]
