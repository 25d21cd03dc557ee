"""What may stand in a header or an SMTP command."""

from __future__ import annotations

import re
import unicodedata

import idna

_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_DOMAIN = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9-]{1,63}(?<!-))*")
_ID = re.compile(r"<[\x21-\x3b\x3d\x3f-\x7e]{1,500}>")
_SEPARATORS = {"\u2028", "\u2029"}


def header_safe(value: str, limit: int = 900) -> str:
    """One line without control characters, cut to `limit` characters."""
    kept = (
        " " if char in _SEPARATORS or unicodedata.category(char) in ("Cc", "Cs") else char
        for char in value[: limit * 4]
    )
    return " ".join("".join(kept).split())[:limit].rstrip()


def address_safe(address: str) -> str:
    """A mailbox that can stand in a header and an SMTP command as it is, its domain in ASCII and
    lower case; empty when it is none (spaces, quotes, brackets, control characters, no domain)."""
    local, at, domain = address.rpartition("@")
    if not at or len(local) > 64 or not _LOCAL.fullmatch(local):
        return ""
    domain = domain_safe(domain)
    if not domain or len(local) + len(domain) > 253:
        return ""
    return f"{local}@{domain}"


def domain_safe(domain: str) -> str:
    """A domain name in ASCII and lower case, without a dot at its end; empty when it is none."""
    if len(domain) > 253:
        return ""
    if not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            return ""
    domain = domain.lower().removesuffix(".")
    return domain if len(domain) <= 253 and _DOMAIN.fullmatch(domain) else ""


def id_safe(message_id: str) -> str:
    """A Message-ID with its brackets; empty when it is none."""
    message_id = message_id.strip(" \t")
    return message_id if _ID.fullmatch(message_id) else ""
