"""What stands in the chats of the fake WhatsApp, and what may be sent there."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

TOKEN = "EAAfakewhatsapptoken0123456789"
APP_SECRET = "0123456789abcdef0123456789abcdef"
VERIFY = "fake-verify-token"
NUMBER = "106540352242922"
WINDOW = 24 * 3600.0

_KINDS = ("text", "image", "audio", "video", "document", "interactive", "reaction", "template")
_COMMON = {
    "messaging_product", "recipient_type", "to", "recipient", "type", "context",
    "biz_opaque_callback_data",
}  # fmt: skip
_FIELDS: Mapping[str, set[str]] = {
    "text": {"preview_url", "body"},
    "image": {"id", "caption"},
    "video": {"id", "caption"},
    "document": {"id", "caption", "filename"},
    "audio": {"id", "voice"},
    "interactive": {"type", "body", "action"},
    "reaction": {"message_id", "emoji"},
    "template": {"name", "language", "components"},
}
_NUMBER = re.compile(r"\d{5,20}")


class Refused(Exception):
    """An answer of the Graph API that is no success."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass
class Fault:
    """What goes wrong with the next calls of a kind: ``messages``, ``media``, ``info``,
    ``download`` or ``number``."""

    call: str
    kind: Literal["status", "cut", "cut_after", "delay", "garbage", "pieces"]
    status: int = 500
    code: int | None = None
    chat: str = ""
    times: int | None = 1
    seconds: float = 0.0


@dataclass
class Call:
    name: str
    body: dict[str, Any]
    at: float
    status: int = 0
    outcome: str = ""


@dataclass
class Shown:
    """A message of ours in somebody's chat."""

    id: str
    chat: str
    kind: str
    text: str
    body: dict[str, Any]
    at: float
    context: str = ""
    media: bytes = b""


@dataclass
class World:
    wrote: dict[str, float] = field(default_factory=dict)
    """When each person last wrote: opens the window."""
    inbound: dict[str, str] = field(default_factory=dict)
    """Chat of each message that a person wrote."""
    shown: list[Shown] = field(default_factory=list)
    reactions: dict[str, str] = field(default_factory=dict)
    read: list[str] = field(default_factory=list)
    typing: list[str] = field(default_factory=list)
    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    uploads: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    late_by_status: bool = False
    """Whether a message outside the window is taken, and refused by a status later."""
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def new_id(self, what: str) -> str:
        return f"{what}{next(self._numbers):012d}"

    def take(self, body: dict[str, Any]) -> dict[str, Any]:
        """The answer to a good call of ``messages``."""
        _must(body.get("messaging_product") == "whatsapp", "messaging_product")
        if "status" in body:
            return self._mark(body)
        kind = body.get("type")
        _must(kind in _KINDS, "type")
        _must(set(body) <= _COMMON | {kind}, f"fields {sorted(body)}")
        chat = str(body.get("to") or body.get("recipient") or "")
        _must(bool(_NUMBER.fullmatch(chat)) if "to" in body else "." in chat, "to")
        _must(body.get("recipient_type") == "individual", "recipient_type")
        _must(len(body.get("biz_opaque_callback_data", "")) <= 512, "biz_opaque_callback_data")
        what = body.get(kind)
        _must(isinstance(what, dict) and set(what) <= _FIELDS[kind], f"{kind} fields")
        assert isinstance(what, dict)
        open_window = time.time() - self.wrote.get(chat, 0.0) < WINDOW
        if not open_window and kind != "template" and not self.late_by_status:
            raise Refused(400, 131047, "Re-engagement message")
        if kind == "reaction":
            self.reactions[what["message_id"]] = what["emoji"]
            return self._said(chat, self.new_id("wamid.r"))
        text, media = self._content(kind, what)
        context = body.get("context", {}).get("message_id", "")
        _must(not context or context.startswith("wamid."), "context")
        shown = Shown(
            id=self.new_id("wamid.o"),
            chat=chat,
            kind=kind,
            text=text,
            body=body,
            at=time.time(),
            context=context,
            media=media,
        )
        if open_window or kind == "template":
            self.shown.append(shown)
        return self._said(chat, shown.id)

    def _mark(self, body: dict[str, Any]) -> dict[str, Any]:
        allowed = {"messaging_product", "status", "message_id", "typing_indicator"}
        _must(set(body) <= allowed, "fields of a read mark")
        _must(body["status"] == "read", "status")
        _must(body.get("message_id") in self.inbound, "message_id")
        self.read.append(body["message_id"])
        if "typing_indicator" in body:
            _must(body["typing_indicator"] == {"type": "text"}, "typing_indicator")
            self.typing.append(self.inbound[body["message_id"]])
        return {"success": True}

    def _content(self, kind: str, what: dict[str, Any]) -> tuple[str, bytes]:
        match kind:
            case "text":
                _text(what.get("body"), 4096)
                _must(what.get("preview_url") in (None, True, False), "preview_url")
                return what["body"], b""
            case "interactive":
                return _buttons(what), b""
            case "template":
                _must(isinstance(what.get("language"), dict), "language")
                return f"[template {what['name']} {what['language']['code']}]", b""
        _must(what.get("id") in self.uploads, f"{kind} id")
        media_type, content = self.uploads[what["id"]]
        _must(kind == "document" or media_type.startswith(kind), f"{media_type} as {kind}")
        if "caption" in what:
            _text(what["caption"], 1024)
        return what.get("caption", ""), content

    def _said(self, chat: str, id: str) -> dict[str, Any]:
        return {
            "messaging_product": "whatsapp",
            "contacts": [{"input": chat, "wa_id": chat}],
            "messages": [{"id": id}],
        }


def _buttons(what: dict[str, Any]) -> str:
    _must(what.get("type") == "button", "interactive type")
    text = what.get("body", {}).get("text")
    _text(text, 1024)
    buttons = what.get("action", {}).get("buttons", [])
    _must(1 <= len(buttons) <= 3, "buttons")
    titles = [one["reply"]["title"] for one in buttons]
    _must(len(set(titles)) == len(titles), "titles differ")
    for one in buttons:
        _must(set(one) == {"type", "reply"} and one["type"] == "reply", "button")
        _text(one["reply"]["title"], 20)
        _text(one["reply"]["id"], 256)
    return str(text)


def _text(value: Any, limit: int) -> None:
    _must(isinstance(value, str) and bool(value.strip()), "an empty text")
    _must(len(value) <= limit, f"a text longer than {limit}")


def _must(true: bool, what: str) -> None:
    if not true:
        raise Refused(400, 100, f"(#100) Invalid parameter: {what}")
