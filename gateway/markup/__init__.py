"""One CommonMark tree, written in each platform's dialect, and cut to each platform's lengths.

Everything a model writes is text until a writer here makes markup of it: what a dialect cannot say
falls back to plain text, and nothing is lost.
"""

from __future__ import annotations

from gateway.markup.body import html
from gateway.markup.dialect import Dialect, Marks
from gateway.markup.render import Rendered, plain, render
from gateway.markup.split import Splitter
from gateway.markup.text import blank, clean

__all__ = [
    "Dialect",
    "Marks",
    "Rendered",
    "Splitter",
    "blank",
    "clean",
    "html",
    "plain",
    "render",
]
