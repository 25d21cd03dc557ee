"""Files in and out: only for those who sent them or were sent them.

What was uploaded may be used in a message for a day; what is in a message can be fetched by naming
the message. There is no other way to a blob, so knowing a digest is worth nothing.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from urllib.parse import quote

import msgspec
from aiohttp import web

from gateway import sniff
from gateway.message import Attachment
from gateway.web.auth import Principal
from gateway.web.bodies import DIGEST, NAME, FileRef, chunks
from gateway.web.deps import DEPS, WebDeps
from gateway.web.guard import Route
from gateway.web.problems import Problem, from_status
from gateway.web.queries import number

_UPLOADS = "upload"
_KEPT = 24 * 3600.0
_NAME_LIMIT = 200
_digest = re.compile(DIGEST)
_conversation = re.compile(NAME)


class Uploaded(msgspec.Struct, frozen=True, kw_only=True):
    digest: str
    media_type: str
    size: int = 0
    name: str = ""


class _Named(msgspec.Struct, frozen=True):
    files: tuple[Uploaded, ...] = ()
    attachments: tuple[Uploaded, ...] = ()


async def upload(request: web.Request, principal: Principal | None) -> web.Response:
    """201 with the digest. The type is what the content shows, whatever the client says."""
    assert principal is not None
    deps = request.app[DEPS]
    limits = deps.settings.limits
    wait = await deps.records.hit(
        _UPLOADS, principal.id, limit=limits.uploads_per_hour, window=3600.0
    )
    if wait:
        raise Problem(429, "rate_limit", "Too many files, please wait.", after=wait)
    body = chunks(request, limits.upload, limits, limits.upload_seconds)
    digest, size, head = await deps.blobs.store(body, limit=limits.upload)
    if not size:
        raise Problem(422, "empty", "The file is empty.")
    uploaded = Uploaded(
        digest=digest,
        media_type=sniff.media_type(head),
        size=size,
        name=label(request.query.get("name", "")),
    )
    encoded = msgspec.json.encode(uploaded)
    await deps.records.set(_UPLOADS, f"{principal.id}/{digest}", encoded, ttl=_KEPT)
    return web.Response(status=201, body=encoded, content_type="application/json")


async def download(request: web.Request, principal: Principal | None) -> web.StreamResponse:
    assert principal is not None
    digest = request.match_info["digest"]
    if not _digest.fullmatch(digest):
        raise from_status(404)
    found = await _find(request, principal, digest)
    return await _send(request, found)


async def attachments(
    deps: WebDeps, principal: Principal, refs: Sequence[FileRef]
) -> tuple[Attachment, ...]:
    """The uploads a message names. 422 for one that is not the principal's or is too old."""
    return tuple([await _attachment(deps, principal, ref) for ref in refs])


def label(name: str) -> str:
    """A claimed file name made fit to be shown: no path, no control or direction characters."""
    name = re.split(r"[/\\]", name)[-1]
    kept = "".join(char for char in name if char.isprintable())
    return kept.strip(". ")[:_NAME_LIMIT]


async def _attachment(deps: WebDeps, principal: Principal, ref: FileRef) -> Attachment:
    found = await _own(deps, principal, ref.digest)
    if found is None:
        raise Problem(422, "unknown_file", "A file was not uploaded, or more than a day ago.")
    return Attachment(
        kind=sniff.kind(found.media_type, voice=ref.voice),
        digest=found.digest,
        media_type=found.media_type,
        name=found.name,
        size=found.size,
        duration=ref.duration,
    )


async def _own(deps: WebDeps, principal: Principal, digest: str) -> Uploaded | None:
    raw = await deps.records.get(_UPLOADS, f"{principal.id}/{digest}")
    return None if raw is None else msgspec.json.decode(raw, type=Uploaded)


async def _find(request: web.Request, principal: Principal, digest: str) -> Uploaded:
    deps = request.app[DEPS]
    conversation = request.query.get("conversation")
    if conversation is None:
        found = await _own(deps, principal, digest)
    else:
        found = await _in_message(request, principal, conversation, digest)
    if found is None:
        raise from_status(404)
    return found


async def _in_message(
    request: web.Request, principal: Principal, conversation: str, digest: str
) -> Uploaded | None:
    chat, seq = request.app[DEPS].chat, number(request, "seq", low=1)
    if chat is None or seq is None or not _conversation.fullmatch(conversation):
        return None
    entries = await chat.entries(principal.id, conversation, after=seq - 1, limit=1)
    for entry in entries:
        named = msgspec.json.decode(entry.body, type=_Named)
        for file in (*named.files, *named.attachments):
            if entry.seq == seq and file.digest == digest:
                return file
    return None


async def _send(request: web.Request, file: Uploaded) -> web.StreamResponse:
    deps = request.app[DEPS]
    size = await deps.blobs.size(file.digest)
    if size is None:
        raise from_status(404)
    response = web.StreamResponse(
        headers={
            "Content-Type": file.media_type,
            "Content-Disposition": _disposition(file.name),
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "Cache-Control": "private, max-age=86400, immutable",
        }
    )
    response.content_length = size
    await response.prepare(request)
    async for chunk in deps.blobs.read(file.digest):
        async with asyncio.timeout(deps.settings.limits.write_seconds):
            await response.write(chunk)
    await response.write_eof()
    return response


def _disposition(name: str) -> str:
    return f"attachment; filename*=UTF-8''{quote(name or 'file', safe='')}"


ROUTES = (
    Route(method="POST", path="/api/v1/files", handler=upload, who="chat"),
    Route(method="GET", path="/api/v1/files/{digest}", handler=download, who="chat"),
)
