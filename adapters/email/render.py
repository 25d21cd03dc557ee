"""An answer becomes a mail: multipart/alternative, threaded, marked as automatic.

Pure. Every header is written by one function that lets nothing through which could end it, and
everything else goes out as base64 or quoted-printable: no line is ours that is not meant to be.
"""

from __future__ import annotations

import base64
import binascii
import email.utils
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.header import Header
from html import escape
from typing import Literal
from urllib.parse import quote

from adapters.email.reading.lines import address_safe, header_safe, id_safe
from gateway.errors import Failed
from gateway.markup import blank, clean, html, plain
from gateway.message import Outbound

LOOP = "X-Moltgate-Loop"
"""Counts in every answer of ours how often our kind has answered in the thread."""

_FOLD = "\r\n "
_REFERENCES = 4_000
"""Characters of References: servers and programs refuse headers that are very long."""
_SUBJECT = 300
_NAME = 100
_QUOTED = 20_000
_ANSWERED = re.compile(
    r"\s*(?:re|aw|antw|sv|vs|odp|ynt|rif|res|回复|回覆|答复)\s*(?:\[\d{1,3}\])?\s*[:\uff1a]",
    re.IGNORECASE,
)
_MEDIA = re.compile(r"(?!multipart/|message/)[a-z0-9][a-z0-9.+-]{0,60}/[a-z0-9][a-z0-9.+-]{0,60}")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9 !#$%&'*+/=?^_`{|}~.-]*")
_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """The account's settings that show in every mail."""

    address: str
    name: str = ""
    signature: str = ""
    """Plain text below a ``-- `` line."""
    quoting: Literal["none", "top"] = "none"
    """``top``: the answer above, the question quoted below."""
    domain: str = ""
    """Right of the @ in our Message-IDs; empty for the domain of `address`."""
    secret: bytes = b""
    """Makes Message-IDs nobody can guess."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """The mail that is answered, as far as its answer shows it."""

    message_id: str = ""
    references: tuple[str, ...] = ()
    subject: str = ""
    text: str = ""
    """For quoting."""
    author: str = ""
    """Name or address, for the line above the quotation."""
    date: float = 0.0
    loop: int = 0
    """How often our own kind answered in this thread already (`loop_count`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    name: str
    media_type: str
    content: bytes = field(repr=False)


def message_id(key: str, style: Style) -> str:
    """The same for every attempt at the part of this key, so that it can be looked up."""
    digest = hashlib.blake2b(key.encode(), key=style.secret[:64], digest_size=15).digest()
    domain = style.domain or style.address.rpartition("@")[2]
    made = id_safe(f"<{base64.b32encode(digest).decode().lower()}@{domain}>")
    if not made:
        raise Failed(f"no Message-ID can be made with the domain {domain!r}")
    return made


def compose(
    outbound: Outbound,
    to: str,
    style: Style,
    question: Question | None,
    files: Sequence[Attached],
    *,
    now: float,
) -> bytes:
    """The mail as bytes with CRLF line ends, no line longer than 998 bytes. `Failed` when `to` is
    no address. Two attempts at one part differ in their Date at most."""
    recipient, own = address_safe(to), address_safe(style.address)
    if not recipient or not own:
        raise Failed("a mail needs the address of its sender and of its recipient")
    ours = message_id(outbound.key, style)
    mark = ours.strip("<>").partition("@")[0]
    headers = [
        ("From", _mailbox(style.name, own)),
        ("To", recipient),
        ("Subject", _words(_subject(question, style), "Subject")),
        ("Date", email.utils.format_datetime(datetime.fromtimestamp(now, UTC))),
        ("Message-ID", ours),
        *_thread(question),
        ("Auto-Submitted", "auto-replied" if question else "auto-generated"),
        ("X-Auto-Response-Suppress", "All"),
        (LOOP, str(min((question.loop if question else 0) + 1, 1_000))),
        ("MIME-Version", "1.0"),
    ]
    body = _alternative(_plain(outbound, style, question), _html(outbound, style, question), mark)
    if files:
        body = _multipart("mixed", f"{mark}.m", [body, *(_file(each) for each in files)])
    return b"".join(_header(name, value) for name, value in headers) + body


def split(outbound: Outbound) -> Sequence[Outbound]:
    """A mail is one part, however long, with its files."""
    return [outbound]


# --- headers ------------------------------------------------------------------------------------


def _header(name: str, value: str) -> bytes:
    """`value` is folded where it may be; between the folds it is one safe line."""
    lines = [header_safe(line, 990) for line in value.split(_FOLD)]
    return f"{name}: {_FOLD.join(line for line in lines if line)}\r\n".encode("ascii", "replace")


def _words(text: str, name: str) -> str:
    """Unstructured text in ASCII, folded; encoded words where it needs them."""
    text = header_safe(clean(text), _SUBJECT)
    if text.isascii() and "=?" not in text:
        return Header(text, "us-ascii", 76, name, " ").encode(linesep="\r\n")
    return Header(text, "utf-8", 76, name, " ").encode(linesep="\r\n")


def _mailbox(name: str, address: str) -> str:
    name = header_safe(clean(name), _NAME).replace("\\", "").replace('"', "")
    if not name:
        return address
    if name.isascii() and "=?" not in name:
        return f'"{name}" <{address}>'
    return f"{_words(name, 'From')}\r\n <{address}>"


def _subject(question: Question | None, style: Style) -> str:
    subject = header_safe(question.subject if question else "", _SUBJECT)
    if not subject:
        subject = f"Message from {style.name or style.address}" if question is None else "your mail"
    if question is None or _ANSWERED.match(subject):
        return subject
    return f"Re: {subject}"


def _thread(question: Question | None) -> list[tuple[str, str]]:
    """In-Reply-To and References: the first, where the thread begins, and the newest that fit."""
    answered = id_safe(question.message_id) if question else ""
    if question is None or not answered:
        return []
    known = [each for each in map(id_safe, question.references) if each and each != answered]
    known = list(dict.fromkeys(known))
    kept, room = [answered], _REFERENCES - len(answered)
    first, rest = known[:1], known[1:]
    room -= sum(len(each) + 3 for each in first)
    for each in reversed(rest):
        room -= len(each) + 3
        if room < 0:
            break
        kept.insert(0, each)
    return [("In-Reply-To", answered), ("References", _FOLD.join(first + kept))]


# --- what people read ---------------------------------------------------------------------------


def _plain(outbound: Outbound, style: Style, question: Question | None) -> str:
    text = plain(_markdown(outbound))
    if style.signature:
        text += f"\n\n-- \n{clean(style.signature)}"
    introduction, quoted = _quotation(style, question)
    if quoted:
        text += f"\n\n{introduction}\n" + "\n".join(f"> {line}".rstrip() for line in quoted)
    return text + "\n"


def _html(outbound: Outbound, style: Style, question: Question | None) -> str:
    body = html(_markdown(outbound))
    if style.signature:
        lines = "<br />\n".join(escape(line) for line in clean(style.signature).split("\n"))
        body += f"\n<p>-- <br />\n{lines}</p>"
    introduction, quoted = _quotation(style, question)
    if quoted:
        lines = "<br />\n".join(escape(line) for line in quoted)
        body += f'\n<p>{escape(introduction)}</p>\n<blockquote type="cite">{lines}</blockquote>'
    return (
        '<!DOCTYPE html>\n<html><head><meta charset="utf-8" /></head>\n'
        f"<body>\n{body}\n</body></html>\n"
    )


def _markdown(outbound: Outbound) -> str:
    """With its buttons as a list: a mail has none."""
    text = clean(outbound.text)
    for row in outbound.buttons:
        for button in row:
            label = header_safe(button.label, 100)
            text += f"\n\n- {label}: <{button.url}>" if button.url else f"\n\n- {label}"
    return "(no text)" if blank(text) and not outbound.files else text


def _quotation(style: Style, question: Question | None) -> tuple[str, list[str]]:
    if style.quoting == "none" or question is None or blank(question.text):
        return "", []
    author = header_safe(clean(question.author), _NAME) or "you"
    when = ""
    if question.date > 0:
        when = f"On {datetime.fromtimestamp(question.date, UTC):%Y-%m-%d %H:%M} UTC, "
    lines = clean(question.text).strip("\n")[:_QUOTED].split("\n")
    return f"{when}{author} wrote:", lines


# --- MIME ---------------------------------------------------------------------------------------


def _alternative(text: str, markup: str, mark: str) -> bytes:
    return _multipart("alternative", f"{mark}.a", [_text(text, "plain"), _text(markup, "html")])


def _multipart(kind: str, mark: str, parts: Sequence[bytes]) -> bytes:
    """The boundary cannot stand in a part: there are only encoded lines, and none has its `=_`."""
    boundary = f"=_{mark}"
    head = _header("Content-Type", f'multipart/{kind};\r\n boundary="{boundary}"')
    line = b"\r\n--" + boundary.encode()
    return head + b"".join(line + b"\r\n" + part for part in parts) + line + b"--\r\n"


def _text(text: str, kind: str) -> bytes:
    raw = _LINE_END.sub("\r\n", text).encode("utf-8", "replace")
    readable = sum(byte < 128 for byte in raw) >= len(raw) * 0.8
    encoded = _quoted_printable(raw) if readable else _base64(raw)
    return (
        _header("Content-Type", f'text/{kind}; charset="utf-8"')
        + _header("Content-Transfer-Encoding", "quoted-printable" if readable else "base64")
        + b"\r\n"
        + encoded
    )


def _quoted_printable(raw: bytes) -> bytes:
    encoded = binascii.b2a_qp(raw, istext=True)
    encoded = re.sub(rb"\r?\n", b"\r\n", encoded)
    # Mailbox files put a mark before such a line, and some servers end a mail at a lone dot.
    encoded = re.sub(rb"(?m)^From ", b"=46rom ", encoded)
    return re.sub(rb"(?m)^\.", b"=2E", encoded)


def _base64(raw: bytes) -> bytes:
    return base64.encodebytes(raw).replace(b"\n", b"\r\n")


def _file(file: Attached) -> bytes:
    media = file.media_type.lower()
    if not _MEDIA.fullmatch(media):
        media = "application/octet-stream"
    name = header_safe(clean(file.name), _NAME) or "file"
    disposition = "attachment"
    if _PLAIN_NAME.fullmatch(name):
        disposition += f';\r\n filename="{name}"'
    else:
        disposition += f";\r\n filename*=utf-8''{quote(name, safe='')[:900]}"
    return (
        _header("Content-Type", media)
        + _header("Content-Transfer-Encoding", "base64")
        + _header("Content-Disposition", disposition)
        + b"\r\n"
        + _base64(file.content)
    )
