"""Which mails are of one conversation. Pure."""

from __future__ import annotations

import hashlib
import re

_TAGS = re.compile(
    r"\s*(?:(?:re|aw|antw|antwort|sv|vs|odp|ynt|ref|rif|res|fwd?|wg|tr|enc|i)(?:\[\d+\])?\s*[:\uff1a]"
    r"|\[[^\]\n]{1,40}\])\s*",
    re.IGNORECASE,
)


def base(subject: str) -> str:
    """The subject without marks of answers, forwards and lists, to be compared."""
    while found := _TAGS.match(subject):
        subject = subject[found.end() :]
    return " ".join(subject.casefold().split())


def conversation(root: str, subject: str) -> str:
    """`Place.thread`: of the mail that began the thread, and its subject, because people answer an
    old mail when they want to write about something else."""
    return hashlib.sha256(f"{root}\n{base(subject)}".encode("utf-8", "replace")).hexdigest()[:20]
