"""What a client is told when something is refused: a code to act on and a sentence, never more."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from aiohttp import web

from gateway.errors import Busy, GatewayError, Refused, Retryable


@dataclass(slots=True, eq=False)
class Problem(Exception):
    """Raised by handlers; becomes the response."""

    status: int
    code: str
    message: str
    after: float | None = None
    """Seconds for ``Retry-After``."""


_STATUS = {
    "conflict": 409,
    "too_large": 413,
    "rate_limit": 429,
    "not_found": 404,
}
"""Reasons of `Refused` that have a status of their own; every other one is 422."""

_PHRASES: Mapping[int, tuple[str, str]] = {
    400: ("bad_request", "The request could not be read."),
    404: ("not_found", "There is nothing here."),
    405: ("method_not_allowed", "This address does not take that method."),
    413: ("too_large", "The request is too large."),
    500: ("internal", "Something went wrong on our side."),
    503: ("unavailable", "Not available at the moment, please try again."),
}


def from_error(error: GatewayError) -> Problem:
    """Total over `GatewayError`: what is not for the sender's eyes becomes a plain 500."""
    if isinstance(error, Refused):
        return Problem(_STATUS.get(error.reason, 422), error.reason, error.text)
    if isinstance(error, Retryable):
        code, message = _PHRASES[503]
        default = 5.0 if isinstance(error, Busy) else 2.0
        return Problem(503, code, message, after=error.after or default)
    return Problem(500, *_PHRASES[500])


def from_status(status: int) -> Problem:
    return Problem(status, *_PHRASES.get(status, ("error", "The request was refused.")))


def body(problem: Problem) -> bytes:
    return msgspec.json.encode({"error": {"code": problem.code, "message": problem.message}})


def respond(problem: Problem) -> web.Response:
    response = web.Response(
        status=problem.status, body=body(problem), content_type="application/json"
    )
    if problem.after is not None:
        response.headers["Retry-After"] = str(math.ceil(problem.after))
    if problem.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    if problem.status in (408, 413):
        response.force_close()  # the rest of the body is not worth reading
    return response
