"""The HTTP API for programs: send messages, list conversations, read them."""

from __future__ import annotations

import secrets

import msgspec
from aiohttp import web

from gateway.web import wire
from gateway.web.auth import Principal
from gateway.web.bodies import MESSAGE, Message, read_json
from gateway.web.deps import DEPS, WebDeps
from gateway.web.files import attachments
from gateway.web.guard import Route
from gateway.web.problems import Problem
from gateway.web.queries import conversation, number
from gateway.web.surface import ChatSurface

PAGE = 200
"""Most entries in one answer."""

_TITLE = 80


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a message."""

    id: str
    conversation: str
    seq: int
    outcome: str


class _Text(msgspec.Struct, frozen=True):
    text: str = ""


async def send(request: web.Request, principal: Principal | None) -> web.Response:
    """202 once the message is stored; it will be answered or visibly refused."""
    assert principal is not None
    deps = request.app[DEPS]
    message = await read_json(request, MESSAGE, deps.settings.limits)
    return _json(await take(deps, principal, message), status=202)


async def take(deps: WebDeps, principal: Principal, message: Message) -> Taken:
    """Hand a message to the chat, whichever way it came."""
    if not message.text.strip() and not message.attachments:
        raise Problem(422, "empty", "A message needs a text or an attachment.")
    name = message.id or secrets.token_hex(12)
    accepted, seq = await surface(deps).receive(
        principal=principal.id,
        conversation=message.conversation,
        id=name,
        text=message.text,
        attachments=await attachments(deps, principal, message.attachments),
        kind=message.kind,
    )
    return Taken(id=name, conversation=message.conversation, seq=seq, outcome=accepted.outcome)


async def messages(request: web.Request, principal: Principal | None) -> web.Response:
    """Entries after a number, or the newest ones; ``next`` is where to go on reading."""
    assert principal is not None
    name, after = conversation(request), number(request, "after")
    limit = number(request, "limit", low=1, high=PAGE) or PAGE
    chat = surface(request.app[DEPS])
    entries = await chat.entries(principal.id, name, after=after, limit=limit)
    last = entries[-1].seq if entries else after or 0
    return _json({"messages": [wire.entry(each) for each in entries], "next": last})


async def conversations(request: web.Request, principal: Principal | None) -> web.Response:
    assert principal is not None
    found = await surface(request.app[DEPS]).conversations(principal.id)
    listed = [
        {
            "conversation": name,
            "title": _title(first.body) if first else "",
            "last": newest.seq if newest else 0,
            "at": newest.at if newest else 0.0,
        }
        for name, first, newest in found
    ]
    return _json({"conversations": listed})


def surface(deps: WebDeps) -> ChatSurface:
    assert deps.chat is not None, "chat routes exist only with a chat"
    return deps.chat


def _title(body: bytes) -> str:
    text = msgspec.json.decode(body, type=_Text).text
    line = " ".join(text.split())
    return line if len(line) <= _TITLE else line[: _TITLE - 1] + "…"


def _json(value: object, *, status: int = 200) -> web.Response:
    return web.Response(
        status=status, body=msgspec.json.encode(value), content_type="application/json"
    )


ROUTES = (
    Route(method="POST", path="/api/v1/messages", handler=send, who="chat"),
    Route(method="GET", path="/api/v1/conversations", handler=conversations, who="chat"),
    Route(
        method="GET",
        path="/api/v1/conversations/{conversation}/messages",
        handler=messages,
        who="chat",
    ),
)
