"""What may stand in a header or an SMTP command."""

from __future__ import annotations


def header_safe(value: str, limit: int = 900) -> str:
    """One line without control characters, cut to `limit` characters."""
    raise NotImplementedError


def address_safe(address: str) -> str:
    """A mailbox that can stand in a header and an SMTP command as it is, its domain in ASCII and
    lower case; empty when it is none (spaces, quotes, brackets, control characters, no domain)."""
    raise NotImplementedError


def id_safe(message_id: str) -> str:
    """A Message-ID with its brackets; empty when it is none."""
    raise NotImplementedError
