"""CommonMark is read, with tables and strikethrough, in bounded time and depth. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

_DEPTH = 60
"""Block nesting that is read. The parser drops what lies deeper, so deeper texts are not parsed."""
_BRACKETS = 300


def _inline_rule(state: StateCore) -> None:
    """As the library's, but a text full of brackets has no links: matching them is quadratic."""
    for token in state.tokens:
        if token.type == "inline":
            token.children = token.children or []
            if token.content.count("[") > _BRACKETS:
                token.children.append(Token("text", "", 0, content=token.content))
            else:
                state.md.inline.parse(token.content, state.md, state.env, token.children)


def parser(**options: Any) -> MarkdownIt:
    """A parser that takes raw HTML for text."""
    made = MarkdownIt("commonmark", {"html": False, "maxNesting": _DEPTH, **options})
    made.enable(["table", "strikethrough"])
    made.core.ruler.at("inline", _inline_rule)
    return made


_markdown = parser()


def parse(markdown: str, env: dict[str, Any] | None = None) -> list[Token]:
    """Tokens of a cleaned text; none when it is nested too deep to be read whole."""
    try:
        tokens = _markdown.parse(markdown, env)
    except RecursionError:
        return []
    return [] if any(token.level >= _DEPTH - 2 for token in tokens) else tokens


def leads_to(address: str, schemes: Sequence[str] = ("http", "https")) -> bool:
    """Whether it is an address people can follow: a host is named, or a mailbox."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    if parts.scheme == "mailto":
        return "mailto" in schemes and "@" in parts.path
    return parts.scheme in schemes and bool(parts.hostname)
