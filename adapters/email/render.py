"""An answer becomes a mail: multipart/alternative, threaded, marked as automatic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from gateway.message import Outbound


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


LOOP = "X-Moltgate-Loop"


def message_id(key: str, style: Style) -> str:
    """The same for every attempt at the part of this key, so that it can be looked up."""
    raise NotImplementedError


def compose(
    outbound: Outbound,
    to: str,
    style: Style,
    question: Question | None,
    files: Sequence[Attached],
    *,
    now: float,
) -> bytes:
    """The mail as bytes with CRLF line ends, every line of them at most 998 bytes."""
    raise NotImplementedError


def split(outbound: Outbound) -> Sequence[Outbound]:
    """A mail is one part, however long, with its files."""
    raise NotImplementedError
