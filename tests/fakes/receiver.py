"""A program that takes outgoing webhooks: strict about signature and form.

It does what the receiver's duty is: a repeated key is answered 200 and shown once.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal

from aiohttp import web

_FIELDS = {
    "type": str, "key": str, "reply": str, "part": int, "parts": int, "kind": str, "account": str,
    "conversation": str, "in_reply_to": str, "text": str, "html": str, "buttons": list,
    "files": list, "echo": dict,
}  # fmt: skip


@dataclass
class Fault:
    """What goes wrong with the next posts of a conversation, or of all."""

    kind: Literal["status", "cut", "cut_after", "delay", "redirect"]
    status: int = 500
    retry_after: str = ""
    conversation: str = ""
    text: str = ""
    """Only posts whose text contains this."""
    times: int | None = 1
    seconds: float = 0.0


@dataclass
class Post:
    key: str
    at: float
    body: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    outcome: str = ""
    """``shown``, ``repeated``, what was wrong with it, or the fault that hit it."""


class Receiver:
    """``async with Receiver(secret) as receiver``: posts go to `receiver.url`."""

    def __init__(self, *secrets: str) -> None:
        self._keys = [base64.b64decode(one.removeprefix("whsec_")) for one in secrets]
        self.posts: list[Post] = []
        """Every request, refused and repeated ones included."""
        self.faults: list[Fault] = []
        self.revoked = False
        """Whether every signature is refused."""
        self.url = ""
        self._shown: dict[str, dict[str, Any]] = {}
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Receiver:
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_post("/answers", self._take)
        app.router.add_route("HEAD", "/answers", self._head)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/answers"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    def shown(self, conversation: str | None = None) -> list[dict[str, Any]]:
        """Messages, each once, in the order in which they came."""
        every = self._shown.values()
        return [one for one in every if conversation in (None, one["conversation"])]

    def texts(self, conversation: str | None = None) -> list[str]:
        return [one["text"] for one in self.shown(conversation)]

    def fault(self, kind: Any, **more: Any) -> Fault:
        made = Fault(kind, **more)
        self.faults.append(made)
        return made

    async def _head(self, request: web.Request) -> web.Response:
        return web.Response(status=405)

    async def _take(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        post = Post(request.headers.get("webhook-id", ""), time.time())
        post.headers = dict(request.headers)
        self.posts.append(post)
        if self.revoked or not self._is_signed(request, raw):
            post.outcome = "unsigned"
            return web.Response(status=401)
        post.body = json.loads(raw)
        if problem := _problem(request, post):
            post.outcome = problem
            return web.Response(status=400, text=problem)
        fault = self._fault_for(post.body)
        if fault is not None and fault.kind == "delay":
            await asyncio.sleep(fault.seconds)
        elif fault is not None and fault.kind != "cut_after":
            return _failing(request, post, fault)
        post.outcome = "repeated" if post.key in self._shown else "shown"
        self._shown.setdefault(post.key, post.body)
        if fault is not None and fault.kind == "cut_after":
            return _failing(request, post, fault)
        return web.Response(status=204)

    def _is_signed(self, request: web.Request, raw: bytes) -> bool:
        id, at = request.headers.get("webhook-id", ""), request.headers.get("webhook-timestamp", "")
        if not id or not at.isdigit() or abs(int(at) - time.time()) > 300:
            return False
        given = request.headers.get("webhook-signature", "").split(" ")
        wanted = [
            "v1," + base64.b64encode(_hmac(key, f"{id}.{at}.".encode() + raw)).decode()
            for key in self._keys
        ]
        return any(one in wanted for one in given)

    def _fault_for(self, body: dict[str, Any]) -> Fault | None:
        for fault in self.faults:
            if fault.times == 0 or fault.conversation not in ("", body["conversation"]):
                continue
            if fault.text not in body["text"]:
                continue
            if fault.times is not None:
                fault.times -= 1
            return fault
        return None


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.new(key, data, hashlib.sha256).digest()


def _problem(request: web.Request, post: Post) -> str:
    if request.content_type != "application/json":
        return "not JSON"
    if request.headers.get("Idempotency-Key") != post.key or post.body.get("key") != post.key:
        return "the keys differ"
    if set(post.body) != set(_FIELDS):
        return f"fields {sorted(post.body)}"
    wrong = [name for name, kind in _FIELDS.items() if not isinstance(post.body[name], kind)]
    return f"wrong types: {wrong}" if wrong else ""


def _failing(request: web.Request, post: Post, fault: Fault) -> web.Response:
    post.outcome = fault.kind
    if fault.kind in ("cut", "cut_after"):
        if request.transport is not None:
            request.transport.abort()
        return web.Response()
    if fault.kind == "redirect":
        return web.Response(status=307, headers={"Location": str(request.url)})
    headers = {"Retry-After": fault.retry_after} if fault.retry_after else {}
    post.outcome = str(fault.status)
    return web.Response(status=fault.status, headers=headers)
