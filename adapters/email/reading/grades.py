"""How sure we are of who wrote a mail. From is what somebody typed; only our own receiving server's
Authentication-Results makes more of it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from adapters.email.reading.mail import Mail


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Whom to believe."""

    server: str = ""
    """The authserv-id of the receiving server; without one nobody is ever verified."""
    alignment: Literal["relaxed", "strict"] = "relaxed"
    """Whether ``mail.example.org`` vouches for ``example.org``."""
    several: bool = False
    """The server writes one header for each check, and takes away those that claim to be its own.
    Otherwise only its topmost header counts."""
    received_above: int | None = None
    """Most Received headers that may stand above the server's header; None for any number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Graded:
    grade: Literal["verified", "asserted", "unverified"]
    """``verified``: DMARC, or DKIM of an aligned domain. ``asserted``: only SPF of an aligned
    domain, which everybody has who may send through the same servers."""
    reason: str
    """In few words of low cardinality, e.g. ``dmarc``, ``no_results``, ``several_from``."""


def grade(mail: Mail, trust: Trust, known: Collection[str] = ()) -> Graded:
    """`known` are addresses that have rights (owners, allow-lists): who only looks like one of
    them is unverified, whatever servers say."""
    raise NotImplementedError


def answer_to(mail: Mail, graded: Graded) -> str:
    """Where an answer goes: to Reply-To only where its domain was vouched for as From's was,
    else to From; empty when there is nobody to answer."""
    raise NotImplementedError
