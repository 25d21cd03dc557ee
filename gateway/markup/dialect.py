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
    """Text in which nothing is a mark, a mention or a tag any more. It is called with stretches of
    one line, without a line feed; each may stand at the beginning of its line or between marks, and
    a format may be open around it: what could close one is a mark as well. What was a letter or
    digit stays one, and nothing else becomes one."""
    address: Callable[[str], str] | None = None
    """An http(s) address that stands in the text, as markup: platforms make links of such by
    themselves, and `escape` might break them. Must be as safe as `escape`; percent-encoding the
    characters of marks is. None: `escape`."""
    strong: Marks | None = None
    emphasis: Marks | None = None
    strike: Marks | None = None
    heading: Callable[[int], Marks] | None = None
    """By level, 1 to 6; None writes headings as strong."""
    code: Callable[[str], str] | None = None
    """Inline code, raw and in one line, as markup. None: the code as text."""
    block: Callable[[str, str], str] | None = None
    """A code block: raw code without the last line feed, and its language, which may be empty and
    is one word of letters, digits and ``_+#.-``. None: its lines as text."""
    link: Callable[[str, str], str] | None = None
    """Markup of the label, and an http(s) address, as markup. None, and for all other addresses:
    the label with the address beside it. Addresses come percent-encoded: no blanks, quotes,
    backslashes, angle or square brackets, pipes or braces; parentheses and ``*_~`` may be there."""
    quote: Marks | None = None
    """Around a quotation; None for `quote_prefix`."""
    quote_prefix: str = "> "
    """Before each line of a quotation, where it has no marks."""
    quotes: int = 1
    """Levels of quotations in quotations that are marked."""
    bullet: str = "• "
    rule: str = "———"
    alone: bool = False
    """Whether code must not stand inside other formats or links."""
    bare_labels: bool = False
    """Whether the labels of links take no formats."""
    per_line: bool = True
    """Whether a format ends with its line: it is closed before a line feed and opened after it, and
    code blocks and quotations begin in a line of their own."""
    words: bool = False
    """Whether marks count only at the edges of words: before an opening one stands a blank or
    nothing, after a closing one no letter or digit. What stands otherwise is written without its
    format; blanks at the ends of a stretch are put outside."""
    counts: Literal["seen", "written"] = "seen"
    """What the platform's limit counts: the text as people see it, or with its markup. A dialect
    with `quote_prefix` counts what is written."""
