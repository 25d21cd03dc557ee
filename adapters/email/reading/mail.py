"""What the adapter needs to know about a mail. Plain data: it crosses from the reading child."""

from __future__ import annotations

from typing import Literal

import msgspec


class Unreadable(Exception):
    """The mail is beyond the limits or broke its reader: it is not answered, and reading it again
    gives the same. The text names the limit, never the mail's content."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a mail may cost. All but `size` and `text` are checked before anything is parsed."""

    size: int = 25 * 2**20
    """Bytes of the whole mail."""
    block: int = 64 * 2**10
    """Bytes of all headers of the mail or of one part; twice that for all together."""
    header: int = 8 * 2**10
    """Bytes of one header, folds included."""
    headers: int = 200
    depth: int = 10
    """Levels of parts within parts."""
    parts: int = 200
    text: int = 200_000
    """Characters of text that are kept; the rest is cut off and told in `Mail.problems`."""
    cpu: float = 2.0
    """Seconds of the child's CPU."""
    wall: float = 10.0
    """Seconds until the child is killed, whatever it does."""
    memory: int = 200 * 2**20
    """Bytes of the child's address space."""


class File(msgspec.Struct, frozen=True, kw_only=True):
    """Something that came along. The name is a label, never a path."""

    kind: Literal["image", "voice", "audio", "video", "document"]
    """By the claimed type; what it really is, its bytes tell (`gateway.files`)."""
    name: str = ""
    claimed: str = "application/octet-stream"
    content: bytes = b""
    inline: bool = False
    """A picture shown inside the text."""
    content_id: str = ""
    problem: str = ""
    """Why there are no bytes, in words for the user."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery status notification, or what plainly is one in prose."""

    action: Literal["failed", "delayed", "delivered", "relayed", "expanded", ""] = ""
    """The worst of all recipients; empty where nothing can be made out."""
    status: str = ""
    """Enhanced status code, e.g. ``5.1.1``."""
    recipients: tuple[str, ...] = ()
    """Whom `action` is about."""
    original_id: str = ""
    """Message-ID of the mail that it is about, with brackets."""
    diagnostic: str = ""
    """What the other server said, one line."""


class Property(msgspec.Struct, frozen=True, kw_only=True):
    """``header.d=example.org``, in lower case."""

    kind: str
    name: str
    value: str


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What a server found by one method, e.g. ``dkim=pass``."""

    method: str
    result: str
    properties: tuple[Property, ...] = ()


class AuthResults(msgspec.Struct, frozen=True, kw_only=True):
    """One Authentication-Results header. Whoever wrote the mail can have written this, too."""

    server: str = ""
    """The authserv-id, lower case; empty when the header cannot be read."""
    results: tuple[Result, ...] = ()
    received_above: int = 0
    """How many Received headers stand above it."""


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """A mail that was read. Every string is one clean line unless it says otherwise, and no
    address contains anything that could end a header or a command."""

    message_id: str = ""
    """With brackets; empty when there is none, or more than one."""
    in_reply_to: str = ""
    references: tuple[str, ...] = ()
    from_address: str = ""
    """Exactly one, with its domain in ASCII and lower case; empty when there is not exactly one."""
    from_name: str = ""
    sender: str = ""
    """Address of the Sender header; empty when absent."""
    reply_to: tuple[str, ...] = ()
    return_path: str | None = None
    """The envelope sender as the last server noted it; empty for the null sender, None where no
    such header came."""
    subject: str = ""
    date: float = 0.0
    """Seconds since the epoch; 0 when unknown."""
    to: tuple[str, ...] = ()
    cc: tuple[str, ...] = ()
    text: str = ""
    """What its author wrote now, several lines: without quoted history and signature."""
    quoted: str = ""
    """The history below or between it."""
    signature: str = ""
    full_text: str = ""
    html_only: bool = False
    attachments: tuple[File, ...] = ()
    auto: str = ""
    """Why nobody may answer it, whoever they are; empty when one may. `why_not_answered` says
    whether *we* may."""
    report: Report | None = None
    auth: tuple[AuthResults, ...] = ()
    """Topmost first."""
    headers: tuple[tuple[str, str], ...] = ()
    """All of its own headers in their order: lower-case name, value on one line, not decoded."""
    problems: tuple[str, ...] = ()
    """What was odd or was left out, in words of low cardinality."""
    body_hash: str = ""
    """SHA-256 of the body, whatever its line ends are."""

    def header(self, name: str) -> str:
        """The first of that (lower-case) name, or nothing."""
        return next((value for known, value in self.headers if known == name), "")

    def has(self, name: str) -> bool:
        return any(known == name for known, _ in self.headers)

    def all(self, name: str) -> tuple[str, ...]:
        return tuple(value for known, value in self.headers if known == name)


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What the reading child says of a mail."""

    mail: Mail | None = None
    problem: str = ""
