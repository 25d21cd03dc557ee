"""The fake Telegram over HTTP: the Bot API, its files, and a control side for tests."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout, web

from tests.fakes.platforms import cut
from tests.fakes.telegram.api import Api, ApiError
from tests.fakes.telegram.world import Bot, Call, Fault, World

_MALFORMED = ApiError(404, "Not Found")
_UNAUTHORIZED = ApiError(401, "Unauthorized")
_OTHER_POLL = (
    "terminated by other getUpdates request; make sure that only one bot instance is running"
)
_WEBHOOK_ACTIVE = (
    "can't use getUpdates method while webhook is active; "
    "use deleteWebhook to delete the webhook first"
)


class Server:
    """`webhook_pause` is what a failed webhook is first waited for; it doubles up to 60 s."""

    def __init__(
        self, world: World, *, https_only: bool = False, webhook_pause: float = 0.05
    ) -> None:
        self.world = world
        self._api = Api(world, https_only=https_only)
        self._pause = webhook_pause
        self._tasks: set[asyncio.Task[None]] = set()
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def start(self, port: int = 0) -> None:
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_get("/file/bot{token}/{path:.+}", self._file)
        app.router.add_route("*", "/bot{token}/{method}", self._call)
        app.router.add_post("/control/{what}", self._control)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        bound = self._runner.addresses[0]
        self.url = f"http://127.0.0.1:{bound[1]}"
        for bot in self.world.bots.values():
            self.watch(bot)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()
        self.world.journal.close()

    def watch(self, bot: Bot) -> None:
        """Deliver by webhook whenever the bot has one."""
        task = asyncio.create_task(self._webhooks(bot))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- the Bot API ----------------------------------------------------------------------------

    async def _call(self, request: web.Request) -> web.StreamResponse:
        bot = self.world.bots.get(request.match_info["token"])
        name = request.match_info["method"]
        params = await _params(request)
        call = self.world.begin_call(name, params)
        try:
            return await self._answer(request, bot, name, params, call)
        finally:
            self.world.journal.write(call)

    async def _answer(
        self,
        request: web.Request,
        bot: Bot | None,
        name: str,
        params: dict[str, Any],
        call: Call,
    ) -> web.StreamResponse:
        chat = str(params.get("chat_id", ""))
        fault = self.world.fault_for(name, int(chat) if chat.lstrip("-").isdecimal() else None)
        if fault is not None and fault.kind in ("status", "flood"):
            return _refuse(call, self._error_of(fault, call))
        if fault is not None and fault.kind == "cut":
            return _cut(request, call, "cut")
        if fault is not None and fault.kind == "delay":
            await asyncio.sleep(fault.seconds)
        if self.world.rates is not None and (left := self.world.rates.wait(name, chat)):
            return _refuse(call, _too_many(left))
        try:
            result = await self._result(bot, request.match_info["token"], name, params)
        except ApiError as error:
            return _refuse(call, error)
        call.outcome = "ok"
        if isinstance(result, dict) and name.startswith(("send", "edit")):
            call.message_id = result.get("message_id")
        if fault is not None and fault.kind == "cut_after":
            return _cut(request, call, "cut_after")
        if fault is not None and fault.kind == "garbage":
            call.outcome = "garbage"
            return web.Response(text="<html>proxy</html>", content_type="text/html")
        return web.json_response({"ok": True, "result": result})

    async def _result(
        self, bot: Bot | None, token: str, name: str, params: dict[str, Any]
    ) -> object:
        if bot is None or bot.revoked:
            raise _UNAUTHORIZED if token.partition(":")[0].isdecimal() else _MALFORMED
        if name == "getUpdates":
            return await self._get_updates(bot, params)
        method = self._api.method(name)
        if method is None:
            raise _MALFORMED
        return method(bot, params)

    def _error_of(self, fault: Fault, call: Call) -> ApiError:
        if fault.kind == "status":
            return ApiError(fault.status, fault.description or f"Status {fault.status}")
        now = time.time()
        early = fault.until is not None
        fault.until = fault.until or now + fault.seconds
        left = max(1, round(fault.until - now)) if fault.seconds >= 1 else fault.seconds
        call.outcome = "early" if early else ""
        return _too_many(left)

    async def _get_updates(self, bot: Bot, params: dict[str, Any]) -> list[dict[str, Any]]:
        if bot.webhook:
            raise ApiError(409, f"Conflict: {_WEBHOOK_ACTIVE}")
        if bot.poll is not None and not bot.poll.done():
            bot.poll.set_result(_OTHER_POLL)
        mine = bot.poll = asyncio.get_running_loop().create_future()
        if allowed := params.get("allowed_updates"):
            bot.allowed = tuple(json.loads(allowed) if isinstance(allowed, str) else allowed)
        offset = int(params.get("offset") or 0)
        if offset > 0:
            bot.confirm_below(offset)
        elif offset < 0:
            bot.confirm_below(([0] + [each["update_id"] for each in bot.updates])[offset:][0])
        end = time.monotonic() + float(params.get("timeout") or 0)
        while not bot.updates and not mine.done() and (left := end - time.monotonic()) > 0:
            bot.changed.clear()
            change = asyncio.ensure_future(bot.changed.wait())
            await asyncio.wait((change, mine), timeout=left, return_when=asyncio.FIRST_COMPLETED)
            change.cancel()
        if mine.done():
            raise ApiError(409, f"Conflict: {mine.result()}")
        mine.cancel()
        return bot.updates[: int(params.get("limit") or 100)]

    async def _file(self, request: web.Request) -> web.StreamResponse:
        path = request.match_info["path"]
        call = self.world.begin_call("download", {"path": path})
        fault = self.world.fault_for("download", None)
        if fault is not None and fault.kind == "delay":
            await asyncio.sleep(fault.seconds)
        if fault is not None and fault.kind == "status":
            return web.Response(status=fault.status)
        content = self.world.files.get(path.removeprefix("files/"))
        if request.match_info["token"] not in self.world.bots or content is None:
            return web.Response(status=404)
        if fault is not None and fault.kind == "cut":
            return _cut(request, call, "cut")
        call.outcome = "ok"
        return web.Response(body=content)

    # --- webhooks -------------------------------------------------------------------------------

    async def _webhooks(self, bot: Bot) -> None:
        """Chats side by side, updates of one chat in order, each until it is answered by 2xx."""
        lanes: dict[object, asyncio.Task[None]] = {}
        timeout = ClientTimeout(total=60)
        async with ClientSession(timeout=timeout) as session, asyncio.TaskGroup() as group:
            while True:
                bot.changed.clear()
                for update in list(bot.updates) if bot.webhook else []:
                    lane = _chat_of(update)
                    if lane not in lanes and len(lanes) < bot.webhook["max_connections"]:
                        task = group.create_task(self._deliver(bot, session, update))
                        lanes[lane] = task
                        task.add_done_callback(functools.partial(_ended, bot, lanes, lane))
                await bot.changed.wait()

    async def _deliver(self, bot: Bot, session: ClientSession, update: dict[str, Any]) -> None:
        wait = self._pause
        while bot.webhook and update in bot.updates:
            if await self._post(bot, session, update):
                bot.confirm(update)
                return
            await asyncio.sleep(wait)
            wait = min(wait * 2, 60.0)

    async def _post(self, bot: Bot, session: ClientSession, update: dict[str, Any]) -> bool:
        headers = {}
        if secret := bot.webhook["secret"]:
            headers["X-Telegram-Bot-Api-Secret-Token"] = secret
        call = self.world.begin_call("webhook", {"update_id": update["update_id"]})
        with contextlib.suppress(ClientError, TimeoutError):
            async with session.post(bot.webhook["url"], json=update, headers=headers) as answer:
                call.status = answer.status
                body = await answer.read()
                if 200 <= answer.status <= 299:
                    call.outcome = "ok"
                    self._method_in_reply(bot, body)
                    return True
        call.outcome = call.outcome or "error"
        return False

    def _method_in_reply(self, bot: Bot, body: bytes) -> None:
        with contextlib.suppress(ValueError, ApiError):
            params = json.loads(body)
            method = self._api.method(params.pop("method", "")) if params else None
            if method is not None:
                method(bot, params)

    # --- control --------------------------------------------------------------------------------

    async def _control(self, request: web.Request) -> web.Response:
        given: dict[str, Any] = await request.json() if request.can_read_body else {}
        return web.json_response(self._controlled(request.match_info["what"], given))

    def _controlled(self, what: str, given: dict[str, Any]) -> object:
        world = self.world
        match what:
            case "say":
                content = base64.b64decode(given.pop("content", ""))
                return world.say(**given, content=content)
            case "press":
                return world.press(**given)
            case "react":
                return world.react(**given)
            case "update":
                return {"update_id": world.main.push(given["update"])}
            case "fault":
                world.faults.append(Fault(**given))
            case "heal":
                world.faults.clear()
            case "block":
                world.blocked.add(given["chat"])
            case "revoke":
                world.main.revoked = bool(given.get("revoked", True))
            case "seen":
                return [asdict(each) for each in world.seen(given["chat"])]
            case "chats":
                return sorted(world.chats)
            case "calls":
                wanted = given.get("method")
                return [asdict(each) for each in world.calls if wanted in (None, each.method)]
            case "state":
                bot = world.main
                return {
                    "pending": len(bot.updates),
                    "confirmed": bot.confirmed,
                    "webhook": bot.webhook,
                    "commands": bot.commands,
                }
            case _:
                raise web.HTTPNotFound
        return {}


def _too_many(left: float) -> ApiError:
    return ApiError(429, f"Too Many Requests: retry after {left}", {"retry_after": left})


def _ended(
    bot: Bot, lanes: dict[object, asyncio.Task[None]], lane: object, _: asyncio.Task[None]
) -> None:
    del lanes[lane]
    bot.changed.set()


def _refuse(call: Call, error: ApiError) -> web.Response:
    call.outcome, call.status = call.outcome or "error", error.code
    body: dict[str, Any] = {
        "ok": False,
        "error_code": error.code,
        "description": error.description,
    }
    if error.parameters:
        body["parameters"] = error.parameters
    return web.json_response(body, status=error.code)


def _cut(request: web.Request, call: Call, outcome: str) -> web.Response:
    call.outcome, call.status = outcome, 0
    return cut(request)


async def _params(request: web.Request) -> dict[str, Any]:
    params: dict[str, Any] = dict(request.query)
    if request.content_type == "application/json":
        params |= await request.json()
        return params
    if request.method == "POST":
        form: Mapping[str, Any] = await request.post()
        for key, value in form.items():
            params[key] = value.file.read() if isinstance(value, web.FileField) else value
    return params


def _chat_of(update: Mapping[str, Any]) -> object:
    for kind in ("message", "edited_message", "message_reaction"):
        if isinstance(update.get(kind), dict):
            return update[kind].get("chat", {}).get("id")
    return update["update_id"]
