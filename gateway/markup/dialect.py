"""How a platform writes what CommonMark says, as data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What stands before and after a formatted stretch."""

    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """A line-oriented markup. What is None is shown as text, without the format."""

    escape: Callable[[str], str]
    """Text in which nothing is a mark, a mention or a tag any more."""
    strong: Marks | None = None
    emphasis: Marks | None = None
    strike: Marks | None = None
    heading: Callable[[int], Marks] | None = None
    """By level, 1 to 6; None writes headings as strong."""
    code: Callable[[str], str] | None = None
    """Inline code, raw, as markup. None: the code as text."""
    block: Callable[[str, str], str] | None = None
    """A code block: raw code without the last line feed, and its language, which may be empty and
    is one word of letters, digits and ``_+#.-``. None: its lines as text."""
    link: Callable[[str, str], str] | None = None
    """Markup of the label, and an http(s) address, as markup. None, and for all other addresses:
    the label with the address beside it."""
    quote: Marks | None = None
    """Around a quotation; None for `quote_prefix`."""
    quote_prefix: str = "> "
    """Before each line of a quotation, where it has no marks."""
    bullet: str = "• "
    rule: str = "———"
    alone: bool = False
    """Whether code must not stand inside other formats, nor formats inside links."""
    words: bool = False
    """Whether marks count only at the edges of words, so that a stretch that begins or ends inside
    a word, or with a blank, is written without its format."""
    counts: Literal["seen", "written"] = "seen"
    """What the platform's limit counts: the text as people see it, or with its markup."""
