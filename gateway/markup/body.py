"""CommonMark becomes the body of an HTML mail or of a formatted chat message. Pure.

The library's renderer writes it, with our rules: tags without attributes but an address, a
language or a first number; links lead to the web or to a mailbox; pictures are links.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from markdown_it.common.utils import escapeHtml
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from gateway.markup.render import LANGUAGE, shows
from gateway.markup.text import blank, clean
from gateway.markup.tree import leads_to, parse, parser

_SCHEMES = ("http", "https", "mailto")


class _Body(RendererHTML):
    """Methods are called by the names of tokens."""

    def link_open(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType
    ) -> str:
        return _opening(str(tokens[idx].attrGet("href") or ""))

    def link_close(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType
    ) -> str:
        start = _opener(tokens, idx)
        address = str(tokens[start].attrGet("href") or "")
        inside = tokens[start + 1 : idx]
        shown = "".join(token.content or str(token.attrGet("src") or "") for token in inside)
        return _closing(address, shown)

    def image(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        address = str(tokens[idx].attrGet("src") or "")
        label = tokens[idx].content
        if _inside_link(tokens, idx):
            return escapeHtml(address if blank(label) else f"{label} ({address})")
        return _opening(address) + escapeHtml(label) + _closing(address, label)

    def fence(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        token = tokens[idx]
        language = token.info.split()[0] if token.info.strip() else ""
        named = f' class="language-{language}"' if LANGUAGE.fullmatch(language) else ""
        return f"<pre><code{named}>{escapeHtml(token.content)}</code></pre>\n"

    def s_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return "<del>"

    def s_close(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return "</del>"

    @staticmethod
    def renderAttrs(token: Token) -> str:
        start = token.attrGet("start")
        return f' start="{int(start)}"' if start is not None else ""


_markdown = parser(xhtmlOut=True, breaks=True)
_renderer = _Body(_markdown)


@lru_cache(maxsize=32)
def html(markdown: str) -> str:
    """A full body, without a document around it. Never fails, whatever the text is."""
    source = clean(markdown)
    tokens = parse(source)
    if shows(tokens):
        return _renderer.render(tokens, _markdown.options, {}).strip()
    lines = "<br />\n".join(escapeHtml(line) for line in source.strip().split("\n"))
    return f"<p>{lines}</p>" if lines else ""


def _opening(address: str) -> str:
    return f'<a href="{escapeHtml(address)}">' if leads_to(address, _SCHEMES) else ""


def _closing(address: str, label: str) -> str:
    if leads_to(address, _SCHEMES):
        return (escapeHtml(address) if blank(label) else "") + "</a>"
    if blank(label):
        return escapeHtml(address)
    return f" ({escapeHtml(address)})" if address and label.strip() != address else ""


def _opener(tokens: Sequence[Token], close: int) -> int:
    return max(at for at in range(close) if tokens[at].type == "link_open")


def _inside_link(tokens: Sequence[Token], at: int) -> bool:
    kinds = [token.type for token in tokens[:at] if token.type in ("link_open", "link_close")]
    return bool(kinds) and kinds[-1] == "link_open"
