"""CommonMark becomes Discord's Markdown, cut into messages. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import msgspec

from adapters.discord.capabilities import TEXT_LIMIT
from gateway.markup import Dialect, Marks, Splitter
from gateway.markup import render as rendered
from gateway.markup.units import utf16
from gateway.message import Outbound

_MARKS = re.compile(r"([\\*_~`|<\[\]]|@(?=everyone|here))")
_BEGINNING = re.compile(r"^(\s*)([#>+-]|\d{1,10}(?=[.)]))")
_BETWEEN = "\u200b"
"""Seen by nobody: keeps three backticks from ending a block of code."""

TWIN = "discord-twin"
"""Header: how many earlier parts of the reply say exactly the same."""


def _escape(text: str) -> str:
    text = _MARKS.sub(r"\\\1", text)
    return _BEGINNING.sub(_at_beginning, text)


def _at_beginning(found: re.Match[str]) -> str:
    """A mark that counts at the beginning of a line only; of ``1.`` it is the dot."""
    mark = found[2]
    return f"{found[1]}{mark}\\" if mark[0].isdigit() else f"{found[1]}\\{mark}"


def _address(url: str) -> str:
    """Underscores stay: Discord reads an address as a whole before it looks for marks."""
    return url.replace("*", "%2A").replace("~", "%7E").replace("|", "%7C")


def _code(code: str) -> str:
    if "``" in code:
        code = code.replace("`", "\u02cb")
    if "`" not in code:
        return f"`{code}`"
    return f"`` {code} ``"


def _block(code: str, language: str) -> str:
    return f"```{language}\n{code.replace('```', f'`{_BETWEEN}``')}\n```"


def _heading(level: int) -> Marks:
    return Marks(before="#" * level + " ", after="") if level <= 3 else _STRONG


def _link(label: str, url: str) -> str:
    return f"[{label}](<{url}>)"


_STRONG = Marks(before="**", after="**")

DIALECT = Dialect(
    escape=_escape,
    address=_address,
    strong=_STRONG,
    emphasis=Marks(before="*", after="*"),
    strike=Marks(before="~~", after="~~"),
    heading=_heading,
    code=_code,
    block=_block,
    link=_link,
    bullet="- ",
    counts="written",
)

_splitter = Splitter(
    DIALECT,
    TEXT_LIMIT,
    measure=utf16,
    caption=TEXT_LIMIT,
    captioned=("image", "audio", "video", "document"),
)


def render(markdown: str) -> str:
    return rendered(markdown, DIALECT).markup


def split(outbound: Outbound) -> Sequence[Outbound]:
    """Parts of one message each. Those that say the same are numbered, so that a look at the
    platform can tell which of them stand there."""
    parts = _splitter.split(outbound)
    seen: Counter[str] = Counter()
    for number, part in enumerate(parts):
        if not part.files and (twins := seen[part.text]):
            headers = {**part.headers, TWIN: str(twins)}
            parts[number] = msgspec.structs.replace(part, headers=headers)
        seen[part.text] += not part.files
    return parts
