"""Text that can be sent anywhere, and whether anybody would see it."""

from __future__ import annotations

import re
import unicodedata

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_UNSEEN = {"\u2800", "\u3164", "\uffa0", "\u115f", "\u1160", "\u17b4", "\u17b5"}


def clean(text: str) -> str:
    """Line feeds only, no control characters, nothing that cannot be written as UTF-8."""
    if _SURROGATE.search(text):
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def blank(text: str) -> bool:
    """Whether nobody would see anything: platforms refuse such a message."""
    return all(
        char in _UNSEEN or char.isspace() or unicodedata.category(char) in ("Cc", "Cf", "Mn", "Me")
        for char in text
    )
