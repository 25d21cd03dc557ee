"""E-mail files: who, when, what about, the text, and what else there is. In a confined child only,
which reads all kinds of text.

Attachments are named and not opened.
"""

from __future__ import annotations

import email.policy
import re
from email.header import decode_header
from email.message import Message
from email.parser import BytesParser
from typing import Any

from multimodal.confined import texts
from multimodal.confined.gathered import Gathered, plural
from multimodal.confined.texts import page, plain, rich, separated
from multimodal.errors import Unreadable

__all__ = ["letter", "page", "plain", "rich", "separated", "warm_up"]

HEADERS = 256 * 1024
"""Bytes of all headers of a mail."""
HEADER = 8 * 1024
PARTS = 2_000
"""Lines that look like the borders of parts: the parser takes time by the square of them."""
NAMED = 50

_SHOWN = ("From", "To", "Cc", "Date", "Subject")
_BORDER = re.compile(rb"^--(?!\r?$)\S", re.MULTILINE)


def warm_up() -> None:
    texts.warm_up()
    letter(
        b"From: =?utf-8?q?a?= <a@b.c>\nContent-Type: multipart/mixed; boundary=x\n\n--x\n"
        b"Content-Type: text/html\nContent-Transfer-Encoding: base64\n\nPGI+YTwvYj4=\n--x--\n",
        keep=100,
    )


def letter(content: bytes, *, keep: int) -> dict[str, Any]:
    """A mail as it was saved."""
    gathered = Gathered()
    content = content.replace(b"\r\n", b"\n").lstrip()
    end = content.find(b"\n\n")
    if (end if end >= 0 else len(content)) > HEADERS:
        raise Unreadable("its headers are too long")
    if len(_BORDER.findall(content)) > PARTS:
        raise Unreadable("it has too many parts")
    mail = BytesParser(policy=email.policy.compat32).parsebytes(content)
    headers = [f"{name}: {value}" for name in _SHOWN if (value := _header(mail, name))]
    gathered.add("\n".join(headers))
    named: list[str] = []
    found = _walk(mail, gathered, named, 0)
    gathered.add("\n\n".join(text for _, text in found if text.strip()))
    if len(named) > NAMED:
        named[NAMED:] = [f"and {len(named) - NAMED:,} more"]
    if named:
        gathered.add("\n".join(["Attachments (not opened):", *(f"- {name}" for name in named)]))
        gathered.notes.append(f"{plural(len(named), 'attachment')} not opened")
    return gathered.told(keep)


def _walk(part: Message, gathered: Gathered, named: list[str], depth: int) -> list[tuple[str, str]]:
    """The texts in it, each with its kind."""
    kind = part.get_content_type()
    found: list[tuple[str, str]] = []
    if kind == "message/rfc822":
        inner = part.get_payload(0) if part.is_multipart() else None
        subject = _header(inner, "Subject") if isinstance(inner, Message) else ""
        named.append(f"mail{': ' if subject else ''}{subject}")
    elif part.is_multipart():
        if depth < 10:
            for each in part.get_payload():
                if isinstance(each, Message):
                    found += _walk(each, gathered, named, depth + 1)
        if kind == "multipart/alternative":  # the same in several ways
            plainly = [each for each in found if each[0] == "text/plain" and each[1].strip()]
            return plainly or found
    elif kind.startswith("multipart/"):  # without the parts that it speaks of
        found.append(("text/plain", str(part.get_payload())))
    elif kind in ("text/plain", "text/html") and not _is_attached(part):
        payload = part.get_payload(decode=True)
        text = _text(payload if isinstance(payload, bytes) else b"", part)
        if kind == "text/html":
            text, hidden, note = texts.from_html(text)
            gathered.notes += ["hidden text was left out"] if hidden else []
            gathered.notes += [note] if note else []
        found.append((kind, text))
    else:
        name = part.get_filename()
        named.append(f"{_decoded(name) or 'without a name'} ({kind[:80]})")
    return found


def _is_attached(part: Message) -> bool:
    return str(part.get("Content-Disposition", ""))[:200].lower().startswith("attachment")


def _text(payload: bytes, part: Message) -> str:
    try:
        charset = part.get_content_charset()
        if charset and isinstance(text := payload.decode(charset, "replace"), str):
            return text
    except (LookupError, ValueError, TypeError, AttributeError):
        pass
    try:
        return texts.decoded(payload)
    except Unreadable:
        return ""


def _header(mail: Message, name: str) -> str:
    value = mail.get(name)
    return "" if value is None else _decoded(str(value))


def _decoded(value: str | None) -> str:
    if not value:
        return ""
    value = value[:HEADER]
    pieces: list[str] = []
    try:
        for piece, charset in decode_header(value):
            pieces.append(piece if isinstance(piece, str) else _word(piece, charset))
    except (ValueError, LookupError, TypeError, AttributeError, IndexError):
        pieces = [value]
    return " ".join("".join(pieces).split())


def _word(piece: bytes, charset: str | None) -> str:
    try:
        return piece.decode(charset or "utf-8", "replace")
    except LookupError:
        return piece.decode("latin-1")
