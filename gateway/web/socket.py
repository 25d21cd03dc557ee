"""The chat page's WebSocket: follow a conversation, send into it, resume after a lost connection.

The client says which entry it has seen last and gets every later one, in order, once. A message is
acknowledged when it is stored; the client keeps it until then and sends it again with the same id.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Annotated, Any

import msgspec
import structlog
from aiohttp import WSMsgType, web
from msgspec import Meta

from gateway.errors import GatewayError
from gateway.ports import Live, LogEntry
from gateway.web import wire
from gateway.web.api import surface, take
from gateway.web.auth import Principal
from gateway.web.bodies import (
    FILES_LIMIT,
    TEXT_LIMIT,
    ConversationName,
    FileRef,
    Message,
    MessageId,
    decode,
)
from gateway.web.deps import DEPS, WebDeps
from gateway.web.guard import Route
from gateway.web.problems import Problem, from_error
from gateway.web.queries import LARGEST
from gateway.web.streams import STREAMS, Stream

HISTORY = 100
"""Entries a client gets that has seen none."""

_PAGE = 200
_MISTAKES = 20
"""Unreadable messages after which the connection is closed."""

_LAST_WORD = 2.0
"""Seconds a client has to answer when its connection is closed."""

_CLOSE = {"": 1000, "revoked": 4401, "draining": 1012}


class Hello(msgspec.Struct, frozen=True, tag_field="type", tag="hello"):
    """Follow this conversation from now on, from the entry after `after`; None: the newest."""

    conversation: ConversationName
    after: Annotated[int, Meta(ge=0, le=LARGEST)] | None = None


class Send(msgspec.Struct, frozen=True, tag_field="type", tag="send", kw_only=True):
    id: MessageId
    conversation: ConversationName
    text: Annotated[str, Meta(max_length=TEXT_LIMIT)] = ""
    attachments: Annotated[tuple[FileRef, ...], Meta(max_length=FILES_LIMIT)] = ()
    kind: str = "message"


log = structlog.get_logger(__name__)

_WISH: msgspec.json.Decoder[Hello | Send] = msgspec.json.Decoder(Hello | Send)


class Connection:
    """One open WebSocket of one principal."""

    def __init__(self, ws: web.WebSocketResponse, deps: WebDeps, principal: Principal) -> None:
        self._ws = ws
        self._deps = deps
        self._principal = principal
        self._mistakes = 0

    async def run(self) -> None:
        """Until the client goes. The pump belongs to the group and goes with it."""
        async with asyncio.TaskGroup() as group:
            pump: asyncio.Task[None] | None = None
            async for message in self._ws:
                wish = self._read(message.data) if message.type is WSMsgType.TEXT else None
                if isinstance(wish, Hello):
                    if pump is not None:
                        pump.cancel()
                    pump = group.create_task(self._follow(wish))
                elif isinstance(wish, Send):
                    await self._take(wish)
                else:
                    await self._complain()
            if pump is not None:
                pump.cancel()

    def _read(self, data: str) -> Hello | Send | None:
        try:
            return decode(data, _WISH)
        except Problem:
            return None

    async def _complain(self) -> None:
        self._mistakes += 1
        await self._say({"type": "error", "code": "invalid"})
        if self._mistakes >= _MISTAKES:
            await self._ws.close(code=1008)

    async def _take(self, wish: Send) -> None:
        try:
            taken = await take(self._deps, self._principal, _message(wish))
        except (Problem, GatewayError) as refusal:
            problem = refusal if isinstance(refusal, Problem) else from_error(refusal)
            await self._say(_refused(wish.id, problem))
        else:
            await self._say(
                {"type": "ack", "id": taken.id, "seq": taken.seq, "outcome": taken.outcome}
            )

    async def _follow(self, hello: Hello) -> None:
        chat = surface(self._deps)
        who, name, last = self._principal.id, hello.conversation, hello.after
        while True:
            limit = HISTORY if last is None else _PAGE
            entries = await chat.entries(who, name, after=last, limit=limit)
            for entry in entries:
                await self._show(name, entry)
            newest = last is None
            last = entries[-1].seq if entries else last or 0
            if newest or len(entries) < limit:
                break
        await self._say({"type": "ready", "conversation": name, "seq": last})
        with chat.follow(who, name, after=last) as feed:
            while True:
                await self._show(name, await feed.next())

    async def _show(self, name: str, found: LogEntry | Live) -> None:
        if isinstance(found, Live):
            data = wire.live_data(found)
            await self._say({"type": wire.live_name(found), "conversation": name, **data})
        else:
            await self._say(wire.shown(name, found))

    async def _say(self, message: dict[str, Any] | wire.Shown) -> None:
        """A client that does not read is let go: it comes back and resumes."""
        async with asyncio.timeout(self._deps.settings.limits.write_seconds):
            await self._ws.send_str(msgspec.json.encode(message).decode())


async def socket(request: web.Request, principal: Principal | None) -> web.StreamResponse:
    assert principal is not None
    deps = request.app[DEPS]
    limits = deps.settings.limits
    with request.app[STREAMS].admit(principal) as stream:
        ws = web.WebSocketResponse(
            timeout=_LAST_WORD,
            heartbeat=limits.heartbeat_seconds,
            max_msg_size=limits.json_body,
            compress=False,
        )
        if not ws.can_prepare(request):
            raise Problem(426, "upgrade", "This address speaks WebSocket.")
        await ws.prepare(request)
        await _serve(Connection(ws, deps, principal), stream)
        with contextlib.suppress(ConnectionError):
            await ws.close(code=_CLOSE[stream.reason])
        return ws


async def _serve(connection: Connection, stream: Stream) -> None:
    """Ends quietly when the client is gone, its time is over, or the store cannot be read now."""
    try:
        async with stream.deadline:
            await connection.run()
    except* (TimeoutError, ConnectionError, GatewayError) as ended:
        log.debug("web_socket_ended", problems=[repr(each) for each in ended.exceptions])


def _message(wish: Send) -> Message:
    return Message(
        conversation=wish.conversation,
        text=wish.text,
        attachments=wish.attachments,
        id=wish.id,
        kind="button" if wish.kind == "button" else "message",
    )


def _refused(name: str, problem: Problem) -> dict[str, Any]:
    refused = {"type": "refused", "id": name, "code": problem.code, "message": problem.message}
    return {**refused, "retry_after": problem.after} if problem.after is not None else refused


ROUTES = (Route(method="GET", path="/api/v1/ws", handler=socket, who="chat", socket=True),)
