"""CommonMark becomes Slack's mrkdwn, cut to messages that Slack takes. Pure.

Slack has no way to escape its marks. What would begin or end a format, and does neither, gets a
soft hyphen on its inner side, which nobody sees.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from adapters.slack.capabilities import SECTION_LIMIT, TEXT_LIMIT
from gateway.markup import Dialect, Marks, Rendered, Splitter, render
from gateway.message import Outbound

_HYPHEN = "\N{SOFT HYPHEN}"
_OPENING = re.compile(r"(?<![^\W_])([*_~`])(?=\S)")
_CLOSING = re.compile(r"(?<=\S)([*_~`])(?![^\W_])")
_CALL = re.compile(r"(?<!\w)@(?=(?:here|channel|everyone|group)\b)", re.IGNORECASE)
_ONLY_BUTTONS = "…"


def _entities(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _escape(text: str) -> str:
    """Without angle brackets there is no mention, no link and no date."""
    safe = _CLOSING.sub(rf"{_HYPHEN}\1", _OPENING.sub(rf"\1{_HYPHEN}", _entities(text)))
    safe = _CALL.sub(f"@{_HYPHEN}", safe)
    # A quotation begins with this, escaped or not.
    return _HYPHEN + safe if text.lstrip().startswith(">") else safe


def _code(code: str) -> str:
    """Nothing can stand for a backtick inside of code."""
    inside = code.strip()
    return _escape(code) if "`" in inside else f"`{_entities(inside)}`"


def _block(code: str, language: str) -> str:
    """Slack colours nothing, and would show the language as code."""
    inside = _entities(code).replace("```", f"`{_HYPHEN}`{_HYPHEN}`")
    return f"```\n{inside}\n```"


DIALECT = Dialect(
    escape=_escape,
    address=lambda address: f"<{_entities(address)}>",
    strong=Marks(before="*", after="*"),
    emphasis=Marks(before="_", after="_"),
    strike=Marks(before="~", after="~"),
    code=_code,
    block=_block,
    link=lambda label, address: f"<{_entities(address)}|{label}>",
    alone=True,
    bare_labels=True,
    words=True,
    counts="written",
)

_whole = Splitter(DIALECT, TEXT_LIMIT)
_above_buttons = Splitter(DIALECT, SECTION_LIMIT)


def rendered(markdown: str) -> Rendered:
    """A text as it is sent. Never fails, whatever the text is."""
    return render(markdown, DIALECT)


def split(outbound: Outbound) -> Sequence[Outbound]:
    """Parts within Slack's limits, one message each: texts first, then one file each.

    Files take no buttons: these stand under the last text. Every part knows the question, which is
    where the search for a lost one begins.
    """
    bare = msgspec.structs.replace(outbound, buttons=())
    parts = (_above_buttons if outbound.buttons else _whole).split(bare)
    if outbound.buttons and all(part.files for part in parts):
        parts.append(msgspec.structs.replace(bare, text=_ONLY_BUTTONS, files=()))
    last = max((at for at, part in enumerate(parts) if not part.files), default=-1)
    return [
        msgspec.structs.replace(
            part,
            part=at,
            parts=len(parts),
            reply_to=outbound.reply_to,
            buttons=outbound.buttons if at == last else (),
        )
        for at, part in enumerate(parts)
    ]
