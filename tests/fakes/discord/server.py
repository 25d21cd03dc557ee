"""The fake Discord on a port: REST, gateway, files, and a control side for tests."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from dataclasses import asdict
from typing import Any

from aiohttp import web

from tests.fakes.discord.gateway import Gateway
from tests.fakes.discord.rest import Request, Rest, is_nothing
from tests.fakes.discord.world import Call, Fault, Refusal, World
from tests.fakes.platforms import cut

_UNAUTHORIZED = Refusal(401, 0, "401: Unauthorized")


class Server:
    def __init__(self, world: World) -> None:
        self.world = world
        self.rest = Rest(world)
        self.gateway = Gateway(world)
        self._runner: web.AppRunner | None = None
        self.url = ""
        self.rates: tuple[int, float] | None = None
        """Messages and seconds of each channel's bucket, as the headers tell; None: no headers."""
        self._buckets: dict[str, tuple[float, int]] = {}

    async def start(self, port: int = 0) -> None:
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_get("/gateway", self.gateway.serve)
        app.router.add_get("/gateway/", self.gateway.serve)
        app.router.add_get("/attachments/{path:.+}", self._file)
        app.router.add_route("*", "/api/v10/{path:.+}", self._call)
        app.router.add_post("/control/{what}", self._control)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        self.world.cdn = self.url
        self.gateway.url = self.url.replace("http", "ws") + "/gateway/"
        self.rest.gateway_url = self.gateway.url

    async def stop(self) -> None:
        await self.gateway.drop()
        if self._runner is not None:
            await self._runner.cleanup()
        self.world.journal.close()

    # --- REST -----------------------------------------------------------------------------------

    async def _call(self, request: web.Request) -> web.StreamResponse:
        path = request.rel_url.raw_path.removeprefix("/api/v10")
        route, handler, ids, own = self.rest.find(request.method, path)
        given = Request(ids, query=dict(request.query))
        try:
            await _read(request, given)
        except (ValueError, KeyError):
            return _json(400, {"message": "The request body contains invalid JSON.", "code": 50109})
        call = self.world.begin_call(route, path, given.body, given.query)
        try:
            return await self._answer(request, call, route, handler, given, own)
        finally:
            self.world.journal.write(call)

    async def _answer(
        self,
        request: web.Request,
        call: Call,
        route: str,
        handler: Any,
        given: Request,
        own: bool,
    ) -> web.StreamResponse:
        fault = self.world.fault_for(route, given.ids.get("channel"))
        if fault is not None:
            if fault.kind == "limited":
                return self._limited(call, fault)
            if fault.kind == "status":
                return _refuse(call, Refusal(fault.status, fault.code, f"{fault.status}: ordered"))
            if fault.kind == "cut":
                return _cut(request, call, "cut")
            if fault.kind == "delay":
                await asyncio.sleep(fault.seconds)
        wanted = f"Bot {self.world.token}"
        try:
            if own and (request.headers.get("Authorization") != wanted or self.world.revoked):
                return _refuse(call, _UNAUTHORIZED)
            if handler is None:
                return _refuse(call, Refusal(404, 0, "404: Not Found"))
            result = handler(given)
        except Refusal as refusal:
            return _refuse(call, refusal)
        call.outcome = "ok"
        if fault is not None and fault.kind == "cut_after":
            return _cut(request, call, "cut_after")
        if fault is not None and fault.kind == "garbage":
            call.outcome = "garbage"
            return web.Response(text="<html>proxy</html>", content_type="text/html")
        call.status = 204 if is_nothing(result) else 200
        headers = self._rate_headers(route, given.ids.get("channel", ""))
        return _json(call.status, None if is_nothing(result) else result, headers)

    def _limited(self, call: Call, fault: Fault) -> web.Response:
        """429 until its time is over; whoever comes before that is noted as early."""
        now = time.time()
        call.outcome = "early" if fault.until is not None else "limited"
        fault.until = fault.until or now + fault.seconds
        left = max(0.001, fault.until - now)
        scope = "global" if fault.everything else "user"
        headers = {"Via": "1.1 google", "Retry-After": f"{left:.3f}", "X-RateLimit-Scope": scope}
        if fault.everything:
            headers["X-RateLimit-Global"] = "true"
        call.status = 429
        body = {"message": "You are being rate limited.", "retry_after": left,
                "global": fault.everything, "code": 0}  # fmt: skip
        return _json(429, body, headers)

    def _rate_headers(self, route: str, channel: str) -> dict[str, str]:
        if self.rates is None:
            return {}
        most, seconds = self.rates
        began, used = self._buckets.get(route + channel, (0.0, 0))
        now = time.time()
        if now - began > seconds:
            began, used = now, 0
        self._buckets[route + channel] = (began, used + 1)
        return {
            "X-RateLimit-Bucket": route.replace(" ", "").replace("/", "-"),
            "X-RateLimit-Limit": str(most),
            "X-RateLimit-Remaining": str(max(0, most - used - 1)),
            "X-RateLimit-Reset": str(began + seconds),
            "X-RateLimit-Reset-After": f"{began + seconds - now:.3f}",
        }

    async def _file(self, request: web.Request) -> web.StreamResponse:
        path = request.path.lstrip("/")
        call = self.world.begin_call("GET /attachments", path, None, dict(request.query))
        assert "Authorization" not in request.headers, "the token is not for the file server"
        fault = self.world.fault_for("GET /attachments", None)
        if fault is not None and fault.kind == "delay":
            await asyncio.sleep(fault.seconds)
        if fault is not None and fault.kind == "cut":
            return _cut(request, call, "cut")
        if fault is not None and fault.kind == "status":
            headers = {"Location": f"{self.url}/elsewhere"} if fault.status == 302 else {}
            return web.Response(status=fault.status, headers=headers)
        content = self.world.files.get(path)
        return web.Response(status=404) if content is None else web.Response(body=content)

    # --- control --------------------------------------------------------------------------------

    async def _control(self, request: web.Request) -> web.Response:
        given: dict[str, Any] = await request.json() if request.can_read_body else {}
        return web.json_response(await self.controlled(request.match_info["what"], given))

    async def controlled(self, what: str, given: dict[str, Any]) -> Any:
        world = self.world
        match what:
            case "say":
                for file in given.get("files") or ():
                    file["content"] = base64.b64decode(file["content"])
                return world.say(**given)
            case "direct":
                return world.direct(given["user"])
            case "change" | "remove" | "react" | "slash" | "press" | "seen":
                return getattr(world, what)(**given)
            case "again":
                return self._again(**given)
            case "fault":
                world.faults.append(Fault(**given))
            case "heal":
                world.faults.clear()
            case "revoke":
                world.revoked = bool(given.get("revoked", True))
                if world.revoked:
                    await self.gateway.close(4004)
            case "drop" | "reconnect" | "invalidate":
                await getattr(self.gateway, what)()
            case "calls":
                wanted = given.get("route")
                found = [each for each in world.calls if wanted in (None, each.route)]
                return [asdict(each) for each in found]
            case "state":
                return {
                    "pending": world.pending(),
                    "identifies": self.gateway.identifies,
                    "resumes": self.gateway.resumes,
                    "commands": world.commands,
                    "pings": world.pings,
                }
            case _:
                raise web.HTTPNotFound
        return {}

    def _again(self, channel: str, message: str, times: int = 1) -> None:
        """The same message once more, as after a resume."""
        told = self.world.told(self.world.message(channel, message))
        for _ in range(times):
            self.world.dispatch("MESSAGE_CREATE", told)


def _json(status: int, body: Any, headers: dict[str, str] | None = None) -> web.Response:
    """Exactly ``application/json``: with a charset the library takes it for text."""
    if status == 204:
        return web.Response(status=204, headers=headers)
    exactly = {"Content-Type": "application/json", **(headers or {})}
    return web.Response(status=status, body=json.dumps(body).encode(), headers=exactly)


def _refuse(call: Call, refusal: Refusal) -> web.Response:
    call.outcome, call.status = call.outcome or "error", refusal.status
    return _json(refusal.status, refusal.body)


def _cut(request: web.Request, call: Call, outcome: str) -> web.Response:
    call.outcome, call.status = outcome, 0
    return cut(request)


async def _read(request: web.Request, given: Request) -> None:
    if request.content_type == "multipart/form-data":
        form = await request.post()
        payload = form["payload_json"]
        given.body = json.loads(payload if isinstance(payload, str) else "")
        for name, value in form.items():
            if isinstance(value, web.FileField):
                given.files[name] = (value.filename, value.file.read())
    elif request.can_read_body:
        if request.headers.get("Content-Type") != "application/json":
            raise ValueError(request.headers.get("Content-Type"))
        given.body = json.loads(await request.read())
