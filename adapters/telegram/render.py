"""CommonMark becomes Telegram's HTML, and the text a person sees. Pure.

No nesting is produced that Telegram forbids: nothing inside code, no code inside other formats, no
quote inside a quote.
"""

from __future__ import annotations

import html
from dataclasses import dataclass

from gateway import markup
from gateway.markup import Dialect, Marks, blank, clean, plain

__all__ = ["DIALECT", "Rendered", "blank", "clean", "plain", "render"]


def _tag(name: str) -> Marks:
    return Marks(before=f"<{name}>", after=f"</{name}>")


def _block(code: str, language: str) -> str:
    if not language:
        return f"<pre>{html.escape(code)}</pre>"
    return f'<pre><code class="language-{language}">{html.escape(code)}</code></pre>'


DIALECT = Dialect(
    escape=html.escape,
    strong=_tag("b"),
    emphasis=_tag("i"),
    strike=_tag("s"),
    code=lambda code: f"<code>{html.escape(code)}</code>",
    block=_block,
    link=lambda label, address: f'<a href="{html.escape(address)}">{label}</a>',
    quote=_tag("blockquote"),
    alone=True,
    per_line=False,
)


@dataclass(frozen=True, slots=True)
class Rendered:
    html: str
    text: str
    """What is seen, without formatting: this is what Telegram measures."""


def render(markdown: str) -> Rendered:
    """A text as it is sent. Never fails, whatever the text is."""
    rendered = markup.render(markdown, DIALECT)
    return Rendered(rendered.markup, rendered.text)
