"""Text out of documents, without what people do not see in it and models would read. Pure."""

from __future__ import annotations

import re

from gateway.access.contents import clean

_UNSEEN = re.compile(
    "[\u00ad\u061c\u180e\u200b\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
"""Soft hyphens, bidirectional overrides, blanks of no width, and tags, which spell out whole
sentences that nobody sees."""
_RUNS = re.compile(
    "[\u034f\u115f\u1160\u200c-\u200f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]{2,}"
)
"""Each of these has its place in some script, or in an emoji. Two together hide something."""
_BREAKS = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_BULLETS = str.maketrans({"\uf0b7": "•", "\uf0a7": "▪", "\uf0d8": "➢", "\uf0fc": "✓", "\xa0": " "})
"""As the fonts Symbol and Wingdings have them."""
_EMPTY = re.compile(r"\n{4,}")


def cleaned(text: str) -> str:
    """Line feeds only, no blanks at line ends, no control or invisible characters, NFC."""
    text = _BREAKS.sub("\n", text).translate(_BULLETS)
    text = clean(_RUNS.sub("", _UNSEEN.sub("", text)))
    text = "\n".join(line.rstrip(" \t") for line in text.split("\n"))
    return _EMPTY.sub("\n\n\n", text).strip("\n")
