"""The fake WhatsApp over HTTP, and Meta's posts to the webhook."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import time
from collections import defaultdict
from collections.abc import Callable
from types import TracebackType
from typing import Any
from urllib.parse import urlencode

from aiohttp import ClientError, ClientSession, ClientTimeout, web

from tests.fakes.platforms import cut, until
from tests.fakes.whatsapp.world import (
    APP_SECRET,
    NUMBER,
    TOKEN,
    VERIFY,
    Call,
    Fault,
    Refused,
    Shown,
    World,
)


class FakeWhatsApp:
    """In this process: ``async with FakeWhatsApp() as whatsapp``.

    Posts are kept, per chat in order, and repeated until the webhook says 200. Give it `webhook`,
    a URL, or `handler`, which takes headers and bytes and gives a status.
    """

    until = staticmethod(until)

    def __init__(self, *, pause: float = 0.1) -> None:
        self.world = World()
        self.calls: list[Call] = []
        self.faults: list[Fault] = []
        self.revoked = False
        self.webhook = ""
        self.handler: Callable[[dict[str, str], bytes], Any] | None = None
        self.statuses = True
        """Whether statuses of messages are posted."""
        self.url = ""
        self._pause = pause
        self._lanes: dict[str, list[bytes]] = defaultdict(list)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._runner: web.AppRunner | None = None
        self._session: ClientSession | None = None

    async def __aenter__(self) -> FakeWhatsApp:
        app = web.Application(client_max_size=128 * 2**20)
        app.router.add_post("/{version}/{number}/messages", self._messages)
        app.router.add_post("/{version}/{number}/media", self._upload)
        app.router.add_get("/{version}/{id}", self._get)
        app.router.add_get("/files/at/{id}", self._download)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        self._session = ClientSession(timeout=ClientTimeout(total=10))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        assert self._session is not None
        await self._session.close()
        assert self._runner is not None
        await self._runner.cleanup()

    # --- people ---------------------------------------------------------------------------------

    def say(self, chat: str, text: str = "", **message: Any) -> dict[str, Any]:
        """A person writes; `message` is the native message's other fields, with its ``type``."""
        made = self.message(chat, text, **message)
        self.post(chat, self.value(messages=[made], chat=chat))
        return made

    def message(self, chat: str, text: str = "", **message: Any) -> dict[str, Any]:
        made = {
            "from": chat,
            "id": self.world.new_id("wamid.i"),
            "timestamp": str(int(time.time())),
            "type": "text",
            **message,
        }
        if made["type"] == "text":
            made["text"] = {"body": text}
        self.world.inbound[made["id"]] = chat
        self.world.wrote[chat] = time.time()
        return made

    def send_file(
        self, chat: str, kind: str, content: bytes, media_type: str, **more: Any
    ) -> dict[str, Any]:
        id = self.world.new_id("9")
        self.world.files[id] = (media_type, content)
        media = {"id": id, "mime_type": media_type, "sha256": "x", **more}
        return self.say(chat, type=kind, **{kind: media})

    def press(self, chat: str, data: str, title: str, on: str) -> dict[str, Any]:
        reply = {"type": "button_reply", "button_reply": {"id": data, "title": title}}
        return self.say(chat, type="interactive", interactive=reply, context={"id": on})

    def edit(self, chat: str, message: str, text: str) -> dict[str, Any]:
        told = {"original_message_id": message, "message": {"type": "text", "text": {"body": text}}}
        return self.say(chat, type="edit", edit=told)

    def value(self, *, chat: str = "", number: str = NUMBER, **more: Any) -> dict[str, Any]:
        contacts = [{"profile": {"name": f"Person {chat}"}, "wa_id": chat}] if chat else []
        return {
            "messaging_product": "whatsapp",
            "metadata": {"display_phone_number": "15550783881", "phone_number_id": number},
            "contacts": contacts,
            **more,
        }

    def post(self, lane: str, value: dict[str, Any]) -> bytes:
        change = {"value": value, "field": "messages"}
        body = json.dumps(
            {"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]}
        ).encode()
        self.again(lane, body)
        return body

    def again(self, lane: str, body: bytes) -> None:
        """The same post once more."""
        self._lanes[lane].append(body)
        if lane not in self._tasks or self._tasks[lane].done():
            self._tasks[lane] = asyncio.create_task(self._deliver(lane))

    @property
    def pending(self) -> int:
        """Posts with messages that nobody has confirmed."""
        return len(self.unconfirmed)

    @property
    def unconfirmed(self) -> list[bytes]:
        lanes = [lane for lane in self._lanes if not lane.startswith("status")]
        return [body for lane in lanes for body in self._lanes[lane]]

    def seen(self, chat: str | None = None) -> list[Shown]:
        return [one for one in self.world.shown if chat in (None, one.chat)]

    def texts(self, chat: str | None = None) -> list[str]:
        return [one.text for one in self.seen(chat)]

    def of(self, name: str) -> list[Call]:
        return [one for one in self.calls if one.name == name]

    def fault(self, call: str, kind: Any, **more: Any) -> Fault:
        made = Fault(call, kind, **more)
        self.faults.append(made)
        return made

    async def subscribe(self, token: str = VERIFY, challenge: str = "1158201444") -> int:
        """Meta's question at the callback URL; 200 when it was answered well."""
        assert self._session is not None
        query = {"hub.mode": "subscribe", "hub.challenge": challenge, "hub.verify_token": token}
        async with self._session.get(f"{self.webhook}?{urlencode(query)}") as answer:
            body = await answer.text()
            return answer.status if answer.status != 200 or body == challenge else 0

    # --- Meta's posts ---------------------------------------------------------------------------

    async def _deliver(self, lane: str) -> None:
        queue, wait = self._lanes[lane], self._pause
        while queue:
            if await self._posted(queue[0]):
                queue.pop(0)
                wait = self._pause
            else:
                await asyncio.sleep(wait)
                wait = min(wait * 1.5, 0.4)

    async def _posted(self, body: bytes) -> bool:
        headers = signature(body)
        if self.handler is not None:
            return bool(await self.handler(headers, body) == 200)
        if not self.webhook:
            return False
        assert self._session is not None
        with contextlib.suppress(ClientError, TimeoutError):
            async with self._session.post(self.webhook, data=body, headers=headers) as answer:
                return answer.status == 200
        return False

    def status(self, id: str, chat: str, word: str, data: str = "", code: int = 0) -> None:
        told: dict[str, Any] = {
            "id": id,
            "status": word,
            "timestamp": str(int(time.time())),
            "recipient_id": chat,
        }
        if data:
            told["biz_opaque_callback_data"] = data
        if code:
            told["errors"] = [{"code": code, "title": "failed", "message": "failed"}]
        self.post(f"status {chat}", self.value(statuses=[told]))

    # --- the Graph API --------------------------------------------------------------------------

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        chat = str(body.get("to") or body.get("recipient") or "")
        name = "mark" if "status" in body else "messages"
        return await self._answer(request, name, body, chat, lambda: self._sent(request, body))

    def _sent(self, request: web.Request, body: dict[str, Any]) -> dict[str, Any]:
        if request.match_info["number"] != NUMBER:
            raise Refused(400, 100, "Object with that ID does not exist")
        answer = self.world.take(body)
        if "messages" in answer and self.statuses and body["type"] != "reaction":
            id, chat = answer["messages"][0]["id"], answer["contacts"][0]["wa_id"]
            key = body.get("biz_opaque_callback_data", "")
            if all(one.id != id for one in self.world.shown):
                self.status(id, chat, "failed", key, 131047)
            else:
                for word in ("sent", "delivered"):
                    self.status(id, chat, word, key)
        return answer

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        file = form.get("file")
        content = file.file.read() if isinstance(file, web.FileField) else b""

        def kept() -> dict[str, Any]:
            if form.get("messaging_product") != "whatsapp" or not content:
                raise Refused(400, 100, "Invalid parameter: file")
            id = self.world.new_id("8")
            self.world.uploads[id] = (str(form.get("type")), content)
            return {"id": id}

        return await self._answer(request, "media", {"type": form.get("type")}, "", kept)

    async def _get(self, request: web.Request) -> web.StreamResponse:
        id = request.match_info["id"]
        name = "number" if id == NUMBER else "info"

        def found() -> dict[str, Any]:
            if id == NUMBER:
                return {
                    "display_phone_number": "+1 555-078-3881",
                    "verified_name": "Fake Shop",
                    "quality_rating": "GREEN",
                    "id": NUMBER,
                }
            if id not in self.world.files:
                raise Refused(400, 100, "Unsupported get request")
            media_type, content = self.world.files[id]
            return {
                "messaging_product": "whatsapp",
                "url": f"{self.url}/files/at/{id}",
                "mime_type": media_type,
                "file_size": len(content),
                "id": id,
            }

        return await self._answer(request, name, dict(request.query), "", found)

    async def _download(self, request: web.Request) -> web.StreamResponse:
        call = Call("download", {}, time.time())
        self.calls.append(call)
        fault = self._fault_for("download", "")
        if fault is not None and fault.kind == "status":
            return web.Response(status=fault.status)
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.Response(status=401)
        media_type, content = self.world.files[request.match_info["id"]]
        return web.Response(body=content, content_type=media_type)

    async def _answer(
        self,
        request: web.Request,
        name: str,
        body: dict[str, Any],
        chat: str,
        act: Callable[[], dict[str, Any]],
    ) -> web.StreamResponse:
        call = Call(name, body, time.time())
        self.calls.append(call)
        fault = self._fault_for(name, chat)
        try:
            self._check(request, fault)
            if fault is not None and fault.kind == "status":
                call.status, call.outcome = fault.status, "refused"
                return web.Response(status=fault.status, text="<html>proxy</html>")
            if fault is not None and fault.kind == "cut":
                return _cut(request, call, "cut")
            if fault is not None and fault.kind == "delay":
                await asyncio.sleep(fault.seconds)
            answer = act()
        except Refused as refused:
            call.status, call.outcome = refused.status, "refused"
            error = {"message": str(refused), "type": "OAuthException", "code": refused.code}
            return web.json_response({"error": error}, status=refused.status)
        if fault is not None and fault.kind == "cut_after":
            return _cut(request, call, "cut_after")
        call.status, call.outcome = 200, "ok"
        if fault is not None and fault.kind == "garbage":
            return web.Response(text="<html>proxy</html>", content_type="text/html")
        if fault is not None and fault.kind == "pieces":
            return await _in_pieces(request, json.dumps(answer).encode())
        return web.json_response(answer)

    def _check(self, request: web.Request, fault: Fault | None) -> None:
        if self.revoked or request.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise Refused(401, 190, "Invalid OAuth access token")
        if fault is not None and fault.kind == "status" and fault.code is not None:
            raise Refused(fault.status, fault.code, "ordered")

    def _fault_for(self, name: str, chat: str) -> Fault | None:
        for fault in self.faults:
            if fault.call != name or fault.times == 0 or fault.chat not in ("", chat):
                continue
            if fault.times is not None:
                fault.times -= 1
            return fault
        return None


def signature(body: bytes, secret: str = APP_SECRET) -> dict[str, str]:
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"x-hub-signature-256": f"sha256={digest}"}


async def _in_pieces(request: web.Request, body: bytes) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    for start in range(0, len(body), 20):
        await response.write(body[start : start + 20])
        await asyncio.sleep(0.005)
    return response


def _cut(request: web.Request, call: Call, outcome: str) -> web.Response:
    call.outcome = outcome
    return cut(request)
