"""Parts of an address that clients choose, checked."""

from __future__ import annotations

import re

from aiohttp import web

from gateway.web.bodies import NAME
from gateway.web.problems import Problem, from_status

LARGEST = 2**53 - 1

_name = re.compile(NAME)
_number = re.compile(r"[0-9]{1,16}")


def conversation(request: web.Request) -> str:
    name = request.match_info["conversation"]
    if not _name.fullmatch(name):
        raise from_status(404)
    return name


def number(request: web.Request, name: str, *, low: int = 0, high: int = LARGEST) -> int | None:
    """A whole number from the query, None when it is not there; 422 for anything else."""
    text = request.query.get(name)
    return None if text is None else whole(text, name, low=low, high=high)


def whole(text: str, name: str, *, low: int = 0, high: int = LARGEST) -> int:
    if not _number.fullmatch(text) or not low <= int(text) <= high:
        raise Problem(422, "invalid", f"{name} is a whole number from {low} to {high}.")
    return int(text)
