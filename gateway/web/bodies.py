"""Reading request bodies: counted and timed while they come in, before anything is made of them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Annotated, Literal, TypeVar

import msgspec
from aiohttp import hdrs, web
from msgspec import Meta

from gateway.web.problems import Problem
from gateway.web.settings import Limits

T = TypeVar("T")

NAME = r"^[A-Za-z0-9_-]{1,64}$"
ID = r"^[A-Za-z0-9_.:-]{1,64}$"
DIGEST = r"^[0-9a-f]{64}$"
TEXT_LIMIT = 65536
"""Characters of one message."""
FILES_LIMIT = 10

ConversationName = Annotated[str, Meta(pattern=NAME, max_length=64)]
MessageId = Annotated[str, Meta(pattern=ID, max_length=64)]


class _Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of what clients send. Unknown fields are errors, so nothing is ignored silently."""


class FileRef(_Body, frozen=True):
    """A file that was uploaded before."""

    digest: Annotated[str, Meta(pattern=DIGEST)]
    voice: bool = False
    """Recorded speech rather than a sound file."""
    duration: Annotated[float, Meta(ge=0, le=86400)] = 0.0


class Message(_Body, frozen=True):
    conversation: ConversationName
    text: Annotated[str, Meta(max_length=TEXT_LIMIT)] = ""
    attachments: Annotated[tuple[FileRef, ...], Meta(max_length=FILES_LIMIT)] = ()
    id: MessageId | None = None
    """Makes the message repeatable; made up when missing."""
    kind: Literal["message", "button"] = "message"


class LoginBody(_Body, frozen=True):
    code: Annotated[str, Meta(min_length=1, max_length=128)]


MESSAGE = msgspec.json.Decoder(Message)
LOGIN = msgspec.json.Decoder(LoginBody)


def decode(raw: bytes | str, decoder: msgspec.json.Decoder[T]) -> T:
    """400 for what is not JSON, 422 for JSON of another shape. Nothing else comes out."""
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as problem:
        raise Problem(422, "invalid", _sentence(problem)) from problem
    except (msgspec.DecodeError, UnicodeError, RecursionError) as problem:
        raise Problem(400, "bad_json", "The body is not valid JSON.") from problem


async def read_json(request: web.Request, decoder: msgspec.json.Decoder[T], limits: Limits) -> T:
    if request.content_type != "application/json":
        raise Problem(415, "media_type", "The body must be application/json.")
    return decode(await read(request, limits.json_body, limits), decoder)


async def read(request: web.Request, limit: int, limits: Limits) -> bytes:
    parts = [part async for part in chunks(request, limit, limits, limits.body_seconds)]
    return b"".join(parts)


async def chunks(
    request: web.Request, limit: int, limits: Limits, seconds: float
) -> AsyncIterator[bytes]:
    """The body as it comes; 413 as soon as there is too much, 408 when it is too slow."""
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
        raise Problem(415, "encoding", "Compressed bodies are not taken.")
    if (request.content_length or 0) > limit:
        raise Problem(413, "too_large", f"At most {limit} bytes are taken.")
    loop = asyncio.get_running_loop()
    size, deadline = 0, loop.time() + seconds
    while True:
        try:
            async with asyncio.timeout_at(min(deadline, loop.time() + limits.stall_seconds)):
                chunk = await request.content.readany()
        except TimeoutError as late:
            raise Problem(408, "too_slow", "The body did not come in time.") from late
        except (web.RequestPayloadError, ConnectionError) as cut:
            raise Problem(400, "bad_request", "The body did not come whole.") from cut
        if not chunk:
            return
        size += len(chunk)
        if size > limit:
            raise Problem(413, "too_large", f"At most {limit} bytes are taken.")
        yield chunk


def _sentence(problem: msgspec.ValidationError) -> str:
    """The decoder's words: they name our fields and expectations, never the client's values."""
    return re.sub(r"[^\x20-\x7e]", "?", str(problem))[:200]
