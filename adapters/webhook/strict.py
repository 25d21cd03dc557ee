"""JSON as strangers send it: one meaning, or none. Pure.

Of two equal keys nobody knows which counts, NaN and half a character break whoever writes them on,
and deep nesting breaks whoever walks it: all of these are refused.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

import msgspec

DEPTH = 64
_DIGITS = 20
"""Of a whole number: more than 64 bits are no id and no count of anybody's."""


class Unreadable(ValueError):
    """The body is not JSON that means one thing; the text says why and is fit for its sender."""


def read(raw: bytes) -> Any:
    try:
        # Refuses NaN, Infinity, numbers out of range, lone surrogates, wrong UTF-8, control
        # characters and endless nesting; only repeated keys it lets pass.
        msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as problem:
        raise Unreadable("the body is not valid JSON") from problem
    found = json.loads(raw, object_pairs_hook=_once, parse_int=_whole, parse_constant=_no_constant)
    _check_depth(found)
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Unreadable("a key comes twice in one object")
    return found


def _whole(digits: str) -> int:
    if len(digits) > _DIGITS:
        raise Unreadable("a number has too many digits")
    return int(digits)


def _no_constant(name: str) -> NoReturn:
    raise Unreadable(f"{name} is no JSON")


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(DEPTH):
        level = [inner for one in level for inner in _inside(one)]
        if not level:
            return
    raise Unreadable(f"the body is nested deeper than {DEPTH} levels")


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
