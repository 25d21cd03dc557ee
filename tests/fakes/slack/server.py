"""The fake Slack over HTTP and WebSocket: Web API, Socket Mode, files, and a control side."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import time
from collections import defaultdict
from dataclasses import asdict
from typing import Any
from urllib.parse import urlencode

from aiohttp import ClientError, ClientSession, ClientTimeout, WSMsgType, web

from tests.fakes.platforms import cut
from tests.fakes.slack.api import Api, ApiError
from tests.fakes.slack.world import (
    APP,
    APP_TOKEN,
    BOT_TOKEN,
    SECRET,
    Call,
    Delivery,
    Fault,
    World,
)

ACK_SECONDS = 3.0


class Connection:
    """One WebSocket of the app's."""

    def __init__(self, stream: web.WebSocketResponse, request: web.Request) -> None:
        self.stream = stream
        self.request = request
        self.leaving = False
        """Told to disconnect: it gets nothing new."""
        self.waiting: dict[str, asyncio.Future[bool]] = {}
        """Envelopes that are not confirmed."""


class Server:
    """`pause` is what Slack waits before it delivers again; the real one takes at once, a minute,
    five minutes, and gives up then. This one never does."""

    def __init__(self, world: World, *, pause: float = 0.1) -> None:
        self.world = world
        self._api = Api(world)
        self._pause = pause
        self._tasks: set[asyncio.Task[None]] = set()
        self._tickets: set[str] = set()
        self._envelopes = 0
        self.connections: list[Connection] = []
        self._changed = asyncio.Condition()
        self._order: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._runner: web.AppRunner | None = None
        self._session: ClientSession
        self.strays: list[str] = []
        """What came over a socket and confirms nothing."""
        self.url = ""

    async def start(self, port: int = 0) -> None:
        app = web.Application(client_max_size=128 * 2**20)
        app.router.add_route("*", "/api/{method}", self._call)
        app.router.add_get("/socket", self._socket)
        app.router.add_get("/files/{id}", self._file)
        app.router.add_post("/upload/{id}", self._upload)
        app.router.add_post("/respond/{id}", self._respond)
        app.router.add_post("/control/{what}", self._control)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self.url = self.world.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        self._session = ClientSession(timeout=ClientTimeout(total=ACK_SECONDS))
        self.world.on_delivery = self._begin

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for connection in list(self.connections):
            await connection.stream.close()
        await self._session.close()
        if self._runner is not None:
            await self._runner.cleanup()
        self.world.journal.close()

    # --- the Web API ----------------------------------------------------------------------------

    async def _call(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["method"]
        params, is_json = await _params(request)
        bearer = request.headers.get("Authorization", "")
        call = self.world.begin_call(name, params)
        try:
            token = bearer.removeprefix("Bearer ")
            return await self._answer(request, token, dict(params), call, is_json)
        finally:
            self.world.journal.write(call)

    async def _answer(
        self, request: web.Request, token: str, params: dict[str, Any], call: Call, is_json: bool
    ) -> web.StreamResponse:
        channel = str(params.get("channel") or params.get("channel_id") or "")
        fault = self.world.fault_for(call.method, channel)
        if fault is not None:
            if fault.kind == "status":
                call.outcome, call.status = "error", fault.status
                return web.Response(status=fault.status, text="<html>down</html>")
            if fault.kind == "error":
                return self._refuse(call, ApiError(fault.error))
            if fault.kind == "flood":
                return self._flooded(call, fault)
            if fault.kind == "cut":
                return _cut(request, call, "cut")
            if fault.kind == "delay":
                await asyncio.sleep(fault.seconds)
        try:
            result = self._result(call.method, token, params, is_json)
        except ApiError as error:
            return self._refuse(call, error)
        call.outcome = "ok"
        if fault is not None and fault.kind == "cut_after":
            return _cut(request, call, "cut_after")
        if fault is not None and fault.kind == "garbage":
            call.outcome = "garbage"
            body = b"[1]" if "json" in fault.content_type else b"<p>\xff"
            return web.Response(body=body, content_type=fault.content_type, charset="utf-8")
        headers = {"x-oauth-scopes": ",".join(sorted(self.world.scopes))}
        return web.json_response({"ok": True, **result}, headers=headers)

    def _result(
        self, name: str, token: str, params: dict[str, Any], is_json: bool
    ) -> dict[str, Any]:
        if self.world.revoked:
            raise ApiError("token_revoked")
        if not token:
            raise ApiError("not_authed")
        if token not in (BOT_TOKEN, APP_TOKEN):
            raise ApiError("invalid_auth")
        if (name == "apps.connections.open") != (token == APP_TOKEN):
            raise ApiError("not_allowed_token_type")
        if name != "apps.connections.open":
            return self._api.call(name, params, is_json=is_json)
        ticket = f"ticket-{len(self._tickets) + 1}"
        self._tickets.add(ticket)
        return {"url": f"{self.url.replace('http', 'ws', 1)}/socket?ticket={ticket}"}

    def _flooded(self, call: Call, fault: Fault) -> web.Response:
        now = time.time()
        early = fault.until is not None
        fault.until = fault.until or now + fault.seconds
        left = fault.until - now
        call.outcome, call.status = ("early" if early else "error"), 429
        wait = str(max(1, round(left)) if fault.seconds >= 1 else fault.seconds)
        return web.json_response(
            {"ok": False, "error": "ratelimited"}, status=429, headers={"Retry-After": wait}
        )

    def _refuse(self, call: Call, error: ApiError) -> web.Response:
        call.outcome, call.status, call.error = "error", error.status, error.code
        body = {"ok": False, "error": error.code, **error.more}
        return web.json_response(body, status=error.status)

    # --- files ----------------------------------------------------------------------------------

    async def _file(self, request: web.Request) -> web.StreamResponse:
        number = request.match_info["id"]
        call = self.world.begin_call("download", {"id": number})
        fault = self.world.fault_for("download", "")
        if fault is not None and fault.kind == "status":
            return web.Response(status=fault.status, headers={"Location": fault.error})
        if fault is not None and fault.kind == "delay":
            await asyncio.sleep(fault.seconds)
        if fault is not None and fault.kind == "cut":
            return _cut(request, call, "cut")
        if request.headers.get("Authorization") != f"Bearer {BOT_TOKEN}" or self.world.revoked:
            return web.Response(text="<html>sign in</html>", content_type="text/html")
        if number not in self.world.contents:
            return web.Response(status=404)
        call.outcome = "ok"
        kind = self.world.files[number]["mimetype"]
        return web.Response(body=self.world.contents[number], content_type=kind)

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        number, content = request.match_info["id"], await request.read()
        call = self.world.begin_call("upload", {"id": number, "bytes": len(content)})
        fault = self.world.fault_for("upload", "")
        if fault is not None and fault.kind == "status":
            return web.Response(status=fault.status)
        name, length = self.world.uploads.get(number, ("", -1))
        if length != len(content):
            return web.Response(status=400)
        self.world.contents[number] = content
        self.world.files[number] = {"id": number, "name": name, "mimetype": "x/unknown"}
        call.outcome = "ok"
        return web.Response(text=f"OK - {length}")

    async def _respond(self, request: web.Request) -> web.StreamResponse:
        fault = self.world.fault_for("respond", "")
        if fault is not None and fault.kind == "status":
            return web.Response(status=fault.status, headers={"Retry-After": "7"})
        given = self.world.responses.get(f"{self.url}{request.path}")
        if given is None or len(given) >= 5:
            return web.Response(status=404)
        given.append(await request.json())
        return web.Response(text="ok")

    # --- deliveries -----------------------------------------------------------------------------

    def _begin(self, delivery: Delivery) -> None:
        task = asyncio.create_task(self._deliver(delivery))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, delivery: Delivery) -> None:
        """Events until they are confirmed; commands and presses once."""
        while delivery.open:
            async with self._order[_channel_of(delivery.payload)]:
                answer = await self._tried(delivery)
            if await answer:
                delivery.outcome = "acked"
            elif delivery.kind != "events_api":
                delivery.outcome = "failed"
            else:
                await asyncio.sleep(self._pause)

    async def _tried(self, delivery: Delivery) -> asyncio.Future[bool]:
        """Handed over once. First tries within one channel keep their order."""
        if self.world.webhook:
            delivery.attempts += 1
            done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
            done.set_result(await self.post(delivery))
            return done
        connection = await self._connection()
        delivery.attempts += 1
        self._envelopes += 1
        number = f"envelope-{self._envelopes}"
        confirmed = connection.waiting[number] = asyncio.get_running_loop().create_future()
        again = {}
        if delivery.attempts > 1 and delivery.kind == "events_api":
            again = {"retry_attempt": delivery.attempts - 1, "retry_reason": "timeout"}
        envelope = {
            "envelope_id": number,
            "type": delivery.kind,
            "payload": delivery.payload,
            "accepts_response_payload": delivery.kind != "events_api",
            **again,
        }
        try:
            await connection.stream.send_json(envelope)
        except ConnectionError:
            confirmed.set_result(False)
        return asyncio.ensure_future(self._confirmed(connection, number, confirmed))

    async def _confirmed(
        self, connection: Connection, number: str, confirmed: asyncio.Future[bool]
    ) -> bool:
        try:
            async with asyncio.timeout(ACK_SECONDS):
                return await confirmed
        except TimeoutError:
            return False
        finally:
            connection.waiting.pop(number, None)

    async def _connection(self) -> Connection:
        """One that takes something new; each in its turn."""
        async with self._changed:
            while True:
                ready = [each for each in self.connections if not each.leaving]
                if ready:
                    return ready[self._envelopes % len(ready)]
                await self._changed.wait()

    async def post(
        self, delivery: Delivery, *, at: float | None = None, headers: dict[str, str] | None = None
    ) -> bool:
        """As the Events API does it, signed."""
        if delivery.kind == "slash_commands":
            kind, body = "application/x-www-form-urlencoded", urlencode(delivery.payload).encode()
        elif delivery.kind == "interactive":
            kind = "application/x-www-form-urlencoded"
            body = urlencode({"payload": json.dumps(delivery.payload)}).encode()
        else:
            kind, body = "application/json", json.dumps(delivery.payload).encode()
        stamp = str(int(time.time() if at is None else at))
        sent = {"Content-Type": kind, **signed(self.world.secret, stamp, body), **(headers or {})}
        if delivery.attempts > 1:
            sent["X-Slack-Retry-Num"] = str(delivery.attempts - 1)
            sent["X-Slack-Retry-Reason"] = "http_error"
        call = self.world.begin_call("webhook", {"kind": delivery.kind})
        call.status = 0
        try:
            async with self._session.post(self.world.webhook, data=body, headers=sent) as answer:
                call.status = answer.status
                await answer.read()
                return 200 <= answer.status <= 299
        except (ClientError, TimeoutError):
            return False

    # --- Socket Mode ----------------------------------------------------------------------------

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:
            return web.Response(status=401)
        self._tickets.discard(ticket)
        self._tickets.add(f"used {ticket}")
        stream = web.WebSocketResponse(heartbeat=10.0)
        await stream.prepare(request)
        connection = Connection(stream, request)
        hello = {
            "type": "hello",
            "num_connections": len(self.connections) + 1,
            "debug_info": {"host": "fake", "approximate_connection_time": 18060},
            "connection_info": {"app_id": APP},
        }
        await stream.send_json(hello)
        async with self._changed:
            self.connections.append(connection)
            self._changed.notify_all()
        try:
            async for frame in stream:
                if frame.type is WSMsgType.TEXT:
                    self._acknowledged(connection, frame.data)
        finally:
            self.connections.remove(connection)
            for waiting in connection.waiting.values():
                if not waiting.done():
                    waiting.set_result(False)
        return stream

    def _acknowledged(self, connection: Connection, text: str) -> None:
        try:
            number = json.loads(text)["envelope_id"]
        except (ValueError, KeyError, TypeError):
            self.strays.append(text)
            return
        waiting = connection.waiting.get(number)
        if waiting is None or waiting.done():
            self.strays.append(text)
        else:
            waiting.set_result(True)

    async def disconnect(
        self, reason: str = "warning", after: float = 0.3, *, gently: bool = False
    ) -> None:
        """Slack says that it ends every connection that stands, and does so a little later.
        `gently`: not before each is confirmed and has a successor, as the real one's patience
        allows."""
        leaving = [each for each in self.connections if not each.leaving]
        for connection in leaving:
            connection.leaving = True
            with contextlib.suppress(ConnectionError):  # it has just been cut
                await connection.stream.send_json({"type": "disconnect", "reason": reason})
        await asyncio.sleep(after)
        while gently and (
            all(each.leaving for each in self.connections) or any(each.waiting for each in leaving)
        ):
            await asyncio.sleep(0.01)
        for connection in leaving:
            await connection.stream.close()

    def drop(self) -> None:
        """Every connection is gone, without a word."""
        for connection in self.connections:
            if connection.request.transport is not None:
                connection.request.transport.abort()

    # --- control --------------------------------------------------------------------------------

    async def _control(self, request: web.Request) -> web.Response:
        given: dict[str, Any] = await request.json() if request.can_read_body else {}
        what = request.match_info["what"]
        if what == "disconnect":
            await self.disconnect(**given)
            return web.json_response({})
        return web.json_response(self._controlled(what, given))

    def _controlled(self, what: str, given: dict[str, Any]) -> object:
        world = self.world
        match what:
            case "say":
                for file in given.get("files", ()):
                    file["content"] = base64.b64decode(file["content"])
                return world.say(**given)
            case "delete":
                world.delete(**given)
            case "press":
                world.press(**given)
            case "react":
                world.react(**given)
            case "slash":
                return world.slash(**given)
            case "again":
                world.again(given["about"])
            case "channel":
                world.channel(**given)
            case "webhook":
                world.webhook = given["url"]
            case "fault":
                world.faults.append(Fault(**given))
            case "heal":
                world.faults.clear()
            case "drop":
                self.drop()
            case "revoke":
                world.revoked = bool(given.get("revoked", True))
            case "seen":
                return [asdict(each) for each in world.seen(given["channel"])]
            case "calls":
                wanted = given.get("method")
                return [asdict(each) for each in world.calls if wanted in (None, each.method)]
            case "responses":
                return world.responses.get(given["url"])
            case "state":
                return {
                    "pending": sum(each.open for each in world.deliveries),
                    "waiting": sorted({each.about for each in world.deliveries if each.open}),
                    "connections": len(self.connections),
                    "strays": self.strays,
                }
            case _:
                raise web.HTTPNotFound
        return {}


def signed(secret: str, stamp: str, body: bytes) -> dict[str, str]:
    """Headers of a request that Slack signs."""
    base = f"v0:{stamp}:".encode() + body
    digest = hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={digest}"}


__all__ = ["SECRET", "Server", "signed"]


def _cut(request: web.Request, call: Call, outcome: str) -> web.Response:
    call.outcome, call.status = outcome, 0
    return cut(request)


async def _params(request: web.Request) -> tuple[dict[str, Any], bool]:
    params: dict[str, Any] = dict(request.query)
    if request.content_type == "application/json":
        with contextlib.suppress(ValueError):
            params |= await request.json()
        return params, True
    if request.method == "POST":
        params |= {key: str(value) for key, value in (await request.post()).items()}
    return params, False


def _channel_of(payload: dict[str, Any]) -> str:
    event = payload.get("event", {})
    found = (
        event.get("channel")
        or event.get("item", {}).get("channel")
        or payload.get("channel_id")
        or payload.get("channel", {}).get("id")
    )
    return str(found)
