"""Payloads become fields by data: JMESPath and templates from the configuration. Pure.

A template is the operator's. What a payload holds is only ever a value in it: it is put in once and
never read as a template, a path or code. JMESPath has no attributes, no loops and no way out of the
document; what is left, work without end, a budget of steps ends.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

import jmespath
import msgspec
from jmespath.exceptions import JMESPathError
from jmespath.visitor import TreeInterpreter

EXPRESSION = 500
"""Characters of one path."""
STEPS = 20_000
"""Parts of an expression that are looked at for one payload: some 20 ms."""
VALUE = 8_000
"""Characters that one placeholder may bring."""
TEXT = 32_000

_PLACEHOLDER = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)


class Unmappable(ValueError):
    """The payload gives no message; the text says why and is fit for its sender."""


class Template:
    """``Alert {{ alerts[0].labels.alertname }}``: text with JMESPath in double braces."""

    def __init__(self, source: str) -> None:
        """`ValueError` when a path is none, or braces are left open."""
        pieces = _PLACEHOLDER.split(source)
        if any("{{" in text or "}}" in text for text in pieces[::2]):
            raise ValueError("double braces stand in pairs: {{ path }}")
        self._texts = pieces[::2]
        self._paths = [Path(path.strip()) for path in pieces[1::2]]

    @property
    def begins_with_payload(self) -> bool:
        return bool(self._paths) and not self._texts[0].strip()

    def fill(self, look: Look) -> str:
        text = self._texts[0]
        for path, after in zip(self._paths, self._texts[1:], strict=True):
            text += _shown(look(path))[:VALUE] + after
            if len(text) > TEXT:
                return text[:TEXT]
        return text


class Path:
    """One JMESPath expression."""

    def __init__(self, source: str) -> None:
        """`ValueError` when it is none."""
        if len(source) > EXPRESSION:
            raise ValueError(f"a path has at most {EXPRESSION} characters")
        try:
            self.tree = jmespath.compile(source).parsed
        except (JMESPathError, RecursionError) as problem:
            reason = str(problem).splitlines()[0] if str(problem) else "it is nested too deep"
            raise ValueError(f"{source!r} is no JMESPath expression: {reason}") from None


Look = Callable[[Path], Any]
"""Gives what stands at a path; None for nothing."""


def looking(payload: Any, notice: Callable[[], None] = lambda: None) -> Look:
    """Looks into one payload, within one budget. What an expression cannot do with it counts as
    nothing there, and is noticed: an alert is worth more than its missing summary."""
    interpreter = _Counted()

    def look(path: Path) -> Any:
        try:
            return interpreter.visit(path.tree, payload)
        except _TooMuch:
            raise Unmappable("the payload is too large to be mapped") from None
        except (JMESPathError, TypeError, ValueError, OverflowError, RecursionError):
            notice()
            return None

    return look


class _TooMuch(Exception):
    pass


class _Counted(TreeInterpreter):
    """Gives up after a number of steps."""

    def __init__(self) -> None:
        super().__init__()
        self._left = STEPS

    def visit(self, node: Any, *args: Any, **kwargs: Any) -> Any:
        self._left -= 1
        if self._left < 0:
            raise _TooMuch
        return super().visit(node, *args, **kwargs)


def is_true(value: Any) -> bool:
    """As JMESPath has it: nothing, false and what is empty are not; zero is."""
    return value is not None and value is not False and value not in ("", [], {})


def _shown(value: Any) -> str:
    match value:
        case None:
            return ""
        case str():
            return value
        case list() if all(isinstance(each, str) for each in value):
            return ", ".join(value)
        case _:
            return msgspec.json.encode(value).decode()


@cache
def template(source: str) -> Template:
    return Template(source)


@cache
def path(source: str) -> Path:
    return Path(source)
