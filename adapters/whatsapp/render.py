"""CommonMark becomes WhatsApp's markup, cut to messages that WhatsApp takes. Pure.

WhatsApp has no way to escape its marks. What would begin or end a format, and does neither, becomes
a character that looks like it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from adapters.whatsapp.capabilities import (
    BUTTON_DATA,
    BUTTON_LABEL,
    BUTTON_TEXT_LIMIT,
    BUTTONS,
    CAPTION_LIMIT,
    TEXT_LIMIT,
)
from gateway.markup import Dialect, Marks, Rendered, Splitter, blank, clean, render
from gateway.markup.units import utf16
from gateway.message import Outbound

NOTHING = "(empty message)"
"""Shown for a text in which there is nothing to see: WhatsApp takes no empty messages."""
_JOINER = "\N{WORD JOINER}"
_ALIKE = str.maketrans(
    {
        "*": "\N{ASTERISK OPERATOR}",
        "_": "\N{FULLWIDTH LOW LINE}",
        "~": "\N{TILDE OPERATOR}",
        "`": "\N{REVERSED PRIME}",
    }
)
_MARK = re.compile(r"(?<![^\W_])[*_~`](?!\s)|(?<!\s)[*_~`](?![^\W_])")
"""What could open a format, or close one."""
_FENCE = re.compile(r"`(?=``)")
_ENCODED = {"*": "%2A", "_": "%5F", "~": "%7E", "`": "%60"}


def _escape(text: str) -> str:
    """Marks count at the edges of words only. What looks like them is no letter: it must not take
    that from a mark beside it."""
    safe = _MARK.sub(lambda mark: mark[0].translate(_ALIKE), text)
    # A quotation begins with this.
    return _JOINER + safe if safe.lstrip().startswith(">") else safe


def _address(address: str) -> str:
    return _MARK.sub(lambda mark: _ENCODED[mark[0]], address)


def _code(code: str) -> str:
    inside = code.strip()
    return _escape(code) if "`" in inside or not inside else f"`{inside}`"


def _block(code: str, language: str) -> str:
    """WhatsApp colours nothing, and would show the language as code."""
    inside = _FENCE.sub(f"`{_JOINER}", code)
    return f"```\n{inside}\n```"


DIALECT = Dialect(
    escape=_escape,
    address=_address,
    strong=Marks(before="*", after="*"),
    emphasis=Marks(before="_", after="_"),
    strike=Marks(before="~", after="~"),
    code=_code,
    block=_block,
    alone=True,
    words=True,
    counts="written",
)

_splitter = Splitter(
    DIALECT,
    TEXT_LIMIT,
    measure=utf16,
    caption=CAPTION_LIMIT,
    captioned=("image", "video", "document"),
)


def rendered(markdown: str) -> Rendered:
    """A text as it is sent. Never fails, whatever the text is."""
    return render(markdown, DIALECT)


def split(outbound: Outbound) -> Sequence[Outbound]:
    """Parts within WhatsApp's limits, one message each. Buttons that it cannot show become lines of
    the text."""
    if outbound.buttons and not fits_buttons(outbound):
        outbound = msgspec.structs.replace(outbound, text=_with_choices(outbound), buttons=())
    return _splitter.split(outbound)


def fits_buttons(outbound: Outbound) -> bool:
    """Whether WhatsApp shows these buttons under this text."""
    buttons = [button for row in outbound.buttons for button in row]
    labels = {clean(button.label).strip() for button in buttons}
    text = rendered(outbound.text)
    return (
        not outbound.files
        and 1 <= len(buttons) <= BUTTONS
        and len(labels) == len(buttons)
        and not blank(text.text)
        and utf16(text.markup) <= BUTTON_TEXT_LIMIT
        and all(
            not button.url
            and not blank(button.label)
            and utf16(clean(button.label).strip()) <= BUTTON_LABEL
            and 1 <= len(button.data or button.label) <= BUTTON_DATA
            for button in buttons
        )
    )


def _with_choices(outbound: Outbound) -> str:
    """The buttons as lines that can be answered by writing."""
    lines = [
        f"- {clean(button.label)}: {button.url}" if button.url else f"- {clean(button.label)}"
        for row in outbound.buttons
        for button in row
        if not blank(button.label)
    ]
    return "\n\n".join(filter(None, (outbound.text, "\n".join(lines))))
