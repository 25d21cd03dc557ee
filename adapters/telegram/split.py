"""A reply is cut into messages that Telegram takes. Pure, and no text is lost."""

from __future__ import annotations

from adapters.telegram.capabilities import CAPTION_LIMIT, TEXT_LIMIT
from adapters.telegram.render import DIALECT
from gateway.markup import Splitter
from gateway.markup.units import utf16

_SPLITTER = Splitter(
    DIALECT,
    TEXT_LIMIT,
    measure=utf16,
    caption=CAPTION_LIMIT,
    captioned=("image", "video", "audio", "document"),
)

split = _SPLITTER.split
seen = _SPLITTER.size


def split_text(markdown: str, limit: int = TEXT_LIMIT) -> list[str]:
    """CommonMark in pieces of which each shows at most `limit` UTF-16 units."""
    return Splitter(DIALECT, limit, measure=utf16).texts(markdown)
